"""A serial line of eight bits, no parity, one stop bit: bytes to a wire, and a wire to bytes.

A bit lasts a whole number of clocks only by chance. Both ends count it in fractions of a clock, so that an error of
rounding never grows from bit to bit: each edge is at most a clock late, and each bit is looked at within a clock of its
middle. With ``CLOCKS_PER_BIT`` clocks a bit, and another clock of doubt about the edge of the start bit, half of a bit
less two clocks is left at the stop bit, nine and a half bits later: the rates of the two ends may differ by 2.6 %.
"""

from __future__ import annotations

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

CLOCKS_PER_BIT = 8
"""At least."""
FRACTION_BITS = 8
DATA_BITS = 8


def bit_period(clock_hz: float, baud: float) -> int:
    """Length of a bit in units of 2**-FRACTION_BITS clocks.

    Raises:
        ValueError: a bit is shorter than ``CLOCKS_PER_BIT`` clocks.
    """
    period = round(clock_hz / baud * 2**FRACTION_BITS) if baud > 0 else 0
    if period < CLOCKS_PER_BIT << FRACTION_BITS:
        raise ValueError(f"{baud:g} baud at a clock of {clock_hz:g} Hz: at most {clock_hz / CLOCKS_PER_BIT:g} baud")
    return period


class _Ticks:
    """A counter of clocks, with fractions, that says in which clock a length is over."""

    def __init__(self, m: Module, period: int) -> None:
        self._left = Signal(range(2 * period))
        self._period = period
        self._m = m
        self.over = Signal()
        m.d.comb += self.over.eq(self._left < 2 << FRACTION_BITS)

    def count(self) -> None:
        """One clock; what is left over of a clock goes to the next length."""
        with self._m.If(self.over):
            self._m.d.sync += self._left.eq(self._left + self._period - (1 << FRACTION_BITS))
        with self._m.Else():
            self._m.d.sync += self._left.eq(self._left - (1 << FRACTION_BITS))

    def begin(self, length: int) -> None:
        """A length from here on."""
        self._m.d.sync += self._left.eq(length)


class UartTransmitter(wiring.Component):
    """Bytes to a wire.

    Args:
        period: of a bit, see :func:`bit_period`.

    Members:
        i: stream of bytes; one is taken when its start bit begins.
        wire: high when idle.
    """

    def __init__(self, period: int) -> None:
        self.period = period
        super().__init__({"i": In(stream.Signature(DATA_BITS)), "wire": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        ticks = _Ticks(m, self.period)
        bits = Signal(DATA_BITS + 1, init=-1)
        left = Signal(range(DATA_BITS + 3))
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(left != 0):
            ticks.count()
            with m.If(ticks.over):
                m.d.sync += self.wire.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)
        with m.Elif(self.i.valid):
            m.d.sync += self.wire.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(DATA_BITS + 2)
            ticks.begin(self.period)
        return m


class UartReceiver(wiring.Component):
    """A wire to bytes. A start bit that is over before its middle is none; a byte without a stop bit is given as it is.

    Args:
        period: of a bit, see :func:`bit_period`.

    Members:
        wire: asynchronous.
        byte: the byte.
        valid: it is there, for one clock: nobody can wait.
    """

    def __init__(self, period: int) -> None:
        self.period = period
        super().__init__({"wire": In(1, init=1), "byte": Out(DATA_BITS), "valid": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        ticks = _Ticks(m, self.period)
        level, before = Signal(init=1), Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.wire, level, init=1)
        left = Signal(range(DATA_BITS + 3))
        m.d.sync += before.eq(level), self.valid.eq(0)
        with m.If(left != 0):
            ticks.count()
            with m.If(ticks.over):
                m.d.sync += left.eq(left - 1)
                with m.If((left == DATA_BITS + 2) & level):
                    m.d.sync += left.eq(0)
                with m.If(left == 1):
                    m.d.sync += self.valid.eq(1)
                with m.Else():
                    m.d.sync += self.byte.eq(Cat(self.byte[1:], level))
        with m.Elif(before & ~level):
            m.d.sync += left.eq(DATA_BITS + 2)
            ticks.begin(self.period // 2)
        return m
