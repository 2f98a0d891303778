"""Sum-product decoding in small integers: tables, and the numpy half of what native/byte_decoder.cpp does faster.

Every number is a log-likelihood ratio (LLR) in units of one *step*. Posteriors of core variables and messages of core
checks are 16-bit words. A message of a leaf check is never larger than its leaf's LLR, so a byte holds it, and almost
all edges are leaf edges. What a variable tells a leaf check is cut to eight bits, 2**shift steps each; a table of 128
entries turns its magnitude to -ln tanh(|LLR| / 2), in which checks add, and another one turns sums back. Core checks
combine their words in pairs, exactly but for the rounding of a correction:

    |a [+] b| = min(|a|, |b|) + g(|a| + |b|) - g(||a| - |b||),      g(z) = ln(1 + exp(-z)), a table of z >> shift.

Integers only: native code and numpy agree bit for bit, from the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

ENTRIES = 128
MOST_WORD = 32767
LEAF_RANGE = 4.0
"""Leaf LLRs are clipped at so many times the root mean square of all LLRs."""

LARGEST_STEP = 1 / 16
SMALLEST_STEP = 1 / 4096
STEPS_PER_OCTAVE = 8
"""The step is a power of 2**(1 / 8): few tables serve all blocks."""

CUT_RANGE = 6.0
"""Messages to checks are cut at about this LLR."""


@dataclass(frozen=True)
class Tables:
    """What a step implies.

    Attributes:
        step: LLR of one unit.
        shift: words are divided by 2**shift, towards minus infinity, before a table is asked.
        to_sum: -ln tanh(|LLR| / 2) of a cut message, uint8, shape (128,).
        leaf_sum: the same of a leaf's LLR in steps, uint8, shape (128,).
        from_sum: magnitude, in steps, of the message with this sum, uint8, shape (128,), at most 127.
        correction: g in steps, uint8, shape (128,).
    """

    step: float
    shift: int
    to_sum: NDArray[np.uint8]
    leaf_sum: NDArray[np.uint8]
    from_sum: NDArray[np.uint8]
    correction: NDArray[np.uint8]


def mean_square(llr: NDArray[np.float32]) -> float:
    """Of a block's LLRs.

    Raises:
        InputError: an LLR is infinite or no number.
    """
    total = float(np.dot(llr, llr))
    if not np.isfinite(total):
        wide = llr.astype(np.float64)
        total = float(np.dot(wide, wide))
        if not np.isfinite(total):
            raise InputError("log-likelihood ratios must be finite: a symbol of this block is infinite or no number")
    return total / len(llr)


def tables_for(llr: NDArray[np.float32]) -> Tables:
    """The tables for a block: the step follows from how strong its LLRs are.

    Raises:
        InputError: an LLR is infinite or no number.
    """
    step = np.clip(LEAF_RANGE * np.sqrt(mean_square(llr)) / (ENTRIES - 1), SMALLEST_STEP, LARGEST_STEP)
    return _tables(int(np.floor(STEPS_PER_OCTAVE * np.log2(step))))


@cache
def _tables(exponent: int) -> Tables:
    step = 2.0 ** (exponent / STEPS_PER_OCTAVE)
    shift = max(0, round(np.log2(CUT_RANGE / (ENTRIES * step))))
    middles = (np.arange(ENTRIES) + 0.5) * 2**shift * step
    leaves = np.maximum(np.arange(ENTRIES), 0.25) * step
    # The last entry stands for a message that rounds to none.
    sum_step = -np.log(np.tanh(step / 4)) / (ENTRIES - 1)

    def sums(llr: NDArray[np.float64]) -> NDArray[np.uint8]:
        return np.minimum(np.rint(-np.log(np.tanh(llr / 2)) / sum_step), ENTRIES - 1).astype(np.uint8)

    # The sum zero means "anything below half a step of sums".
    message = 2 * np.arctanh(np.exp(-np.maximum(np.arange(ENTRIES), 0.25) * sum_step))
    magnitude = np.minimum(np.rint(message / step), ENTRIES - 1).astype(np.uint8)
    correction = np.rint(np.log1p(np.exp(-middles)) / step).astype(np.uint8)
    return Tables(step, shift, sums(middles), sums(leaves), magnitude, correction)


def quantised(llr: NDArray[np.float32], step: float) -> NDArray[np.int16]:
    """LLRs in steps, rounded to nearest even, clipped at +-32767."""
    scaled = np.rint(llr * np.float32(1 / step))
    return np.clip(scaled, -MOST_WORD, MOST_WORD).astype(np.int16)


def _saturated(words: NDArray[np.int32]) -> NDArray[np.int16]:
    return np.clip(words, -MOST_WORD - 1, MOST_WORD).astype(np.int16)


def leaf_row(
    extrinsic: NDArray[np.int16], leaf: NDArray[np.uint8], negative: NDArray[np.bool_], tables: Tables
) -> NDArray[np.int8]:
    """Messages of leaf checks.

    Args:
        extrinsic: what each variable knows from elsewhere, shape (degree, checks).
        leaf: `leaf_sum` of each check's leaf, shape (checks,).
        negative: sign of the leaf's LLR, turned over where the syndrome is odd, shape (checks,).
        tables: of this block.

    Returns:
        int8, shape (degree, checks).
    """
    cut = np.clip(extrinsic >> tables.shift, -128, 127).astype(np.int8)
    sums = tables.to_sum[cut ^ (cut >> 7)].astype(np.int32)
    others = np.minimum(leaf + sums.sum(0) - sums, ENTRIES - 1)
    odd = np.logical_xor.reduce(cut < 0, axis=0) ^ negative ^ (cut < 0)
    magnitude = tables.from_sum[others].astype(np.int8)
    return np.where(odd, -magnitude, magnitude)


def core_row(extrinsic: NDArray[np.int16], negative: NDArray[np.bool_], tables: Tables) -> NDArray[np.int16]:
    """Messages of core checks, int16, shape (degree, checks). `negative`: the syndrome; the rest as in `leaf_row`."""
    degree = len(extrinsic)
    magnitude = np.minimum(np.abs(extrinsic.astype(np.int32)), MOST_WORD)
    before, after = [magnitude[0]], [magnitude[-1]]
    for edge in range(1, degree - 1):
        before.append(_pair(before[-1], magnitude[edge], tables))
        after.append(_pair(after[-1], magnitude[degree - 1 - edge], tables))
    after.reverse()
    others = np.stack(
        [after[0], *(_pair(before[edge - 1], after[edge], tables) for edge in range(1, degree - 1)), before[-1]]
    )
    odd = np.logical_xor.reduce(extrinsic < 0, axis=0) ^ negative ^ (extrinsic < 0)
    return np.where(odd, -others, others).astype(np.int16)


def _pair(a: NDArray[np.int32], b: NDArray[np.int32], tables: Tables) -> NDArray[np.int32]:
    """|a [+] b| of two magnitudes."""
    most = ENTRIES - 1
    sum_correction = tables.correction[np.minimum(np.minimum(a + b, 65535) >> tables.shift, most)].astype(np.int32)
    difference_correction = tables.correction[np.minimum(np.abs(a - b) >> tables.shift, most)].astype(np.int32)
    return np.maximum(np.minimum(a, b) + sum_correction - difference_correction, 0)


def added(extrinsic: NDArray[np.int16], message: NDArray[np.int16] | NDArray[np.int8]) -> NDArray[np.int16]:
    """Sum that saturates."""
    return _saturated(extrinsic.astype(np.int32) + message)


def less(posterior: NDArray[np.int16], message: NDArray[np.int16] | NDArray[np.int8]) -> NDArray[np.int16]:
    """Difference that saturates."""
    return _saturated(posterior.astype(np.int32) - message)
