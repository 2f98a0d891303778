"""Claims about the DMA engine's two halves: what they ask of memory, and when they ask nothing more."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data
from amaranth.utils import exact_log2

from kronborg_hdl.axi.dma.channels import BURSTS, FIFO_BEATS, ROW_BITS, Channel, Receiver, Sender
from kronborg_hdl.axi.dma.registers import LENGTH_BITS
from kronborg_hdl.axi.memory import BURST_BEATS

from .harness import Harness


class _Transfers(Harness):
    """What both halves are measured against: the order of the transfer under way, and the bursts that it led to."""

    core: Channel

    def __init__(self, core: Channel, *, inside: bool = True) -> None:
        self.inside = inside
        super().__init__(core)

    def _transfer(self, m: Module) -> tuple[Value, Value, Value]:
        """Returns: one begins, where it begins, how many beats it has."""
        order, shift = self.core.order, self.shift
        was_idle, began = Signal(init=1), Signal()
        place, beats = Signal(self.core.address_bits - shift), Signal(self.bits)
        given_place, given_beats = Signal.like(place), Signal.like(beats)
        m.d.comb += began.eq(was_idle & ~order.idle)
        m.d.sync += [
            was_idle.eq(order.idle),
            given_place.eq(order.address[shift : self.core.address_bits]),
            given_beats.eq(order.bytes[shift:]),
        ]
        with m.If(began):
            m.d.sync += place.eq(given_place), beats.eq(given_beats)
        return began, Mux(began, given_place, place), Mux(began, given_beats, beats)

    @property
    def shift(self) -> int:
        """Bits of an address within a beat."""
        return exact_log2(self.core.data_bits // 8)

    @property
    def bits(self) -> int:
        """Of a number of beats."""
        return LENGTH_BITS - self.shift

    def _stopped(self, m: Module) -> Signal:
        """Whether the transfer under way was given up in an earlier clock."""
        order, stopped = self.core.order, Signal()
        erred = order.internal_error | order.slave_error | order.decode_error
        m.d.sync += stopped.eq(~order.run | order.reset | erred | (stopped & ~order.idle))
        return stopped

    def _count(self, m: Module, name: str, began: Value, step: Value) -> Value:
        """How many of something the transfer has had before this clock."""
        counted = Signal(self.bits + 1, name=name)
        now = Mux(began, 0, counted)
        m.d.sync += counted.eq(now + step)
        return now

    def _address(self, m: Module, channel: str, began: Value, place: Value, beats: Value) -> Value:
        """Claims about the bursts that are asked for. Returns how many beats have been, this clock's too."""
        bus = self.core.bus
        valid, ready, address, length = (getattr(bus, channel + name) for name in ("valid", "ready", "addr", "len"))
        waits, before = Signal(name=f"{channel}_waits"), Signal(len(address) + len(length), name=f"{channel}_before")
        fresh, here = Signal(name=f"{channel}_fresh"), Signal(len(place), name=f"{channel}_place")
        m.d.sync += waits.eq(valid & ~ready), before.eq(Cat(address, length))
        step = Mux(fresh, length + 1, 0)
        asked = self._count(m, f"{channel}_asked", began, step)
        m.d.comb += fresh.eq(valid & ~waits), here.eq(place + asked)
        m.d.comb += [
            Assert(~waits | (valid & (before == Cat(address, length))), "a burst that is asked for stays"),
            Assert(~fresh | (address == here << self.shift), "each burst begins where the last one ended"),
            Assert(~fresh | (asked + length < beats), "none goes beyond the order"),
            Assert(~fresh | (here[:ROW_BITS] + length < BURST_BEATS), "none crosses a row, so none crosses 4 KiB"),
            Cover(fresh & (length == BURST_BEATS - 1), "a whole row"),
        ]
        return asked + step


class ReadsWhatIsOrdered(_Transfers):
    """The sender reads the bytes of its order, each once and in their turn, and no others.

    Memory is asked for no more than there is room for, and never waits. An offer stays unless the transfer is given
    up; the packet ends with its last beat. A transfer that is completed was read and sent as a whole. A channel that
    says that it is idle or halted has asked for nothing that memory still owes: the host may take the buffer away.

    Assumed: memory gives nothing that it was not asked for. Which word goes where is for the bench: words are cut.

    Args:
        core: the sender.
        inside: claim what makes the claims inductive too. Without it a mistake has to show in what the core does.
    """

    core: Sender

    def claim(self, m: Module) -> None:
        """See the class."""
        order, bus, o = self.core.order, self.core.bus, self.core.o
        began, place, beats = self._transfer(m)
        asked = self._address(m, "ar", began, place, beats)
        owed = Signal(range(FIFO_BEATS + 2))
        arrives, leaves = bus.rvalid & bus.rready, o.valid & o.ready
        m.d.sync += owed.eq(owed + Mux(bus.arvalid & bus.arready, bus.arlen + 1, 0) - arrives)
        arrived = self._count(m, "arrived", began, arrives)
        sent = self._count(m, "sent", began, leaves)
        stopped = self._stopped(m)
        waits, last = Signal(), Signal()
        m.d.sync += [
            waits.eq(o.valid & ~o.ready),
            last.eq(o.payload.last),
        ]
        m.d.comb += [
            Assume(~bus.rvalid | owed.any(), "memory gives what it was asked for"),
            Assert(bus.rready, "memory never waits"),
            Assert(owed <= FIFO_BEATS, "no more is asked for than there is room for"),
            Assert(arrived - sent <= FIFO_BEATS, "no more arrives than there is room for"),
            Assert(~o.valid | (sent < arrived), "what is sent has been read"),
            Assert(~o.valid | (o.payload.last == (sent == beats - 1)), "the packet ends with its last beat"),
            Assert(~waits | stopped | (o.valid & (o.payload.last == last)), "an offer stays unless it is given up"),
            Assert(~order.completed | ((asked == beats) & (sent + leaves == beats)), "what is completed is whole"),
            Assert(order.idle | ~stopped | ~(o.valid | order.completed), "given up: nothing more is sent"),
            Assert(~order.idle | (~bus.arvalid & (owed == 0)), "idle: memory owes nothing"),
            Assert(~order.halted | (~bus.arvalid & (owed == 0)), "halted: memory owes nothing"),
            Assert(~arrives | order.idle | self.core.fifo.w_rdy, "what arrives has room"),
            Cover(order.completed & (beats > BURST_BEATS), "a transfer of two bursts"),
            Cover(order.halted & (sent != 0) & (sent < beats), "a transfer is given up"),
        ]

        if self.inside:
            self._follow_inside(m, place, beats, asked, owed, arrived, sent, stopped)

    def _follow_inside(
        self,
        m: Module,
        place: Value,
        beats: Value,
        asked: Value,
        owed: Value,
        arrived: Value,
        sent: Value,
        stopped: Value,
    ) -> None:
        """Claims with which each of the others follows for a clock from the one before."""
        core, bus, order = self.core, self.core.bus, self.core.order
        busy, level = ~order.idle, core.fifo.level
        to_come = Mux(bus.arvalid, bus.arlen + 1, 0)
        row = BURST_BEATS - core.place[:ROW_BITS]
        m.d.comb += [
            Assert(~busy | (stopped == core.giving_up), "inside: giving up"),
            Assert(~order.halted | order.idle, "inside: halted"),
            Assert(~busy | (core.place == (place + asked)[: len(place)]), "inside: place"),
            Assert(~busy | (core.to_ask + asked == beats), "inside: beats to ask for"),
            Assert(~busy | (core.to_send + sent == beats), "inside: beats to send"),
            Assert(
                ~busy | ~core.known | (core.beats == Mux(core.to_ask < row, core.to_ask, row)), "inside: next burst"
            ),
            Assert(core.unanswered == owed + to_come, "inside: beats unanswered"),
            Assert(~busy | (asked == arrived + core.unanswered), "inside: beats asked for"),
            Assert(~busy | (core.claimed + sent == asked), "inside: beats claimed"),
            Assert(~busy | (sent <= arrived), "inside: beats sent"),
            Assert(core.claimed <= FIFO_BEATS, "inside: most beats claimed"),
            Assert(level == Mux(busy & ~stopped, arrived - sent, 0), "inside: beats in the memory"),
            Assert(core.fifo.r_rdy | (level <= 1), "inside: the memory's output is filled first"),
        ]


class WritesWhatIsOrdered(_Transfers):
    """The receiver writes one packet into the buffer of its order, from its start, and nowhere else.

    Each burst that is gathered begins where the last one ended. A transfer that is completed is a whole packet, and
    memory has confirmed all of it. The first beat of a transfer is the first one of a packet, unless a reset has
    forgotten that the packet was under way. A channel that says that it is idle or halted offers nothing, and memory
    owes it no answer: the host may read the buffer.

    Assumed: memory answers a burst after it has taken its address and its last beat. Words, and with them what waits in
    the memories of bursts, are cut: that bursts come out as they went in is for the bench.

    Args:
        core: the receiver.
        inside: as for the sender.
    """

    core: Receiver

    def claim(self, m: Module) -> None:
        """See the class."""
        core, order, bus, i = self.core, self.core.order, self.core.bus, self.core.i
        began, place, beats = self._transfer(m)
        stopped = self._stopped(m)
        waits, written = Signal(), Signal()
        addresses, lasts = Signal(range(4 * BURSTS)), Signal(range(4 * BURSTS))  # taken by memory, not answered
        answered = bus.bvalid & bus.bready
        m.d.sync += [
            waits.eq(bus.awvalid & ~bus.awready),
            written.eq(bus.wvalid & ~bus.wready),
            addresses.eq(addresses + (bus.awvalid & bus.awready) - answered),
            lasts.eq(lasts + (bus.wvalid & bus.wready & bus.wlast) - answered),
        ]
        burst = data.View(core.burst, core.bursts.w_data)
        taken = self._count(m, "beats_taken", began, core.accept)
        gathered = self._count(m, "beats_gathered", began, Mux(core.close, burst.length + 1, 0))
        here = Signal(len(place))
        whole, within = Signal(), Signal()
        m.d.comb += here.eq(place + gathered)
        with m.If(core.accept):
            m.d.sync += whole.eq(i.payload.last)
        with m.If(order.reset):
            m.d.sync += within.eq(0)
        with m.Elif(i.valid & i.ready):
            m.d.sync += within.eq(~i.payload.last)
        m.d.comb += [
            Assume(~bus.bvalid | (addresses.any() & lasts.any()), "memory answers what it has taken"),
            Assert(bus.bready, "an answer never waits"),
            Assert(bus.wstrb.all(), "whole words are written"),
            Assert(~waits | bus.awvalid, "a burst that is asked for stays"),
            Assert(~written | bus.wvalid, "a beat that is given stays"),
            Assert(~core.close | core.bursts.w_rdy, "a burst has room"),
            Assert(~core.close | (burst.place == here), "each burst begins where the last one ended"),
            Assert(~core.close | (here[:ROW_BITS] + burst.length < BURST_BEATS), "none crosses a row, so none 4 KiB"),
            Assert(~core.accept | (taken < beats), "nothing goes beyond the order"),
            Assert(order.idle | (core.received == taken << self.shift), "what is received is counted"),
            Assert(~core.accept | (taken != 0) | ~within, "a transfer begins with a packet"),
            Assert(order.idle | ~stopped | ~(core.accept | order.completed), "given up: nothing more is taken"),
            Assert(~order.completed | (whole & (gathered == taken)), "what is completed is a whole packet"),
            Assert(
                ~order.idle | ~(bus.awvalid | bus.wvalid | addresses.any() | lasts.any()), "idle: memory is at rest"
            ),
            Assert(~order.halted | order.idle, "halted: the same"),
            Cover(order.completed & (taken > BURST_BEATS), "a packet of two bursts"),
            Cover(order.internal_error & (taken == beats) & within, "a packet that is too long"),
            Cover(order.halted & within, "a packet is cut in two"),
        ]
        if self.inside:
            self._follow_inside(m, place, beats, taken, gathered, addresses, lasts, whole, within, stopped)

    def _follow_inside(
        self,
        m: Module,
        place: Value,
        beats: Value,
        taken: Value,
        gathered: Value,
        addresses: Value,
        lasts: Value,
        whole: Value,
        within: Value,
        stopped: Value,
    ) -> None:
        """Claims with which each of the others follows for a clock from the one before."""
        core, bus, order = self.core, self.core.bus, self.core.order
        here = (place + gathered)[:ROW_BITS]
        busy, under_way = ~order.idle, (core.taken != 0) & ~core.ended
        m.d.comb += [
            Assert(~busy | (stopped == core.giving_up), "inside: giving up"),
            Assert(~busy | (core.place == (place + taken)[: len(place)]), "inside: place"),
            Assert(~busy | (core.taken == taken), "inside: beats taken"),
            Assert(~busy | (core.room + taken == beats), "inside: room"),
            Assert(~busy | core.ended | core.room.any(), "inside: there is room"),
            Assert(~busy | (gathered + core.length == taken), "inside: beats gathered"),
            Assert(~busy | (here + core.length < BURST_BEATS), "inside: the burst is within a row"),
            Assert(~busy | ~core.ended | (core.length == 0), "inside: the last burst is closed"),
            Assert(~busy | ~core.ended | core.too_long | whole, "inside: the packet has ended"),
            Assert(core.unanswered == core.bursts.level + bus.awvalid + addresses, "inside: addresses"),
            Assert(core.unanswered == core.bursts.level + core.lengths.level + lasts, "inside: last beats"),
            Assert(core.unanswered <= 3 * BURSTS, "inside: most bursts"),
            Assert(~order.idle | (core.unanswered == 0), "inside: bursts"),
            Assert(~core.skipping | within, "inside: what is thrown away is of a packet"),
            Assert(~within | core.skipping | (busy & under_way), "inside: its rest is thrown away"),
            Assert(~core.giving_up | ~within | core.skipping, "inside: given up, it is thrown away"),
            Assert(~busy | core.giving_up | ~under_way | (within & ~core.skipping), "inside: it is taken"),
        ]
