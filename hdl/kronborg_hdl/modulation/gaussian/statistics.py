"""Statistical tests of the Gaussian source, for as many samples as wanted in little memory: `kronborg bench gaussian`.

All counts are of words, and what is expected is a Gaussian rounded to words, exactly: no test needs a correction for
the grid. P-values come from the distributions' own formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import tables
from .model import DEFAULT_DEVIATION

CELLS = 256
"""Cells of the chi-square test, and 16 x 16 of the test of independence, as even in probability as words allow."""
LAGS = 16
"""Lags of the correlations."""
_HALF = 1 << 15


def gamma_upper(a: float, x: float) -> float:
    """The regularised incomplete gamma function Q(a, x) (Abramowitz & Stegun 6.5.3, 6.5.29, 6.5.31)."""
    if x <= 0:
        return 1.0
    factor = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = 0
        while term > total * 1e-17:
            n += 1
            term *= x / (a + n)
            total += term
        return 1 - factor * total
    # The continued fraction, from the front (Lentz).
    b, d = x + 1 - a, 1 / (x + 1 - a)
    c, value = 1e300, d
    for n in range(1, 100_000):
        step = n * (a - n)
        b += 2
        d, c = 1 / (b + step * d), b + step / c
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return factor * value


def _sum_cells(cells: NDArray[np.intp], of_words: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Sums over the words of each cell; counts of words stay exact."""
    return np.asarray(np.bincount(cells, of_words, count), np.float64)


def chi_square_p(observed: NDArray[Any], expected: NDArray[np.float64]) -> float:
    """P-value of Pearson's test; expectations are known, so one degree of freedom is lost."""
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    return gamma_upper((observed.size - 1) / 2, statistic / 2)


def normal_p(deviations: float) -> float:
    """Two-sided p-value of a normal variable."""
    return math.erfc(abs(deviations) / math.sqrt(2))


def anderson_darling_p(statistic: float) -> float:
    """P-value of A**2 for infinitely many samples (Marsaglia & Marsaglia, J. Stat. Soft. 9(2), 2004: to 2e-6)."""
    z = statistic
    if z <= 0:
        return 1.0
    if z < 2:
        below = z**-0.5 * math.exp(-1.2337141 / z)
        below *= 2.00012 + (0.247105 - (0.0649821 - (0.0347962 - (0.011672 - 0.00168691 * z) * z) * z) * z) * z
    else:
        below = math.exp(
            -math.exp(1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * z) * z) * z) * z) * z)
        )
    return max(0.0, 1 - below)


@dataclass(frozen=True)
class WordDistribution:
    """A Gaussian rounded to words and clipped, float64, without cancellation in either tail.

    Attributes:
        probability: of each word from -32768 to 32767.
        below, above: probability of at most a word, and of more; of each word but the last.
    """

    probability: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]

    @classmethod
    @cache
    def of(cls, deviation: int) -> WordDistribution:
        """For a scale register, in 1/8 words."""
        edges = (np.arange(-_HALF, _HALF - 1) + 0.5) * (2**tables.DEVIATION_FRACTION / deviation / math.sqrt(2))
        below, above = (np.array([0.5 * math.erfc(e) for e in side.tolist()]) for side in (-edges, edges))
        from_below, from_above = np.diff(below, prepend=0.0, append=1.0), -np.diff(above, prepend=1.0, append=0.0)
        return cls(np.where(np.arange(-_HALF, _HALF) < 0, from_below, from_above), below, above)


def anderson_darling(counts: NDArray[np.int64], expected: WordDistribution) -> float:
    """A**2 for counts of words (Choulakian, Lockhart & Stephens, Can. J. Stat. 22, 125 (1994)).

    Words are so fine that its distribution is that of the continuous statistic.
    """
    excess = np.cumsum(counts)[:-1] - counts.sum() * expected.below
    used = (expected.below > 0) & (expected.above > 0)
    terms = excess[used] ** 2 * expected.probability[:-1][used] / (expected.below[used] * expected.above[used])
    return float(np.sum(terms)) / int(counts.sum())


@dataclass(frozen=True)
class Report:
    """What a run found. P-values are those of a true Gaussian having given what was seen, or worse.

    Attributes:
        samples: words that were tested, I and Q together.
        chi_square_p: of 256 cells.
        anderson_darling_p: of all words.
        tail_counts: of each interval of one standard deviation from 0 to 8 of |word|, and beyond: seen and expected.
        tail_p: of the chi-square test of those with an expectation of at least 5, the others being one interval.
        moments_p: the least of mean, variance, skewness and kurtosis, times four.
        correlation_p: of the sum of squares of all correlations of I, Q, I with Q and of their squares, 1 to 16 apart.
        independence_p: of I and Q in one sample, 16 x 16 cells.
        largest_sigma_seen: in these samples.
    """

    samples: int
    chi_square_p: float
    anderson_darling_p: float
    tail_counts: list[tuple[int, float]]
    tail_p: float
    moments_p: float
    correlation_p: float
    independence_p: float
    largest_sigma_seen: float

    @property
    def p_values(self) -> dict[str, float]:
        """Of every test, by name."""
        return {name: value for name, value in vars(self).items() if name.endswith("_p")}


class Battery:
    """Counts over blocks of symbols, and what they say."""

    def __init__(self, deviation: int = DEFAULT_DEVIATION) -> None:
        self.deviation = deviation
        self.counts = np.zeros((2, 2 * _HALF), np.int64)
        self.joint = np.zeros((16, 16), np.int64)
        # Rows: I with I, Q with Q, I with later Q, Q with later I; for words, then for their squares.
        self.products = np.zeros((8, LAGS))
        self.pairs = np.zeros(LAGS, np.int64)
        self.expected = WordDistribution.of(deviation)
        # Words in order, shared out to cells of equal probability.
        self.cell_of = {n: np.append((self.expected.below * n).astype(np.intp), n - 1) for n in (16, CELLS)}

    def add(self, words: NDArray[np.int16]) -> None:
        """Count a block: int16, shape (n, 2). Correlations are taken within blocks."""
        index = words.astype(np.intp) + _HALF
        for rail in (0, 1):
            self.counts[rail] += np.bincount(index[:, rail], minlength=2 * _HALF)
        cells = self.cell_of[16]
        self.joint += np.bincount(cells[index[:, 0]] * 16 + cells[index[:, 1]], minlength=256).reshape(16, 16)
        scaled = words.T * np.float64(2**tables.DEVIATION_FRACTION / self.deviation)
        for base, signal in ((0, scaled), (4, (scaled**2 - 1) / math.sqrt(2))):
            for lag in range(1, min(LAGS, len(words) - 1) + 1):
                self.products[base : base + 4, lag - 1] += (signal[:, :-lag] @ signal[:, lag:].T).reshape(-1)
        self.pairs += np.maximum(len(words) - np.arange(1, LAGS + 1), 0)

    def merge(self, other: Battery) -> None:
        """Add what another battery of the same scale has counted."""
        for mine, its in (
            (self.counts, other.counts),
            (self.joint, other.joint),
            (self.products, other.products),
            (self.pairs, other.pairs),
        ):
            mine += its

    def report(self) -> Report:
        """The result for all that was added."""
        counts = self.counts.sum(axis=0)
        total = int(counts.sum())
        sigma_words = self.deviation / 2**tables.DEVIATION_FRACTION
        magnitude = np.abs(np.arange(-_HALF, _HALF)) / sigma_words
        cells = self.cell_of[CELLS]
        tails = self._tails(counts)
        return Report(
            samples=total,
            chi_square_p=chi_square_p(
                _sum_cells(cells, counts, CELLS),
                _sum_cells(cells, total * self.expected.probability, CELLS),
            ),
            anderson_darling_p=anderson_darling_p(anderson_darling(counts, self.expected)),
            tail_counts=tails,
            tail_p=self._tail_p(tails),
            moments_p=self._moments_p(counts, sigma_words),
            correlation_p=gamma_upper(self.products.size / 2, float(np.sum(self.products**2 / self.pairs)) / 2),
            independence_p=self._independence_p(total // 2),
            largest_sigma_seen=float(magnitude[counts > 0].max()),
        )

    def _tails(self, counts: NDArray[np.int64]) -> list[tuple[int, float]]:
        """Seen and expected between 0, 1, ..., 8 standard deviations and beyond, the edges rounded to words."""
        sigma_words = self.deviation / 2**tables.DEVIATION_FRACTION
        band = np.minimum(np.abs(np.arange(-_HALF, _HALF)) / sigma_words, 8.0).astype(np.intp)
        band[-1] = band[0]  # full scale of either sign stands for all that is beyond it
        seen, expected = _sum_cells(band, counts, 9), _sum_cells(band, counts.sum() * self.expected.probability, 9)
        return [(int(s), float(e)) for s, e in zip(seen, expected, strict=True)]

    @staticmethod
    def _tail_p(tails: list[tuple[int, float]]) -> float:
        """Intervals of few expected words are added to the last with enough."""
        seen, expected = (np.array(column, np.float64) for column in zip(*tails, strict=True))
        enough = int(np.count_nonzero(expected >= 5))
        merged = [np.append(column[: enough - 1], column[enough - 1 :].sum()) for column in (seen, expected)]
        return chi_square_p(merged[0], merged[1])

    @staticmethod
    def _moments_p(counts: NDArray[np.int64], sigma_words: float) -> float:
        """The first four Hermite polynomials have mean 0 and variance n! for a Gaussian, and are uncorrelated."""
        x = np.arange(-_HALF, _HALF) / sigma_words
        hermite = (x, x**2 - 1, x**3 - 3 * x, x**4 - 6 * x**2 + 3)
        total = float(counts.sum())
        deviations = [
            float(counts @ polynomial) / math.sqrt(total * math.factorial(n))
            for n, polynomial in enumerate(hermite, start=1)
        ]
        return min(1.0, 4 * min(normal_p(deviation) for deviation in deviations))

    def _independence_p(self, symbols: int) -> float:
        """The joint probability is the product of those of the 16 cells."""
        probability = _sum_cells(self.cell_of[16], self.expected.probability, 16)
        return chi_square_p(self.joint, symbols * probability[:, None] * probability)
