"""Registers that move together."""

from __future__ import annotations

from amaranth import Module, Signal, Value
from amaranth.hdl import ShapeLike, ValueLike


class Pipeline:
    """Stages that all move when `advance` is high and all pause when it is low.

    Words are not reset, so that they fit the registers within DSP slices: what travels beside them says what is valid,
    and that is reset.
    """

    def __init__(self, m: Module, advance: Value) -> None:
        self._m = m
        self.advance = advance

    def register(self, value: ValueLike, shape: ShapeLike | None = None, *, reset: bool = False) -> Signal:
        """The value one step later. A `shape` narrower than the value's must be known to hold it."""
        later = Signal(Value.cast(value).shape() if shape is None else shape, reset_less=not reset)
        with self._m.If(self.advance):
            self._m.d.sync += later.eq(value)
        return later

    def history(self, value: ValueLike, steps: int, *, reset: bool = False) -> list[Value]:
        """The value now, one step later, ..., `steps` steps later."""
        values = [Value.cast(value)]
        for _ in range(steps):
            values.append(self.register(values[-1], reset=reset))
        return values
