"""From a capture to symbols: acquire the frame in floating point, then run the gateware with the settings found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.compensation.pilot_phase.model import PhaseSettings, pilot_phasors
from kronborg_hdl.decimation.matched_filter.model import MatchedFilter
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.receiver.model import Receiver

from ..errors import InputError
from .acquisition import Acquisition, acquire
from .frame_format import SPAN_SYMBOLS, FrameFormat
from .positions import complex_symbols

OUTPUT_SHIFT = 15
WINDOW_LIMITS = (9, 1023)
"""Hops. Shorter windows let the signal's own band into the pilot's; longer ones no steady laser needs."""


@dataclass(frozen=True)
class ReceivedFrame:
    """One frame, received.

    Attributes:
        words: payload symbols as complex numbers in words, one static phase removed if the preamble tells it, their
            mean removed; complex128, shape (n,).
        acquisition: where and at which frequencies the frame was found.
        window: length of the pilot's moving average, hops.
        saturated: samples at the converter's limits, and words that did not fit anywhere in the chain.
    """

    words: NDArray[np.complex128] = field(repr=False)
    acquisition: Acquisition
    window: int
    saturated: int


def samples_per_symbol(frame: FrameFormat, sample_rate_hz: float) -> int:
    """Samples of the capture in a symbol.

    Raises:
        InputError: not a whole number.
    """
    ratio = sample_rate_hz / frame.symbol_rate_hz
    if abs(ratio - round(ratio)) > 1e-9 or round(ratio) < 2:
        raise InputError(
            f"{sample_rate_hz:g} samples/s are not a whole number (2 or more) of samples for each of"
            f" {frame.symbol_rate_hz:g} symbols/s; resample the recording"
        )
    return round(ratio)


def receiver_for(
    frame: FrameFormat, sample_rate_hz: float, *, beat_frequency_hz: float, first_symbol: float, window: int
) -> Receiver:
    """The gateware's settings for a frame.

    Args:
        frame: the frame's format.
        sample_rate_hz: rate of the capture.
        beat_frequency_hz: Alice's optical frequency minus Bob's.
        first_symbol: where the centre of the first wanted symbol lies, in samples, with its fraction.
        window: the pilot's moving average, hops of one symbol.
    """
    m = samples_per_symbol(frame, sample_rate_hz)
    # Tap j of the window that begins at `start` looks at sample start + j; an undelayed pulse is centred at M K / 2.
    begin = first_symbol - m * (SPAN_SYMBOLS + 1) / 2
    start = int(np.floor(begin))
    taps = root_raised_cosine(m, SPAN_SYMBOLS + 1, frame.roll_off, delay=begin - start)
    phase = PhaseSettings(
        signal_word=phase_word(beat_frequency_hz + frame.frequency_shift_hz, sample_rate_hz),
        pilot_word=phase_word(beat_frequency_hz + frame.pilot_frequencies_hz[0], sample_rate_hz),
        hop=m,
        window=window,
    )
    return Receiver(phase, MatchedFilter(quantise_taps(taps), m, OUTPUT_SHIFT), start)


def at_limits(samples: NDArray[np.int16]) -> int:
    """Samples at the ends of the converter's range (of 12 bits or more, left-justified): light that it could not see.

    A receiver driven into its limits reads too little noise, and an eavesdropper can drive it there (Qin et al. 2016).
    """
    return int(np.count_nonzero((samples >= 32752) | (samples == -32768)))


def choose_window(samples: NDArray[np.int16], phase: PhaseSettings, spacings: Sequence[float] = ()) -> int:
    """The moving average that fits lasers and pilots: the odd number of hops with the least phase error.

    Over N hops the phase walk leaves q (N**2 - 1) / (12 N) and the pilot's noise r / N, where q is the variance of the
    walk in a hop and r that of the noise. Both are measured: means over blocks of B hops differ from block to block by
    2/3 q B + 2 r / B. Other pilots reach through the side lobes of the average, which has nulls: blocks and window are
    chosen with regard to them.

    Args:
        samples: a stretch of the capture in which the pilot is on.
        phase: oscillators and hop; its own window is not used.
        spacings: how far other pilots lie from this one, in cycles a sample.
    """
    i, q = pilot_phasors(samples, PhaseSettings(phase.signal_word, phase.pilot_word, phase.hop, 1))
    phasors = i + 1j * q

    def side_lobes(hops: NDArray[np.int64]) -> NDArray[np.float64]:
        """Power of the other pilots behind an average of so many hops, relative to theirs."""
        total = np.zeros(len(hops))
        for spacing in spacings:
            total += (np.sin(np.pi * spacing * hops * phase.hop) / (hops * phase.hop * np.sin(np.pi * spacing))) ** 2
        return total

    blocks = np.arange(8, 33)
    blind = int(blocks[np.argmin(side_lobes(blocks))])
    design, variances = [], []
    for block in (blind, 2 * blind, 4 * blind, 8 * blind):
        means = phasors[: len(phasors) // block * block].reshape(-1, block).mean(axis=1)
        steps = means[1:] * np.conj(means[:-1])
        steps = np.angle(steps * np.conj(steps.sum()))  # what is left of the beat frequency removed
        design.append((2 / 3 * block, 2 / block))
        variances.append(float(np.var(steps)) if len(steps) > 1 else 0.0)
    if min(variances) <= 0:
        raise InputError(f"{len(phasors)} symbols are too few to see how the lasers' phase moves: record longer frames")
    weights = 1 / np.asarray(variances)  # each is known to a like fraction of itself
    walk, noise = np.linalg.lstsq(np.asarray(design) * weights[:, None], np.ones(len(weights)), rcond=None)[0]
    windows = np.arange(WINDOW_LIMITS[0], WINDOW_LIMITS[1] + 1, 2)
    error = max(walk, 0.0) * (windows**2 - 1) / (12 * windows) + max(noise, 0.0) / windows + side_lobes(windows) / 2
    return int(windows[np.argmin(error)])


def receive(
    samples: NDArray[np.int16],
    sample_rate_hz: float,
    frame: FrameFormat,
    acquisition: Acquisition | None = None,
    *,
    window: int | None = None,
) -> ReceivedFrame:
    """Recover the payload of one frame.

    Args:
        samples: the capture, int16, shape (n,).
        sample_rate_hz: its rate.
        frame: the frame's format.
        acquisition: where the frame lies; None finds it.
        window: the pilot's moving average in symbols; None fits it to the frame.

    Raises:
        InputError: no pilot or no preamble was found, or the capture ends before the frame does.
    """
    found = acquisition if acquisition is not None else acquire(samples, sample_rate_hz, frame)
    m = samples_per_symbol(frame, sample_rate_hz)
    preamble = frame.preamble.length if frame.preamble.shaped else 0

    def settings(hops: int) -> Receiver:
        return receiver_for(
            frame,
            sample_rate_hz,
            beat_frequency_hz=found.beat_frequency_hz,
            first_symbol=found.frame_start - preamble * m,
            window=hops,
        )

    if window is None:
        first = max(int(found.frame_start), 0)
        pilot, *others = frame.pilot_frequencies_hz
        window = choose_window(
            samples[first : first + frame.symbols * m],
            settings(1).phase,
            [(other - pilot) / sample_rate_hz for other in others],
        )
    receiver = settings(window)
    try:
        received = receiver.process(samples, preamble + frame.symbols)
    except ValueError:
        raise InputError(
            f"the frame's {frame.symbols} symbols from sample {found.frame_start:.0f} on do not lie within the"
            f" {len(samples)} samples of the capture"
        ) from None
    words = complex_symbols(received.words)
    payload = words[preamble:]
    payload = payload - payload.mean()  # the pilot's residue, if it folds to zero frequency
    if preamble:
        gain = np.vdot(zadoff_chu(frame.preamble.root, frame.preamble.length), words[:preamble])
        payload = payload * (np.conj(gain) / abs(gain))
    return ReceivedFrame(payload, found, window, received.saturated + at_limits(samples))


def receive_noise(samples: NDArray[np.int16], receiver: Receiver) -> NDArray[np.int16]:
    """What vacuum or electronic noise looks like behind the signal's own chain: all words of a capture, (n, 2).

    Raises:
        InputError: the capture is shorter than a symbol's window, or reaches the ends of the converter's range.
    """
    if clipped := at_limits(samples):
        raise InputError(
            f"{clipped} samples of a noise recording are at the converter's limits: lower the gain before it"
        )
    m, taps = receiver.matched_filter.samples_per_symbol, len(receiver.matched_filter.taps)
    whole = Receiver(receiver.phase, receiver.matched_filter, 0)
    return whole.process(samples, (len(samples) - taps) // m + 1).words
