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
from kronborg_hdl.overlays.pulse_shaper import PulseShaperOverlay
from kronborg_hdl.overlays.transmitter import TransmitterOverlay
from kronborg_hdl.transmitter.model import SentFrame

from .model_gateware import Dma, Interrupts, ModelGateware, PulseShaperTable, Table
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
            **{_page(name): table for name, table in model.tables.items()},
        }
        return ModelGateware(core.overlay, tables)

    return load


def _page(name: str) -> str:
    """Of an overlay, for one of the transmitter's."""
    return f"transmitter_{name}"


MODELS: dict[str, Callable[[Board], Load]] = {
    "pulse_shaper": lambda board: pulse_shaper(PulseShaperOverlay(board)),
    "transmitter": lambda board: transmitter(TransmitterOverlay(board)),
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
