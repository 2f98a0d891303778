import numpy as np
import pytest

from kronborg.errors import KronborgError
from kronborg_hdl.compensation.phase_smoother.model import PhaseSmoother, exponential
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor
from kronborg_sim.commands.bench import phase

from .conftest import Bench

FIELDS = {
    "linewidth_hz",
    "pilot_snr_db",
    "beat_hz",
    "drift_hz_per_s",
    "residual_phase_variance_rad2",
    "smoother_limit_rad2",
    "ratio",
    "cycle_slips",
    "symbols",
}


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is patched here is not patched in other processes."""
    monkeypatch.setattr(phase, "over_cores", lambda work, tasks: (work(task) for task in tasks))


def test_a_point_of_the_grid_comes_close_to_the_best_smoother(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, one_core: None
) -> None:
    monkeypatch.setattr(phase, "LINEWIDTHS_HZ", (20e3, 200e3))
    monkeypatch.setattr(phase, "PILOT_SNRS_DB", (20.0,))
    finished = bench("phase", "--symbols", "6e4", "--seed", "3")
    assert finished.code == 0, finished.err
    assert [(row["linewidth_hz"], row["pilot_snr_db"]) for row in finished.figures] == [(20e3, 20), (200e3, 20)]
    for row in finished.figures:
        assert set(row) == FIELDS
        assert row["cycle_slips"] == 0
        assert row["symbols"] == 60_000
        assert abs(row["beat_hz"]) < 200e6
        assert abs(row["drift_hz_per_s"]) == 1e6
        assert row["ratio"] == pytest.approx(row["residual_phase_variance_rad2"] / row["smoother_limit_rad2"])
        assert 0.8 < row["ratio"] < 1.0
    # By the formula of a random walk: q = 2 pi 20 kHz / 125 MBd, r = 1 / 200.
    walk, noise = 2 * np.pi * 20e3 / 125e6, 1 / 200
    limit = walk * noise / np.sqrt(walk**2 + 4 * walk * noise)
    assert finished.figures[0]["smoother_limit_rad2"] == pytest.approx(limit)
    assert "20 kHz, 20 dB" in finished.out


def test_a_smoother_that_does_not_fit_fails_and_the_figures_are_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, one_core: None
) -> None:
    def too_long(walk_rad2: float, noise_rad2: float) -> PhaseSmoother:
        return exponential(0.98)

    monkeypatch.setattr(phase, "best_smoother", too_long)
    monkeypatch.setattr(phase, "LINEWIDTHS_HZ", (20e3,))
    monkeypatch.setattr(phase, "PILOT_SNRS_DB", (30.0,))
    finished = bench("phase", "--symbols", "2e4")
    assert finished.code == 1
    assert finished.err.splitlines()[-1].startswith("kronborg bench: phase failed: 20000 Hz, 30 dB: ")
    assert finished.figures[0]["ratio"] > 2


def test_an_estimate_that_gains_a_turn_has_slipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def slipping(phasors: np.ndarray) -> np.ndarray:
        turn = np.clip((np.arange(len(phasors)) - phase.WARM_UP_HOPS - 8_000) / 1000, 0, 1)
        unit = (unit_phasor(phasors) @ np.array([1, 1j])) * np.exp(2j * np.pi * turn)
        return np.stack([unit.real, unit.imag], axis=-1).astype(np.int16)

    task = phase.Task(2e3, 30.0, 20_000, 1)
    assert phase.measure(task)["cycle_slips"] == 0
    monkeypatch.setattr(phase, "unit_phasor", slipping)
    assert phase.measure(task)["cycle_slips"] == 1


def test_a_pilot_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase, "TRIALS", 3)
    with pytest.raises(KronborgError, match="the tracker lost the pilot at 200 Hz and 10 dB"):
        phase.measure(phase.Task(200.0, 10.0, 10_000, 2))


def test_the_light_has_the_snr_and_the_frequency_that_are_asked_for() -> None:
    light = phase.Light(1 << 28, 1000.0, 0.0)
    rng = np.random.default_rng(1)
    words, walk = light.samples(2**32 - 80, 100_000, 0.7, rng)
    assert walk == pytest.approx(0.7)
    tone = np.exp(2j * np.pi * np.arange(-80, 100_000 - 80) / 16 + 0.7j)
    field = words @ np.array([1, 1j])
    assert np.mean(field * np.conj(tone)) == pytest.approx(1000, abs=2)
    assert np.var(field - 1000 * tone) == pytest.approx(2 * 100**2, rel=0.02)


def test_the_light_drifts_as_is_asked_for() -> None:
    light = phase.Light(0, 1000.0, 0.0, drift_hz_per_s=1e9)
    rng = np.random.default_rng(1)
    walk = np.concatenate([light.samples(0, 30_000, 0.0, rng)[1], [0.0]])
    walk[-1] = light.samples(30_000, 1, float(walk[-2]), rng)[1][0]
    seconds = np.arange(30_001) * 1e-9
    np.testing.assert_allclose(walk, np.pi * 1e9 * seconds * (seconds + 1e-9), rtol=1e-9)


@pytest.mark.parametrize("arguments", [["--symbols", "9999"], ["--symbols", "1e99"], ["--seed", "-1"]], ids=" ".join)
def test_wrong_arguments_are_refused_in_one_line(bench: Bench, arguments: list[str]) -> None:
    finished = bench("phase", *arguments)
    assert finished.code == 2
    assert len(finished.err.splitlines()) == 1
    assert finished.figures is None
