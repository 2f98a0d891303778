import numpy as np
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
