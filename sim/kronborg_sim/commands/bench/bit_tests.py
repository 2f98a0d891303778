"""A battery of tests for random bits, for as many as wanted in little memory.

It sees bits in the order in which they are used, in sequences of 2**16, and counts over all of them: each test gives
one p-value, from a distribution that is exact or whose error is far below what can be resolved. Beside tests that
NIST SP 800-22 knows (frequency, block frequency, runs, serial, rank, spectral) there are three for what goes wrong in
hardware that works in blocks: a position that differs from the others, correlations at any distance, and a block that
comes twice. Of SP 800-22 it lacks the templates (those of up to 16 bits are seen by `serial`), Maurer's test, linear
complexity (recurrences of up to 250 bits are seen by `rank`), cumulative sums and random excursions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.modulation.gaussian.statistics import chi_square_p, gamma_upper, normal_p

SEQUENCE_BITS = 1 << 16
BLOCK_BITS = 512
"""Of ChaCha20."""
_RANK_ROWS = 256
_LONGEST_RUN = 64
"""Run lengths from here on are counted as one."""
_PATTERN_BITS = 16


class BitBattery:
    """Counts over sequences of bits, and what they say."""

    def __init__(self) -> None:
        self.sequences = 0
        self.positions = np.zeros(BLOCK_BITS, np.int64)
        self.block_ones = np.zeros(BLOCK_BITS + 1, np.int64)
        self.runs = np.zeros(_LONGEST_RUN + 1, np.int64)
        self.patterns = np.zeros(1 << _PATTERN_BITS, np.int64)
        self.deficiencies = np.zeros(3, np.int64)
        self.power = np.zeros(SEQUENCE_BITS // 2 + 1)
        self.heads: list[NDArray[np.uint64]] = []

    def add(self, words: NDArray[np.uint32]) -> None:
        """Count whole sequences: uint32, shape (n * 128, 16), the lowest bit of a word first."""
        octets = np.ascontiguousarray(words, "<u4").view(np.uint8).reshape(-1)
        bits = np.unpackbits(octets, bitorder="little")
        blocks = bits.reshape(-1, BLOCK_BITS)
        self.positions += blocks.sum(axis=0, dtype=np.int64)
        self.block_ones += np.bincount(blocks.sum(axis=1, dtype=np.intp), minlength=BLOCK_BITS + 1)
        # The first and the last run may be longer than what is seen of them.
        ends = np.flatnonzero(bits[1:] != bits[:-1])
        self.runs += np.bincount(np.minimum(np.diff(ends), _LONGEST_RUN), minlength=_LONGEST_RUN + 1)
        self._add_patterns(octets)
        for begin in range(0, len(octets), 16 * SEQUENCE_BITS // 8):
            matrices = octets[begin : begin + 16 * SEQUENCE_BITS // 8].view(np.uint64)
            missing = _RANK_ROWS - ranks(matrices.reshape(-1, _RANK_ROWS, _RANK_ROWS // 64))
            self.deficiencies += np.bincount(np.minimum(missing, 2), minlength=3)
        for sequence in bits.reshape(-1, SEQUENCE_BITS):
            spectrum = np.fft.rfft(2 * sequence.astype(np.float32) - 1)
            self.power += spectrum.real**2 + spectrum.imag**2
            self.sequences += 1
        self.heads.append(octets.view(np.uint64)[:: BLOCK_BITS // 64].copy())

    def _add_patterns(self, octets: NDArray[np.uint8]) -> None:
        """Overlapping patterns, at each of the eight phases of a byte."""
        three = octets[:-2] | octets[1:-1].astype(np.uint32) << 8 | octets[2:].astype(np.uint32) << 16
        for phase in range(8):
            pattern = three >> np.uint32(phase) & np.uint32((1 << _PATTERN_BITS) - 1)
            self.patterns += np.bincount(pattern, minlength=1 << _PATTERN_BITS)

    def merge(self, other: BitBattery) -> None:
        """Add what another battery has counted."""
        self.sequences += other.sequences
        for name in ("positions", "block_ones", "runs", "patterns", "deficiencies", "power"):
            getattr(self, name).__iadd__(getattr(other, name))
        self.heads += other.heads

    def p_values(self) -> dict[str, float]:
        """Of each test, for all that was added: that of truly random bits having given what was seen, or worse."""
        blocks = int(self.block_ones.sum())
        count = blocks * BLOCK_BITS
        ones = int(self.positions.sum())
        per_position = (2 * self.positions - blocks) / math.sqrt(blocks)
        return {
            "frequency": normal_p((2 * ones - count) / math.sqrt(count)),
            "block_frequency": _merged_chi_square_p(self.block_ones, binomial(BLOCK_BITS)),
            "position": gamma_upper(BLOCK_BITS / 2, float(np.sum(per_position**2)) / 2),
            "runs": _merged_chi_square_p(self.runs[1:], run_lengths()),
            "serial": self._serial_p(),
            "rank": chi_square_p(self.deficiencies, self.sequences * rank_deficiencies(_RANK_ROWS)),
            "spectral": self._spectral_p(),
            "autocorrelation": self._autocorrelation_p(),
            "repetition": self._repetition_p(),
        }

    def _serial_p(self) -> float:
        """Patterns against those of one bit less: the difference of both statistics is a chi-square (Good 1953)."""
        long, short = self.patterns, self.patterns.reshape(2, -1).sum(axis=0)
        spread = [float(np.sum(counts.astype(np.float64) ** 2)) * len(counts) for counts in (long, short)]
        statistic = (spread[0] - spread[1]) / float(long.sum())
        return gamma_upper(len(short) / 2, statistic / 2)

    def _spectral_p(self) -> float:
        """The largest line: each is the sum of an exponential variable a sequence."""
        lines = self.power[1:-1] / SEQUENCE_BITS
        return _of_many(gamma_upper(self.sequences, float(lines.max())), len(lines))

    def _autocorrelation_p(self) -> float:
        """The largest of all distances to half a sequence: each is a sum of independent signs."""
        products = np.fft.irfft(self.power)[1 : SEQUENCE_BITS // 2]
        largest = float(np.max(np.abs(products))) / math.sqrt(self.sequences * SEQUENCE_BITS)
        return _of_many(normal_p(largest), len(products))

    def _repetition_p(self) -> float:
        """Blocks of which the first 64 bits come twice: a counter or a nonce that began again."""
        heads = np.sort(np.concatenate(self.heads))
        if not np.any(heads[1:] == heads[:-1]):
            return 1.0
        return -math.expm1(-math.comb(len(heads), 2) / 2**64)


def _of_many(p: float, tests: int) -> float:
    """P-value of the least of several."""
    return -math.expm1(tests * math.log1p(-p)) if p < 1 else 1.0


def _merged_chi_square_p(observed: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Chi-square; cells of which fewer than ten are expected are added to their neighbours towards the middle."""
    expected = probability * observed.sum()
    used = np.flatnonzero(expected >= 10)
    cell = np.clip(np.arange(len(observed)), used[0], used[-1]) - used[0]
    return chi_square_p(np.bincount(cell, observed), np.asarray(np.bincount(cell, expected), np.float64))


def binomial(count: int) -> NDArray[np.float64]:
    """Probability of 0 to `count` ones; shape (count + 1,)."""
    return np.array([math.comb(count, ones) / 2**count for ones in range(count + 1)], np.float64)


def run_lengths() -> NDArray[np.float64]:
    """Probability of a run of 1, 2, ... equal bits, the last cell being all that are longer."""
    halves = np.ldexp(1.0, -np.arange(1, _LONGEST_RUN + 1))
    halves[-1] *= 2
    return np.asarray(halves, np.float64)


def ranks(matrices: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Ranks over GF(2) of n matrices of 64 m columns: uint64, shape (n, rows, m); intp, shape (n,)."""
    rows, of = matrices.copy(), np.arange(len(matrices))
    found = np.zeros(len(matrices), np.intp)
    for column in range(64 * rows.shape[2]):
        has = rows[:, :, column // 64] >> np.uint64(column % 64) & np.uint64(1)
        first = has.argmax(axis=1)
        there = has[of, first]
        found += there.astype(np.intp)
        # The pivot is taken from itself as well: it is zero from then on. Where there is none, nothing has the column.
        rows ^= has[:, :, None] * rows[of, first][:, None, :]
    return found


def rank_deficiencies(size: int) -> NDArray[np.float64]:
    """Probability that a random square matrix over GF(2) lacks 0, 1, or more of full rank (Kovalenko 1972)."""
    full = math.prod(1 - 0.5**i for i in range(1, size + 1))
    one = 0.5 * full / (1 - 0.5) ** 2 * (1 - 0.5**size)
    return np.array([full, one, 1 - full - one])
