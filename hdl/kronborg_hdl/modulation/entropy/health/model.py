"""Continuous health tests of NIST SP 800-90B (2018), section 4.4: cut-offs, and a bit-exact model of the tests' core.

The tests see a source that is stuck or that has lost much of its entropy; they do not measure entropy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEAT_BITS = 64
SAMPLE_BITS = (1, 2, 4, 8, 16)
START_UP_SAMPLES = 1024
"""Samples that are tested after a start and given to nobody; SP 800-90B, 4.3, asks for 1024 at least."""
FALSE_ALARM = 2.0**-30
"""Probability of a false alarm per test: one in about 1e9 samples or windows."""


def window(sample_bits: int) -> int:
    """Samples of a window of the adaptive proportion test: 1024 of binary sources, else 512 (SP 800-90B, 4.4.2)."""
    return 1024 if sample_bits == 1 else 512


def repetition_cutoff(min_entropy: float, false_alarm: float = FALSE_ALARM) -> int:
    """Equal samples in a row at which the repetition count test fails: ``1 + ceil(-log2(alpha) / H)``.

    Args:
        min_entropy: H, claimed, bit per sample.
        false_alarm: alpha, probability that a run of a source with this entropy is that long.

    Raises:
        ValueError: no entropy, or no probability between 0 and 1.
    """
    _check(min_entropy, false_alarm)
    return 1 + math.ceil(-math.log2(false_alarm) / min_entropy)


def proportion_cutoff(min_entropy: float, window: int, false_alarm: float = FALSE_ALARM) -> int:
    """Occurrences of a window's first sample at which the adaptive proportion test fails.

    ``1 + CRITBINOM(window, 2**-H, 1 - alpha)``: the smallest c + 1 with P(X <= c) >= 1 - alpha, X binomial. Computed
    from the upper tail, where 1 - alpha would have lost its digits.

    Args:
        min_entropy: H, claimed, bit per sample.
        window: samples, see :func:`window`.
        false_alarm: alpha, probability that a window of a source with this entropy fails.

    Raises:
        ValueError: no entropy or too little to be tested, no probability between 0 and 1, or no window.
    """
    _check(min_entropy, false_alarm)
    if window < 1:
        raise ValueError(f"a window of {window} samples: must be 1 or more")
    p = 2.0**-min_entropy
    tail = 0.0
    for count in range(window, 0, -1):  # tail is P(X >= count)
        logarithm = (
            math.lgamma(window + 1)
            - math.lgamma(count + 1)
            - math.lgamma(window - count + 1)
            + count * math.log(p)
            + (window - count) * math.log1p(-p)
        )
        tail += math.exp(logarithm)
        if tail > false_alarm:
            if count == window:
                raise ValueError(
                    f"{min_entropy:g} bit per sample: a good source may well repeat one value through a window of "
                    f"{window} samples, so that nothing can be tested"
                )
            return 1 + count
    return 2


def _check(min_entropy: float, false_alarm: float) -> None:
    if not min_entropy > 0:
        raise ValueError(f"a min-entropy of {min_entropy:g} bit per sample: must be above 0")
    if not 0 < false_alarm < 1:
        raise ValueError(f"a false-alarm probability of {false_alarm:g}: must lie between 0 and 1")


@dataclass(frozen=True)
class Verdict:
    """What the tests say of samples since a start.

    Attributes:
        passed: samples that were given on, of the input's type, shape (n,): whole beats.
        repetition_failed: the repetition count test failed in some beat.
        proportion_failed: the adaptive proportion test failed in some beat.
    """

    passed: NDArray[np.unsignedinteger]
    repetition_failed: bool
    proportion_failed: bool


@dataclass(frozen=True)
class HealthTests:
    """The tests with their settings. ``process`` is pure: it begins with a start.

    Attributes:
        sample_bits: of :data:`SAMPLE_BITS`; a beat has ``64 / sample_bits`` samples.
        repetition_cutoff: equal samples in a row at which the one test fails.
        proportion_cutoff: equal samples in a window at which the other fails.

    Raises:
        ValueError: samples of another width, or a cut-off that is negative.
    """

    sample_bits: int
    repetition_cutoff: int
    proportion_cutoff: int

    def __post_init__(self) -> None:
        if self.sample_bits not in SAMPLE_BITS:
            raise ValueError(f"samples of {self.sample_bits} bits: must be {', '.join(map(str, SAMPLE_BITS))}")
        if self.repetition_cutoff < 0 or self.proportion_cutoff < 0:
            raise ValueError("a cut-off is a number of samples and cannot be negative")

    @property
    def samples_per_beat(self) -> int:
        """Samples that come in one clock."""
        return BEAT_BITS // self.sample_bits

    def process(self, samples: NDArray[np.unsignedinteger]) -> Verdict:
        """Test samples from a start on. From the first beat in which a test fails nothing is given on.

        Args:
            samples: unsigned, shape (n,), whole beats, the oldest first.

        Raises:
            ValueError: no whole beats, or samples that do not fit their width.
        """
        if samples.ndim != 1 or len(samples) % self.samples_per_beat:
            raise ValueError(f"samples must be a row of whole beats of {self.samples_per_beat}")
        if len(samples) and int(samples.max()) >> self.sample_bits:
            raise ValueError(f"a sample does not fit {self.sample_bits} bits")
        long_run = np.greater_equal(self._runs(samples), self.repetition_cutoff)
        frequent = np.greater_equal(self._occurrences(samples), self.proportion_cutoff)
        bad = np.flatnonzero(np.logical_or(long_run, frequent))
        good = (int(bad[0]) if len(bad) else len(samples)) // self.samples_per_beat
        return Verdict(
            samples[START_UP_SAMPLES : max(good * self.samples_per_beat, START_UP_SAMPLES)],
            bool(long_run.any()),
            bool(frequent.any()),
        )

    def _runs(self, samples: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        """For each sample the number of equal ones up to it, itself among them."""
        position = np.arange(len(samples))
        begins = np.ones(len(samples), bool)
        begins[1:] = samples[1:] != samples[:-1]
        return position + 1 - np.maximum.accumulate(np.where(begins, position, 0))

    def _occurrences(self, samples: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        """For each sample how often its window's first was seen in the window up to it."""
        size = window(self.sample_bits)
        counts = np.empty(len(samples), np.int64)
        for begin in range(0, len(samples), size):
            part = samples[begin : begin + size]
            counts[begin : begin + size] = np.cumsum(part == part[0])
        return counts
