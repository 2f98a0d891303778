"""The tap in Amaranth."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth import Cat, Const, Module, Signal, Value, unsigned
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.skin import memory_words
from ...dsp.arithmetic import event_counter
from .model import Place, packet_beat_bytes
from .registers import LENGTH_BITS, REGISTERS, TRIGGERS

COUNTER_BITS = 32


class Tap(wiring.Component):
    """Copy so many beats of one of several streams to memory. No stream ever waits for it.

    A picture begins with the first beat in, or after, the clock of its trigger, and is one packet. A beat that finds
    the FIFO full is lost: it is counted, sets STATUS.lost, and the picture goes on with the next one that finds room,
    so that a packet always has the beats that were asked for. While no picture is taken nothing is looked at.

    Format: as the model says; rails are sign-extended to what memory holds.

    Latency: 4 clocks or a few more from a beat to memory. Throughput: one beat per clock.

    Resources: ``depth`` beats of the widest stream in block RAM, a multiplexer of the streams; no multiplier.

    Args:
        places: payload of each stream by its name, in the order of their numbers.
        depth: beats that can wait for memory, 2 to 65535.

    Members:
        <name>: what passes on that stream: ``taken``, a beat is valid and ready in this clock, and its ``payload``.
        trigger: levels or pulses that may begin a picture.
        o: pictures.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no streams, more than 255, one whose name is a member's, or a depth out of range.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, places: Mapping[str, ShapeLike], depth: int = 512) -> None:
        if not 1 <= len(places) <= 255:
            raise ValueError(f"{len(places)} streams: a tap has 1 to 255 places")
        if names := {"trigger", "o", "port"} & set(places):
            raise ValueError(f"{', '.join(sorted(names))}: a place cannot have the name of a member of the tap")
        if not 2 <= depth < 1 << 16:
            raise ValueError(f"a FIFO of {depth} beats: must be 2 to {(1 << 16) - 1}")
        self.depth = depth
        self.places = tuple(_place(name, payload) for name, payload in places.items())
        self.beat_bytes = packet_beat_bytes(self.places)
        picture = data.StructLayout({"words": unsigned(8 * self.beat_bytes), "last": 1})
        probes = {name: In(data.StructLayout({"taken": 1, "payload": payload})) for name, payload in places.items()}
        super().__init__(
            {
                **probes,
                "trigger": In(TRIGGERS),
                "o": Out(stream.Signature(picture)),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8 * self.beat_bytes + 1, depth=self.depth)
        # Armed until the trigger comes, then running until the last beat is stored.
        armed, running, ending = Signal(), Signal(), Signal()
        number, left = Signal.like(port.place.number), Signal(LENGTH_BITS)
        start = port.control.capture.start & ~armed & ~running

        probes = [getattr(self, place.name) for place in self.places]
        taken, words = Signal(), Signal(8 * self.beat_bytes)
        with m.Switch(number):
            for place, probe in enumerate(probes):
                with m.Default() if place == len(probes) - 1 else m.Case(place):
                    m.d.sync += taken.eq(probe.taken), words.eq(memory_words(probe.payload))
        last, stored, lost = Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(ending | (left <= 1)),
            stored.eq(running & taken & fifo.w_rdy),
            lost.eq(running & taken & ~fifo.w_rdy),
            fifo.w_en.eq(stored),
            fifo.w_data.eq(Cat(words, last)),
            Value.cast(self.o.payload).eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        mask = port.trigger.mask
        with m.If(start):
            m.d.sync += armed.eq(1), number.eq(port.place.number), left.eq(port.length.beats)
            m.d.sync += port.taken.beats.eq(0), ending.eq(0)
        with m.Elif(armed):
            with m.If(port.control.abort.start):
                m.d.sync += armed.eq(0)
            with m.Elif((self.trigger & mask).any() | (mask == 0)):
                m.d.sync += armed.eq(0), running.eq(1)
        with m.Elif(running):
            with m.If(port.control.abort.start):
                m.d.sync += ending.eq(1)
            with m.If(stored):
                m.d.sync += left.eq(left - 1), port.taken.beats.eq(port.taken.beats + 1), running.eq(~last)
        m.d.comb += [
            port.control.capture.busy.eq(armed | running),
            port.control.abort.busy.eq(0),
            port.status.lost.eq(lost),
            port.lost.beats.eq(event_counter(m, COUNTER_BITS, lost, start)),
            port.capabilities.places.eq(len(self.places)),
            port.capabilities.beat_bytes.eq(self.beat_bytes),
            port.capabilities.depth.eq(self.depth),
        ]
        return m


def _place(name: str, payload: ShapeLike) -> Place:
    """What a stream's beats are in memory."""
    view = data.View(payload, Const(0, data.Layout.cast(payload).size))
    layout = view.words.shape()
    complex_words = isinstance(layout.elem_shape, data.StructLayout)
    rail_bits = len(memory_words(view)) // (layout.length * (1 + complex_words))
    return Place(name, layout.length, rail_bits, complex_words)
