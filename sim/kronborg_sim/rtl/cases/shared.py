"""What cases of several cores share: random words and frames of them, and settings that many cores have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..model import RegisterName, RtlModel
from .case import Counts, Frames, Words


def random_words(rng: np.random.Generator, count: int, *shape: int) -> NDArray[np.int16]:
    """Of full scale."""
    return rng.integers(-(2**15), 2**15, (count, *shape)).astype(np.int16)


def random_complex_words(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    """Of full scale, I then Q."""
    return random_words(rng, count, 2)


def random_bits(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """Words of 64 random bits."""
    return rng.integers(0, 2**64, count, np.uint64)


def frames_of(
    draw: Callable[[np.random.Generator, int], Words], *, words_per_beat: int, words_per_symbol: int = 1
) -> Callable[[np.random.Generator, int], Frames]:
    """A stimulus of random words on the one input: short frames, in which begin and end overlap, and two long ones."""

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        short = (1, 2, 3, 1, 40)
        beats = -(-symbols * words_per_symbol // words_per_beat)
        first = beats // 3
        return {"s_axis": [draw(rng, n * words_per_beat) for n in (*short, 1 + first, 1 + beats - first)]}

    return stimulus


def frame_by_frame(process: Callable[[Words], tuple[Words, Counts]]) -> Callable[[Frames], tuple[Frames, Counts]]:
    """The response of a core whose frames do not see each other: frames that come out, and sums of what is counted."""

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        frames, total = [], Counter[tuple[RegisterName, str]]()
        for words in stimulus["s_axis"]:
            frame, counts = process(words)
            frames.append(frame)
            total.update(counts)
        return {"m_axis": [frame for frame in frames if len(frame)]}, total

    return response


def load_taps(model: RtlModel, taps: NDArray[np.int16], samples_per_symbol: int, shift: int) -> None:
    """Write taps, in the order of a pulse, and the shift; apply both."""
    for index, tap in enumerate(taps):
        symbol, sample = divmod(index, samples_per_symbol)
        model.write("tap", symbol=symbol, sample=sample, value=int(tap))
    model.write("shift", amount=shift)
    apply(model)


def apply(model: RtlModel) -> None:
    """Let settings take effect, and wait until they have."""
    model.write("control", apply=1)
    while model.read("control", "apply"):
        pass
