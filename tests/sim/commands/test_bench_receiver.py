"""The comparison of receivers: what is judged, and how a peer's process is asked."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kronborg import cli
from kronborg_sim.commands.bench.qosst import AS_DOCUMENTED, Try, best, receptions, settings
from kronborg_sim.commands.bench.receiver import (
    SAMPLE_RATE_HZ,
    SIGNAL_SNU,
    frame_of,
    frames_lost,
    light_of,
    more_noise_than_the_peer,
    ours,
)
from kronborg_sim.commands.bench.receptions import Reception, all_but_the_phase, judge
from kronborg_sim.recordings import Recorded, record, told_the_truth

FRAME = frame_of(20_000)
LIGHT = light_of(1e3)
LOST = Reception(None, None, 1.0)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return record(FRAME, LIGHT, SAMPLE_RATE_HZ, np.random.default_rng(1))


@pytest.fixture(scope="module")
def truth(recorded: Recorded) -> np.ndarray:
    return told_the_truth(recorded, FRAME, SAMPLE_RATE_HZ)


def judged(symbols: np.ndarray, recorded: Recorded, truth: np.ndarray) -> Reception:
    return judge([symbols], recorded, truth, SIGNAL_SNU, cpu_seconds=0.02)


def test_the_truth_adds_nothing(recorded: Recorded, truth: np.ndarray) -> None:
    found = judged(truth * 3j, recorded, truth)
    assert found.added_msnu == pytest.approx(0, abs=1e-6)
    assert found.phase_variance_rad2 == pytest.approx(0, abs=1e-12)
    assert found.microseconds_per_symbol == pytest.approx(1.0)


def test_each_piece_may_have_a_phase_of_its_own(recorded: Recorded, truth: np.ndarray) -> None:
    pieces = [truth[:5000] * 1j, truth[5000:9000] * np.exp(2j), truth[9000:]]
    found = judge(pieces, recorded, truth, SIGNAL_SNU, cpu_seconds=0.0)
    assert found.added_msnu == pytest.approx(0, abs=1e-6)
    assert judged(np.concatenate(pieces), recorded, truth).added_msnu is None


def test_a_piece_that_lacks_a_symbol_spoils_those_behind_it(recorded: Recorded, truth: np.ndarray) -> None:
    assert judge([truth[:4000], truth[4001:]], recorded, truth, SIGNAL_SNU, cpu_seconds=0.0).added_msnu is None


def test_phase_errors_are_seen_as_noise_and_as_phase(recorded: Recorded, truth: np.ndarray) -> None:
    error = np.random.default_rng(2).standard_normal(len(truth)) * 0.1
    found = judged(truth * np.exp(1j * error), recorded, truth)
    assert found.phase_variance_rad2 == pytest.approx(0.01, rel=0.1)
    # exp(0.01) - 1 of the signal, and what the noise beside it turns away is noise again.
    assert found.added_msnu == pytest.approx(1e3 * SIGNAL_SNU * 0.01 * (SIGNAL_SNU + 1.05) / SIGNAL_SNU, rel=0.5)


def test_symbols_that_are_not_alices_are_a_lost_frame(recorded: Recorded, truth: np.ndarray) -> None:
    for symbols in (np.roll(truth, 7), np.zeros(0, complex), np.zeros(len(truth), complex)):
        assert judged(symbols, recorded, truth).added_msnu is None


def test_our_receiver_is_close_to_the_truth(recorded: Recorded, truth: np.ndarray) -> None:
    found = ours(recorded, FRAME, truth)
    assert found.added_msnu is not None
    assert found.added_msnu < 10


def test_who_knows_all_but_the_phase_errs_by_what_the_best_smoother_leaves(
    recorded: Recorded, truth: np.ndarray
) -> None:
    found = all_but_the_phase(recorded, FRAME, LIGHT, SAMPLE_RATE_HZ, truth, np.random.default_rng(3))
    # A walk of variance w a sample under noise of variance n: sqrt(n w) / 2.
    walk, noise = 2 * np.pi * LIGHT.linewidth_hz / SAMPLE_RATE_HZ, 25 / (2 * 10 ** (LIGHT.pilot_snr_db / 10))
    left = np.sqrt(noise * walk) / 2
    assert found.phase_variance_rad2 is not None
    # The pilot's skirt beside it turns the symbols too.
    assert left < found.phase_variance_rad2 < 2 * left


def interpreter(folder: Path, answer: str) -> Path:
    """Stands for an environment with the peer: carries nothing out and answers."""
    path = folder / "python"
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\nwanted = json.load(open(sys.argv[-1]))['wanted']\n{answer}\n"
    )
    path.chmod(0o755)
    return path


def test_a_peer_is_given_every_parameter_and_its_best_symbols_count(
    recorded: Recorded, truth: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "truth.npy", np.concatenate([truth[:5000] * 1j, truth[5000:]]))
    python = interpreter(
        tmp_path,
        "import shutil\n"
        "answers = [{'cpu_seconds': 0.1, 'lengths': [], 'error': 'no frame found'} for _ in wanted]\n"
        f"shutil.copy({str(tmp_path / 'truth.npy')!r}, wanted[2]['symbols'])\n"
        f"answers[2] = {{'cpu_seconds': 0.2, 'lengths': [5000, {len(truth) - 5000}], 'error': ''}}\n"
        f"json.dump([one['parameters'] for one in wanted], open({str(tmp_path / 'asked.json')!r}, 'w'))\n"
        "print(json.dumps(answers))",
    )
    tries = receptions(python, recorded, FRAME, LIGHT, SAMPLE_RATE_HZ, truth)
    names = list(settings(FRAME, LIGHT, SAMPLE_RATE_HZ))
    assert [one.settings for one in tries] == names
    assert [one.reception.added_msnu is None for one in tries] == [number != 2 for number in range(len(names))]
    chosen = best(tries)
    assert chosen.settings == names[2]
    assert chosen.reception.added_msnu == pytest.approx(0, abs=1e-6)
    assert chosen.reception.microseconds_per_symbol == pytest.approx(10.0)
    for asked in json.loads((tmp_path / "asked.json").read_text()):
        assert (asked["adc_rate"], asked["num_symbols"], asked["zc_length"]) == (SAMPLE_RATE_HZ, 20_000, 3989)


def test_modes_for_a_clock_in_common_are_tried_only_where_there_is_one() -> None:
    together, apart = (settings(FRAME, light, SAMPLE_RATE_HZ) for light in (LIGHT, light_of(2e3, 20.0)))
    assert set(apart) < set(together)
    assert any(parameters.get("shared_clock") for parameters in together.values())
    assert not any(parameters.get("shared_clock") for parameters in apart.values())
    documented = apart[AS_DOCUMENTED]
    assert (documented["zc_rate"], documented["pilots_frequencies"]) == (500e6, [200e6, 400e6])


def test_the_peers_best_is_the_one_that_added_least() -> None:
    tries = [Try(AS_DOCUMENTED, LOST), Try("a", Reception(3.0, 0.1, 9.0)), Try("b", Reception(-0.1, 0.1, 9.0))]
    assert best(tries).settings == "b"
    assert best(tries[:1]).settings == AS_DOCUMENTED


def test_where_frames_are_lost_and_where_the_peer_is_better_is_said() -> None:
    def row(receiver: str, ppm: float, added: float | None, documented: float | None = None) -> dict[str, object]:
        found = {"receiver": receiver, "linewidth_hz": 2e3, "clock_offset_ppm": ppm, "added_msnu": added}
        return found | ({"tried": [{"settings": AS_DOCUMENTED, "added_msnu": documented}]} if receiver != "us" else {})

    rows = [row("us", 0.0, 3.0), row("peer", 0.0, 2.0, 5.0), row("us", 2.0, 3.0), row("peer", 2.0, 4.0)]
    rows += [row("us", 20.0, None), row("peer", 20.0, 9.0), row("us", -20.0, None), row("peer", -20.0, None)]
    lost = frames_lost(rows)
    assert lost == {
        "us": ["2.00 kHz +20 ppm", "2.00 kHz -20 ppm"],
        "peer": ["2.00 kHz -20 ppm"],
        f"peer {AS_DOCUMENTED}": ["2.00 kHz +2 ppm", "2.00 kHz +20 ppm", "2.00 kHz -20 ppm"],
    }
    assert more_noise_than_the_peer(rows) == ["2.00 kHz +0 ppm", "2.00 kHz +20 ppm"]


def test_a_run_names_the_limit_and_both_receivers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kronborg_sim.commands.bench.receiver.LINEWIDTHS_HZ", (2e3, 10e3))
    monkeypatch.setattr("kronborg_sim.commands.bench.receiver.CLOCK_OFFSETS_PPM", ())
    python = interpreter(
        tmp_path,
        "print(json.dumps([{'cpu_seconds': 0.1, 'lengths': [], 'error': 'no frame found'} for _ in wanted]))",
    )
    arguments = ["bench", "receiver", "--peer", "qosst", "--plain", "--symbols", "20000", "--json"]
    assert cli.main([*arguments, str(tmp_path / "found.json"), "--peer-python", str(python)]) == 0
    figures = json.loads((tmp_path / "found.json").read_text())
    mine, peer = figures["rows"][:2]
    assert (mine["receiver"], peer["receiver"], peer["settings"]) == ("kronborg", "qosst", AS_DOCUMENTED)
    assert peer["added_msnu"] is None
    assert mine["added_msnu"] > mine["all_but_the_phase_msnu"] > 0
    assert len(figures["frames_lost"]["qosst"]) == len(figures["rows"]) // 2
    assert figures["more_noise_than_the_peer"] == []
    assert "all but the phase" in capsys.readouterr().out


def test_a_peer_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "receiver", "--peer", "qosst", "--plain", "--symbols", "20000"]
    python = interpreter(tmp_path, "sys.exit('ModuleNotFoundError: no qosst here')")
    assert cli.main([*arguments, "--peer-python", str(python)]) == 1
    error = capsys.readouterr().err
    assert "no qosst here" in error
    assert "Traceback" not in error
    assert cli.main([*arguments, "--peer-python", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--pilot-snr", "nan"], "nan dB of --pilot-snr: give 0 to 50"),
        (["--pilot-snr", "-3"], "-3 dB of --pilot-snr"),
        (["--peer-python", sys.executable], "--peer-python is of a peer: give --peer too (qosst)"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "receiver", *arguments]) == 2
    assert line in capsys.readouterr().err
