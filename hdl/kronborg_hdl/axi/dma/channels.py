"""The two halves of the DMA engine: memory to stream, and stream to memory."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..memory import (
    BURST_BEATS,
    DECERR,
    INCREMENTING,
    NORMAL_BUFFERABLE,
    SLVERR,
    UNPRIVILEGED_DATA,
    axi4_read,
    axi4_write,
)
from .registers import LENGTH_BITS

BURSTS = 4
"""Bursts that a channel's memory holds."""
FIFO_BEATS = BURSTS * BURST_BEATS
DATA_BITS = (32, 64, 128)
ROW_BITS = exact_log2(BURST_BEATS)

ORDER = wiring.Signature(
    {
        "run": Out(1),
        "reset": Out(1),
        "address": Out(64),
        "bytes": Out(LENGTH_BITS),
        "start": Out(1),
        "halted": In(1),
        "idle": In(1),
        "internal_error": In(1),
        "slave_error": In(1),
        "decode_error": In(1),
        "completed": In(1),
        "failed": In(1),
    }
)
"""Between registers and channel, as the registers have it. ``completed`` and ``failed`` are high for one clock."""


def packets(data_bits: int) -> data.StructLayout:
    """Payload of a packet's stream: so many bits, and ``last``."""
    return data.StructLayout({"words": data_bits, "last": 1})


class Channel(wiring.Component):
    """What both halves have: orders and errors.

    After an error, or when ``run`` is taken away, nothing more is asked of memory; the channel halts when everything
    that it was asked for has been answered. A transfer under way is then given up, even if ``run`` is back by then.

    Args:
        address_bits: of memory, 16 to 64.
        data_bits: of memory and stream: 32, 64 or 128.
        members: beside ``order``.

    Raises:
        ValueError: widths that there are not.
    """

    def __init__(self, *, address_bits: int, data_bits: int, members: dict[str, wiring.Member]) -> None:
        if data_bits not in DATA_BITS:
            raise ValueError(f"memory of {data_bits} bits: must be one of {', '.join(map(str, DATA_BITS))}")
        if not 16 <= address_bits <= 64:
            raise ValueError(f"addresses of {address_bits} bits: must be 16 to 64")
        self.address_bits, self.data_bits = address_bits, data_bits
        self._shift = exact_log2(data_bits // 8)
        # A transfer that has to stop is given up, even if the reason is gone before memory has answered.
        self.giving_up = Signal()
        super().__init__({"order": In(ORDER), **members})

    def _control(
        self, m: Module, *, quiet: Value, finished: Value, response: Value, overrun: Value
    ) -> tuple[Value, Value, Value]:
        """Start, stop and errors. Returns: a transfer begins in this clock, one is under way, the channel has to stop.

        Args:
            m: the channel's module.
            quiet: memory has answered everything.
            finished: the transfer under way is complete.
            response: of memory, in this clock; zero if there is none.
            overrun: the transfer under way was too long for its buffer.
        """
        order = self.order
        busy, halted = Signal(), Signal(init=1)
        begin, stop, error, bad_length = Signal(), Signal(), Signal(), Signal()
        erred = order.internal_error | order.slave_error | order.decode_error
        giving_up = self.giving_up
        m.d.sync += giving_up.eq(stop & busy & ~quiet)
        m.d.comb += [
            stop.eq(~order.run | order.reset | erred | giving_up),
            bad_length.eq(order.start & ~stop & (order.bytes[self._shift :] == 0)),
            begin.eq(order.start & ~stop & ~busy & ~bad_length),
            error.eq(~erred & (bad_length | (busy & ~giving_up & (overrun | response[1]))) & order.run),
            order.halted.eq(halted),
            order.idle.eq(~busy),
            order.completed.eq(busy & finished & ~stop & ~error),
            order.failed.eq(error),
        ]
        with m.If(begin):
            m.d.sync += busy.eq(1)
        with m.Elif(Mux(stop, quiet, finished & ~error)):
            m.d.sync += busy.eq(0)
        m.d.sync += halted.eq(stop & ~(busy & ~quiet))
        with m.If(order.reset | (~order.run & halted)):
            m.d.sync += order.internal_error.eq(0), order.slave_error.eq(0), order.decode_error.eq(0)
        with m.Elif(error):
            m.d.sync += [
                order.internal_error.eq(bad_length | overrun),
                order.slave_error.eq(response == SLVERR),
                order.decode_error.eq(response == DECERR),
            ]
        return begin, busy, stop

    def _constants(self, m: Module, bus: wiring.PureInterface, channel: str) -> None:
        """What is the same in every address."""
        m.d.comb += [
            getattr(bus, f"{channel}size").eq(self._shift),
            getattr(bus, f"{channel}burst").eq(INCREMENTING),
            getattr(bus, f"{channel}cache").eq(NORMAL_BUFFERABLE),
            getattr(bus, f"{channel}prot").eq(UNPRIVILEGED_DATA),
        ]


class Sender(Channel):
    """Read a packet from memory and send it.

    Bursts are of up to 16 beats and end where an address is a multiple of as many, so that none crosses 4 KiB. One is
    asked for when there is room for 16: memory never waits for the stream.

    Throughput: one beat per clock, as long as memory answers within the 48 beats that are asked for ahead.

    Args:
        address_bits: of memory, 16 to 64.
        data_bits: of memory and stream: 32, 64 or 128.

    Members:
        order: from the registers.
        o: the packet, ``last`` with its last beat.
        bus: read channels to memory.
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        members = {
            "o": Out(stream.Signature(packets(data_bits))),
            "bus": Out(axi4_read(address_bits, data_bits)),
        }
        super().__init__(address_bits=address_bits, data_bits=data_bits, members=members)
        # The proofs speak of these.
        self.place = Signal(self.address_bits - self._shift)  # the beat that is asked for next
        self.to_ask, self.to_send = Signal(LENGTH_BITS - self._shift), Signal(LENGTH_BITS - self._shift)
        self.claimed = Signal(range(FIFO_BEATS + 1))  # beats asked for that have not gone out
        self.unanswered = Signal(range(FIFO_BEATS + 1))
        self.beats, self.known = Signal(range(BURST_BEATS + 1)), Signal()  # of the next burst, and whether that is so
        self.fifo = SyncFIFOBuffered(width=data_bits, depth=FIFO_BEATS)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        bus, order, o = self.bus, self.order, self.o
        place, to_ask, to_send = self.place, self.to_ask, self.to_send
        claimed, unanswered, fifo = self.claimed, self.unanswered, self.fifo
        arrived, left, quiet = Signal(), Signal(), Signal()
        m.d.comb += [
            arrived.eq(bus.rvalid & bus.rready),
            left.eq(o.valid & o.ready),
            quiet.eq((unanswered == 0) & ~bus.arvalid),
        ]
        begin, busy, stop = self._control(
            m,
            quiet=quiet,
            finished=left & o.payload.last,
            response=Mux(arrived, bus.rresp, 0),
            overrun=Signal(),  # nothing that is read can be too long
        )
        self._constants(m, bus, "ar")

        beats, ask = self.beats, Signal()
        left_in_row = BURST_BEATS - place[:ROW_BITS]
        # The burst's length takes a clock of its own: a longer path would limit the clock.
        m.d.sync += [
            beats.eq(Mux(to_ask < left_in_row, to_ask, left_in_row)),
            self.known.eq(~(begin | ask)),
        ]
        m.d.comb += ask.eq(
            busy & ~stop & ~bus.arvalid & self.known & beats.any() & (claimed <= FIFO_BEATS - BURST_BEATS)
        )
        with m.If(bus.arready):
            m.d.sync += bus.arvalid.eq(0)
        with m.If(begin):
            m.d.sync += place.eq(order.address[self._shift :])
            m.d.sync += (count.eq(order.bytes[self._shift :]) for count in (to_ask, to_send))
        with m.If(ask):
            m.d.sync += [
                bus.arvalid.eq(1),
                bus.araddr.eq(place << self._shift),
                bus.arlen.eq(beats - 1),
                place.eq(place + beats),
                to_ask.eq(to_ask - beats),
            ]
        m.d.sync += [
            claimed.eq(Mux(busy, claimed + Mux(ask, beats, 0) - left, 0)),
            unanswered.eq(unanswered + Mux(ask, beats, 0) - arrived),
        ]

        # What is read for a transfer that was given up goes nowhere.
        m.submodules.fifo = ResetInserter(~busy | stop)(fifo)
        m.d.comb += [
            bus.rready.eq(1),
            fifo.w_data.eq(bus.rdata),
            fifo.w_en.eq(arrived),
            fifo.r_en.eq(o.ready),
            o.valid.eq(fifo.r_rdy),
            o.payload.words.eq(fifo.r_data),
            o.payload.last.eq(to_send == 1),
        ]
        with m.If(left):
            m.d.sync += to_send.eq(to_send - 1)
        return m


class Receiver(Channel):
    """Write a packet to memory.

    Bursts are of up to 16 beats and end with the packet or where an address is a multiple of as many, so that none
    crosses 4 KiB. One is asked for when all of it is there: the stream never makes memory wait.

    Without a transfer the stream waits. A packet longer than its buffer is an internal error: what fits is in memory
    and the channel halts. The rest of a packet that was not received whole, for this or because the channel was
    stopped, is thrown away, up to its end, so that the next transfer begins with a packet. A reset forgets that too.

    Throughput: one beat per clock, as long as memory takes it.

    Args:
        address_bits: of memory, 16 to 64.
        data_bits: of memory and stream: 32, 64 or 128.

    Members:
        order: from the registers.
        received: bytes of the last packet that memory has.
        i: the packet.
        bus: write channels to memory.
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        members = {
            "received": Out(LENGTH_BITS),
            "i": In(stream.Signature(packets(data_bits))),
            "bus": Out(axi4_write(address_bits, data_bits)),
        }
        super().__init__(address_bits=address_bits, data_bits=data_bits, members=members)
        # The proofs speak of these.
        self.place = Signal(address_bits - self._shift)  # of the next beat
        beat_bits = LENGTH_BITS - self._shift
        self.room, self.taken = Signal(beat_bits), Signal(beat_bits)  # beats that the buffer has left, and has
        self.ended, self.too_long, self.skipping = Signal(), Signal(), Signal()
        self.accept, self.close = Signal(), Signal()  # a beat is taken into a burst, which it closes
        self.length = Signal(range(BURST_BEATS))  # beats of the burst that is being gathered
        self.unanswered = Signal(range(4 * BURSTS))  # bursts, from when all of one is there
        self.burst = data.StructLayout({"place": len(self.place), "length": range(BURST_BEATS)})
        self.bursts = SyncFIFOBuffered(width=self.burst.size, depth=BURSTS)
        self.lengths = SyncFIFOBuffered(width=self.burst["length"].width, depth=BURSTS)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        bus, order, i = self.bus, self.order, self.i
        place, room, taken, length = self.place, self.room, self.taken, self.length
        ended, too_long, skipping = self.ended, self.too_long, self.skipping
        accept, close, unanswered = self.accept, self.close, self.unanswered
        answered = Signal()
        m.d.comb += answered.eq(bus.bvalid & bus.bready)
        written = ended & (unanswered == 0)
        begin, busy, stop = self._control(
            m,
            quiet=unanswered == 0,
            finished=written & ~too_long,
            response=Mux(answered, bus.bresp, 0),
            overrun=written & too_long,
        )
        self._constants(m, bus, "aw")

        # Beats of a transfer that was given up, and that no burst has, go nowhere.
        m.submodules.fifo = fifo = ResetInserter(~busy)(SyncFIFOBuffered(width=self.data_bits, depth=FIFO_BEATS))
        m.submodules.bursts, m.submodules.lengths = bursts, lengths = self.bursts, self.lengths

        takes = busy & ~stop & ~ended & fifo.w_rdy & bursts.w_rdy & (unanswered < 3 * BURSTS)
        m.d.comb += [
            i.ready.eq(skipping | takes),
            accept.eq(i.valid & i.ready & ~skipping),
            close.eq(accept & (i.payload.last | place[:ROW_BITS].all() | (room == 1))),
            fifo.w_en.eq(accept),
            fifo.w_data.eq(i.payload.words),
            bursts.w_en.eq(close),
            bursts.w_data.eq(Cat((place - length)[: len(place)], length)),
            self.received.eq(taken << self._shift),
        ]
        with m.If(begin):
            m.d.sync += [
                place.eq(order.address[self._shift :]),
                room.eq(order.bytes[self._shift :]),
                taken.eq(0),
                length.eq(0),
                ended.eq(0),
                too_long.eq(0),
            ]
        with m.If(accept):
            m.d.sync += [
                place.eq(place + 1),
                room.eq(room - 1),
                taken.eq(taken + 1),
                length.eq(Mux(close, 0, length + 1)),
                ended.eq(i.payload.last | (room == 1)),
                too_long.eq(~i.payload.last & (room == 1)),
                skipping.eq(~i.payload.last & (room == 1)),
            ]
        with m.If(busy & stop & ~self.giving_up & taken.any() & ~ended):
            m.d.sync += skipping.eq(1)
        with m.If((skipping & i.valid & i.payload.last) | order.reset):
            m.d.sync += skipping.eq(0)
        m.d.sync += unanswered.eq(unanswered + close - answered)

        # Addresses, and behind them the beats.
        asks, next_burst = Signal(), data.View(self.burst, bursts.r_data)
        m.d.comb += [
            asks.eq(bursts.r_rdy & lengths.w_rdy & (~bus.awvalid | bus.awready)),
            bursts.r_en.eq(asks),
            lengths.w_en.eq(asks),
            lengths.w_data.eq(next_burst.length),
            bus.bready.eq(1),
        ]
        with m.If(bus.awready):
            m.d.sync += bus.awvalid.eq(0)
        with m.If(asks):
            m.d.sync += [
                bus.awvalid.eq(1),
                bus.awaddr.eq(next_burst.place << self._shift),
                bus.awlen.eq(next_burst.length),
            ]
        beat, sent = Signal(range(BURST_BEATS)), Signal()
        m.d.comb += [
            bus.wvalid.eq(fifo.r_rdy & lengths.r_rdy),
            bus.wdata.eq(fifo.r_data),
            bus.wstrb.eq(~0),
            bus.wlast.eq(beat == lengths.r_data),
            sent.eq(bus.wvalid & bus.wready),
            fifo.r_en.eq(sent),
            lengths.r_en.eq(sent & bus.wlast),
        ]
        with m.If(sent):
            m.d.sync += beat.eq(Mux(bus.wlast, 0, beat + 1))
        return m
