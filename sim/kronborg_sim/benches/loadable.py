"""What benches of filters share whose settings are written first and put to use between two frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from .skin_bench import SkinBench


class LoadableBench(SkinBench, ABC):
    """Drives such a filter. Its models hold the settings, and their ``process`` gives words and saturations of a frame.

    Attributes:
        drain_clocks: after so many without back-pressure the filter is empty. A bench sets it.
    """

    drain_clocks: int

    @abstractmethod
    async def write_settings(self, model: Any) -> None:
        """Write all that the model has; it is not yet in use."""

    async def apply(self) -> None:
        """Put what was written to use."""
        await self.write("control", apply=1)
        await self.applied()

    async def applied(self) -> None:
        """Wait until it is in use."""
        for _ in range(200):
            if not await self.read("control", "apply"):
                return
        raise AssertionError("apply is never done")

    async def load(self, model: Any) -> None:
        """Write settings and put them to use."""
        await self.write_settings(model)
        await self.apply()

    async def expect(self, model: Any, samples: NDArray[np.int16]) -> int:
        """The next output frame is the model's, its tail included. Returns how many of its words saturated."""
        words, saturated, *_ = model.process(samples)
        np.testing.assert_array_equal(await self.receive(), words)
        return saturated

    async def nothing_more_comes_out(self) -> None:
        """The core and the sink are empty."""
        self.drain_output()
        await ClockCycles(self.dut.aclk, self.drain_clocks)
        assert self.sink.empty(), "words came out that the model does not have"
        assert self.sink.idle(), "a frame was begun and not ended"
