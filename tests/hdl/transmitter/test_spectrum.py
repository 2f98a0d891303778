"""What comes to the converter, of the bit-exact model of the assembly, with shift and pilots."""

from pathlib import Path

import numpy as np

from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.modulation.gaussian.model import GaussianSource
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper, pulse_taps
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.transmitter.model import Transmitter

M, SPAN, TURN = 8, 33, 2**32
TAPS = quantise_taps(pulse_taps(M, SPAN, 0.2))
PAGE = (Path(__file__).parents[3] / "docs" / "transmitter.md").read_text()
"""Has the figures that come out here."""
MIDDLE = 160
"""Samples from a symbol's first one to the middle of its pulse."""


def transmitter(payload: int, vacuum: int, shift: int, *pilots: Pilot) -> Transmitter:
    frame = FrameSettings(FrameLimits(1), 64, np.zeros((0, 2), np.int16), 0, (0, 0), payload, vacuum)
    return Transmitter(GaussianSource(4000), frame, InterpolatingShaper(TAPS, M, 15), shift, pilots)


def test_spurs_of_two_pilots_are_below_minus_80_dbc_and_their_amplitudes_exact_to_the_word() -> None:
    count = 1 << 14
    lines = {1501: 9000, 5003: 2500}
    pilots = [Pilot(cycles * (TURN // count), amplitude) for cycles, amplitude in lines.items()]
    sent = transmitter(0, count // M, 0, *pilots).send(0, np.zeros((0, 2), np.int16))
    words = sent.samples[:count].astype(float)
    spectrum = np.abs(np.fft.fft(words[:, 0] + 1j * words[:, 1])) / count
    for cycles, amplitude in lines.items():
        assert abs(spectrum[cycles] - amplitude * 32767 / 32768) < 0.5
        spectrum[cycles] = 0
    spur_dbc = 20 * np.log10(spectrum.max() / min(lines.values()))
    assert spur_dbc < -80
    assert f"{spur_dbc:.0f} dBc" in PAGE
    assert sent.saturated == 0


def test_what_the_chain_adds_to_a_symbol_is_below_0_02_msnu() -> None:
    # Shift taken back, pilot at another frequency; the receiver's filter has the taps in floating point.
    count, shift = 4096, round(0.09 * TURN)
    model = transmitter(count, 0, shift, Pilot(round(0.31 * TURN), 1500))
    words = np.random.default_rng(3).integers(0, 2**32, 2 * count, np.uint32)
    (sent,) = model.run(words, 1)
    assert sent.saturated == 0
    symbols = sent.packet.symbols[:, 0] + 1j * sent.packet.symbols[:, 1].astype(float)
    samples = sent.samples[:, 0] + 1j * sent.samples[:, 1].astype(float)
    base = samples * np.exp(-2j * np.pi * shift / TURN * np.arange(len(samples)))
    filtered = np.convolve(base, root_raised_cosine(M, SPAN, 0.2)[::-1])
    received = filtered[64 * M + MIDDLE + M * SPAN // 2 - 1 :][: M * count : M]
    gain = np.vdot(symbols, received) / np.vdot(symbols, symbols)
    added = np.mean(np.abs(received / gain - symbols) ** 2) / np.mean(np.abs(symbols) ** 2)
    added_msnu = 4.0 * added * 1e3  # V_A = 4
    assert added_msnu < 0.02
    assert f"{added_msnu:.4f} mSNU" in PAGE
