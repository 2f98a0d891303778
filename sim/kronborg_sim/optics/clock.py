"""Two converters whose clocks are not the same."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

TAPS = 32
"""Of the interpolator: what it adds to a field within 0.35 cycles a sample is below -90 dB."""
PHASES = 1 << 12
"""A sample is placed to 2**-13 of the interval: -74 dB of a tone at a quarter of the sample rate, at worst."""
_CHUNK = 1 << 15
_KAISER = 9.5


def _interpolator() -> NDArray[np.float32]:
    """Windowed sinc, a row for each fraction of a sample, float32, shape (PHASES + 1, TAPS)."""
    fraction = np.arange(PHASES + 1)[:, np.newaxis] / PHASES
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - fraction
    window = np.i0(_KAISER * np.sqrt(np.maximum(1 - (distance / (TAPS / 2)) ** 2, 0))) / np.i0(_KAISER)
    return np.asarray(np.sinc(distance) * window, np.float32)


_TABLE = _interpolator()


def sampled_by_another_clock(
    field: NDArray[np.complex64], count: int, *, offset_ppm: float, delay: float = 0.0
) -> NDArray[np.complex64]:
    """What a converter sees of a field that another clock made: sample n is the field at ``n / (1 + offset) - delay``.

    Args:
        field: complex64, shape (n,), in samples of Alice's clock; zero before and behind. Its band has to lie within
            0.35 cycles a sample.
        count: samples to take.
        offset_ppm: how much faster the converter's clock runs than Alice's.
        delay: of the field, in her samples.

    Returns:
        complex64, shape (count,).
    """
    padded = np.concatenate([np.zeros(TAPS, np.complex64), field, np.zeros(TAPS, np.complex64)])
    windows = sliding_window_view(padded, TAPS)
    seen = np.zeros(count, np.complex64)
    for begin in range(0, count, _CHUNK):
        n = np.arange(begin, min(begin + _CHUNK, count))
        position = n / (1 + offset_ppm * 1e-6) - delay
        whole = np.floor(position).astype(np.int64)
        phase = np.rint((position - whole) * PHASES).astype(np.int64)
        first = whole + TAPS - (TAPS // 2 - 1)
        inside = (first >= 0) & (first < len(windows))
        seen[n[inside]] = np.einsum("nt,nt->n", windows[first[inside]], _TABLE[phase[inside]])
    return seen
