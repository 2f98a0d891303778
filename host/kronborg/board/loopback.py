"""A whole link in one device, in physical units, and the settings of its parts that follow from it.

There are no optics: the fibre emulator of the gateware stands for modulator, fibre, lasers and detector. Both ends have
one clock, and a frame follows the one before it without a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kronborg_hdl.channel.fibre_emulator.model import AMPLITUDE_BITS, FibreEmulator
from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.dsp.rates import check_filter
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.loopback.model import Loopback
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.modulation.gaussian.model import GaussianSource, deviation_word
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper, pulse_taps
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.transmitter.model import Transmitter

from ..errors import InputError
from ..link.frame_format import FrameFormat, Preamble
from .closed_loop import Light, closed_loop_for
from .plan import SHAPER_SHIFT, SYMBOL_DEVIATION

ROLL_OFF = 0.2
GUARD = 64
HEADER_REPETITION = 8
POSITIVE = ("sample_rate_hz", "signal_snu", "shot_noise_words", "chip_ratio")
NOT_NEGATIVE = ("linewidth_hz", "electronic_noise_snu")
FINITE = ("beat_hz", "pilot_snr_db")
"""Figures of a plan, by what they may be."""
WIDE = 1 << 11
"""A 32nd of a symbol: from there on the receiver acquires its sampling phase anew."""


@dataclass(frozen=True)
class LoopbackPlan:
    """A link in one device.

    Attributes:
        lanes: samples per clock of the gateware.
        sample_rate_hz: the clock, times the lanes.
        samples_per_symbol: M, 8 or 16: signal and pilot lie one and two symbol rates above the beat.
        payload: symbols of a frame.
        vacuum: symbols behind them that are none: the channel's noise is measured there. With more than the receiver
            holds, as here, the last frame of a run is received like the others; with less it stays within.
        signal_snu: modulation variance per quadrature at the detector.
        pilot_snr_db: in the symbol-rate bandwidth.
        beat_hz: Alice's laser minus Bob's.
        linewidth_hz: sum of the two.
        shot_noise_words: standard deviation of shot noise at the converter.
        electronic_noise_snu: variance of the electronic noise.
        preamble: chips.
        chip_ratio: amplitude of a chip to the root mean square of a payload symbol.
        detector_chips: those that the receiver's detector looks at.
        span: symbols of the shaper's pulse.
        seed: of the emulated channel. It is no secret.

    Raises:
        InputError: what the gateware cannot send, or emulate.
    """

    lanes: int = 2
    sample_rate_hz: float = 200e6
    samples_per_symbol: int = 8
    payload: int = 16_384
    vacuum: int = 3072
    signal_snu: float = 0.5
    pilot_snr_db: float = 20.0
    beat_hz: float = 4e6
    linewidth_hz: float = 2e3
    shot_noise_words: float = 1000.0
    electronic_noise_snu: float = 0.05
    preamble: int = 2039
    chip_ratio: float = 4.0
    detector_chips: int = 256
    span: int = 33
    seed: int = 1

    def __post_init__(self) -> None:
        self._check_figures()
        if self.payload % self.symbols_per_clock or self.vacuum % self.symbols_per_clock:
            raise InputError(f"payload and vacuum are whole clocks of {self.symbols_per_clock} symbols")
        if self.pilot_amplitude + 6 * self.signal_deviation * np.sqrt(2) > SAMPLE.maximum:
            raise InputError(
                f"a pilot of {self.pilot_amplitude} words and the signal do not fit into the converter's range:"
                " lower pilot_snr_db, or raise signal_snu"
            )
        if not 0 < self.amplitude < 1 - 2.0**-AMPLITUDE_BITS:
            raise InputError(
                f"the emulator would multiply by {self.amplitude:.3g}, and it is a loss: lower shot_noise_words"
            )

    def _check_figures(self) -> None:
        """Whether there can be light like this, and a converter sees it."""
        if self.samples_per_symbol not in (8, 16):
            raise InputError(f"{self.samples_per_symbol} samples a symbol: signal and pilot need 8 or 16")
        try:
            check_filter(self.lanes, self.samples_per_symbol, self.span)
        except ValueError as error:
            raise InputError(str(error)) from None
        for names, least in ((POSITIVE, 0.0), (NOT_NEGATIVE, -math.ulp(0.0)), (FINITE, -math.inf)):
            for name in names:
                if not least < (value := getattr(self, name)) < math.inf:
                    raise InputError(f"{name} = {value:g}: there is no such link")
        edge = self.symbol_rate_hz * (1 - (1 + ROLL_OFF) / 2)
        room = self.sample_rate_hz / 2 - 2 * self.symbol_rate_hz
        if not -edge < self.beat_hz < room:
            raise InputError(
                f"a beat of {self.beat_hz / 1e6:g} MHz: signal and pilot lie between 0 and half of the sample rate for"
                f" {-edge / 1e6:g} to {room / 1e6:g} MHz"
            )

    @property
    def halvings(self) -> int:
        """Half-band stages of the receiver."""
        return self.samples_per_symbol.bit_length() - 2

    @property
    def symbols_per_clock(self) -> int:
        """Of record and packets."""
        return max(1, self.lanes // self.samples_per_symbol)

    @property
    def symbol_rate_hz(self) -> float:
        """Of both ends."""
        return self.sample_rate_hz / self.samples_per_symbol

    @property
    def period(self) -> int:
        """Symbols from frame to frame: a frame is followed by its last pulse's tail."""
        return self.transmitter.frame.symbols + self.transmitter.shaper.tail

    @property
    def signal_deviation(self) -> float:
        """Standard deviation of the shaped signal, words per rail."""
        return SYMBOL_DEVIATION / float(np.sqrt(self.samples_per_symbol)) * 2.0 ** (SAMPLE.fraction - SHAPER_SHIFT)

    @property
    def _field(self) -> float:
        """At the detector, sqrt(SNU), for a word of the transmitter."""
        return float(np.sqrt(self.signal_snu / self.samples_per_symbol)) / self.signal_deviation

    @property
    def _noise_snu(self) -> float:
        return 1 + self.electronic_noise_snu

    @property
    def _pilot_field(self) -> float:
        """Amplitude of the pilot at the detector, sqrt(SNU)."""
        return float(np.sqrt(2 * self._noise_snu * 10 ** (self.pilot_snr_db / 10) / self.samples_per_symbol))

    @property
    def pilot_amplitude(self) -> int:
        """Of the transmitter's pilot, words."""
        return round(self._pilot_field / self._field)

    @property
    def amplitude(self) -> float:
        """What the emulator multiplies by: a detector's current is sqrt(2) times the real part of the field."""
        return float(np.sqrt(2)) * self.shot_noise_words * self._field

    @property
    def frame_format(self) -> FrameFormat:
        """What the host knows of a frame."""
        rate = self.symbol_rate_hz
        preamble = Preamble(17, self.preamble, rate, shaped=True, amplitude=self.chip_ratio)
        return FrameFormat(rate, self.payload, ROLL_OFF, rate, (2 * rate,), preamble, self.sample_rate_hz, 0)

    @cached_property
    def transmitter(self) -> Transmitter:
        """Alice's settings."""
        m, frame = self.samples_per_symbol, self.frame_format
        chip = self.chip_ratio * float(np.sqrt(2)) * SYMBOL_DEVIATION / SAMPLE.scale
        chips = zadoff_chu(17, self.preamble)
        words = SAMPLE.quantise(np.stack([chips.real, chips.imag], axis=-1) * chip).astype(np.int16)
        n = self.symbols_per_clock
        return Transmitter(
            source=GaussianSource(deviation_word(1.0, 1 / SYMBOL_DEVIATION)),
            frame=FrameSettings(
                FrameLimits(symbols_per_clock=n),
                guard=-(-(GUARD + self.preamble) // n) * n - self.preamble,
                preamble=words,
                header_repetition=HEADER_REPETITION,
                header_symbol=(int(SAMPLE.quantise(chip)), 0),
                payload=self.payload,
                vacuum=self.vacuum,
            ),
            shaper=InterpolatingShaper(quantise_taps(pulse_taps(m, self.span, ROLL_OFF)), m, SHAPER_SHIFT),
            shift_word=phase_word(frame.frequency_shift_hz, self.sample_rate_hz),
            pilots=(Pilot(phase_word(frame.pilot_frequencies_hz[0], self.sample_rate_hz), self.pilot_amplitude),),
        )

    @cached_property
    def fibre(self) -> FibreEmulator:
        """What is between them."""
        try:
            return FibreEmulator.of(
                lanes=self.lanes,
                sample_rate_hz=self.sample_rate_hz,
                amplitude=self.amplitude,
                beat_hz=self.beat_hz,
                linewidth_hz=self.linewidth_hz,
                noise_words=self.shot_noise_words * float(np.sqrt(self._noise_snu)),
                seed=self.seed,
            )
        except ValueError as error:
            raise InputError(str(error)) from None

    @cached_property
    def receiver(self) -> ClosedLoop:
        """Bob's settings."""
        light = Light(
            self.beat_hz,
            self.linewidth_hz,
            signal_words=float(np.sqrt(self.signal_snu)) * self.shot_noise_words,
            pilot_words=self._pilot_field * float(np.sqrt(2)) * self.shot_noise_words,
            pilot_snr_db=self.pilot_snr_db,
        )
        return closed_loop_for(
            self.frame_format,
            self.transmitter,
            light,
            lanes=self.lanes,
            detector_chips=self.detector_chips,
            wide=WIDE,
        )

    @cached_property
    def settings(self) -> Loopback:
        """Of all parts: what is written to the gateware, and the model that says what comes of it.

        Raises:
            InputError: what a part does not have, such as so many chips.
        """
        try:
            return Loopback(self.transmitter, self.fibre, self.receiver)
        except ValueError as error:
            raise InputError(str(error)) from None


def fibre_writes(settings: FibreEmulator) -> Iterator[tuple[str, dict[str, int]]]:
    """Registers of the fibre emulator and their fields, in the order in which the host writes them."""
    for word in settings.seed_words.tolist():
        yield "seed", {"word": word}
    yield "amplitude", {"word": settings.amplitude}
    yield "frequency", {"word": settings.frequency}
    yield "walk", {"step": settings.step}
    yield "noise", {"deviation": settings.deviation}
    yield "control", {"apply": 1}
