"""Models of the overlays, by name: what a simulated board loads in place of gateware."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.hdl import UnusedElaboratable
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg_hdl.boards.board import Board
from kronborg_hdl.overlays.loopback import LoopbackOverlay
from kronborg_hdl.overlays.pulse_shaper import PulseShaperOverlay
from kronborg_hdl.overlays.receiver import ReceiverOverlay
from kronborg_hdl.overlays.transmitter import TransmitterOverlay
from kronborg_hdl.transmitter.model import SentFrame

from .model_fibre import FibrePage
from .model_gateware import Dma, Interrupts, ModelGateware, PulseShaperTable, Table
from .model_receiver import ReceiverModel
from .model_transmitter import TransmitterModel, Watchdog
from .pynq_device import SimulatedDevice

# Of cores a model wants the sizes alone.
warnings.simplefilter("ignore", UnusedElaboratable)

Load = Callable[[Path, NDArray[np.uint8], int], ModelGateware]


def nothing(packet: bytes) -> None:
    """Where a stream goes that the model does not look at."""


def pulse_shaper(core: PulseShaperOverlay) -> Load:
    """What loads a model of this overlay."""

    def load(path: Path, memory: NDArray[np.uint8], base: int) -> ModelGateware:
        of = core.shaper
        shaper = PulseShaperTable(lanes=of.lanes, samples_per_symbol=of.samples_per_symbol, span=of.span)
        dma = Dma(memory, base, shaper.take)
        shaper.given = dma.packets.append
        interrupts = Interrupts(lambda: list(dma.lines))
        return ModelGateware(core.overlay, {"dma": dma, "interrupts": interrupts, "pulse_shaper": shaper})

    return load


def transmitter(core: TransmitterOverlay) -> Load:
    """What loads a model of this overlay."""

    def load(path: Path, memory: NDArray[np.uint8], base: int) -> ModelGateware:
        record, samples = Dma(memory, base, nothing), Dma(memory, base, nothing)
        watchdog = Watchdog()

        def give(frame: SentFrame) -> None:
            record.packets.append(model.record(frame))
            samples.packets.append(frame.samples.astype("<i2").tobytes())

        model = TransmitterModel(
            core.transmitter, lambda: watchdog.permits, lambda: bool(record.packets or samples.packets), give
        )
        # As the overlay's lines are: both of `record`, and that of `samples`, which sends nothing.
        interrupts = Interrupts(lambda: [*record.lines, samples.lines[1]])
        tables: dict[str, Table] = {
            "record": record,
            "samples": samples,
            "interrupts": interrupts,
            "watchdog": watchdog,
            **_pages("transmitter", model.tables),
        }
        return ModelGateware(core.overlay, tables)

    return load


def receiver(core: ReceiverOverlay) -> Load:
    """What loads a model of this overlay."""

    def load(path: Path, memory: NDArray[np.uint8], base: int) -> ModelGateware:
        def take(packet: bytes) -> None:
            model.take(np.frombuffer(packet, "<i2").astype(np.int16))

        packets, pictures = Dma(memory, base, take), Dma(memory, base, nothing)
        model = ReceiverModel(core.receiver, packets.packets.append)
        interrupts = Interrupts(lambda: [*packets.lines, pictures.lines[1]])
        tables: dict[str, Table] = {
            "packets": packets,
            "pictures": pictures,
            "interrupts": interrupts,
            **_pages("receiver", model.tables),
        }
        return ModelGateware(core.overlay, tables)

    return load


def loopback(core: LoopbackOverlay) -> Load:
    """What loads a model of this overlay: samples go from part to part frame by frame."""

    def load(path: Path, memory: NDArray[np.uint8], base: int) -> ModelGateware:
        record, packets, pictures = (Dma(memory, base, nothing) for _ in range(3))
        watchdog, fibre = Watchdog(), FibrePage(core.fibre_emulator)
        bob = ReceiverModel(core.receiver, packets.packets.append)

        def give(frame: SentFrame) -> None:
            record.packets.append(alice.record(frame))
            bob.take(fibre.process(frame.samples))

        alice = TransmitterModel(
            core.transmitter,
            lambda: watchdog.permits and fibre.loaded,
            lambda: bool(record.packets or packets.packets),
            give,
        )
        interrupts = Interrupts(lambda: [*record.lines, packets.lines[1], pictures.lines[1]])
        tables: dict[str, Table] = {
            "record": record,
            "packets": packets,
            "pictures": pictures,
            "interrupts": interrupts,
            "watchdog": watchdog,
            **_pages("transmitter", alice.tables),
            "fibre_emulator": fibre,
            **_pages("receiver", bob.tables),
        }
        return ModelGateware(core.overlay, tables)

    return load


def _pages(part: str, tables: dict[str, Table]) -> dict[str, Table]:
    """Pages of a part by the names that an overlay gives them."""
    return {f"{part}_{name}": table for name, table in tables.items()}


MODELS: dict[str, Callable[[Board], Load]] = {
    "pulse_shaper": lambda board: pulse_shaper(PulseShaperOverlay(board)),
    "transmitter": lambda board: transmitter(TransmitterOverlay(board)),
    "receiver": lambda board: receiver(ReceiverOverlay(board)),
    "loopback": lambda board: loopback(LoopbackOverlay(board)),
}
"""What loads the model of each overlay, as it is built for a board."""


def model_of(board: Board) -> Load:
    """What loads the model of whichever overlay a file is of, by the file's name."""

    def load(path: Path, memory: NDArray[np.uint8], base: int) -> ModelGateware:
        name = path.stem.removeprefix("kronborg_")
        if name not in MODELS:
            raise InputError(f"there is no model of {path.stem}: there are {', '.join(MODELS)}")
        return MODELS[name](board)(path, memory, base)

    return load


def model_device(board: Board) -> SimulatedDevice:
    """A board whose overlays are their models."""
    return SimulatedDevice(board, model_of(board))
