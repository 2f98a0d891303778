"""Taps of the symbol filter: a root-raised cosine that makes good what the stages before it do to the signal.

Half-bands and resampler are flat to a thousandth in a narrow signal's band; where a roll-off is large they fall. The
filter's 33 taps are those that leave the least intersymbol interference behind a transmitter's pulse and those stages,
together with the noise that they let through:

    minimise  sum over symbols of (what a symbol gives to its n-th neighbour - [n = 0])**2
              + w * noise behind the filter  +  v * sum over pilots of (gain at the pilot)**2

The weight w of :data:`NOISE_WEIGHT` keeps the filter a matched one: without it the part of the band that lies beyond
half the symbol rate could be shared out at will between the frequencies that fold onto each other. Pilots lie outside
the signal's band, but two samples a symbol may leave them close to it: the weight v makes nulls of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...dsp.root_raised_cosine import root_raised_cosine
from ..half_band.model import NARROW, WIDE
from ..resampler.kernel import Kernel
from .model import DISTINCT_TAPS, REACH, TAP

NOISE_WEIGHT = 1e-4
PILOT_WEIGHT = 10.0
SPAN = 33
"""Symbols of the transmitter's pulse."""
TRANSMITTED = 8
"""Samples a symbol at which the transmitter's pulse is cut off."""

Response = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Amplitude at frequencies in cycles a symbol."""


def chain_response(samples_per_symbol: float, halvings: int, kernel: Kernel) -> Response:
    """What half-bands and resampler do to a signal.

    Args:
        samples_per_symbol: M, at the converter.
        halvings: half-band stages, 0 or more: the last of them is the wide one.
        kernel: the resampler's.

    Returns:
        Its amplitude, without delays.
    """

    def response(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        amplitude = np.ones_like(frequency)
        rate = samples_per_symbol
        for stage in range(halvings):
            amplitude = amplitude * (WIDE if stage == halvings - 1 else NARROW).response(frequency / rate)
            rate = rate / 2
        return amplitude * kernel.response(frequency / rate)

    return response


def symbol_filter_taps(roll_off: float, response: Response, pilots: Sequence[float] = ()) -> NDArray[np.float64]:
    """c_0 ... c_32 for a root-raised cosine and the stages before the filter.

    Args:
        roll_off: of the transmitter's pulse, which covers :data:`SPAN` symbols.
        response: of the stages before the filter, such as :func:`chain_response`.
        pilots: how far they lie from the signal's centre, in cycles a symbol.

    Returns:
        float64, shape (33,): the symmetric filter of 65 taps has unit energy, so that white noise keeps its power.
    """
    full = _least_squares(roll_off, response, pilots)
    return full / np.sqrt(full[0] ** 2 + 2 * np.sum(full[1:] ** 2))


def tap_words(taps: NDArray[np.float64]) -> NDArray[np.int32]:
    """Taps as words of Q1.17, int32."""
    return TAP.quantise(taps).astype(np.int32)


def _least_squares(roll_off: float, response: Response, pilots: Sequence[float]) -> NDArray[np.float64]:
    pulse = root_raised_cosine(TRANSMITTED, SPAN, roll_off)
    # The pulse behind the chain at half symbols, by its spectrum: a transmitter's pulse is symmetric about its middle,
    # but for the one sample that has no counterpart.
    place = (np.arange(len(pulse)) - len(pulse) // 2) / TRANSMITTED
    frequency = (np.arange(1024) + 0.5) / 1024
    spectrum = np.cos(2 * np.pi * np.multiply.outer(frequency, place)) @ pulse * response(frequency)
    halves = np.arange(2 * SPAN + 2 * REACH)
    received = np.cos(np.pi * np.multiply.outer(halves, frequency)) @ spectrum / len(frequency)
    # Neighbour n sees tap k of the one and of the other side.
    n, k = np.arange(SPAN)[:, np.newaxis], np.arange(DISTINCT_TAPS)
    matrix = received[np.abs(2 * n - k)] + received[2 * n + k]
    matrix[:, 0] /= 2
    unit = np.zeros(SPAN)
    unit[0] = 1
    twice = np.where(np.arange(SPAN) == 0, 1, 2)[:, np.newaxis]  # neighbours on both sides
    # What white noise at the converter is at half symbols: the stages shape it, and it folds.
    edge = np.linspace(0, 2, 4097)[:-1] + 1 / 4096
    shaped = np.cos(np.pi * np.multiply.outer(np.arange(2 * REACH + 1), edge)) @ response(edge) ** 2 / len(edge)
    taken = np.abs(np.arange(-REACH, REACH + 1))[:, np.newaxis] == k
    tap = np.arange(2 * REACH + 1)
    noise = taken.T @ shaped[np.abs(tap[:, np.newaxis] - tap)] @ taken * 2 * received[0] ** 2 / shaped[0]
    gain = np.where(k == 0, 1, 2) * np.cos(np.pi * np.multiply.outer(np.asarray(pilots, np.float64), k))
    normal = matrix.T @ (twice * matrix) + NOISE_WEIGHT * noise + PILOT_WEIGHT * gain.T @ gain
    return np.asarray(np.linalg.solve(normal, matrix.T @ (twice[:, 0] * unit)))
