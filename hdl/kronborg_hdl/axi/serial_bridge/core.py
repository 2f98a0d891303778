"""The serial bridge in Amaranth: a serial line on one side, AXI4-Lite and streams on the other."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bank import axi4_lite
from ..stream import SkidBuffer
from ..width import row_of_bits
from .channels import WORD_BITS, IntoDesign, OutOfDesign
from .framing import MESSAGE, Deframer, Framer
from .manager import Manager
from .protocol import (
    ANSWER,
    CRC_BYTES,
    DECERR,
    FETCH,
    HEAD,
    HELLO,
    LENGTHS,
    LINE_BYTES,
    MAGIC,
    MOST_PUSHED,
    POSITION_BITS,
    PUSH,
    REFUSED,
    VERSION,
    WORD_BYTES,
    Kind,
    State,
)
from .uart import UartReceiver, UartTransmitter, bit_period

RESET_CLOCKS = 16
"""For which a RESET holds the design: longer than any pipeline needs to see it."""
_REQUEST_BYTES = HEAD.size + max(LENGTHS.values())
_PUSH_HEAD = HEAD.size + PUSH.size
_LONGEST = _PUSH_HEAD + MOST_PUSHED * WORD_BYTES + CRC_BYTES
_BROKEN_BITS = 16


class SerialBridge(wiring.Component):
    """Registers and streams of a design over a serial line, see ``protocol``.

    Requests are carried out one after the other, in their order; others wait in a buffer of ``LINE_BYTES``, and what
    does not fit there is lost and breaks its frame. An access to registers takes as long as the design takes.

    Args:
        clock_hz: of the domain.
        baud: of the line, bits per second.
        address_bits: of the design's registers.
        inputs: names of the streams of packets into the design.
        outputs: of those out of it.
        depth: words in the buffer of each stream, a power of two.

    Members:
        receive: the wire from the host.
        transmit: the wire to it.
        reset: the design's, high.
        bus: AXI4-Lite to its registers.
        i_<name>: packets out of the design, words of 32 bits.
        o_<name>: packets into it.

    Raises:
        ValueError: the line is too fast for the clock, or a buffer has a size that there is not.
    """

    def __init__(
        self,
        *,
        clock_hz: float,
        baud: float,
        address_bits: int,
        inputs: Iterable[str] = (),
        outputs: Iterable[str] = (),
        depth: int = 2048,
    ) -> None:
        if depth & (depth - 1) or not MOST_PUSHED <= depth < 1 << POSITION_BITS:
            raise ValueError(
                f"{depth} words in a buffer: a power of two from {MOST_PUSHED} to {1 << POSITION_BITS - 1}"
            )
        self.period = bit_period(clock_hz, baud)
        self.address_bits, self.depth = address_bits, depth
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        packets = stream.Signature(row_of_bits(WORD_BITS))
        super().__init__(
            {
                "receive": In(1, init=1),
                "transmit": Out(1, init=1),
                "reset": Out(1),
                "bus": Out(axi4_lite(address_bits)),
                **{f"i_{name}": In(packets) for name in self.outputs},
                **{f"o_{name}": Out(packets) for name in self.inputs},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.period)
        m.submodules.line = line = SyncFIFOBuffered(width=8, depth=LINE_BYTES)
        m.submodules.deframer = deframer = Deframer()
        m.submodules.framer = framer = Framer()
        # Between them, so that no path leads from a request's state through the framer and back.
        m.submodules.message = message = SkidBuffer(MESSAGE)
        m.submodules.transmitter = transmitter = UartTransmitter(self.period)
        m.submodules.manager = manager = Manager(self.address_bits)
        m.d.comb += [
            receiver.wire.eq(self.receive),
            line.w_data.eq(receiver.byte),
            line.w_en.eq(receiver.valid),
            self.transmit.eq(transmitter.wire),
        ]
        connect(m, line.r_stream, deframer.i)
        connect(m, message.o, framer.i)
        connect(m, framer.o, transmitter.i)
        connect(m, manager.bus, flipped(self.bus))
        clear = Signal()
        outs, ins = [], []
        for name in self.outputs:
            m.submodules[f"out_{name}"] = out = OutOfDesign(self.depth)
            connect(m, flipped(getattr(self, f"i_{name}")), out.i)
            m.d.comb += out.clear.eq(clear)
            outs.append(out)
        for name in self.inputs:
            m.submodules[f"in_{name}"] = into = IntoDesign(self.depth)
            connect(m, into.o, flipped(getattr(self, f"o_{name}")))
            m.d.comb += into.clear.eq(clear)
            ins.append(into)
        _Requests(self, m, deframer, message, manager, clear, outs, ins).build()
        return m


class _Requests:
    """The one state machine: a request comes, is carried out, and is answered."""

    def __init__(
        self,
        bridge: SerialBridge,
        m: Module,
        deframer: Deframer,
        message: SkidBuffer,
        manager: Manager,
        clear: Signal,
        outs: list[OutOfDesign],
        ins: list[IntoDesign],
    ) -> None:
        self.bridge, self.m, self.manager, self.clear = bridge, m, manager, clear
        self.content, self.message, self.outs, self.ins = deframer.o, message.i, outs, ins
        # The request's bytes in their order, and how many came, its CRC among them.
        self.request = Signal(8 * _REQUEST_BYTES)
        self.came = Signal(range(_LONGEST + 2))
        sequence = self.request[: 8 * 2]
        self.kind = self.request[8 * 2 : 8 * HEAD.size]
        self.body = self.request[8 * HEAD.size :]
        self.channel = self.body[:8]
        self.sequence = sequence
        # The answer's bytes, how many of them are left, and what follows them.
        self.answer = Signal(8 * (HEAD.size + HELLO.size))
        self.left = Signal(range(HEAD.size + HELLO.size + 1))
        self.fetching = Signal()
        self.at, self.end = Signal(POSITION_BITS), Signal(POSITION_BITS)
        self.state, self.place = Signal(8), Signal(range(WORD_BYTES))
        self.word, self.ends = Signal(WORD_BITS), Signal()
        # Words of a PUSH: the last two that are whole, for the CRC comes behind them.
        self.gathered, self.before = Signal(WORD_BITS), Signal(WORD_BITS)
        self.words = Signal(range(MOST_PUSHED + 3))
        self.broken = Signal(_BROKEN_BITS)
        # The last access to registers, so that it is not carried out twice.
        self.last_sequence, self.last_kind, self.has_last = Signal(16), Signal(8), Signal()
        # Its address was none of the design's.
        self.beyond = Signal()
        # Of a FETCH: what is released, the first word, how many; of each channel whether they lie in its buffer, and
        # how many words are there. Of a PUSH: whether its words are the next ones, and fit.
        self.asked = [self.body[8 + 16 * n : 24 + 16 * n] for n in range(3)]
        self.lie = [
            (Signal(name=f"inside_{n}"), Signal(POSITION_BITS, name=f"there_{n}")) for n, _ in enumerate(self.outs)
        ]
        self.fit = [Signal(name=f"fits_{n}") for n, _ in enumerate(self.ins)]

    def build(self) -> None:
        """All states."""
        m = self.m
        word, last = Signal(WORD_BITS), Signal()
        self._weigh()
        for number, out in enumerate(self.outs):
            m.d.comb += out.at.eq(self.at)
            with m.If(self.channel == number):
                m.d.comb += word.eq(out.word), last.eq(out.last)
        with m.FSM():
            with m.State("REQUEST"):
                m.d.comb += self.content.ready.eq(1)
                with m.If(self.content.valid):
                    with m.If(self.content.payload.end):
                        with m.If(self.content.payload.good & (self.came > HEAD.size + CRC_BYTES - 1)):
                            m.next = "CARRY OUT"
                        with m.Else():
                            m.d.sync += self.came.eq(0)
                            with m.If(~self.broken.all()):
                                m.d.sync += self.broken.eq(self.broken + 1)
                    with m.Else():
                        self._gather()
            with m.State("CARRY OUT"):
                m.d.sync += self.came.eq(0), self.fetching.eq(0)
                m.next = "ANSWER"
                self._say(REFUSED)
                self._hello()
                self._reset()
                self._access()
                self._fetch()
                self._push()
            with m.State("RESET"):
                m.d.comb += self.bridge.reset.eq(1), self.clear.eq(1)
                m.d.sync += self.words.eq(self.words + 1)
                with m.If(self.words == RESET_CLOCKS - 1):
                    m.next = "ANSWER"
            with m.State("ACCESS"), m.If(self.manager.done):
                m.next = "TELL"
            with m.State("TELL"):
                m.next = "ANSWER"
                response = Mux(self.beyond, DECERR, self.manager.response)
                with m.If(self.last_kind == Kind.READ):
                    self._say(ANSWER | Kind.READ, (response, 8), (Mux(self.beyond, 0, self.manager.word), WORD_BITS))
                with m.Else():
                    self._say(ANSWER | Kind.WRITE, (response, 8))
            self._send(word, last)

    def _weigh(self) -> None:
        """Compare a request with the buffers, of whatever kind it is: to know that first would be a long way.

        It is known a clock later, and the CRC that lies behind the request takes longer. What the design does in
        between makes a buffer fuller by a word: what lay there and what fitted still does.
        """
        release, position, _ = self.asked
        for out, (inside, there) in zip(self.outs, self.lie, strict=True):
            used, freed, ahead = ((number - out.first)[:POSITION_BITS] for number in (out.next, release, position))
            self.m.d.sync += [
                inside.eq((freed <= used) & (ahead <= used) & (ahead >= freed)),
                there.eq(used - ahead),
            ]
        for into, fits in zip(self.ins, self.fit, strict=True):
            self.m.d.sync += fits.eq((self.body[8:24] == into.next) & (self.words <= into.room))

    def _gather(self) -> None:
        """A byte of a request."""
        m, byte = self.m, self.content.payload.byte
        with m.If(self.came < _REQUEST_BYTES):
            m.d.sync += self.request.word_select(self.came, 8).eq(byte)
        with m.If(self.came != _LONGEST + 1):
            m.d.sync += self.came.eq(self.came + 1)
        with m.If(self.came < _PUSH_HEAD):
            m.d.sync += self.words.eq(0)
        with m.Elif(self.came <= _LONGEST):
            m.d.sync += self.gathered.eq(Cat(self.gathered[8:], byte))
            # A word is whole when the first byte of the next one comes.
            with m.If(self._at_a_word() & (self.came != _PUSH_HEAD)):
                m.d.sync += self.before.eq(self.gathered), self.words.eq(self.words + 1)
                self._put(last=Const(0))

    def _at_a_word(self) -> Value:
        """Whole words came behind the head of a PUSH."""
        return (self.came - _PUSH_HEAD)[: WORD_BYTES.bit_length() - 1] == 0

    def _put(self, last: Value) -> None:
        """The word before the one that is gathered into each buffer: only the one that commits it keeps it."""
        m = self.m
        for into in self.ins:
            m.d.comb += [
                into.at.eq(into.next + self.words - 1),
                into.word.eq(self.before),
                into.last.eq(last),
                into.write.eq((self.words != 0) & (self.words <= into.room)),
            ]

    def _say(self, kind: int, *parts: tuple[Value | int, int]) -> None:
        """An answer: values and their widths, one behind the other."""
        fields = [Const(value, bits) if isinstance(value, int) else Value.cast(value) for value, bits in parts]
        padded = [Cat(field, Const(0, bits - len(field))) for field, (_, bits) in zip(fields, parts, strict=True)]
        whole = Cat(self.sequence, Const(kind, 8), *padded)
        self.m.d.sync += self.answer.eq(whole), self.left.eq(len(whole) // 8)

    def _is(self, kind: Kind, length: int) -> Value:
        return (self.kind == kind) & (self.came == HEAD.size + length + CRC_BYTES)

    def _hello(self) -> None:
        m, bridge = self.m, self.bridge
        with m.If(self._is(Kind.HELLO, LENGTHS[Kind.HELLO])):
            m.d.sync += self.has_last.eq(0)
            self._say(
                ANSWER | Kind.HELLO,
                (int.from_bytes(MAGIC, "little"), 8 * len(MAGIC)),
                (VERSION, 8),
                (bridge.depth.bit_length() - 1, 8),
                (len(self.ins), 8),
                (len(self.outs), 8),
                (self.broken, _BROKEN_BITS),
            )

    def _reset(self) -> None:
        m = self.m
        with m.If(self._is(Kind.RESET, LENGTHS[Kind.RESET])):
            m.d.sync += self.has_last.eq(0), self.words.eq(0)
            self._say(ANSWER | Kind.RESET)
            m.next = "RESET"

    def _access(self) -> None:
        m, manager = self.m, self.manager
        write = self._is(Kind.WRITE, LENGTHS[Kind.WRITE])
        again = self.has_last & (self.sequence == self.last_sequence) & (self.kind == self.last_kind)
        m.d.comb += [
            manager.address.eq(self.body[: self.bridge.address_bits]),
            manager.data.eq(self.body[WORD_BITS:]),
            manager.write.eq(write),
        ]
        with m.If(write | self._is(Kind.READ, LENGTHS[Kind.READ])):
            m.d.sync += self.has_last.eq(1), self.last_sequence.eq(self.sequence), self.last_kind.eq(self.kind)
            m.next = "TELL"
            with m.If(~again):
                beyond = self.body[self.bridge.address_bits : WORD_BITS] != 0
                m.d.sync += self.beyond.eq(beyond)
                with m.If(~beyond):
                    m.d.comb += manager.start.eq(1)
                    m.next = "ACCESS"

    def _fetch(self) -> None:
        m = self.m
        release, position, count = self.asked
        for number, (out, (inside, there)) in enumerate(zip(self.outs, self.lie, strict=True)):
            m.d.comb += out.to.eq(release)
            with m.If(self._is(Kind.FETCH, FETCH.size) & (self.channel == number)):
                m.d.comb += out.release.eq(inside)
                begin = Mux(inside, position, out.first)
                m.d.sync += [
                    self.fetching.eq(1),
                    self.place.eq(0),
                    self.at.eq(begin),
                    self.end.eq(Mux(inside, position + Mux(count < there, count, there), out.first)),
                    self.state.eq(Mux(inside, 0, State.OUTSIDE)),
                ]
                self._say(ANSWER | Kind.FETCH, (self.channel, 8), (begin, POSITION_BITS))

    def _push(self) -> None:
        """Words and CRC are whole: the last word is the one before."""
        m = self.m
        last = self.body[24]
        whole = (self.came > _PUSH_HEAD + CRC_BYTES) & (self.came <= _LONGEST) & self._at_a_word()
        for number, (into, fits) in enumerate(zip(self.ins, self.fit, strict=True)):
            with m.If((self.kind == Kind.PUSH) & whole & (self.channel == number)):
                with m.If(fits):
                    self._put(last)
                    m.d.comb += into.commit.eq(1)
                now = into.next + Mux(fits, self.words, 0)
                left = into.room - Mux(fits, self.words, 0)
                self._say(
                    ANSWER | Kind.PUSH,
                    (self.channel, 8),
                    (now[:POSITION_BITS], POSITION_BITS),
                    (left[:POSITION_BITS], POSITION_BITS),
                )

    def _send(self, word: Value, last: Value) -> None:
        """The answer's bytes; of a FETCH words behind them, and its state."""
        m, message = self.m, self.message
        with m.State("ANSWER"):
            m.d.comb += [
                message.valid.eq(1),
                message.payload.byte.eq(self.answer[:8]),
                message.payload.last.eq((self.left == 1) & ~self.fetching),
            ]
            with m.If(message.ready):
                m.d.sync += self.answer.eq(self.answer >> 8), self.left.eq(self.left - 1)
                with m.If(self.left == 1):
                    m.next = "REQUEST"
                    with m.If(self.fetching):
                        m.next = "LOOK"
        with m.State("LOOK"):
            m.next = "READ"
        with m.State("READ"):
            m.next = "STATE"
            # A memory's output comes late in its clock.
            m.d.sync += self.word.eq(word), self.ends.eq(last)
            with m.If((self.at != self.end) & ~self.state[0]):
                m.next = "WORDS"
        with m.State("WORDS"):
            m.d.comb += message.valid.eq(1), message.payload.byte.eq(self.word.word_select(self.place, 8))
            with m.If(message.ready):
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(self.place == WORD_BYTES - 1):
                    m.d.sync += self.at.eq(self.at + 1), self.state.eq(Mux(self.ends, State.LAST, 0))
                    m.next = "LOOK"
        with m.State("STATE"):
            m.d.comb += message.valid.eq(1), message.payload.byte.eq(self.state), message.payload.last.eq(1)
            with m.If(message.ready):
                m.next = "REQUEST"
