"""Settings of a receiver that finds and follows frames by itself, from what the host knows of a link."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kronborg_hdl.compensation.phase_smoother.model import best_smoother
from kronborg_hdl.compensation.pilot_tracker.model import HOPS, PilotTracker
from kronborg_hdl.compensation.pilot_tracker.model import Settings as TrackerSettings
from kronborg_hdl.decimation.resampler.model import Resampler
from kronborg_hdl.dsp.cordic import GAIN
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.modulation.frame_controller.model import NUMBER_BITS
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.synchronisation.frame_synchroniser.correlation import false_alarm_threshold, signs
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser, Settings
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes
from kronborg_hdl.synchronisation.frame_synchroniser.timing import (
    CORDIC_GAIN,
    Gains,
    TimingSettings,
    raised_cosine_slope,
    slope_of,
)
from kronborg_hdl.transmitter.model import Transmitter

from ..link.frame_format import FrameFormat
from ..link.receive import receiver_for

MARGIN = 16
"""Symbols at both ends of a section that its neighbours' pulses reach into."""
TOLERANCE = 64
"""Symbols by which a preamble may be early or late."""
FALSE_ALARMS = 1e-9
"""Of the detector, a frame."""
ACQUIRE, TRACK = (1, 1), (0.5, 1 / 8)
"""Gains of the timing, for phase and drift."""
STEP = 0.016
"""Of the search for the beat, symbol rates. It begins four steps below where the beat is expected."""
STEPS_BELOW, TRIALS = 4, 9
NEIGHBOURHOOD, AMBIGUITY = 2, 2
"""Between two equal tones four steps apart the strongest trial is one of those between them. Three on either side of it
would cover both tones, and half of its strength is more than one of them has there: the beat would not be seen to be
ambiguous, and one of the two be followed."""


@dataclass(frozen=True)
class Light:
    """What the host expects at the converter.

    Attributes:
        beat_hz: Alice's laser minus Bob's.
        linewidth_hz: sum of the two.
        signal_words: root mean square of the matched-filtered signal's rail, words of the converter.
        pilot_words: amplitude of the first pilot, likewise.
        pilot_snr_db: in the symbol-rate bandwidth.
        clock_offset_ppm: how much faster Alice's clock runs than the converter's.
    """

    beat_hz: float
    linewidth_hz: float
    signal_words: float
    pilot_words: float
    pilot_snr_db: float
    clock_offset_ppm: float = 0.0


def closed_loop_for(
    frame: FrameFormat, sent: Transmitter, light: Light, *, lanes: int, detector_chips: int, wide: int
) -> ClosedLoop:
    """The settings for frames that follow each other without a gap.

    Args:
        frame: the format; both converters have the transmitter's rate.
        sent: Alice's settings.
        light: as it is expected.
        lanes: samples per clock.
        detector_chips: those of the preamble that the receiver's detector looks at.
        wide: error of the sampling phase, 2**-16 symbols, from which on it is acquired anew.
    """
    m, rate_hz = sent.shaper.samples_per_symbol, frame.transmitter_sample_rate_hz
    halvings = m.bit_length() - 2
    walk, noise = 2 * np.pi * light.linewidth_hz / frame.symbol_rate_hz, 0.5 * 10 ** (-light.pilot_snr_db / 10)
    timed = receiver_for(
        frame,
        rate_hz,
        beat_frequency_hz=light.beat_hz,
        first_symbol=0.0,
        clock_offset_ppm=light.clock_offset_ppm,
        smoother=best_smoother(walk, noise),
    ).receiver
    # A real sample has half of a tone's amplitude at the tone; a hop has 2 << D samples.
    hop = 2 << halvings
    pilot = light.pilot_words / 2 * hop * HOPS * GAIN
    step = round(STEP / m * 2**32)
    tracker = TrackerSettings(
        halvings=halvings,
        threshold=round(pilot / 3),
        two_pilots=len(frame.pilot_frequencies_hz) > 1,
        start=_signed(phase_word(light.beat_hz, rate_hz) - STEPS_BELOW * step),
        step=step,
        trials=TRIALS,
        neighbourhood=NEIGHBOURHOOD,
        ambiguity=AMBIGUITY,
        block_log2=6,
    )
    decimated = max(1, lanes >> halvings)
    return ClosedLoop(
        mixer=replace(timed.mixer, hops_per_clock=max(1, lanes // hop)),
        tracker=PilotTracker(tracker),
        smoother=timed.smoother,
        resampler=Resampler(timed.resampler.kernel, decimated),
        symbol_filter=timed.symbol_filter,
        synchroniser=FrameSynchroniser(_synchroniser(frame, sent, light, decimated, detector_chips, wide)),
    )


def _synchroniser(
    frame: FrameFormat, sent: Transmitter, light: Light, decimated: int, detector_chips: int, wide: int
) -> Settings:
    """For so many decimated samples a clock."""
    of, m = sent.frame, sent.shaper.samples_per_symbol
    preamble, period = len(of.preamble), of.symbols + sent.shaper.tail
    halvings = m.bit_length() - 2
    ratio = m >> halvings
    gain = light.signal_words * 2 ** (0.5 - halvings / 2)
    amplitude = CORDIC_GAIN * gain * frame.preamble.amplitude * preamble * 4 / np.pi
    # A command holds when the vacuum and the last pulse have passed, in the guard before the next preamble.
    retime_after = of.vacuum + sent.shaper.tail
    until = NUMBER_BITS * of.header_repetition + of.payload + retime_after
    acquire, track = (
        Gains.of(*gains, samples_per_symbol=ratio, period=period, until=until) for gains in (ACQUIRE, TRACK)
    )
    return Settings(
        Sizes(max(1, decimated // 2), preamble, detector_chips),
        signs(of.preamble),
        false_alarm_threshold(detector_chips, period, FALSE_ALARMS),
        of.header_repetition,
        0,
        of.payload,
        period,
        TOLERANCE,
        TimingSettings(
            slope_of(raised_cosine_slope(frame.roll_off)),
            round(amplitude * 0.4),
            wide,
            ratio << 31,
            acquire,
            track,
            retime_after,
        ),
        vacuum=of.vacuum,
        margin=MARGIN,
    )


def _signed(word: int) -> int:
    """A phase word as the tracker takes it: a beat may be below zero."""
    return (word + 2**31) % 2**32 - 2**31
