"""Replay on recordings made here: the simulated board's frames, written as SigMF, read as anybody's."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kronborg import cli
from kronborg.board import FramePlan, Scenario
from kronborg.errors import InputError
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.positions import complex_symbols
from kronborg.link.recording import Recording, read, write
from kronborg.link.replay import replay, replay_files
from kronborg_sim.devices.model_board import ModelBoard
from kronborg_sim.optics.detector import RfHeterodyne
from kronborg_sim.recordings import Light, record

FORMAT = FrameFormat(125e6, 24_000, 0.2, 125e6, (250e6,), Preamble(17, 1021, 125e6, True, 4.0), 1e9, 4096)
SCENARIO = Scenario(distance_km=1.0, excess_noise_snu=0.0, linewidth_hz=1e3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with its noise recordings and Alice's symbols, made once."""
    folder = tmp_path_factory.mktemp("recordings")
    board = ModelBoard(FramePlan(FORMAT, 4.0, 20.0, samples=2**18), SCENARIO, seed=2)
    emission = board.frame(0)
    noise = {"cvqkd:shot_noise_recording": "vacuum", "cvqkd:electronic_noise_recording": "dark"}
    write(folder / "frame.sigmf-meta", emission.samples, 1e9, FORMAT.to_metadata() | noise)
    write(folder / "vacuum.sigmf-meta", np.concatenate([board.vacuum(i) for i in range(4)]), 1e9, {})
    write(folder / "dark.sigmf-meta", board.dark(0), 1e9, {})
    np.save(folder / "alice.npy", complex_symbols(emission.symbols).astype(np.complex64))
    return folder


def test_recovers_symbols_signal_and_noise(folder: Path) -> None:
    found = replay_files(folder / "frame.sigmf-meta", folder / "alice.npy")
    received = SCENARIO.detector_efficiency * SCENARIO.transmittance / 2
    assert found.symbols == 24_000
    assert found.signal_variance_snu == pytest.approx(received * 4.0, rel=0.03)
    snr = received * 4.0 / (1 + SCENARIO.electronic_noise_snu)
    assert found.correlation == pytest.approx(np.sqrt(snr / (1 + snr)), abs=0.01)
    assert abs(found.excess_noise_at_detector_snu) < 4 * found.excess_noise_std_snu
    assert found.electronic_noise_snu == pytest.approx(SCENARIO.electronic_noise_snu, rel=0.03)
    assert found.saturated_words == 0


def test_symbols_in_another_unit_and_phase_give_the_same(folder: Path) -> None:
    recording = read(folder / "frame.sigmf-meta")
    vacuum, dark = read(folder / "vacuum.sigmf-meta"), read(folder / "dark.sigmf-meta")
    alice = np.load(folder / "alice.npy").astype(complex)
    plain, turned = (replay(recording, symbols, vacuum, dark) for symbols in (alice, alice * 3e-5j))
    assert turned.correlation == pytest.approx(plain.correlation)
    assert turned.excess_noise_at_detector_snu == pytest.approx(plain.excess_noise_at_detector_snu)


def test_symbols_of_another_frame_do_not_correlate(folder: Path) -> None:
    recording = read(folder / "frame.sigmf-meta")
    other = np.random.default_rng(1).standard_normal((24_000, 2)) @ np.array([1, 1j])
    with pytest.raises(InputError, match="do not match Alice's"):
        replay(recording, other, read(folder / "vacuum.sigmf-meta"), read(folder / "dark.sigmf-meta"))


def test_a_converter_driven_into_its_limits_is_refused(folder: Path) -> None:
    recording, alice = read(folder / "frame.sigmf-meta"), np.load(folder / "alice.npy").astype(complex)
    vacuum, dark = read(folder / "vacuum.sigmf-meta"), read(folder / "dark.sigmf-meta")
    driven = np.clip(recording.samples * 3.0, -32768, 32764).astype(np.int16)
    with pytest.raises(InputError, match="converter's limits"):
        replay(replace(recording, samples=driven), alice, vacuum, dark)
    loud = np.clip(vacuum.samples * 8.0, -32768, 32764).astype(np.int16)
    with pytest.raises(InputError, match="converter's limits"):
        replay(recording, alice, replace(vacuum, samples=loud), dark)


def test_noise_recorded_at_another_gain_is_refused(folder: Path) -> None:
    recording, alice = read(folder / "frame.sigmf-meta"), np.load(folder / "alice.npy").astype(complex)
    vacuum, dark = read(folder / "vacuum.sigmf-meta"), read(folder / "dark.sigmf-meta")
    with pytest.raises(InputError, match="below vacuum"):
        replay(recording, alice, replace(vacuum, samples=(vacuum.samples * 1.2).astype(np.int16)), dark)


def test_noise_recorded_at_another_rate_is_refused(folder: Path) -> None:
    recording = read(folder / "frame.sigmf-meta")
    vacuum = replace(read(folder / "vacuum.sigmf-meta"), sample_rate_hz=5e8)
    with pytest.raises(InputError, match="shot-noise recording has another sample rate"):
        replay(recording, np.ones(24_000, complex), vacuum, read(folder / "dark.sigmf-meta"))


def test_noise_recordings_that_are_swapped_are_refused(folder: Path) -> None:
    recording, alice = read(folder / "frame.sigmf-meta"), np.load(folder / "alice.npy").astype(complex)
    with pytest.raises(InputError, match="local oscillator"):
        replay(recording, alice, read(folder / "dark.sigmf-meta"), read(folder / "vacuum.sigmf-meta"))


def test_a_clock_that_runs_away_is_followed() -> None:
    """Within this frame by a whole symbol."""
    frame = FrameFormat(100e6, 25_000, 0.5, 100e6, (200e6, 220e6), Preamble(5, 3989, 5e8), 5e8, 5000)
    light = Light(clock_offset_ppm=-40.0, linewidth_hz=2e3, delay=300.7)
    rng = np.random.default_rng(3)
    made = record(frame, light, 1e9, rng)
    detector = RfHeterodyne()
    noises = (detector.record(2**21, rng), detector.record(2**18, rng, local_oscillator=False))
    recordings = [
        Recording(samples, 1e9, frame.to_metadata(), Path("made.sigmf-meta")) for samples in (made.samples, *noises)
    ]
    found = replay(recordings[0], made.symbols, *recordings[1:])
    share = light.signal_snu / (light.signal_snu + 1.05)
    assert found.clock_offset_ppm == pytest.approx(40.0, abs=0.5)
    assert found.correlation == pytest.approx(np.sqrt(share), abs=0.01)
    assert abs(found.excess_noise_at_detector_snu) < 4 * found.excess_noise_std_snu


CAPTURES = Path(os.environ.get("KRONBORG_CAPTURES", Path(__file__).parents[4] / "shared" / "captures"))
TRUTH = {"metro-100MBd": 0.5668, "access-62MBd": 0.5655, "drifting-100MBd": 0.5660}
"""Correlation of a matched filter that is told phase, frequency and timing, from the recordings' README."""


if FOUND := sorted(name for name in TRUTH if (CAPTURES / f"{name}.sigmf-meta").exists()):

    @pytest.mark.parametrize("name", FOUND)
    def test_recordings_of_other_software_are_received_as_well_as_told_the_truth(name: str) -> None:
        found = replay_files(CAPTURES / f"{name}.sigmf-meta", CAPTURES / f"{name}-alice.npy")
        assert found.correlation == pytest.approx(TRUTH[name], rel=0.006)


def test_what_cannot_be_written_is_said_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "nothing.sigmf-meta", "--alice", "nothing.npy", "--json", "/nowhere/found.json"]) == 2
    assert "cannot write '/nowhere/found.json'" in capsys.readouterr().err


def test_the_command_prints_the_fields_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(folder / "frame.sigmf-meta"), "--alice", str(folder / "alice.npy")]
    assert cli.main([*arguments, "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"correlation", "signal_variance_snu", "excess_noise_at_detector_snu", "symbols"} <= set(figures)
    assert cli.main(arguments) == 0
    assert f"{figures['correlation']:.4f}" in capsys.readouterr().out


def damaged(folder: Path, to: Path, name: str) -> Path:
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to / name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cvqkd:symbols": 48_000}, "symbols"),
        ({"cvqkd:symbol_rate_hz": 120e6}, "symbol rate"),
        ({"core:sample_rate": 0.99e9}, "sample rate"),
        ({"cvqkd:pilot_frequencies_hz": [600e6]}, "pilot"),
        ({"cvqkd:frequency_shift_hz": 250e6}, "pilot"),
        ({"cvqkd:preamble": {"type": "barker", "root": 1, "length": 13, "rate_hz": 1e6}}, "zadoff-chu"),
        ({"core:datatype": "cf32_le"}, "ri16_le"),
        ({"cvqkd:shot_noise_recording": "../vacuum"}, "file name"),
        ({"cvqkd:shot_noise_recording": "nothing"}, "cannot read"),
    ],
)
def test_metadata_that_contradicts_the_data_gives_exit_code_2_and_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], says: str
) -> None:
    meta = damaged(folder, tmp_path, "frame.sigmf-meta")
    whole = json.loads(meta.read_text())
    whole["global"].update(change)
    meta.write_text(json.dumps(whole))
    assert cli.main(["replay", str(meta), "--alice", str(tmp_path / "alice.npy")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert says in said.err


@pytest.mark.parametrize("keep", [0.5, 0.01, 0.0])
def test_a_capture_cut_short_gives_exit_code_2_and_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: float
) -> None:
    meta = damaged(folder, tmp_path, "frame.sigmf-meta")
    data = meta.with_suffix(".sigmf-data")
    data.write_bytes(data.read_bytes()[: int(keep * data.stat().st_size) // 2 * 2])
    assert cli.main(["replay", str(meta), "--alice", str(tmp_path / "alice.npy")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_capture_without_light_gives_exit_code_2_and_says_what_to_check(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = damaged(folder, tmp_path, "frame.sigmf-meta")
    meta.with_suffix(".sigmf-data").write_bytes((tmp_path / "vacuum.sigmf-data").read_bytes()[: 2**19])
    assert cli.main(["replay", str(meta), "--alice", str(tmp_path / "alice.npy")]) == 2
    assert "pilot" in capsys.readouterr().err
