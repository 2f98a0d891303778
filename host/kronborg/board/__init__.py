"""Boards: what plays and records frames. Real or simulated, the host cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .plan import FramePlan
from .scenario import Scenario

__all__ = ["Board", "Emission", "FramePlan", "Scenario", "open_board"]


@dataclass(frozen=True)
class Emission:
    """One frame, as both ends have it.

    Attributes:
        symbols: what Alice really emitted (payload words, int16, shape (n, 2), I then Q): her raw key.
        samples: what Bob's converter recorded (int16, shape (m,)).
        saturated: words that did not fit in the transmitter: the symbols are not what was emitted.
    """

    symbols: NDArray[np.int16] = field(repr=False)
    samples: NDArray[np.int16] = field(repr=False)
    saturated: int = 0


class Board(Protocol):
    """One link's hardware: Alice's transmitter and Bob's receiver. Frames may be asked for in any order.

    Attributes:
        simulated: the light is simulated, from a seed: whatever key comes of it is no secret.
    """

    simulated: bool

    def frame(self, index: int) -> Emission:
        """Play frame `index` and record it."""

    def vacuum(self, index: int) -> NDArray[np.int16]:
        """Record with Alice's light off: shot and electronic noise. int16, shape (n,)."""

    def dark(self, index: int) -> NDArray[np.int16]:
        """Record with the local oscillator off: electronic noise. int16, shape (n,)."""


def open_board(name: str, plan: FramePlan, scenario: Scenario, seed: int) -> Board:
    """The board that an installed package offers under this name (entry point group ``kronborg.boards``).

    Raises:
        InputError: nothing installed offers it.
    """
    found = {point.name: point for point in entry_points(group="kronborg.boards")}
    if name not in found:
        from kronborg_hdl.boards import FABRIC_BOARDS

        from .pynq.opening import kinds

        there = ", ".join((*sorted(found), *kinds(), *FABRIC_BOARDS))
        raise InputError(f"no board {name!r}: there are {there}")
    make = cast(Callable[[FramePlan, Scenario, int], Board], found[name].load())
    return make(plan, scenario, seed)
