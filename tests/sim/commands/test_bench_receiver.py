"""The comparison of receivers: what is judged, and how a peer's process is asked."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kronborg import cli
from kronborg_sim.commands.bench.receiver import SAMPLE_RATE_HZ, SIGNAL_SNU, frame_of, judge, ours, peer
from kronborg_sim.recordings import Light, Recorded, record, told_the_truth

FRAME = frame_of(20_000)
LIGHT = Light(signal_snu=SIGNAL_SNU, preamble_snu=300.0, linewidth_hz=1e3, delay=30_000.3)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return record(FRAME, LIGHT, SAMPLE_RATE_HZ, np.random.default_rng(1))


@pytest.fixture(scope="module")
def truth(recorded: Recorded) -> np.ndarray:
    return told_the_truth(recorded, FRAME, SAMPLE_RATE_HZ)


def test_the_truth_adds_nothing(recorded: Recorded, truth: np.ndarray) -> None:
    found = judge(truth * 3j, recorded, truth, cpu_seconds=0.02)
    assert found.added_msnu == pytest.approx(0, abs=1e-6)
    assert found.phase_variance_rad2 == pytest.approx(0, abs=1e-12)
    assert found.microseconds_per_symbol == pytest.approx(1.0)


def test_phase_errors_are_seen_as_noise_and_as_phase(recorded: Recorded, truth: np.ndarray) -> None:
    error = np.random.default_rng(2).standard_normal(len(truth)) * 0.1
    found = judge(truth * np.exp(1j * error), recorded, truth, cpu_seconds=0.0)
    assert found.phase_variance_rad2 == pytest.approx(0.01, rel=0.1)
    # exp(0.01) - 1 of the signal, and what the noise beside it turns away is noise again.
    assert found.added_msnu == pytest.approx(1e3 * SIGNAL_SNU * 0.01 * (SIGNAL_SNU + 1.05) / SIGNAL_SNU, rel=0.5)


def test_symbols_that_are_not_alices_are_a_lost_frame(recorded: Recorded, truth: np.ndarray) -> None:
    for symbols in (np.roll(truth, 7), np.zeros(0, complex), np.zeros(len(truth), complex)):
        assert judge(symbols, recorded, truth, cpu_seconds=0.0).added_msnu is None


def test_our_receiver_is_close_to_the_truth(recorded: Recorded, truth: np.ndarray) -> None:
    found = ours(recorded, FRAME, truth)
    assert found.added_msnu is not None
    assert found.added_msnu < 10


def interpreter(folder: Path, answer: str) -> Path:
    """Stands for an environment with the peer: carries nothing out and answers."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport json, sys\nrequest = json.load(open(sys.argv[-1]))\n{answer}\n")
    path.chmod(0o755)
    return path


def test_a_peer_is_given_every_parameter_and_its_symbols_are_judged(
    recorded: Recorded, truth: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "truth.npy", truth)
    python = interpreter(
        tmp_path,
        "import shutil\n"
        f"shutil.copy({str(tmp_path / 'truth.npy')!r}, request['symbols'])\n"
        f"json.dump(request['parameters'], open({str(tmp_path / 'asked.json')!r}, 'w'))\n"
        "print(json.dumps({'cpu_seconds': 0.2, 'error': ''}))",
    )
    found = peer(python, recorded, FRAME, truth, pilot_filter=20)
    assert found.added_msnu == pytest.approx(0, abs=1e-6)
    assert found.microseconds_per_symbol == pytest.approx(10.0)
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert (asked["adc_rate"], asked["num_symbols"], asked["zc_length"]) == (SAMPLE_RATE_HZ, 20_000, 3989)


def test_a_peer_that_gives_up_has_lost_the_frame(recorded: Recorded, truth: np.ndarray, tmp_path: Path) -> None:
    python = interpreter(tmp_path, "print(json.dumps({'cpu_seconds': 0.1, 'error': 'no frame found'}))")
    assert peer(python, recorded, FRAME, truth, pilot_filter=20).added_msnu is None


def test_a_peer_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "receiver", "--peer", "qosst", "--plain", "--symbols", "20000"]
    python = interpreter(tmp_path, "sys.exit('ModuleNotFoundError: no qosst here')")
    assert cli.main([*arguments, "--peer-python", str(python)]) == 1
    error = capsys.readouterr().err
    assert "no qosst here" in error
    assert "Traceback" not in error
    assert cli.main([*arguments, "--peer-python", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err
