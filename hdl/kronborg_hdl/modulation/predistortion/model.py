"""Bit-exact model of the pre-distortion; the core beside it gives the same words for every input.

The transmitter's last two distortions are undone in reverse. A converter that holds its words (zero-order hold) weighs
the frequency f with ``sinc(f / rate)``; the modulator behind it turns a drive v of each rail into the field
``sin(pi/2 depth v)``. So the words meet first the inverse of the sine, then the inverse of the sinc:

    u = table(x),    y[n] = saturate( round( h[0] u[n] + sum_k h[k] (u[n - k] + u[n + k]) ) ),    k = 1 ... HALF_TAPS

This order is right when the converter's images are gone before the modulator: a reconstruction filter, or a converter
that interpolates. A modulator that saw the bare staircase would want the other one, as a sine of held words is held.

With tables for a depth of 0.5 V_pi and a payload beside two strong pilots, converter and modulator add 1.15 mSNU at
V_A = 4 without all this, and 0.001 mSNU with it (``tests/hdl/modulation/test_predistortion_model.py``).

What words can undo lies below half the sample rate. A harmonic that the modulator makes above it is not undone, and its
antidote falls back into the band; signal and pilots below a sixth of the rate have no third harmonic there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE, Q, round_shift, saturate

TABLE_WORD = Q(1, 17)
"""Rows' constants: two bits finer than samples, so that a table and the filter round a word hardly more than once."""
SLOPE = Q(2, 12)
"""Rows' slopes. A constant and a slope are 32 bits: one register, and half of a block RAM's row."""
TAP = Q(2, 16)
"""Filter taps: one fits exactly, and a multiplier of 25 x 18 bits takes them."""

ROW_BITS = 8
ROWS = 1 << ROW_BITS
"""Segments of a table. Two tables of 256 rows are one block RAM of 18 Kib; an arcsine needs no more, see below."""
OFFSET_BITS = SAMPLE.width - ROW_BITS
"""Lower bits of a sample, which say where in its segment it lies."""
TABLE_DROP = SLOPE.fraction + SAMPLE.fraction - TABLE_WORD.fraction
"""What is rounded off a product of slope and offset."""

HALF_TAPS = 4
"""Taps on either side of the middle one: see :func:`inverse_sinc`."""
TAPS = 2 * HALF_TAPS + 1
FILTER_DROP = TAP.fraction + TABLE_WORD.fraction - SAMPLE.fraction
"""What is rounded off the sum of products."""

BAND = 0.4
"""Edge of the band that the filter flattens, in sample rates."""
MAXIMUM_DEPTH = 0.5
"""Largest drive at full scale, in units of V_pi, for which a table stays within ``TABLE_ERROR_WORDS``."""
TABLE_ERROR_WORDS = 0.375
"""Largest distance of an arcsine's table from the real function, in sample words, for any word and any depth."""

IMPULSE: NDArray[np.int64] = np.array([1 << TAP.fraction, *[0] * HALF_TAPS])
"""Taps that pass words unchanged; the core has them after reset."""


def _segments() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Middles of the segments in sample words, shape (ROWS,), and offsets from a middle. Row r is ``x >> 8 = r``.

    Rows from 128 on are those of negative words: the address is the word's upper bits as they are.
    """
    half = 1 << (OFFSET_BITS - 1)
    row = np.arange(ROWS)
    signed = np.where(row < ROWS // 2, row, row - ROWS)
    return (signed << OFFSET_BITS) + half, np.arange(-half, half)


def identity_table() -> NDArray[np.int64]:
    """The table that passes words unchanged, int64, shape (ROWS, 2); the core has it after reset."""
    middles, _ = _segments()
    constant = middles << (TABLE_WORD.fraction - SAMPLE.fraction)
    return np.stack([constant, np.full(ROWS, 1 << SLOPE.fraction)], axis=-1)


def arcsine_table(depth: float, *, field: float | None = None) -> NDArray[np.int64]:
    """The table for a modulator's rail: ``arcsin(field x) / (pi/2 depth)`` for words x in [-1, 1).

    A straight line per segment, as near as a line can be at the worst word. Behind it the field is ``field x``.

    Args:
        depth: drive at the converter's full scale, in units of V_pi.
        field: wanted field at full scale, in units of the largest. By default what full scale gives without the table,
            ``sin(pi/2 depth)``, so that no word needs more drive than there is. Rails of different depth take the
            smaller of their two fields, and are then equal in gain.

    Returns:
        int64, shape (ROWS, 2): constant and slope, for the register ``row``.

    Raises:
        ValueError: a depth that has no such table, or a field that needs more drive than there is.
    """
    if not 0 < depth <= MAXIMUM_DEPTH:
        raise ValueError(f"a depth of {depth:g} V_pi is outside 0 to {MAXIMUM_DEPTH}: lower the drive's amplitude")
    angle = np.pi / 2 * depth
    largest = float(np.sin(angle))
    wanted = largest if field is None else field
    if not 0 < wanted <= largest:
        raise ValueError(f"a field of {wanted:g} is outside 0 to {largest:.6g}, what a depth of {depth:g} V_pi gives")
    middles, offsets = _segments()
    words = middles[:, np.newaxis] + offsets
    target = np.arcsin(wanted * SAMPLE.to_float(words)) / angle * TABLE_WORD.scale
    step = 2.0**-TABLE_DROP
    slope = np.round((target[:, -1] - target[:, 0]) / (len(offsets) - 1) / step).astype(np.int64)
    left = target - slope[:, np.newaxis] * step * offsets
    constant = np.round((left.max(axis=1) + left.min(axis=1)) / 2).astype(np.int64)
    return np.stack([constant, slope], axis=-1)


def inverse_sinc(*, gain: float = 1.0) -> NDArray[np.int64]:
    """Taps whose product with the converter's sinc is as flat as 9 symmetric taps can be from 0 to ``BAND``.

    Flat within 0.011 dB (0.13 %), where the bare sinc falls by 2.42 dB. In excess noise that ripple is at most
    ``V_A 0.0013**2``, 0.007 mSNU at V_A = 4; 7 taps leave 0.03 dB and 0.04 mSNU, more than the pulse's own 0.02.

    Largest gains: 1.42 at half the sample rate, and so for the worst of all words: a signal below 0.70 of full scale is
    never clipped.

    Method: least squares on a grid, with weights that are multiplied by the error until it is even (Lawson 1961).

    Args:
        gain: at frequency zero.

    Returns:
        int64, shape (HALF_TAPS + 1,): the middle tap, then those beside it, for the registers ``tap_0`` and so on.

    Raises:
        ValueError: a gain that is not positive or whose middle tap no register holds.
    """
    f = np.linspace(0, BAND, 200)
    cosines = np.cos(2 * np.pi * f[:, np.newaxis] * np.arange(HALF_TAPS + 1))
    cosines[:, 1:] *= 2
    response = np.sinc(f)[:, np.newaxis] * cosines
    weight = np.ones(len(f))
    for _ in range(100):
        root = np.sqrt(weight)
        taps = np.linalg.lstsq(root[:, np.newaxis] * response, root, rcond=None)[0]
        weight *= np.abs(response @ taps - 1)
        weight /= weight.sum()
    words = np.round(gain * taps * TAP.scale)
    if not (gain > 0 and words[0] <= TAP.maximum):
        raise ValueError(f"a gain of {gain:g} is outside 0 to {TAP.maximum / TAP.scale / taps[0]:.4g}")
    return words.astype(np.int64)


@dataclass(frozen=True)
class Predistortion:
    """What the core has loaded. ``process`` is pure: frames are independent of each other.

    Attributes:
        taps: integers, shape (HALF_TAPS + 1,), the middle one first.
        tables: integers, shape (2, ROWS, 2): for I and Q, constant and slope of each row.

    Raises:
        ValueError: another shape, or a number that its register cannot hold.
    """

    taps: NDArray[np.int64] = field(default_factory=IMPULSE.copy)
    tables: NDArray[np.int64] = field(default_factory=lambda: np.stack([identity_table()] * 2))

    def __post_init__(self) -> None:
        for name, shape in (("taps", (HALF_TAPS + 1,)), ("tables", (2, ROWS, 2))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, not {getattr(self, name).shape}")
        for name, words, of in (
            ("tap", self.taps, TAP),
            ("constant", self.tables[..., 0], TABLE_WORD),
            ("slope", self.tables[..., 1], SLOPE),
        ):
            if np.any((words < of.minimum) | (words > of.maximum)):
                raise ValueError(f"a {name} is outside {of.minimum} to {of.maximum}")

    def drive(self, samples: NDArray[np.int16]) -> NDArray[np.int64]:
        """Words behind the tables, in 2**-17: int64, of the shape of `samples`, (n, 2).

        One bit more than TABLE_WORD holds any of them.
        """
        words = samples.astype(np.int64)
        row = words >> OFFSET_BITS & (ROWS - 1)
        offset = (words & ((1 << OFFSET_BITS) - 1)) - (1 << (OFFSET_BITS - 1))
        constant, slope = np.moveaxis(self.tables[np.arange(2), row], -1, 0)
        return constant + round_shift(slope * offset, TABLE_DROP)

    def process(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
        """Pre-distort one frame; before it and behind it the filter sees zeros.

        Args:
            samples: int16, shape (n, 2), I then Q.

        Returns:
            Words of the same shape, and how many of them saturated.
        """
        count = len(samples)
        padded = np.zeros((count + 2 * HALF_TAPS, 2), np.int64)
        padded[HALF_TAPS : HALF_TAPS + count] = self.drive(samples)
        symmetric = [*self.taps[:0:-1], *self.taps]
        sums = sum((tap * padded[k : k + count] for k, tap in enumerate(symmetric)), np.zeros((count, 2), np.int64))
        words, saturated = saturate(round_shift(sums, FILTER_DROP), SAMPLE)
        return words.astype(np.int16), saturated
