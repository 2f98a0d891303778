"""The fibre emulator's registers over its integer model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator as Core
from kronborg_hdl.channel.fibre_emulator.generator_model import SIGN_WORDS, STATE_WORDS, split_seed
from kronborg_hdl.channel.fibre_emulator.model import EmulatorState, FibreEmulator, generators
from kronborg_hdl.channel.fibre_emulator.registers import REGISTERS

from .model_gateware import Table


class FibrePage(Table):
    """The emulator.

    Args:
        core: the hardware whose sizes it has; it is not elaborated.
    """

    def __init__(self, core: Core) -> None:
        super().__init__(REGISTERS)
        self._lanes, self._complex = core.lanes, core.complex_output
        count = generators(self._lanes, self._complex)
        self.shown |= {
            ("capabilities", "lanes"): self._lanes,
            ("capabilities", "generators"): count,
            ("capabilities", "complex_output"): int(self._complex),
        }
        self._seed = np.zeros(SIGN_WORDS + 2 * STATE_WORDS * count, np.uint32)
        self._settings: FibreEmulator | None = None
        self._state: EmulatorState | None = None

    @property
    def loaded(self) -> bool:
        """Whether samples go in."""
        return self._settings is not None

    def written(self, register: str, given: dict[str, int]) -> None:
        """A word of the seed, or the use of the settings."""
        if register == "seed":
            self._seed = np.append(self._seed[1:], np.uint32(given["word"]))
            self._settings = self._state = None
        elif register == "control" and given["apply"]:
            try:
                self._settings = FibreEmulator(
                    self._lanes,
                    self.shown["amplitude", "word"],
                    self.shown["frequency", "word"],
                    self.shown["walk", "step"],
                    self.shown["noise", "deviation"],
                    complex_output=self._complex,
                )
            except ValueError:
                self.shown["status", "noise_refused"] = 1
                self._settings = None
        elif register == "control" and given["clear_counters"]:
            self.shown["saturations", "count"] = 0
        self.shown["control", "loaded"] = int(self.loaded)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """What comes out for samples of the transmitter; nothing before settings hold."""
        if self._settings is None:
            return np.zeros(0, np.int16)
        if self._state is None:
            self._state = EmulatorState(0, *split_seed(self._seed))
        made = self._settings.process(samples, self._state)
        self._state = made.state
        if made.saturated:
            self.shown["status", "saturated"] = 1
            self.shown["saturations", "count"] = self.shown.get(("saturations", "count"), 0) + made.saturated
        return made.words
