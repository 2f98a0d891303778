"""Positions of the resampler's outputs, computed ahead of the samples."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.stream import RETIME
from ...dsp.pipeline import Pipeline
from .kernel import AHEAD, PHASES
from .model import DROPPED, FRACTION, HALF, JUMP_BITS, JUMP_FRACTION, MAXIMUM_STEP, MINIMUM_STEP, STEP_BITS, UNIT_STEP

COMMANDS = 4
"""Commands that wait for their output; more of them wait at the port."""
NUMBER_BITS = 32
FAR_BEATS = 16
"""A command that acts so many beats later or more is made ready without orders waiting for it."""
INDEX_BITS = 8
"""Of a position's whole samples: what two outputs and a jump are apart fits half of it."""


class Orders(wiring.Component):
    """What the resampler computes, one order for each beat of outputs.

    Positions are kept modulo 2**8 samples: only their differences count. A command is made ready while others are
    under way: its jump is held to minus one step, and added to what the position then advances by, so that the loop of
    the position is one adder. Orders wait for one that is to act soon, and for no other: while they wait no sample is
    taken, and a converter that never pauses would leave no clock to make good for it. (`load` while one waits: its jump
    keeps to the old step.)

    Args:
        words_per_clock: outputs and samples per clock W.

    Members:
        run: orders are given.
        load: take `step` for all that follows.
        step: see there.
        retime: commands.
        number: of the next output.
        late: a pulse, a clock after: a command was late.
        refused: a pulse: a command's step was out of range.
        o: of each beat of outputs: ``beats`` of samples that must come for it, more than for the one before it; of each
            output ``places``, how far before the latest sample then its window ends; and ``phases``.
    """

    def __init__(self, *, words_per_clock: int) -> None:
        self.words_per_clock = w = words_per_clock
        self.places = [
            w - 1 + (((w - 1 - lane) * MAXIMUM_STEP >> FRACTION) + 1 if lane < w - 1 else 0) for lane in range(w)
        ]
        """The largest place of each output."""
        farthest = (w * MAXIMUM_STEP >> FRACTION) + (1 << (JUMP_BITS - JUMP_FRACTION - 1)) + 2 + AHEAD
        self.beats = farthest // w + 2
        layout = data.StructLayout(
            {
                "beats": range(self.beats + 1),
                "places": data.StructLayout({str(n): range(place + 1) for n, place in enumerate(self.places)}),
                "phases": data.ArrayLayout(exact_log2(PHASES), w),
            }
        )
        super().__init__(
            {
                "run": In(1),
                "load": In(1),
                "step": In(STEP_BITS),
                "retime": In(stream.Signature(RETIME)),
                "number": Out(NUMBER_BITS),
                "late": Out(1),
                "refused": Out(1),
                "o": Out(stream.Signature(layout)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        w = self.words_per_clock
        bits = INDEX_BITS + FRACTION
        step = Signal(STEP_BITS, init=UNIT_STEP)
        ready, at, pace, jump, further, waits = self._command(m, step)
        pipeline = Pipeline(m, ~self.o.valid | self.o.ready)
        # `due` stands before it is known whether there is room for an order.
        give, due, act = Signal(), Signal(), Signal()
        past = (self.number - at)[:NUMBER_BITS]
        m.d.comb += [
            give.eq(self.run & ~waits & ~self.load & pipeline.advance),
            due.eq(ready & ~past[-1]),
            act.eq(give & due),
        ]
        acted, overdue = Signal(), Signal.like(past)
        m.d.sync += acted.eq(act), overdue.eq(past)
        m.d.comb += self.late.eq(acted & overdue[exact_log2(w) :].any())
        position = Signal(bits)
        with m.If(give):
            m.d.sync += [
                self.number.eq(self.number + w),
                position.eq(position + Mux(due, further, step << exact_log2(w))),
            ]
        with m.If(act):
            m.d.sync += step.eq(pace), ready.eq(0)
        with m.If(self.load):
            m.d.sync += step.eq(self.step)

        # The beat's position and step; each output's position, rounded; what it asks for.
        begin = pipeline.register((position + Mux(due, jump, 0))[:bits])
        stride = pipeline.register(Mux(due, pace, step))
        valid = pipeline.history(give, 3, reset=True)
        lanes = [pipeline.register((begin + _times(stride, lane) + HALF)[DROPPED:bits]) for lane in range(w)]
        index_from = exact_log2(PHASES)
        last = lanes[-1][index_from:]
        need = ((last + AHEAD)[:INDEX_BITS] >> exact_log2(w)) + 1
        needed = Signal(INDEX_BITS - exact_log2(w))
        with m.If(pipeline.advance & valid[2]):
            m.d.sync += needed.eq(need)
        m.d.comb += self.o.valid.eq(valid[3])
        m.d.comb += self.o.payload.beats.eq(pipeline.register((need - needed)[: len(needed)]))
        for lane, rounded in enumerate(lanes):
            place = (need << exact_log2(w)) - 1 - AHEAD - rounded[index_from:]
            field = self.o.payload.places[str(lane)]
            m.d.comb += field.eq(pipeline.register(place[: len(field)]))
            m.d.comb += self.o.payload.phases[lane].eq(pipeline.register(rounded[:index_from]))
        return m

    def _command(self, m: Module, step: Value) -> tuple[Signal, Value, Value, Value, Value, Value]:
        """The next command: whether it is ready, its output, its step, its jump, what the position then advances by
        in one beat, and whether orders must wait for it."""
        m.submodules.commands = commands = SyncFIFOBuffered(width=len(Value.cast(self.retime.payload)), depth=COMMANDS)
        command = data.View(RETIME, commands.r_data).words
        ready, stage = Signal(), Signal(2)
        at, pace = Signal(NUMBER_BITS), Signal(STEP_BITS)
        jump_bits = JUMP_BITS + FRACTION - JUMP_FRACTION
        wanted, net = Signal(signed(jump_bits)), Signal(signed(jump_bits + 1))
        jump, further = Signal(signed(jump_bits)), Signal(signed(INDEX_BITS + FRACTION))
        in_range = Signal()
        # Of the oldest command, a clock after it came there: whether it is far.
        seen, pop, popped, far, near = Signal(), Signal(), Signal(), Signal(), Signal()
        ahead = (command.at - self.number)[:NUMBER_BITS]
        m.d.sync += [
            seen.eq(commands.r_rdy & ~commands.r_en),
            popped.eq(pop),
            far.eq(~ahead[-1] & ahead[exact_log2(FAR_BEATS * self.words_per_clock) :].any()),
        ]
        m.d.comb += [
            self.retime.ready.eq(commands.w_rdy),
            commands.w_en.eq(self.retime.valid),
            commands.w_data.eq(self.retime.payload),
        ]
        with m.If(self.load):
            m.d.sync += stage.eq(0)
        with m.Elif((stage == 0) & self.run & seen & ~ready & ~pop):
            m.d.sync += [
                near.eq(~far),
                at.eq(command.at),
                pace.eq(command.step),
                wanted.eq(command.jump << (FRACTION - JUMP_FRACTION)),
                net.eq((command.jump << (FRACTION - JUMP_FRACTION)) + step),
                in_range.eq((command.step >= MINIMUM_STEP) & (command.step <= MAXIMUM_STEP)),
                stage.eq(1),
            ]
        with m.Elif(stage == 1):
            m.d.sync += jump.eq(Mux(net < 0, -step, wanted)), stage.eq(Mux(in_range, 2, 0))
        with m.Elif(stage == 2):
            m.d.sync += further.eq(jump + (pace << exact_log2(self.words_per_clock))), stage.eq(0), ready.eq(1)
        m.d.comb += self.refused.eq((stage == 1) & ~in_range & ~self.load), commands.r_en.eq(pop)
        m.d.sync += pop.eq(self.refused | ((stage == 2) & ~self.load))
        # One that just came behind another may have to act with the next beat.
        waits = ((stage != 0) & near) | (commands.r_rdy & ~ready & Mux(seen, ~far, popped))
        return ready, at, pace, jump, further, waits


def _times(word: Value, factor: int) -> Value:
    """A word times a small constant, without a multiplier."""
    return sum((word << bit for bit in range(factor.bit_length()) if factor >> bit & 1), Cat())
