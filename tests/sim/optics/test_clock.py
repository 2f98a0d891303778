import numpy as np
import pytest

from kronborg_sim.optics.clock import sampled_by_another_clock

MARGIN = 50


@pytest.mark.parametrize("offset_ppm", [-100.0, 0.0, 7.3])
@pytest.mark.parametrize("cycles_per_sample", [-0.35, 0.05, 0.25])
def test_a_tone_is_seen_at_another_frequency_and_later(offset_ppm: float, cycles_per_sample: float) -> None:
    tone = np.exp(2j * np.pi * cycles_per_sample * np.arange(60_000)).astype(np.complex64)
    seen = sampled_by_another_clock(tone, 50_000, offset_ppm=offset_ppm, delay=-12.37)
    time = np.arange(50_000) / (1 + offset_ppm * 1e-6) + 12.37
    error = seen - np.exp(2j * np.pi * cycles_per_sample * time)
    assert np.mean(np.abs(error[MARGIN:]) ** 2) < 10**-7


def test_there_is_nothing_before_and_behind_a_field() -> None:
    seen = sampled_by_another_clock(np.ones(100, np.complex64), 400, offset_ppm=0.0, delay=200.0)
    assert np.all(seen[:180] == 0)
    assert np.all(seen[320:] == 0)
    np.testing.assert_allclose(seen[220:280], 1, atol=1e-3)


def test_a_field_on_the_same_clock_is_the_same() -> None:
    rng = np.random.default_rng(1)
    field = np.fft.ifft(np.fft.fft(rng.standard_normal(4096)) * (np.abs(np.fft.fftfreq(4096)) < 0.3))
    seen = sampled_by_another_clock(field.astype(np.complex64), 4096, offset_ppm=0.0)
    np.testing.assert_allclose(seen[MARGIN:-MARGIN], field[MARGIN:-MARGIN], atol=1e-5)
