"""From a capture to symbols: acquire the frame in floating point, then run the gateware with the settings found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.compensation.mixer.model import HALVINGS, Mixer, MixerState
from kronborg_hdl.compensation.phase_smoother.model import PhaseSmoother, SignalBand, exponential, fitted_smoother
from kronborg_hdl.compensation.rotator.model import power_gain
from kronborg_hdl.decimation.resampler import kernel as kernels
from kronborg_hdl.decimation.resampler.model import FRACTION, Resampler
from kronborg_hdl.decimation.symbol_filter.model import UNIT_SHIFT, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.taps import chain_response, symbol_filter_taps, tap_words
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.receiver.model import SETTLING_SYMBOLS, Receiver, alignment

from ..errors import InputError
from .acquisition import Acquisition, acquire
from .frame_format import FrameFormat
from .positions import complex_symbols

SYMBOL_SHIFT = UNIT_SHIFT - 1
"""A gain of two behind the symbol filter: decimation has made the noise's words smaller."""
LEAST_SAMPLES_PER_SYMBOL, MOST_SAMPLES_PER_SYMBOL = 2, 4 << HALVINGS[-1]
TYPICAL_SNR = 0.25
"""Of a signal whose own is not yet known, where it is weighed against the pilot."""
FALLING_FROM = 2.2
"""Decimated samples a symbol from which on there is room for pilots and noise that a resampler could fold."""


@dataclass(frozen=True)
class ReceivedFrame:
    """One frame, received.

    Attributes:
        words: payload symbols as complex numbers in words, with the unit of noise that was not turned; one static phase
            removed if the preamble tells it, their mean removed; complex128, shape (n,).
        acquisition: where and at which frequencies the frame was found.
        smoother: of the pilot's phase.
        saturated: samples at the converter's limits, and words that did not fit anywhere in the chain.
    """

    words: NDArray[np.complex128] = field(repr=False)
    acquisition: Acquisition
    smoother: PhaseSmoother
    saturated: int


@dataclass(frozen=True)
class FrameReceiver:
    """The gateware's settings for a frame.

    Attributes:
        receiver: the chain.
        first: number of its output that is the wanted first symbol.
    """

    receiver: Receiver
    first: int


def samples_per_symbol(frame: FrameFormat, sample_rate_hz: float) -> float:
    """Samples of the capture in a symbol.

    Raises:
        InputError: fewer than the receiver can filter, or more than it can decimate.
    """
    ratio = sample_rate_hz / frame.symbol_rate_hz
    if not LEAST_SAMPLES_PER_SYMBOL <= ratio <= MOST_SAMPLES_PER_SYMBOL:
        raise InputError(
            f"{ratio:.4g} samples a symbol ({sample_rate_hz:g} samples/s, {frame.symbol_rate_hz:g} symbols/s) are"
            f" outside {LEAST_SAMPLES_PER_SYMBOL} to {MOST_SAMPLES_PER_SYMBOL}; resample the recording"
        )
    return ratio


def halvings_for(samples_per_symbol: float) -> int:
    """Half-band stages: as many as leave two samples a symbol."""
    return max(d for d in HALVINGS if samples_per_symbol >= 2 << d)


def kernel_for(samples_per_symbol: float, roll_off: float) -> kernels.Kernel:
    """The resampler's, for decimated samples a symbol."""
    edge = (1 + roll_off) / 2 / samples_per_symbol
    if samples_per_symbol < FALLING_FROM:
        return kernels.WIDE
    return kernels.NARROW if edge <= kernels.NARROW.pass_band else kernels.FALLING


def receiver_for(
    frame: FrameFormat,
    sample_rate_hz: float,
    *,
    beat_frequency_hz: float,
    first_symbol: float,
    clock_offset_ppm: float = 0.0,
    smoother: PhaseSmoother | None = None,
) -> FrameReceiver:
    """The gateware's settings for a frame.

    Args:
        frame: the frame's format.
        sample_rate_hz: rate of the capture.
        beat_frequency_hz: Alice's optical frequency minus Bob's.
        first_symbol: where the centre of the first wanted symbol lies, in samples, with its fraction.
        clock_offset_ppm: how much faster Alice's clock runs than the capture's.
        smoother: of the pilot's phase; None does not smooth it.
    """
    nominal = samples_per_symbol(frame, sample_rate_hz)
    halvings = halvings_for(nominal)
    rate = 1 + clock_offset_ppm * 1e-6
    kernel = kernel_for(nominal / (1 << halvings), frame.roll_off)
    response = chain_response(nominal, halvings, kernel)
    pilots = [(pilot - frame.frequency_shift_hz) / frame.symbol_rate_hz for pilot in frame.pilot_frequencies_hz]
    # Nulls for those that two samples a symbol leave outside the signal's band.
    pilots = [pilot for pilot in pilots if abs((pilot + 1) % 2 - 1) > (1 + frame.roll_off) / 2]
    taps = tap_words(symbol_filter_taps(frame.roll_off, response, pilots))
    beat = phase_word(beat_frequency_hz, sample_rate_hz)
    # One pilot alone serves as both.
    offsets = [frame.frequency_shift_hz, frame.pilot_frequencies_hz[0], frame.pilot_frequencies_hz[-1]]
    signal, pilot_0, pilot_1 = (phase_word(beat_frequency_hz + rate * f, sample_rate_hz) - beat for f in offsets)
    place = alignment(halvings)
    decimated = (first_symbol + place.lead) / (1 << halvings) + place.late
    step = round(nominal / rate / (2 << halvings) * 2**FRACTION)
    # Whole symbols back to the stream's beginning.
    first, position = divmod(round(decimated * 2**FRACTION), 2 * step)
    receiver = Receiver(
        mixer=Mixer((signal, pilot_0, pilot_1), halvings),
        beat=beat,
        smoother=smoother or exponential(0.0),
        resampler=Resampler(kernel),
        symbol_filter=SymbolFilter(taps, SYMBOL_SHIFT),
        position=position,
        step=step,
    )
    return FrameReceiver(receiver, first)


def at_limits(samples: NDArray[np.int16]) -> int:
    """Samples at the ends of the converter's range (of 12 bits or more, left-justified): light that it could not see.

    A receiver driven into its limits reads too little noise, and an eavesdropper can drive it there (Qin et al. 2016).
    """
    return int(np.count_nonzero((samples >= 32752) | (samples == -32768)))


def choose_smoother(
    phasors: NDArray[np.complex128],
    spacings: Sequence[float] = (),
    band: SignalBand | None = None,
    *,
    least_noise_rad2: float = 1e-6,
) -> PhaseSmoother:
    """The smoother that fits lasers and pilots.

    A phase that walks with variance q a hop, read with noise of variance r a hop, makes means over blocks of B hops
    differ from block to block by 2/3 q B + 2 r / B: both are measured so. Other pilots are tones that an average over a
    block has nulls for, and so can the smoother have.

    Args:
        phasors: of the pilot, a hop each, of a stretch in which it is on.
        spacings: how far other pilots lie from this one, in cycles a hop.
        band: where the signal lies.
        least_noise_rad2: of a hop. A quick walk hides its noise from the means of blocks.

    Raises:
        InputError: too few phasors to tell.
    """

    def side_lobes(hops: NDArray[np.int64]) -> NDArray[np.float64]:
        """Power of the other pilots behind an average of so many hops, relative to theirs."""
        total = np.zeros(len(hops))
        for spacing in spacings:
            total += (np.sin(np.pi * spacing * hops) / (hops * np.sin(np.pi * spacing))) ** 2
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
        raise InputError(
            f"{len(phasors)} hops of the pilot are too few to see how the lasers' phase moves: record longer frames"
        )
    weights = 1 / np.asarray(variances)  # each is known to a like fraction of itself
    walk, noise = np.linalg.lstsq(np.asarray(design) * weights[:, None], np.ones(len(weights)), rcond=None)[0]
    # A hop's sum has taken something of the other pilots away already.
    return fitted_smoother(
        max(walk, 0.0),
        max(noise, least_noise_rad2),
        [(spacing, float(np.sinc(spacing) ** 2)) for spacing in spacings],
        band,
    )


def receive(
    samples: NDArray[np.int16],
    sample_rate_hz: float,
    frame: FrameFormat,
    acquisition: Acquisition | None = None,
    *,
    smoother: PhaseSmoother | None = None,
) -> ReceivedFrame:
    """Recover the payload of one frame.

    Args:
        samples: the capture, int16, shape (n,).
        sample_rate_hz: its rate.
        frame: the frame's format.
        acquisition: where the frame lies; None finds it.
        smoother: of the pilot's phase; None fits it to the frame.

    Raises:
        InputError: no pilot or no preamble was found, or the capture ends before the frame does.
    """
    found = acquisition if acquisition is not None else acquire(samples, sample_rate_hz, frame)
    nominal = samples_per_symbol(frame, sample_rate_hz)
    m = nominal / (1 + found.clock_offset_ppm * 1e-6)
    preamble = frame.preamble.length if frame.preamble.shaped else 0
    count = preamble + frame.symbols

    def settings(of: PhaseSmoother | None) -> FrameReceiver:
        return receiver_for(
            frame,
            sample_rate_hz,
            beat_frequency_hz=found.beat_frequency_hz,
            first_symbol=found.frame_start - preamble * m,
            clock_offset_ppm=found.clock_offset_ppm,
            smoother=of,
        )

    if smoother is None:
        unsmoothed = settings(None).receiver
        phasors, spacings, band = _pilot(samples, sample_rate_hz, frame, found, unsmoothed)
        hop_snr = 10 ** (found.pilot_snr_db / 10) * unsmoothed.mixer.hop / nominal
        # Half of it: a broad line's power is not all seen.
        smoother = choose_smoother(phasors, spacings, band, least_noise_rad2=0.25 / hop_snr)
    chain = settings(smoother)
    received = chain.receiver.process(samples)
    words = complex_symbols(received.words[chain.first : chain.first + count])
    end = found.frame_start + frame.symbols * m
    if chain.first < 0 or end > len(samples):
        raise InputError(
            f"the frame's {frame.symbols} symbols from sample {found.frame_start:.0f} on do not lie within the"
            f" {len(samples)} samples of the capture"
        )
    payload = words[preamble:]
    payload = payload - payload.mean()  # the pilot's residue, if it folds to zero frequency
    hop = chain.receiver.mixer.hop
    hops = received.turn[max(int(found.frame_start), 0) // hop : int(end) // hop]
    payload = payload / np.sqrt(power_gain(hops))
    if preamble:
        gain = np.vdot(zadoff_chu(frame.preamble.root, frame.preamble.length), words[:preamble])
        payload = payload * (np.conj(gain) / abs(gain))
    return ReceivedFrame(payload, found, smoother, received.saturated + at_limits(samples))


def _pilot(
    samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat, found: Acquisition, receiver: Receiver
) -> tuple[NDArray[np.complex128], list[float], SignalBand]:
    """Phasors of the first pilot through the payload, how far the others lie, in cycles a hop, and the signal."""
    hop = receiver.mixer.hop
    first = max(int(found.frame_start), 0)
    stretch = samples[first : first + int(frame.symbols * samples_per_symbol(frame, sample_rate_hz))]
    mixed = receiver.mixer.process(stretch[: len(stretch) // hop * hop], MixerState(beat=receiver.beat))
    pilot, *others = frame.pilot_frequencies_hz
    # What lies further out the matched filter weighs little.
    middle, half = abs(frame.frequency_shift_hz - pilot), frame.symbol_rate_hz / 2
    band = SignalBand(
        (middle - half) / sample_rate_hz * hop,
        (middle + half) / sample_rate_hz * hop,
        10 ** (found.pilot_snr_db / 10) / TYPICAL_SNR,
    )
    spacings = [(other - pilot) / sample_rate_hz * hop for other in others]
    return complex_symbols(mixed.pilots[0]), spacings, band


def receive_noise(samples: NDArray[np.int16], receiver: Receiver) -> NDArray[np.int16]:
    """What vacuum or electronic noise looks like behind the signal's own chain: whole windows, int16, shape (n, 2).

    It is not turned: noise has no phase that it could lose, and no pilot. Phasors made of noise would point anywhere,
    and what lies between them on straight lines is shorter than one.

    Raises:
        InputError: the capture is shorter than a symbol's window, or reaches the ends of the converter's range.
    """
    if clipped := at_limits(samples):
        raise InputError(
            f"{clipped} samples of a noise recording are at the converter's limits: lower the gain before it"
        )
    words = receiver.process(samples, compensate=False).words
    symbols = int(len(samples) / receiver.samples_per_symbol)
    if symbols <= 2 * SETTLING_SYMBOLS:
        raise InputError(
            f"a noise recording of {len(samples)} samples is too short: {2 * SETTLING_SYMBOLS} symbols are lost at its"
            " ends"
        )
    return words[SETTLING_SYMBOLS : symbols - SETTLING_SYMBOLS]
