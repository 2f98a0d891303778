"""What Alice's board plays: a frame in physical units, and the register values that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.modulation.gaussian.model import GaussianSource, deviation_word
from kronborg_hdl.modulation.interpolating_shaper.model import HALF_BANDS, InterpolatingShaper, pulse_taps
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot
from kronborg_hdl.transmitter.model import Transmitter

from ..errors import InputError
from ..link.frame_format import SPAN_SYMBOLS, FrameFormat

SAMPLES_PER_SYMBOL = range(2, 17)
"""That the transmitter is built for."""
SYMBOL_DEVIATION = 4096.0
"""Standard deviation of a payload quadrature in words: 8 sigma fit, and a word is 1/4096 of it."""

SHAPER_SHIFT = 17
"""Leaves room for a pilot 36 dB above the signal in a 16-bit word."""


@dataclass(frozen=True)
class FramePlan:
    """One frame of Alice's.

    Attributes:
        frame_format: rates, frequencies, preamble and payload.
        modulation_variance_snu: V_A, per quadrature, at the fibre's input.
        pilot_to_signal_db: power of the pilot over the power of the signal.
        sample_rate_hz: rate of both converters.
        samples: length of a frame and of its capture.

    Raises:
        InputError: what the gateware cannot send.
    """

    frame_format: FrameFormat
    modulation_variance_snu: float
    pilot_to_signal_db: float
    sample_rate_hz: float = 1e9
    samples: int = 2**20

    def __post_init__(self) -> None:
        if not self.modulation_variance_snu > 0:
            raise InputError(f"modulation variance {self.modulation_variance_snu:g} SNU is not positive")
        self._check_rates()
        if self.pilot_amplitude + 6 * self.signal_deviation * np.sqrt(2) > SAMPLE.maximum:
            raise InputError(
                f"a pilot {self.pilot_to_signal_db:.1f} dB above the signal does not fit into the converter's range;"
                " lower --pilot-snr"
            )
        silence, m = self.frame_format.leading_zeros_at_transmitter, self.samples_per_symbol
        if silence % m or self.samples % m:
            raise InputError(
                f"a frame of {self.samples} samples with {silence} of silence is not whole symbols of {m} samples"
            )
        if self._spare_symbols < 0:
            needed = self.samples - self._spare_symbols * m
            raise InputError(f"a frame of {self.samples} samples is shorter than the {needed} that its symbols need")

    def _check_rates(self) -> None:
        """Whether a converter of this rate has whole symbols, and all that is sent below half of it."""
        frame, rate = self.frame_format, self.sample_rate_hz
        if not (math.isfinite(rate) and rate > 0):
            raise InputError(f"a sample rate of {rate:g} Hz cannot be")
        m = rate / frame.symbol_rate_hz
        if round(m) not in SAMPLES_PER_SYMBOL or abs(m - round(m)) > 1e-9 * m:
            least, most = min(SAMPLES_PER_SYMBOL), max(SAMPLES_PER_SYMBOL)
            raise InputError(
                f"{frame.symbol_rate_hz / 1e6:g} MBd from a converter at {rate / 1e6:g} MS/s are {m:.6g} samples a"
                f" symbol: there must be {least} to {most}, and a whole number"
            )
        if len(frame.pilot_frequencies_hz) > PILOTS:
            raise InputError(f"{len(frame.pilot_frequencies_hz)} pilots: the gateware sends {PILOTS} at most")
        edge = abs(frame.frequency_shift_hz) + frame.symbol_rate_hz * (1 + frame.roll_off) / 2
        highest = max(edge, *map(abs, frame.pilot_frequencies_hz))
        if highest >= rate / 2:
            what = "the signal's band reaches" if highest == edge else "a pilot lies at"
            raise InputError(f"{what} {highest / 1e6:g} MHz: a converter at {rate / 1e6:g} MS/s sends less than half")

    @property
    def samples_per_symbol(self) -> int:
        """M."""
        return round(self.sample_rate_hz / self.frame_format.symbol_rate_hz)

    @property
    def _spare_symbols(self) -> int:
        """Symbols of the frame that are left over when the payload's last pulse has ended."""
        frame, m = self.frame_format, self.samples_per_symbol
        needed = frame.leading_zeros_at_transmitter // m + frame.preamble.length + frame.symbols + self.shaper.tail
        return self.samples // m - needed

    @property
    def snu_per_word(self) -> float:
        """sqrt(SNU) at the fibre's input that one unit of a symbol word stands for."""
        return float(np.sqrt(self.modulation_variance_snu)) / SYMBOL_DEVIATION

    @property
    def signal_deviation(self) -> float:
        """Standard deviation of the shaped signal, words per rail."""
        return SYMBOL_DEVIATION / float(np.sqrt(self.samples_per_symbol)) * 2.0 ** (SAMPLE.fraction - SHAPER_SHIFT)

    @property
    def pilot_amplitude(self) -> int:
        """Amplitude of the pilot, words."""
        return round(self.signal_deviation * np.sqrt(2) * 10 ** (self.pilot_to_signal_db / 20))

    @cached_property
    def preamble(self) -> NDArray[np.int16]:
        """Words of the preamble's symbols, int16, shape (length, 2)."""
        preamble = self.frame_format.preamble
        chips = zadoff_chu(preamble.root, preamble.length)
        amplitude = preamble.amplitude * np.sqrt(2) * SYMBOL_DEVIATION / SAMPLE.scale
        return SAMPLE.quantise(np.stack([chips.real, chips.imag], axis=-1) * amplitude).astype(np.int16)

    @cached_property
    def frame_settings(self) -> FrameSettings:
        """Guard, preamble, payload, and vacuum to the end of the frame, in which the pilots go on."""
        frame = self.frame_format
        return FrameSettings(
            FrameLimits(symbols_per_clock=1),
            guard=frame.leading_zeros_at_transmitter // self.samples_per_symbol,
            preamble=self.preamble,
            header_repetition=0,
            header_symbol=(0, 0),
            payload=frame.symbols,
            vacuum=self._spare_symbols,
        )

    @cached_property
    def shaper(self) -> PulseShaper | InterpolatingShaper:
        """The filter that the gateware has for so many samples a symbol, with a pulse of unit energy."""
        m, roll_off = self.samples_per_symbol, self.frame_format.roll_off
        if m in HALF_BANDS:
            return InterpolatingShaper(quantise_taps(pulse_taps(m, SPAN_SYMBOLS + 1, roll_off)), m, SHAPER_SHIFT)
        return PulseShaper(quantise_taps(root_raised_cosine(m, SPAN_SYMBOLS + 1, roll_off)), m, SHAPER_SHIFT)

    @cached_property
    def transmitter(self) -> Transmitter:
        """The gateware's settings."""
        frame = self.frame_format
        return Transmitter(
            source=GaussianSource(deviation_word(self.modulation_variance_snu, self.snu_per_word)),
            frame=self.frame_settings,
            shaper=self.shaper,
            shift_word=phase_word(frame.frequency_shift_hz, self.sample_rate_hz),
            pilots=tuple(
                Pilot(phase_word(frequency, self.sample_rate_hz), self.pilot_amplitude)
                for frequency in frame.pilot_frequencies_hz
            ),
        )
