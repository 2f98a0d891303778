"""The overlays as the host sees them, on each board. Pure Python; their gateware is in the modules of their names."""

from __future__ import annotations

from collections.abc import Callable

from ..axi.watchdog.registers import REGISTERS as WATCHDOG
from ..boards.board import Board
from ..loopback.pages import loopback_tables
from ..modulation.interpolating_shaper.registers import REGISTERS as INTERPOLATING_SHAPER
from ..modulation.pulse_shaper.registers import REGISTERS as PULSE_SHAPER
from ..receiver.registers import receiver_pages
from ..transmitter.registers import transmitter_pages
from .overlay import Overlay, core_part, dma_part, interrupts_part

DATA_BITS = 64
"""Of memory, as DMA engines see it: what the ports of all boards' processors have."""
HALVINGS = 2
"""Half-band stages of a receiver, for eight samples a symbol."""


def pulse_shaper_overlay(board: Board) -> Overlay:
    """Symbols from memory as samples to memory."""
    return Overlay(
        "pulse_shaper",
        (
            dma_part("dma", data_bits=DATA_BITS, address_bits=board.processor.address_bits),
            interrupts_part(),
            core_part("pulse_shaper", PULSE_SHAPER),
        ),
        "The pulse shaper between memory and memory, to try a board and its DMA.",
    )


def transmitter_overlay(board: Board, *, predistortion: bool = True) -> Overlay:
    """The transmitter, its record and its samples."""
    bits = board.processor.address_bits
    return Overlay(
        "transmitter",
        (
            dma_part("record", data_bits=DATA_BITS, address_bits=bits),
            dma_part("samples", data_bits=DATA_BITS, address_bits=bits, sends=False),
            interrupts_part(),
            core_part("watchdog", WATCHDOG),
            core_part("transmitter", transmitter_pages(shaper=INTERPOLATING_SHAPER, predistortion=predistortion)),
        ),
        "The transmitter; its samples go to memory, which stands in for the converter.",
    )


def receiver_overlay(board: Board) -> Overlay:
    """The receiver, samples for it, its packets and its pictures."""
    bits = board.processor.address_bits
    # Eight real samples a clock are 128 bits: where the processor's ports have them, none is waited for.
    data_bits = board.processor.memory_bits
    return Overlay(
        "receiver",
        (
            dma_part("packets", data_bits=data_bits, address_bits=bits),
            dma_part("pictures", data_bits=DATA_BITS, address_bits=bits, sends=False),
            interrupts_part(),
            core_part("receiver", receiver_pages(HALVINGS)),
        ),
        "The receiver; its samples come from memory, which stands in for the converter.",
    )


def loopback_overlay(board: Board, *, predistortion: bool = False) -> Overlay:
    """A whole link: the record of one end, packets and pictures of the other."""
    bits = board.processor.address_bits
    tables = loopback_tables(halvings=HALVINGS, predistortion=predistortion)
    return Overlay(
        "loopback",
        (
            dma_part("record", data_bits=DATA_BITS, address_bits=bits),
            dma_part("packets", data_bits=DATA_BITS, address_bits=bits, sends=False),
            dma_part("pictures", data_bits=DATA_BITS, address_bits=bits, sends=False),
            interrupts_part(),
            *(core_part(name, table) for name, table in tables.items()),
        ),
        "Transmitter, fibre emulator and receiver in a row: a whole link on a board that has no optics.",
    )


OVERLAYS: dict[str, Callable[[Board], Overlay]] = {
    "pulse_shaper": pulse_shaper_overlay,
    "transmitter": transmitter_overlay,
    "receiver": receiver_overlay,
    "loopback": loopback_overlay,
}
"""What the host sees of each overlay on a board, by the overlay's name."""
