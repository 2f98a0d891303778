"""The receiver on its RTL, and a whole link for it: frames of the transmitter's model, lasers, clocks, a detector.

What a driver on a board does, and in its order; ``docs/receiver.md`` has the same as a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kronborg.board.closed_loop import Light, closed_loop_for
from kronborg.board.plan import SHAPER_SHIFT, SYMBOL_DEVIATION
from kronborg.board.receiver_writes import synchroniser_writes
from kronborg.link.frame_format import SPAN_SYMBOLS, FrameFormat, Preamble
from kronborg_hdl.compensation.mixer.model import Mixer
from kronborg_hdl.compensation.pilot_tracker.model import Settings as TrackerSettings
from kronborg_hdl.decimation.resampler.kernel import KERNELS
from kronborg_hdl.dsp.nco import PHASE_BITS, phase_word
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps
from kronborg_hdl.modulation.gaussian.model import GaussianSource, deviation_word
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper, pulse_taps
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.receiver.core import Receiver as ReceiverCore
from kronborg_hdl.receiver.model import alignment
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet, read_packet
from kronborg_hdl.transmitter.model import Transmitter

from ..optics.clock import sampled_by_another_clock
from ..optics.detector import RfHeterodyne
from ..optics.lasers import LaserPair
from ..rtl.model import RtlModel
from .received_symbols import frame_settings

SYMBOL_RATE_HZ = 125e6
ROLL_OFF = 0.2
CHIP_RATIO = 4.0
GUARD = 64
PILOT_1 = 3
"""Frequency of the second pilot, in symbol rates: a whole number, so that its phase goes on from frame to frame."""
WIDE = 1 << 10
"""A 64th of a symbol: twice what the clock is held to. Half of it is so near to a measurement's noise, a rms of a 256th
with 2039 chips and 0.5 SNU, that the loop would acquire again and again, and the phase be held less well."""
SAMPLES, PACKETS = "s_axis", "m_axis"


@dataclass(frozen=True)
class Scene:
    """A link and its world.

    Attributes:
        payload: symbols of a frame.
        samples_per_symbol: M, 8 or 16: the converter sees signal and pilot at 125 and 250 MHz above the beat.
        signal_snu: variance per quadrature at the detector.
        pilot_snr_db: in the symbol-rate bandwidth.
        beat_hz, drift_hz_per_s, linewidth_hz: of the lasers.
        clock_offset_ppm: how much faster the converter's clock runs than Alice's.
        delay: of the frames, samples.
        preamble: chips.
        vacuum: symbols. Longer than what the synchroniser looks back over, so that a capture may end in it.
        two_pilots: another one 125 MHz above the first, as strong.
    """

    payload: int
    samples_per_symbol: int = 8
    signal_snu: float = 0.5
    pilot_snr_db: float = 20.0
    beat_hz: float = 20e6
    drift_hz_per_s: float = 0.0
    linewidth_hz: float = 2e3
    clock_offset_ppm: float = 20.0
    delay: float = 12.3
    preamble: int = 2039
    vacuum: int = 4096
    two_pilots: bool = False

    def __post_init__(self) -> None:
        if self.samples_per_symbol not in (8, 16):
            raise ValueError(f"{self.samples_per_symbol} samples a symbol: signal and pilot need 8 or 16")

    @property
    def sample_rate_hz(self) -> float:
        """Of both converters."""
        return SYMBOL_RATE_HZ * self.samples_per_symbol

    @property
    def halvings(self) -> int:
        """Half-band stages of the receiver."""
        return self.samples_per_symbol.bit_length() - 2

    @property
    def period(self) -> int:
        """Symbols from frame to frame: a frame is followed by its last pulse's tail."""
        return self.transmitter.frame.symbols + self.transmitter.shaper.tail

    @property
    def frame_format(self) -> FrameFormat:
        """What the host knows of a frame."""
        preamble = Preamble(17, self.preamble, SYMBOL_RATE_HZ, shaped=True, amplitude=CHIP_RATIO)
        pilots = (2 * SYMBOL_RATE_HZ, PILOT_1 * SYMBOL_RATE_HZ)[: 1 + self.two_pilots]
        return FrameFormat(
            SYMBOL_RATE_HZ, self.payload, ROLL_OFF, SYMBOL_RATE_HZ, pilots, preamble, self.sample_rate_hz, 0
        )

    @property
    def _deviation(self) -> float:
        """Of the shaped signal, words a rail and sample."""
        return SYMBOL_DEVIATION / np.sqrt(self.samples_per_symbol) * 2.0 ** (15 - SHAPER_SHIFT)

    @property
    def _scale(self) -> float:
        """Field at the detector, sqrt(SNU), for a word of the transmitter."""
        return float(np.sqrt(self.signal_snu / self.samples_per_symbol) / self._deviation)

    @property
    def _pilot(self) -> float:
        """Amplitude of the pilot's field, sqrt(SNU)."""
        noise = 1 + RfHeterodyne().electronic_noise_snu
        return float(np.sqrt(2 * noise * 10 ** (self.pilot_snr_db / 10) / self.samples_per_symbol))

    @cached_property
    def transmitter(self) -> Transmitter:
        """The transmitter's settings."""
        m, frame = self.samples_per_symbol, self.frame_format
        # That of `frame_settings` is to a payload of 2000 words.
        ratio = CHIP_RATIO * np.sqrt(2) * SYMBOL_DEVIATION / 2000
        sent = frame_settings(self.payload, preamble=self.preamble, guard=GUARD, vacuum=self.vacuum, ratio=ratio)
        amplitude = round(self._pilot / self._scale)
        return Transmitter(
            source=GaussianSource(deviation_word(1.0, 1 / SYMBOL_DEVIATION)),
            frame=sent,
            shaper=InterpolatingShaper(quantise_taps(pulse_taps(m, SPAN_SYMBOLS + 1, ROLL_OFF)), m, SHAPER_SHIFT),
            shift_word=phase_word(frame.frequency_shift_hz, self.sample_rate_hz),
            pilots=tuple(
                Pilot(phase_word(tone, self.sample_rate_hz), amplitude) for tone in frame.pilot_frequencies_hz
            ),
        )

    def sent(self, frames: int, rng: np.random.Generator, *, number: int = 0) -> tuple[list[NDArray[np.int16]], ...]:
        """Frames one after the other: their converter samples, and Alice's symbols."""
        words = rng.integers(0, 2**32, 2 * frames * self.payload, np.uint32)
        made = list(self.transmitter.run(words, frames, number=number))
        return [frame.samples for frame in made], [frame.packet.symbols for frame in made]

    def detected(self, sent: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
        """What Bob's converter makes of samples sent: int16, shape (n,), whole clocks of 16 lanes."""
        field, phase = self._light(sent, rng)
        return RfHeterodyne().record(len(field), rng, field=field, phase=phase)

    def detected_by_two(
        self, sent: NDArray[np.int16], rng: np.random.Generator, *, gain: float = 1.0, skew_rad: float = 0.0
    ) -> NDArray[np.int16]:
        """The same with a converter for I and one for Q, int16, shape (n, 2); each has half of the light.

        Args:
            gain: of the Q rail.
            skew_rad: how much less than a quarter of a turn lies between both.
        """
        field, phase = self._light(sent, rng)
        half = field / np.float32(np.sqrt(2))
        i = RfHeterodyne().record(len(half), rng, field=half, phase=phase)
        behind = phase - np.float32(np.pi / 2 - skew_rad)
        q = RfHeterodyne(1500.0 * gain).record(len(half), rng, field=half, phase=behind)
        return np.stack([i, q], axis=-1)

    def _light(
        self, sent: NDArray[np.int16], rng: np.random.Generator
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Field and beat's phase at Bob's samples."""
        field = (sent.astype(np.float32) * np.float32(self._scale)).view(np.complex64)[:, 0]
        count = int(len(sent) * (1 + self.clock_offset_ppm * 1e-6)) // 64 * 64
        field = sampled_by_another_clock(field, count, offset_ppm=self.clock_offset_ppm, delay=self.delay)
        lasers = LaserPair(self.beat_hz, self.drift_hz_per_s, self.linewidth_hz)
        return field, lasers.beat_phase(0.0, count, self.sample_rate_hz, rng)

    def receiver(self, lanes: int, *, detector_chips: int = 256) -> ClosedLoop:
        """The receiver's settings, the mixer's by a host that has read the clock's offset from the resampler's step."""
        shot = RfHeterodyne().shot_noise_words
        light = Light(
            self.beat_hz,
            self.linewidth_hz,
            signal_words=float(np.sqrt(self.signal_snu)) * shot,
            pilot_words=self._pilot * float(np.sqrt(2)) * shot,
            pilot_snr_db=self.pilot_snr_db,
            clock_offset_ppm=-self.clock_offset_ppm,
        )
        return closed_loop_for(
            self.frame_format, self.transmitter, light, lanes=lanes, detector_chips=detector_chips, wide=WIDE
        )


class ReceiverBench:
    """A receiver's RTL by what it is for.

    Args:
        core: what was built.
        rtl: the core in its skin.
    """

    def __init__(self, core: ReceiverCore, rtl: RtlModel) -> None:
        self.core = core
        self.rtl = rtl

    def configure(self, model: ClosedLoop, *, source_waits: bool = True) -> None:
        """Write and apply all settings after a reset, then let samples in."""
        write = self.rtl.write
        converter = model.converter_input
        write(("converter_input", "tracking"), averaging=converter.averaging, hold=converter.hold)
        write(("converter_input", "threshold"), upper=converter.upper, lower=converter.lower)
        write(("converter_input", "gain"), word=converter.gain)
        write(("converter_input", "skew"), word=converter.skew)
        self._write_mixer(model.mixer)
        self._write_tracker(model.tracker.settings)
        half = len(model.smoother.weights) // 2
        for number, weights in enumerate((model.smoother.weights[:half], model.smoother.weights[half:])):
            stages = {f"stage_{number * half + k}": weight for k, weight in enumerate(weights)}
            write(("phase_smoother", f"weights_{number}"), **stages)
        write(("rotator", "delay"), hops=alignment(self.core.halvings).hops)
        timing = model.synchroniser.settings.timing
        write(("resampler", "step_low"), word=timing.step % 2**32)
        write(("resampler", "step_high"), word=timing.step >> 32)
        write(("resampler", "kernel"), number=KERNELS.index(model.resampler.kernel))
        for k, tap in enumerate(model.symbol_filter.taps.tolist()):
            write(("symbol_filter", "tap"), value=tap, index=k)
        write(("symbol_filter", "shift"), amount=model.symbol_filter.shift)
        for register, values in synchroniser_writes(model.synchroniser.settings):
            write(("frame_synchroniser", register), **values)
        applied = ["converter_input", "mixer", "pilot_tracker", "phase_smoother", "rotator", "resampler"]
        for page in (*applied, "symbol_filter"):
            write((page, "control"), apply=1)
        for page in (*applied[1:3], "frame_synchroniser"):
            while self.rtl.read((page, "control"), "apply"):
                pass
        assert not self.rtl.read(("frame_synchroniser", "status"), "settings_refused"), "the frame was refused"
        write(("receiver", "control"), run=1, source_waits=int(source_waits))

    def search(self, settings: TrackerSettings) -> None:
        """Have the tracker search anew, in mid-stream."""
        self._write_tracker(settings)
        self._apply("pilot_tracker")

    def tune(self, mixer: Mixer) -> int:
        """Give the mixer other offsets in mid-stream, and the beat that it has. Returns that."""
        self._write_mixer(mixer)
        beat = self.rtl.read(("mixer", "beat_now"), "word")
        self.rtl.write(("mixer", "beat"), word=beat)
        self._apply("mixer")
        return beat

    def _apply(self, page: str) -> None:
        self.rtl.write((page, "control"), apply=1)
        while self.rtl.read((page, "control"), "apply"):
            pass

    def _write_mixer(self, mixer: Mixer) -> None:
        for name, offset in zip(("signal", "pilot_0", "pilot_1"), mixer.offsets, strict=True):
            self.rtl.write(("mixer", f"{name}_offset"), word=offset % 2**PHASE_BITS)

    def _write_tracker(self, settings: TrackerSettings) -> None:
        write = self.rtl.write
        write(("pilot_tracker", "mode"), two_pilots=int(settings.two_pilots))
        write(("pilot_tracker", "threshold"), word=settings.threshold)
        write(("pilot_tracker", "start"), word=settings.start)
        write(("pilot_tracker", "step"), word=settings.step)
        write(
            ("pilot_tracker", "search"),
            trials=settings.trials,
            neighbourhood=settings.neighbourhood,
            ambiguity=settings.ambiguity,
        )
        write(
            ("pilot_tracker", "follow"),
            slot_log2=settings.slot_log2,
            block_log2=settings.block_log2,
            gain=settings.gain,
            patience=settings.patience,
        )

    def packets(self) -> list[Packet]:
        """What the memory took since this was last asked."""
        return [read_packet(beats.words(np.int16).reshape(-1, 2)) for beats in self.rtl.received(PACKETS).frames()]
