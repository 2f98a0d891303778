"""A board that is broken on purpose, register by register: the tests of a link find it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kronborg.board.pynq.board import Board, Exchanged
from kronborg.board.pynq.link_selftest import plan as plan_of
from kronborg.board.pynq.reference import Reference
from kronborg.errors import BoardError
from kronborg_hdl.axi.dma.registers import REGISTERS as DMA
from kronborg_hdl.axi.registers import WORD_BYTES
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.symbol_record.model import Flag as Sent
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag as Received
from kronborg_sim.devices.model_gateware import Dma, Interrupts, ModelGateware, Table

from .test_overlay import STATUS_READS, transfers_by_interrupt

KEY = np.arange(1, KEY_WORDS + 1, dtype=np.uint32) * np.uint32(0x01020304)
FRAMES = 8

BROKEN = [
    ("transmitter_entropy", "key", 1),
    ("transmitter_gaussian", "scale", 8),
    ("transmitter_frame_controller", "next_frame", 1),
    ("transmitter_frame_controller", "preamble_symbol", 0x8000),
    ("transmitter_pulse_shaper", "shift", 1),
    ("transmitter_shift_and_pilots", "shift_increment", 1 << 20),
    ("fibre_emulator", "amplitude", 1 << 13),
    ("fibre_emulator", "frequency", 1 << 12),
    ("fibre_emulator", "seed", 1 << 30),
    ("receiver_mixer", "signal_offset", 1 << 24),
    ("receiver_phase_smoother", "weights_0", 1),
    ("receiver_rotator", "delay", 1),
    ("receiver_symbol_filter", "shift", 1),
    ("receiver_frame_synchroniser", "payload", 2),
    ("receiver_frame_synchroniser", "chip", 1 << 16),
    ("record", "receive_destination", 8),
    ("packets", "receive_destination", 1 << 12),
    ("packets", "receive_length", 32),
]
MISREAD = [
    ("record", "receive_length", 8),
    ("packets", "receive_length", 32),
    ("record", "receive_status", DMA["receive_status"].word(internal_error=1)),
    ("packets", "receive_status", DMA["receive_status"].word(decode_error=1)),
    ("transmitter_entropy", "epoch_low", 1),
]
BEAT = 8
"""Bytes of memory's words."""
SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda packet: packet[:99] + bytes([packet[99] ^ 1]) + packet[100:],
    "a beat lost": lambda packet: packet[BEAT:],
    "a beat twice": lambda packet: packet[:BEAT] + packet,
    "ends too early": lambda packet: packet[:-BEAT],
    "a beat later": lambda packet: packet[-BEAT:] + packet[:-BEAT],
    "halves exchanged": lambda packet: b"".join(
        packet[k + BEAT // 2 : k + BEAT] + packet[k : k + BEAT // 2] for k in range(0, len(packet), BEAT)
    ),
}
"""What an engine that is broken does to a packet."""


@pytest.fixture
def kind() -> str:
    """On the model alone: what is broken is the host's way to it."""
    return "model"


def unchanged(frame: Exchanged) -> Exchanged:
    return frame


def is_as_the_models(linked, seen: Callable[[Exchanged], Exchanged] = unchanged) -> bool:
    plan = replace(plan_of(linked.overlay, 3), payload=256, vacuum=256)
    board = Board(linked, timeout_s=300.0)
    try:
        with board:
            board.configure(plan.settings)
            reference = Reference(plan.settings, KEY, board.start(KEY, 4), 4)
            for frame, _ in zip(board.frames(), range(FRAMES), strict=False):
                reference.take(seen(frame))
            reference.finish()
    except BoardError:
        return False
    return reference.wrong == 0


def test_a_board_that_is_whole_is_as_the_models(linked) -> None:
    assert is_as_the_models(linked)


@pytest.mark.parametrize(("page", "register", "flipped"), BROKEN, ids=lambda value: str(value))
def test_a_register_whose_writes_are_changed_is_found(linked, page: str, register: str, flipped: int) -> None:
    device = linked.device
    address = device.board.processor.base + OVERLAYS["loopback"](device.board).pages.offset(page, register)
    write = device.write_registers

    def other(at: int, data: bytes) -> None:
        word = int.from_bytes(bytes(data), "little")
        write(at, (word ^ flipped * (at == address)).to_bytes(WORD_BYTES, "little"))

    device.write_registers = other
    assert not is_as_the_models(linked)


@pytest.mark.parametrize(("page", "register", "flipped"), MISREAD, ids=lambda value: str(value))
def test_a_register_that_reads_as_another_word_is_found(linked, page: str, register: str, flipped: int) -> None:
    device = linked.device
    address = device.board.processor.base + OVERLAYS["loopback"](device.board).pages.offset(page, register)
    read = device.read_registers

    def other(at: int, length: int) -> bytes:
        word = int.from_bytes(read(at, length), "little")
        return (word ^ flipped * (at == address)).to_bytes(length, "little")

    device.read_registers = other
    assert not is_as_the_models(linked)


@pytest.mark.parametrize("engine", ["record", "packets"])
@pytest.mark.parametrize("fault", SPOILT)
def test_an_engine_that_moves_something_else_is_found(
    linked, monkeypatch: pytest.MonkeyPatch, engine: str, fault: str
) -> None:
    """In one packet, the fourth; of what each engine is by the order in which it has packets: a record is first."""
    step, begun, seen = Dma.step, [], []

    def spoilt(self: Dma) -> None:
        if self not in begun and self.packets:
            begun.append(self)
        if self._busy["receive"] and self.packets and begun[["record", "packets"].index(engine) :][:1] == [self]:
            seen.append(self.packets[0])
            if len(seen) == 4:
                self.packets[0] = SPOILT[fault](self.packets[0])
        step(self)

    monkeypatch.setattr(Dma, "step", spoilt)
    assert not is_as_the_models(linked)
    assert len(seen) >= 4


def test_an_interrupt_that_is_never_raised_is_found(loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelGateware, "irq", False)
    with pytest.raises(asyncio.TimeoutError):
        transfers_by_interrupt(loaded, timeout_s=0.5)


@pytest.mark.parametrize(("table", "register"), [(Interrupts, "acknowledge"), (Dma, "receive_status")])
def test_an_interrupt_that_is_never_cleared_is_found(
    loaded, monkeypatch: pytest.MonkeyPatch, table: type[Table], register: str
) -> None:
    """In the controller, or in the engine: after the first one a host looks again and again, as without interrupts."""
    written = table.written

    def deaf(self: Table, to: str, given: dict[str, int]) -> None:
        if to != register:
            written(self, to, given)

    monkeypatch.setattr(table, "written", deaf)
    assert transfers_by_interrupt(loaded) > STATUS_READS


@pytest.mark.parametrize("end", ["sent", "received"])
def test_a_flag_that_is_not_the_models_is_found(linked, end: str) -> None:
    """Of one frame: flags say which frames become key."""
    flag = {"sent": Sent.GAP, "received": Received.CHANGED}[end]

    def marked(frame: Exchanged) -> Exchanged:
        packet = getattr(frame, end)
        if frame.sent.frame != 7:
            return frame
        return replace(frame, **{end: replace(packet, flags=packet.flags ^ flag)})

    assert not is_as_the_models(linked, marked)
