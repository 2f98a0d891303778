import numpy as np
import pytest

from kronborg_sim.optics.detector import RfHeterodyne
from kronborg_sim.optics.fibre import delay
from kronborg_sim.optics.lasers import LaserPair
from kronborg_sim.optics.modulator import IQModulator

RATE = 1e9


def test_two_lasers_beat_at_their_difference_and_drift() -> None:
    count, start = 1 << 18, 2e-3
    pair = LaserPair(beat_frequency_hz=40e6, drift_hz_per_s=1e9, linewidth_hz=0.0)
    phase = pair.beat_phase(start, count, RATE, np.random.default_rng(1))
    step = np.angle(np.exp(1j * np.diff(phase.astype(np.float64))))
    frequency = step * RATE / (2 * np.pi)
    # Averages over the first and last thousand samples; float32 radians cost some hundred hertz there.
    assert frequency[:1000].mean() == pytest.approx(40e6 + 1e9 * start, abs=1e3)
    assert frequency[-1000:].mean() == pytest.approx(40e6 + 1e9 * (start + count / RATE), abs=1e3)


def test_the_phase_walks_with_the_sum_of_the_linewidths() -> None:
    count, lag = 1 << 20, 1000
    pair = LaserPair(beat_frequency_hz=0.0, drift_hz_per_s=0.0, linewidth_hz=10e3)
    phase = pair.beat_phase(0.0, count, RATE, np.random.default_rng(2)).astype(np.float64)
    steps = np.angle(np.exp(1j * (phase[lag:] - phase[:-lag])[::lag]))
    assert np.var(steps) == pytest.approx(2 * np.pi * 10e3 * lag / RATE, rel=0.15)  # 1048 steps: 4.4 % each sigma


@pytest.mark.parametrize("samples", [0.0, 3.0, 0.37, 12.81])
def test_delay_moves_a_band_limited_pulse_by_any_fraction(samples: float) -> None:
    time = np.arange(4096) - 1000.0

    def pulse(at: np.ndarray) -> np.ndarray:
        return (np.exp(-((at / 20) ** 2)) * np.exp(2j * np.pi * 0.11 * at)).astype(np.complex64)

    assert np.abs(delay(pulse(time), samples) - pulse(time - samples)).max() < 1e-4


def test_the_modulator_is_linear_for_a_small_drive_and_compresses_a_large_one() -> None:
    modulator = IQModulator(depth=1.0)
    small = modulator.field(np.array([[100, -200]], np.int16))[0]
    assert small == pytest.approx((100 - 200j) * np.pi / 2 / 2**15, rel=1e-4)
    large = modulator.field(np.array([[32767, 0]], np.int16))[0]
    assert abs(large) == pytest.approx(1.0, abs=1e-6)


def test_vacuum_and_dark_have_the_variances_that_define_the_shot_noise_unit() -> None:
    detector = RfHeterodyne(shot_noise_words=1500, electronic_noise_snu=0.1)
    count = 1 << 20
    dark = detector.record(count, np.random.default_rng(3), local_oscillator=False)
    vacuum = detector.record(count, np.random.default_rng(4))
    assert dark.var() == pytest.approx(0.1 * 1500**2, rel=0.006)
    assert vacuum.var() == pytest.approx(1.1 * 1500**2, rel=0.006)
    assert set(np.unique(vacuum % 4)) == {0}  # 14 bits, left-justified


def test_a_strong_field_clips_at_the_converters_range() -> None:
    detector = RfHeterodyne()
    field = np.full(1000, 100 + 0j, np.complex64)
    samples = detector.record(1000, np.random.default_rng(5), field=field, phase=np.zeros(1000, np.float32))
    assert samples.max() == 32764


def test_a_mode_is_read_with_its_variance_and_one_unit_of_vacuum() -> None:
    detector = RfHeterodyne(shot_noise_words=1500, electronic_noise_snu=0.0)
    rng = np.random.default_rng(6)
    count = 1 << 20
    # White field of variance 2 per quadrature in a fifth of the band, brought down again in double precision.
    turns = np.exp(2j * np.pi * 0.2 * np.arange(count))
    spectrum = np.fft.fft(rng.standard_normal(count) + 1j * rng.standard_normal(count))
    spectrum[np.abs(np.fft.fftfreq(count)) > 0.1] = 0
    field = np.fft.ifft(spectrum) * np.sqrt(2)
    phase = np.angle(turns).astype(np.float32)
    samples = detector.record(count, rng, field=field.astype(np.complex64), phase=phase)
    back = np.fft.fft(np.sqrt(2) * samples / 1500 * np.conj(turns))
    back[np.abs(np.fft.fftfreq(count)) > 0.1] = 0
    received = np.fft.ifft(back)
    # A fifth of the samples are independent: densities are per sample, so variances scale by the band's share.
    assert np.var(received - field) / 2 / 0.2 == pytest.approx(1.0, rel=0.01)
    assert np.vdot(field, received).real / np.vdot(field, field).real == pytest.approx(1.0, rel=0.005)
