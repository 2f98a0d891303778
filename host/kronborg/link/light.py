"""What feeds the two ends: frames that Alice emits, and what Bob receives of them.

Lights are found through the entry point group ``kronborg.lights``: a name, and a class that is made from a scenario,
the modulation variance and a seed. A light that draws both ends from a seed is simulated; of real hardware each end has
its own half.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..board import Scenario
from ..errors import InputError
from ..postprocessing.calibration import ShotNoise


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


def open_light(name: str, scenario: Scenario, modulation_variance_snu: float, seed: int) -> Light:
    """The light with this name.

    Raises:
        InputError: there is none.
    """
    offered = {point.name: point for point in entry_points(group="kronborg.lights")}
    if name not in offered:
        raise InputError(f"no light is called {name!r}: choose from {', '.join(sorted(offered)) or 'none'}")
    light: Light = offered[name].load()(scenario, modulation_variance_snu, seed)
    return light
