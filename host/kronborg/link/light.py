"""What feeds the two ends: frames that Alice emits, and what Bob receives of them.

Lights are found through the entry point group ``kronborg.lights``: a name, and a class that is made from a scenario,
the modulation variance and a seed. A light that draws both ends from a seed is simulated; of real hardware each end has
its own half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..board import Scenario
from ..errors import InputError
from ..postprocessing.calibration import ShotNoise
from ..postprocessing.security import HIGHEST_SNU


class Light(Protocol):
    """Frames of one link, by their number; any frame may be asked for.

    Attributes:
        simulated: whether nothing of it is real.
        frame_symbols: symbols in a frame.
        modulation_variance_snu: V_A, per quadrature.
        snu_per_word: sqrt(SNU) at the channel's input that one unit of Alice's words stands for.
        shot_noise: Bob's calibration.
        detector_efficiency: his, trusted.
    """

    simulated: bool
    frame_symbols: int
    modulation_variance_snu: float
    snu_per_word: float
    shot_noise: ShotNoise
    detector_efficiency: float

    def emit(self, first: int, count: int) -> Mapping[int, NDArray[np.int16]]:
        """Emit frames; returns Alice's record of them, words of shape (frame_symbols, 2)."""
        ...

    def receive(self, first: int, count: int) -> Mapping[int, NDArray[np.complexfloating]]:
        """What Bob received of these frames, those that he found: complex symbols in sqrt(SNU)."""
        ...


@dataclass(frozen=True)
class Tap:
    """An eavesdropper that a simulated light has, to see that no key comes of it.

    Attributes:
        first_frame: number of the first frame that is tapped.
        excess_noise_snu: what that adds, at the channel's input.

    Raises:
        InputError: no such frame, or no such noise.
    """

    first_frame: int
    excess_noise_snu: float

    def __post_init__(self) -> None:
        if self.first_frame < 0:
            raise InputError(f"a tap cannot begin at frame {self.first_frame}: the first is 0")
        if not 0 <= self.excess_noise_snu <= HIGHEST_SNU:
            raise InputError(f"a tap's noise of {self.excess_noise_snu:g} SNU is outside [0, {HIGHEST_SNU:g}]")


def open_light(
    name: str, scenario: Scenario, modulation_variance_snu: float, seed: int, tap: Tap | None = None
) -> Light:
    """The light with this name; a simulated one may be tapped.

    Raises:
        InputError: there is none.
    """
    offered = {point.name: point for point in entry_points(group="kronborg.lights")}
    if name not in offered:
        raise InputError(f"no light is called {name!r}: choose from {', '.join(sorted(offered)) or 'none'}")
    more = {} if tap is None else {"tap": tap}
    light: Light = offered[name].load()(scenario, modulation_variance_snu, seed, **more)
    return light
