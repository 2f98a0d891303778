"""Symbols drawn from the channel model, without any optics: what both ends of a long link hold, in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kronborg.board import Scenario
from kronborg.errors import InputError
from kronborg.link.light import Tap
from kronborg.link.planning import expected_link
from kronborg.postprocessing.calibration import ShotNoise

DEVIATION = 4096
"""Alice's words: a standard deviation."""

WORDS_PER_SNU_ROOT = 1000.0
"""Bob's words: one sqrt(SNU), to which his symbols are rounded as a receiver would."""

_UNIT_STD = 1e-5
"""Of the shot-noise unit, relatively: a calibration over 1e10 symbols."""


Frame = TypeVar("Frame", bound=NDArray[np.generic])


class Drawn(Mapping[int, Frame]):
    """Frames that are drawn whenever they are looked up, each time the same.

    Args:
        frames: their numbers.
        draw: makes one.
    """

    def __init__(self, frames: range, draw: Callable[[int], Frame]) -> None:
        self._frames, self._draw = frames, draw

    def __getitem__(self, frame: int) -> Frame:
        """Draw one. Raises KeyError where there is no such frame."""
        if frame not in self._frames:
            raise KeyError(frame)
        return self._draw(frame)

    def __contains__(self, frame: object) -> bool:
        """Without drawing it."""
        return frame in self._frames

    def __iter__(self) -> Iterator[int]:
        """Numbers of the frames."""
        return iter(self._frames)

    def __len__(self) -> int:
        """How many frames."""
        return len(self._frames)


class DrawnLight:
    """Both ends of a Gaussian channel; a frame follows from the seed and its number alone.

    Args:
        scenario: fibre, excess noise and detector; lasers play no part.
        modulation_variance_snu: V_A.
        seed: of everything; the two ends of a link need the same.
        frame_symbols: symbols in a frame.
        tap: an eavesdropper, if there is one.
    """

    simulated = True

    def __init__(
        self,
        scenario: Scenario,
        modulation_variance_snu: float,
        seed: int,
        *,
        frame_symbols: int = 128_000,
        tap: Tap | None = None,
    ) -> None:
        self.frame_symbols = frame_symbols
        self.modulation_variance_snu = modulation_variance_snu
        self.snu_per_word = math.sqrt(modulation_variance_snu) / DEVIATION
        self.detector_efficiency = scenario.detector_efficiency
        self.shot_noise = ShotNoise(WORDS_PER_SNU_ROOT**2, scenario.electronic_noise_snu, _UNIT_STD)
        self._link = expected_link(scenario, modulation_variance_snu)
        self._seed, self._tap = seed, tap
        received = self._link.gain_squared * modulation_variance_snu + self._link.noise_variance_snu
        if 8 * math.sqrt(received) * WORDS_PER_SNU_ROOT > 32767:
            raise InputError(f"a modulation variance of {modulation_variance_snu:g} SNU does not fit Bob's words")

    def _words(self, frame: int) -> NDArray[np.int16]:
        rng = np.random.default_rng([self._seed, frame, 0])
        drawn = rng.standard_normal((self.frame_symbols, 2), np.float32)
        return np.rint(drawn * DEVIATION).astype(np.int16)

    def emit(self, first: int, count: int) -> Mapping[int, NDArray[np.int16]]:
        """Alice's words of these frames, drawn whenever one is looked up: no run is too long for the memory."""
        return Drawn(range(first, first + count), self._words)

    def receive(self, first: int, count: int) -> Mapping[int, NDArray[np.complexfloating]]:
        """Bob's symbols of these frames, complex64, in sqrt(SNU), likewise."""
        return Drawn(range(first, first + count), self._received)

    def _received(self, frame: int) -> NDArray[np.complex64]:
        noise = self._link.noise_variance_snu
        if self._tap is not None and frame >= self._tap.first_frame:
            noise += self._link.gain_squared * self._tap.excess_noise_snu
        rng = np.random.default_rng([self._seed, frame, 1])
        scale = np.float32(math.sqrt(self._link.gain_squared) * self.snu_per_word * WORDS_PER_SNU_ROOT)
        symbols = rng.standard_normal((self.frame_symbols, 2), np.float32)
        symbols *= np.float32(math.sqrt(noise) * WORDS_PER_SNU_ROOT)
        symbols += self._words(frame) * scale
        np.rint(symbols, out=symbols)
        symbols /= np.float32(WORDS_PER_SNU_ROOT)
        return symbols.view(np.complex64)[:, 0]
