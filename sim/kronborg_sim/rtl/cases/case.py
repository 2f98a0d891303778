"""What a core is run with on its RTL, and what its model says must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.skin import Core

from ..model import RegisterName, RtlModel

Words = NDArray[Any]
Frames = Mapping[str, Sequence[Words]]
"""For each stream by name its frames: TDATA's words, in any shape, or what :func:`marked` makes of them and TUSER."""
Counts = Mapping[tuple[RegisterName, str], int]
"""What a field of a register reads."""


def marked(words: Words, user: NDArray[np.uint64]) -> Words:
    """A frame of a stream that has TUSER: a record of ``words`` and ``user`` for each beat."""
    per_beat = words.reshape(len(user), -1)
    frame = np.zeros(len(user), [("words", words.dtype, per_beat.shape[1:]), ("user", np.uint64)])
    frame["words"], frame["user"] = per_beat, user
    return frame


@dataclass(frozen=True)
class Size:
    """What can be chosen of a core, as far as it has it.

    Attributes:
        lanes: samples per clock; of a source, symbols per clock.
        samples_per_symbol: M.
        span: K, symbols.
    """

    lanes: int
    samples_per_symbol: int
    span: int


@dataclass(frozen=True)
class Case:
    """A core with settings, and its model with the same.

    Attributes:
        core: to be put in its skin.
        configure: writes the settings, after a reset.
        stimulus: frames for the inputs, made of at least so many symbols.
        response: what must come out for a stimulus, and what the host must read after it.
        rate_of: the stream on which samples per clock are counted.
        samples_per_beat: of that stream.
        samples_per_symbol: that pass there for each symbol.
        steady: streams that do not pause, since what comes out depends on when they do.
    """

    core: Core
    configure: Callable[[RtlModel], None]
    stimulus: Callable[[np.random.Generator, int], Frames]
    response: Callable[[Frames], tuple[Frames, Counts]]
    rate_of: str
    samples_per_beat: float
    samples_per_symbol: float = 1
    steady: tuple[str, ...] = ()
