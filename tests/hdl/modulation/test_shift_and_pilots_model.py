import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.dsp.nco import oscillator, phase_word
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot, shift_and_pilots


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32767))
def test_equals_its_definition_in_integers(seed: int, shift: int, tone: int, amplitude: int) -> None:
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, (20, 2)).astype(np.int16)
    words, saturated = shift_and_pilots(samples, shift, [Pilot(tone, amplitude, phase=12345)])
    c, s = oscillator(shift, 20)
    pc, ps = oscillator(tone, 20, phase=12345)
    beyond = 0
    for n in range(20):
        i, q = int(samples[n, 0]), int(samples[n, 1])
        wanted = (
            ((i * int(c[n]) - q * int(s[n]) + 2**14) >> 15) + ((int(pc[n]) * amplitude + 2**14) >> 15),
            ((i * int(s[n]) + q * int(c[n]) + 2**14) >> 15) + ((int(ps[n]) * amplitude + 2**14) >> 15),
        )
        beyond += sum(not -(2**15) <= word < 2**15 for word in wanted)
        assert words[n].tolist() == [min(max(word, -(2**15)), 2**15 - 1) for word in wanted]
    assert saturated == beyond


def test_the_pilot_has_its_frequency_and_amplitude_and_its_image_is_suppressed() -> None:
    count, cycles = 4096, 1000
    words, _ = shift_and_pilots(np.zeros((count, 2), np.int16), 0, [Pilot(phase_word(cycles, count), 12000)])
    spectrum = np.fft.fft(words[:, 0] + 1j * words[:, 1]) / count
    assert abs(abs(spectrum[cycles]) - 12000 * 32767 / 32768) < 0.5
    assert abs(spectrum[-cycles]) < 1e-4 * abs(spectrum[cycles])


@pytest.mark.parametrize("amplitude", [8192, 12345, 32767])
def test_spurs_of_a_pilot_are_below_minus_85_dbc(amplitude: int) -> None:
    # Exact periods from 8 samples on: short ones gather all rounding errors in a few lines.
    rng = np.random.default_rng(amplitude)
    worst = -np.inf
    for bits in range(3, 18):
        count = 1 << bits
        for cycles in 2 * rng.integers(0, count // 2, 8) + 1:
            words, saturated = shift_and_pilots(
                np.zeros((count, 2), np.int16), 0, [Pilot(int(cycles) << (32 - bits), amplitude)]
            )
            lines = np.abs(np.fft.fft(words[:, 0] + 1j * words[:, 1])) ** 2
            carrier, lines[cycles] = lines[cycles], 0.0
            assert saturated == 0
            worst = max(worst, 10 * np.log10(lines.max() / carrier))
    assert worst < -85


def test_the_shift_is_single_sideband() -> None:
    # A tone at 100 cycles moves by 300; what stays, and what appears on the other side, is below -80 dBc.
    count, tone, shift = 4096, 100, 300
    angle = 2 * np.pi * tone * np.arange(count) / count
    samples = np.round(20000 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.int16)
    words, _ = shift_and_pilots(samples, phase_word(shift, count), [])
    lines = np.abs(np.fft.fft(words[:, 0] + 1j * words[:, 1])) / count
    assert lines[tone + shift] == pytest.approx(20000 * 32767 / 32768, abs=0.5)
    lines[tone + shift] = 0
    assert lines.max() < 1e-4 * 20000


@pytest.mark.parametrize(
    ("word", "amplitude", "phase", "message"),
    [
        (2**32, 1, 0, "word of 4294967296 is outside 0 to 4294967295"),
        (0, 32768, 0, "amplitude of 32768 is outside 0 to 32767"),
        (0, -1, 0, "amplitude of -1"),
        (0, 1, -5, "phase of -5"),
    ],
)
def test_a_pilot_that_no_register_holds_is_refused(word: int, amplitude: int, phase: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pilot(word, amplitude, phase)


def test_a_third_pilot_is_refused() -> None:
    with pytest.raises(ValueError, match="3 pilots: there can be 2"):
        shift_and_pilots(np.zeros((4, 2), np.int16), 0, [Pilot(1, 1)] * 3)
