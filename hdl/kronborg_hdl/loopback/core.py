"""The loopback: transmitter, fibre emulator and receiver in a row, behind one register map."""

from __future__ import annotations

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..axi.bank import connect_page, register_port
from ..axi.pages import PageMap
from ..axi.watchdog.core import Watchdog
from ..channel.fibre_emulator.core import FibreEmulator
from ..modulation.interpolating_shaper.model import HALF_BANDS
from ..receiver.core import Receiver
from ..transmitter.core import Transmitter
from .pages import loopback_pages, loopback_tables

EMIT = ("transmitter_frame_controller", "control", "run")
"""Page, register and field that let frames begin: only while the watch-dog permits it."""


def halvings_for(samples_per_symbol: int) -> int:
    """Half-band stages of a receiver that bring so many samples a symbol to two; ValueError if there are none."""
    if samples_per_symbol not in HALF_BANDS or samples_per_symbol == min(HALF_BANDS):
        raise ValueError(f"{samples_per_symbol} samples a symbol: must be 4, 8 or 16")
    return samples_per_symbol.bit_length() - 2


def make_link(
    *,
    lanes: int,
    samples_per_symbol: int,
    span: int,
    predistortion: bool = False,
    preamble: int = 2039,
    detector_chips: int = 256,
    packet_depth: int = 512,
    picture_depth: int = 512,
) -> tuple[Transmitter, FibreEmulator, Receiver]:
    """The parts of a link that fit each other; :class:`Loopback` has the arguments.

    Where a symbol has several clocks the filters share their multipliers, and some of those that this leaves over spare
    look-up tables: 121 in all at two lanes and M = 8, instead of 201.

    Raises:
        ValueError: what a part cannot be built for.
    """
    return (
        Transmitter(
            lanes=lanes,
            samples_per_symbol=samples_per_symbol,
            span=span,
            predistortion=predistortion,
            preamble_capacity=max(4096, 1 << (preamble - 1).bit_length()),
            shared=True,
        ),
        FibreEmulator(lanes=lanes),
        Receiver(
            lanes=lanes,
            halvings=halvings_for(samples_per_symbol),
            preamble=preamble,
            detector_chips=detector_chips,
            packet_depth=packet_depth,
            picture_depth=picture_depth,
            shared=True,
        ),
    )


class Loopback(wiring.Component):
    """A whole link: random symbols and their record at one end, packets of received symbols at the other.

    Structure::

        i > Transmitter > FibreEmulator > Receiver > o
                `> record                    `> picture

    Each part has its own pages of registers, see ``pages.loopback_pages``; what a part computes is said there. It
    knows neither processor nor memory: streams and one register port are all it has. Frames begin only while the
    watch-dog permits it.

    Clocks: both ends have one clock, so the receiver finds an offset of 0 ppm. No sample is lost anywhere: where the
    receiver waits for its memory, the transmitter waits for the receiver. So ``receiver.control.source_waits`` is to be
    set, and every word depends on key, seed and settings alone. When the transmitter stops, what is within the receiver
    stays there until the next frame comes: a frame's packet is complete some thousand symbols behind it.

    Throughput: LANES samples per clock. Latency: the parts'.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        samples_per_symbol: M: 4, 8 or 16; half-bands bring it to two.
        span: K of the pulse shaper, symbols.
        predistortion: build it; with no modulator behind it there is nothing to make good.
        preamble: chips of the frames' preamble.
        detector_chips: those that the receiver's detector looks at.
        packet_depth: beats of packets that can wait for the memory.
        picture_depth: beats of pictures likewise.

    Members:
        i: the stream of a quantum random number generator, 64 bits per clock; unused when the host gives keys.
        record: Alice's symbols, one packet a frame, see ``symbol_record``.
        o: Bob's symbols, one packet a frame, see ``frame_synchroniser.packet``.
        picture: what the receiver's tap sees.
        port: all registers.

    Raises:
        ValueError: what a part cannot be built for.
    """

    def __init__(
        self,
        *,
        lanes: int,
        samples_per_symbol: int,
        span: int,
        predistortion: bool = False,
        preamble: int = 2039,
        detector_chips: int = 256,
        packet_depth: int = 512,
        picture_depth: int = 512,
    ) -> None:
        halvings = halvings_for(samples_per_symbol)
        self.watchdog = Watchdog()
        self.transmitter, self.fibre_emulator, self.receiver = make_link(
            lanes=lanes,
            samples_per_symbol=samples_per_symbol,
            span=span,
            predistortion=predistortion,
            preamble=preamble,
            detector_chips=detector_chips,
            packet_depth=packet_depth,
            picture_depth=picture_depth,
        )
        self._tables = loopback_tables(halvings=halvings, predistortion=predistortion)
        self.registers = loopback_pages(halvings=halvings, predistortion=predistortion)
        super().__init__(
            {
                "i": In(stream.Signature(self.transmitter.i.payload.shape())),
                "record": Out(stream.Signature(self.transmitter.record.payload.shape())),
                "o": Out(stream.Signature(self.receiver.o.payload.shape())),
                "picture": Out(stream.Signature(self.receiver.picture.payload.shape())),
                "port": In(register_port(self.registers)),
            }
        )

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 25 x 18 bits."""
        return self.transmitter.multipliers + self.fibre_emulator.multipliers + self.receiver.multipliers

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        permits = {EMIT: self.watchdog.permits}
        for name, table in self._tables.items():
            part = getattr(self, name)
            m.submodules[name] = part
            pages = table.pages if isinstance(table, PageMap) else ((None, table),)
            for page, _ in pages:
                own, inner = (f"{name}_{page}", getattr(part.port, page)) if page else (name, part.port)
                permitted = {field[1:]: permit for field, permit in permits.items() if field[0] == own}
                connect_page(m, getattr(self.port, own), inner, permitted)
        connect(m, flipped(self.i), self.transmitter.i)
        connect(m, self.transmitter.record, flipped(self.record))
        connect_link(m, self.transmitter, self.fibre_emulator, self.receiver)
        connect(m, self.receiver.o, flipped(self.o))
        connect(m, self.receiver.picture, flipped(self.picture))
        return m


def connect_link(m: Module, transmitter: Transmitter, fibre: FibreEmulator, receiver: Receiver) -> None:
    """From Alice's samples to Bob's."""
    connect(m, transmitter.o, fibre.i)
    connect(m, fibre.o, receiver.i)
