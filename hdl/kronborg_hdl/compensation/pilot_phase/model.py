"""Bit-exact model of the pilot-tone phase compensation.

The photocurrent of an RF-heterodyne receiver holds the quantum signal and, some way from it, a pilot tone; both carry
the same beat phase of the two lasers. Two oscillators bring each to baseband:

    z[n] = round(x[n] e**(-i theta_s[n]))      signal          p[n] = round(x[n] e**(-i theta_p[n]))      pilot

The pilot is summed over hops of `hop` samples and then over a centred window of `window` hops: a zero-delay moving
average, within 15 % of the best possible smoother for a phase that walks at random (physics of Wiener smoothing:
residual variance q (N**2 - 1) / (12 N) + r / N for N symbols). Its phasor, brought to unit length without an
arctangent, turns the signal back:

    y[n] = round(z[n] conj(u[hop of n]))

Every rounding is to nearest with ties towards plus infinity; words that do not fit saturate and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from ...dsp.nco import oscillator

HALF = 1 << 14

MANTISSA_BITS = 17
"""The larger component of a phasor is shifted to this many bits before it is normalised."""
SEGMENT_BITS = 8
"""The inverse square root is a table of 3 * 2**SEGMENT_BITS straight lines: at most 1.5e-6 from the curve."""

# Powers in [2**32, 2**34) map to [256, 1024) segments; words are 2**33 / sqrt(power).
_KNOTS = np.arange(1 << SEGMENT_BITS, (1 << (SEGMENT_BITS + 2)) + 1, dtype=np.float64)
INVERSE_ROOT: NDArray[np.int64] = np.round(2.0**33 / np.sqrt(_KNOTS * 2.0**24)).astype(np.int64)


@dataclass(frozen=True)
class PhaseSettings:
    """What the host writes into the core's registers.

    Attributes:
        signal_word: phase increment of the signal's oscillator, 2**-32 turns a sample.
        pilot_word: phase increment of the pilot's oscillator.
        hop: samples that share one phasor; one symbol is the natural choice.
        window: hops in the moving average, odd.
    """

    signal_word: int
    pilot_word: int
    hop: int
    window: int

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"the pilot's window must be an odd number of hops, not {self.window}")
        if self.hop < 1:
            raise ValueError(f"a hop needs at least one sample, not {self.hop}")


def mix(samples: NDArray[np.int16], word: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Multiply real samples by exp(-i theta): I and Q, int32 holding 16-bit words, shape (n,) each."""
    cosine, sine = oscillator(word, len(samples))
    wide = samples.astype(np.int32)
    return (wide * cosine + HALF) >> 15, (wide * -sine.astype(np.int32) + HALF) >> 15


def moving_sum(words: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Centred sum over an odd `window`, with zeros beyond both ends; same shape (n,), int64."""
    before = window // 2
    total = np.concatenate([np.zeros(before + 1, np.int64), np.cumsum(words)])
    total = np.concatenate([total, np.full(before, total[-1])])
    return total[window:] - total[: len(words)]


def normalise(i: NDArray[np.int64], q: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Bring phasors to unit length.

    Block-floating shift, table of the inverse square root, linear interpolation, two multiplications. Amplitude and
    phase are right to 2**-15; zero becomes 1 + 0i.

    Args:
        i: in-phase components, int64, any shape, magnitude below 2**45.
        q: quadrature components, likewise.

    Returns:
        I and Q as int32 that hold 16-bit words, full scale 32767.
    """
    larger = np.maximum(np.abs(i), np.abs(q))
    exponent = np.frexp(larger.astype(np.float64))[1].astype(np.int64)  # bit length: 2**(e-1) <= larger < 2**e
    i, q = _align(i, MANTISSA_BITS - exponent), _align(q, MANTISSA_BITS - exponent)
    power = i * i + q * q
    # larger is in [2**16, 2**17], so power is in [2**32, 2**35]: one more bit off where it left [2**32, 2**34).
    high = power >= 1 << 34
    i, q = np.where(high, (i + 1) >> 1, i), np.where(high, (q + 1) >> 1, q)
    power = np.clip(i * i + q * q, 1 << 32, (1 << 34) - 1)
    segment = (power >> 24) - (1 << SEGMENT_BITS)
    fraction = (power >> 12) & 0xFFF
    low = INVERSE_ROOT[segment]
    root = low + (((INVERSE_ROOT[segment + 1] - low) * fraction + (1 << 11)) >> 12)
    unit_i = np.minimum((i * root + (1 << 17)) >> 18, SAMPLE.maximum)
    unit_q = np.minimum((q * root + (1 << 17)) >> 18, SAMPLE.maximum)
    nothing = larger == 0
    return (
        np.where(nothing, SAMPLE.maximum, np.maximum(unit_i, -SAMPLE.maximum)).astype(np.int32),
        np.where(nothing, 0, np.maximum(unit_q, -SAMPLE.maximum)).astype(np.int32),
    )


def _align(words: NDArray[np.int64], left: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shift left by `left` bits, or right with rounding where it is negative."""
    right = np.maximum(-left, 0)
    rounding = (np.int64(1) << right) >> 1
    return ((words << np.maximum(left, 0)) + rounding) >> right


def pilot_phasors(samples: NDArray[np.int16], settings: PhaseSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smoothed pilot of each hop, before it is normalised: I and Q, int64, shape (ceil(n / hop),) each."""
    hops = -(-len(samples) // settings.hop)
    rails = []
    for rail in mix(samples, settings.pilot_word):
        padded = np.zeros(hops * settings.hop, np.int32)
        padded[: len(rail)] = rail
        rails.append(moving_sum(padded.reshape(hops, settings.hop).sum(axis=1, dtype=np.int64), settings.window))
    return rails[0], rails[1]


def compensate(samples: NDArray[np.int16], settings: PhaseSettings) -> tuple[NDArray[np.int16], int]:
    """Bring the signal to baseband with the pilot's phase removed.

    Args:
        samples: int16, shape (n,), the converter's words.
        settings: oscillators, hop and window.

    Returns:
        int16, shape (n, 2), I then Q, and how many words saturated.
    """
    unit = normalise(*pilot_phasors(samples, settings))
    unit_i, unit_q = (np.repeat(rail, settings.hop)[: len(samples)] for rail in unit)
    i, q = mix(samples, settings.signal_word)
    # |z| < 2**15 and |u| < 2**15.01: the sums of two products stay within int32.
    words = np.stack([(i * unit_i + q * unit_q + HALF) >> 15, (q * unit_i - i * unit_q + HALF) >> 15], axis=-1)
    clipped = np.clip(words, SAMPLE.minimum, SAMPLE.maximum)
    return clipped.astype(np.int16), int(np.count_nonzero(clipped != words))
