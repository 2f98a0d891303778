"""Claims about streams: what is offered stays, and nothing is lost, doubled, reordered or made up."""

from __future__ import annotations

from collections.abc import Callable

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from kronborg_hdl.axi.stream import Fork, SkidBuffer
from kronborg_hdl.dsp.pipeline import Pipeline
from kronborg_hdl.receiver.core import OneSampleLate

from .harness import Harness, offers


class KeepsOffers(Harness):
    """Whatever a core offers stays: valid and payload of each stream that it drives, until ready.

    Args:
        core: what drives them.
        given: the streams that it takes are assumed to stay likewise: for a core without registers of its own.
    """

    def __init__(self, core: wiring.Component, *, given: bool = False) -> None:
        self.given = given
        super().__init__(core)

    def claim(self, m: Module) -> None:
        """See the class."""
        for name, o in offers(self.core):
            waits, stays = _unanswered(m, name, o)
            with m.If(waits):
                m.d.comb += [
                    Assert(o.valid, f"{name}: valid stays until ready"),
                    Assert(stays, f"{name}: the payload stays until ready"),
                    Cover(o.valid & o.ready, f"{name}: a payload is taken after a pause"),
                ]
        if self.given:
            for name, i in offers(self.core, In):
                waits, stays = _unanswered(m, name, i)
                m.d.comb += Assume(~waits | (i.valid & stays), f"{name}: what is given stays")


def _unanswered(m: Module, name: str, o: stream.Interface) -> tuple[Value, Value]:
    """Whether a payload was offered in the last clock and not taken; and whether the payload is the same now."""
    payload = Value.cast(o.payload)
    waits, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
    m.d.sync += waits.eq(o.valid & ~o.ready), before.eq(payload)
    return waits, payload == before


class HandsOutCopies(Harness):
    """Each payload that a fork takes goes to each branch once, unchanged, and nothing else does.

    A branch is offered it at once unless it has it already; it is taken in the clock in which the last branch has it.

    Args:
        core: the fork.
    """

    core: Fork

    def claim(self, m: Module) -> None:
        """See the class."""
        i, branches = self.core.i, self.core.o
        taken, has, gets = Signal(), Signal(len(branches)), Signal(len(branches))
        m.d.comb += taken.eq(i.valid & i.ready), gets.eq(Cat(o.valid & o.ready for o in branches))
        m.d.sync += has.eq(Mux(taken, 0, has | gets))
        waits, stays = _unanswered(m, "i", i)
        m.d.comb += [
            Assume(~waits | (i.valid & stays), "what is given stays"),
            Assert(~i.valid | (i.ready == (has | gets).all()), "a payload is taken when the last branch has it"),
            Cover(i.valid & has.any() & ~has.all() & ~gets.any(), "a branch has it and another one waits"),
            Cover(taken & (has == 0), "all take it in one clock"),
        ]
        for number, o in enumerate(branches):
            m.d.comb += [
                Assert(o.valid == (i.valid & ~has[number]), f"o_{number}: what it has not got is offered, once"),
                Assert(~o.valid | (Value.cast(o.payload) == Value.cast(i.payload)), f"o_{number}: it is a copy"),
            ]


class DelaysByOneSample(Harness):
    """A stream's samples come one later, in the same clocks: none is lost, doubled or changed; a zero is the first.

    Args:
        core: ``receiver.core.OneSampleLate``.
    """

    core: OneSampleLate

    def claim(self, m: Module) -> None:
        """See the class."""
        i, o = self.core.i, self.core.o
        given, come = Value.cast(i.payload), Value.cast(o.payload)
        bits = len(Value.cast(i.payload.words[0]))
        newest = Signal(bits)  # of all samples that went in
        with m.If(i.valid & i.ready):
            m.d.sync += newest.eq(given[-bits:])
        m.d.comb += [
            Assert((o.valid == i.valid) & (i.ready == o.ready), "beats pass in their clocks"),
            Assert(~o.valid | (come == Cat(newest, given)[:-bits]), "samples come one later"),
            Cover(o.valid & newest.any() & ~o.ready, "a sample waits"),
        ]


class Follower:
    """Follow one payload, chosen freely, through a core that keeps the order of payloads.

    It claims that a payload that goes in comes out once, unchanged, in its turn; and none that did not go in. How many
    are before the one that is followed is known when it goes in.

    Args:
        m: module of the harness.
        name: of the way, for signals and texts.
        chosen: a free input; when it is high as a payload goes in, that payload is followed.
        capacity: payloads that can be on the way.
        goes_in: high when a payload goes in; the payload.
        comes_out: valid and ready of the other end; the payload there.
    """

    def __init__(
        self,
        m: Module,
        name: str,
        chosen: Value,
        capacity: int,
        *,
        goes_in: tuple[Value, Value],
        comes_out: tuple[Value, Value, Value],
    ) -> None:
        enters, word = goes_in
        valid, ready, offered = comes_out
        leaves = valid & ready
        inside, ahead = (Signal(range(capacity + 2), name=f"{name}_{what}") for what in ("inside", "ahead"))
        followed = Signal(name=f"{name}_followed")
        expected = Signal(len(word), name=f"{name}_expected")
        m.d.sync += inside.eq(inside + enters - leaves)
        m.d.comb += [
            Assert(inside <= capacity, f"{name}: no more goes in than there is room for"),
            Assert(~valid | (inside != 0), f"{name}: nothing comes out that did not go in"),
            Cover(inside == capacity, f"{name}: it is full"),
        ]
        with m.If(enters & chosen & ~followed):
            m.d.sync += followed.eq(1), expected.eq(word), ahead.eq(inside - leaves)
        with m.If(followed & (ahead == 0)):
            m.d.comb += Assert(inside != 0, f"{name}: nothing is lost")
            with m.If(valid):
                m.d.comb += Assert(offered == expected, f"{name}: it comes out in its turn, unchanged")
                m.d.comb += Cover(expected.any(), f"{name}: it comes out")
        with m.If(followed & leaves):
            m.d.sync += ahead.eq(ahead - 1), followed.eq(ahead != 0)


class DeliversInOrder(Harness):
    """Each payload that goes in comes out once, unchanged, in its turn; and none that did not go in.

    Args:
        core: with streams ``i`` and ``o`` of one payload.
        capacity: payloads that it can hold.
    """

    def __init__(self, core: wiring.Component, capacity: int) -> None:
        self.capacity = capacity
        super().__init__(core, {"follow": 1})

    def claim(self, m: Module) -> None:
        """See the class."""
        i, o = self.core.i, self.core.o
        Follower(
            m,
            "payload",
            self.follow,
            self.capacity,
            goes_in=(i.valid & i.ready, Value.cast(i.payload)),
            comes_out=(o.valid, o.ready, Value.cast(o.payload)),
        )


class Reference(wiring.Component):
    """What the tokens of a core's beats must do: a chain of registers that pauses as a whole, and a skid buffer.

    Args:
        payload: that travels with a beat.
        before: registers before :meth:`middle`.
        after: registers after it.

    Members:
        i: tokens of the beats that the core takes.
        o: tokens that the core must offer, in the same clocks.
    """

    def __init__(self, payload: ShapeLike = 1, *, before: int, after: int = 0) -> None:
        self.before = before
        self.after = after
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    @property
    def capacity(self) -> int:
        """Tokens that it can hold."""
        return self.before + self.after + 2

    def elaborate(self, platform: object) -> Module:
        """The chain."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        pipeline = Pipeline(m, skid.i.ready)

        def later(value: Value, steps: int) -> Value:
            return pipeline.history(value, steps, reset=True)[-1]

        m.d.comb += self.i.ready.eq(pipeline.advance)
        valid, payload = later(self.i.valid, self.before), later(self.i.payload, self.before)
        valid, payload = self.middle(m, pipeline, valid, payload)
        m.d.comb += skid.i.valid.eq(later(valid, self.after)), skid.i.payload.eq(later(payload, self.after))
        return m

    def middle(self, m: Module, pipeline: Pipeline, valid: Value, last: Value) -> tuple[Value, Value]:
        """What else happens to tokens on their way."""
        return valid, last


class StretchedFrames(Reference):
    """Each token becomes `clocks`, the last of a frame `tail` more; the last of those is the frame's."""

    def __init__(self, *, clocks: int, tail: int, after: int) -> None:
        self.clocks = clocks
        self.tail = tail
        super().__init__(before=0, after=after)

    def middle(self, m: Module, pipeline: Pipeline, valid: Value, last: Value) -> tuple[Value, Value]:
        """See the class."""
        due, final = Signal(range(self.clocks + self.tail + 1)), Signal()
        left, ends = Signal.like(due), Signal()
        m.d.comb += [
            self.i.ready.eq(pipeline.advance & (due == 0)),
            left.eq(Mux(due == 0, self.clocks - 1 + Mux(last, self.tail, 0), due - 1)),
            ends.eq(Mux(due == 0, last, final)),
        ]
        given = valid | (due != 0)
        with m.If(pipeline.advance & given):
            m.d.sync += due.eq(left), final.eq(ends)
        return given, ends & (left == 0)


class DecimatedFrames(Reference):
    """Of each `clocks` tokens of a frame one stays; the frame's last of them is the last one.

    Therefore one waits for its successor or for its frame's end. What a frame ends with less of is dropped.
    """

    def __init__(self, *, clocks: int, after: int) -> None:
        self.clocks = clocks
        super().__init__(before=0, after=after)

    def middle(self, m: Module, pipeline: Pipeline, valid: Value, last: Value) -> tuple[Value, Value]:
        """See the class."""
        if self.clocks == 1:
            return valid, last
        number, completes = Signal(range(self.clocks)), Signal()
        waits, is_last = Signal(), Signal()
        m.d.comb += completes.eq(valid & (number == self.clocks - 1))
        given = waits & (is_last | completes | (valid & last))
        with m.If(pipeline.advance):
            with m.If(valid):
                m.d.sync += number.eq(Mux(completes | last, 0, number + 1))
            m.d.sync += waits.eq(completes | (waits & ~given)), is_last.eq(completes & last)
        return given, is_last | ~completes


class WaitingFrames(Reference):
    """Each token but a frame's last waits for its successor; all move on when the newest is not waiting.

    Args:
        before: registers before the line in which they wait.
        places: of the line.
        after: registers behind it.
    """

    def __init__(self, *, before: int, places: int, after: int) -> None:
        self.places = places
        super().__init__(before=before, after=after)

    @property
    def capacity(self) -> int:
        """Tokens that it can hold."""
        return super().capacity + self.places

    def middle(self, m: Module, pipeline: Pipeline, valid: Value, last: Value) -> tuple[Value, Value]:
        """See the class."""
        line = [(Signal(name=f"valid_{n}"), Signal(name=f"last_{n}")) for n in range(self.places)]
        newest, newest_is_last = line[0]
        moves = pipeline.advance & (valid | ~newest | newest_is_last)
        with m.If(moves):
            for (here, here_last), (there, there_last) in zip(line, [(valid, last), *line], strict=False):
                m.d.sync += here.eq(there), here_last.eq(there_last)
        oldest, oldest_is_last = line[-1]
        return moves & oldest, oldest_is_last


class FollowsReference(Harness):
    """Valid and ``last`` of a core's output are in every clock those of a reference that takes the same beats.

    So no beat is lost, doubled, made up or moved, and latency and throughput are what the reference has.

    Args:
        core: with streams ``i`` and ``o`` with ``last``.
        reference: see :class:`Reference`.
        is_open: of the core and the module: whether it takes beats at all.
    """

    def __init__(
        self, core: wiring.Component, reference: Reference, is_open: Callable[[wiring.Component, Module], Value]
    ) -> None:
        self.reference = reference
        self.is_open = is_open
        super().__init__(core)

    def claim(self, m: Module) -> None:
        """See the class."""
        i, o = self.core.i, self.core.o
        m.submodules.reference = reference = self.reference
        m.d.comb += [
            reference.i.valid.eq(i.valid & i.ready),
            reference.i.payload.eq(i.payload.last),
            reference.o.ready.eq(o.ready),
            Assert(i.ready == (reference.i.ready & self.is_open(self.core, m)), "it is ready when it should be"),
            Assert(o.valid == reference.o.valid, "a beat comes out when one should"),
        ]
        with m.If(o.valid):
            m.d.comb += [
                Assert(o.payload.last == reference.o.payload, "last comes out where it should"),
                Cover(o.payload.last & ~reference.i.ready, "a frame's last beat waits while nothing is taken"),
            ]
