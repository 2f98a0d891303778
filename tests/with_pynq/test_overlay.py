"""PYNQ as it is, against an overlay: Overlay, DefaultIP, register_map, MMIO, allocate, and DMA with interrupts."""

import asyncio
import itertools

import numpy as np
import pynq
import pynq.lib
import pytest

from kronborg.board.pynq.dma import InTurn, wait
from kronborg.errors import BoardError, InputError
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.pulse_shaper.registers import REGISTERS
from kronborg_sim.devices.gateware import BusError
from kronborg_sim.devices.pynq_device import SimulatedBuffer, SimulatedDevice

from .conftest import BOARD, SPAN, M

SYMBOLS = 500
STATUS_READS = 4
"""Of an engine, at most, where an interrupt tells that a transfer has ended."""
TAP, SHIFT, CONTROL = (REGISTERS[name].offset for name in ("tap", "shift", "control"))


def load_taps(overlay) -> PulseShaper:
    taps = quantise_taps(root_raised_cosine(M, SPAN, 0.3))
    for number, value in enumerate(taps.tolist()):
        word = REGISTERS["tap"].word(value=value, sample=number % M, symbol=number // M)
        overlay.pulse_shaper.write(TAP, word)
    overlay.pulse_shaper.write(SHIFT, 15)
    overlay.pulse_shaper.write(CONTROL, 1)
    return PulseShaper(taps, M, 15)


def symbols(seed: int, count: int = SYMBOLS) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**14), 2**14, (count, 2)).astype(np.int16)


def buffers(count: int = SYMBOLS):
    return pynq.allocate((count, 2), "i2"), pynq.allocate(((count + SPAN - 1) * M, 2), "i2")


def test_parts_have_pynqs_own_drivers(loaded) -> None:
    overlay = loaded.overlay
    assert type(overlay.dma) is pynq.lib.DMA
    assert overlay.dma.buffer_max_size == 2**27 - 1
    assert overlay.is_loaded()
    assert overlay.ip_dict["pulse_shaper"]["phys_addr"] == BOARD.processor.base + 0x2000
    assert pynq.Clocks.fclk0_mhz == BOARD.clock_hz / 1e6


def test_registers_are_reached_by_name_and_by_address(loaded) -> None:
    core = loaded.overlay.pulse_shaper
    assert int(core.register_map.id) == int.from_bytes(b"KBPS", "big")
    assert core.register_map.version.major == 1
    assert core.register_map.capabilities.samples_per_symbol == M
    assert core.register_map.capabilities.span == SPAN
    assert core.register_map.shift.amount == 15
    core.register_map.shift.amount = 9
    assert core.read(SHIFT) == 9
    mmio = pynq.MMIO(loaded.overlay.ip_dict["pulse_shaper"]["phys_addr"], 4096)
    mmio.write(SHIFT, 11)
    assert core.register_map.shift.amount == 11
    assert core.register_map.control.loaded == 0
    load_taps(loaded.overlay)
    assert core.register_map.control.loaded == 1
    core.write(TAP, REGISTERS["tap"].word(value=1, sample=M, symbol=0))
    assert core.register_map.status.tap_refused == 1
    assert core.register_map.status.saturated == 0


def test_an_address_without_a_register_is_a_bus_error(loaded) -> None:
    with pytest.raises(BusError, match="reading 0x2ffc"):
        loaded.overlay.pulse_shaper.read(0xFFC)
    with pytest.raises(BusError, match="writing 0x2000"):
        loaded.overlay.pulse_shaper.write(0, 1)
    with pytest.raises(BusError, match="reading 0xff000"):
        pynq.MMIO(BOARD.processor.base + 0xFF000, 4).read()


def test_packets_go_through_the_core_by_dma(loaded) -> None:
    model = load_taps(loaded.overlay)
    given, came = buffers()
    for seed in range(3):
        given[:] = symbols(seed)
        came[:] = 0
        loaded.overlay.dma.recvchannel.transfer(came)
        loaded.overlay.dma.sendchannel.transfer(given)
        loaded.overlay.dma.sendchannel.wait()
        loaded.overlay.dma.recvchannel.wait()
        assert loaded.overlay.dma.recvchannel.transferred == came.nbytes
        np.testing.assert_array_equal(came, model.process(symbols(seed))[0])


def test_the_receiver_says_how_much_of_its_buffer_a_packet_fills(loaded) -> None:
    model = load_taps(loaded.overlay)
    given, _ = buffers()
    room = pynq.allocate(1 << 20, "u1")
    room[:] = 0xA5
    given[:] = symbols(1)
    loaded.overlay.dma.recvchannel.transfer(room, start=4096)
    loaded.overlay.dma.sendchannel.transfer(given, nbytes=100 * given.strides[0])
    loaded.overlay.dma.recvchannel.wait()
    expected = model.process(symbols(1)[:100])[0]
    assert loaded.overlay.dma.recvchannel.transferred == expected.nbytes
    packet = np.array(room[4096 : 4096 + expected.nbytes]).view(np.int16).reshape(-1, 2)
    np.testing.assert_array_equal(packet, expected)
    assert (room[:4096] == 0xA5).all()
    assert (room[4096 + expected.nbytes :] == 0xA5).all()


def transfers_by_interrupt(loaded, timeout_s: float = 30.0) -> int:
    """Three packets, whose ends interrupts tell. For each the receiver waits a while in which nothing comes.

    Returns how often the receiver's status was read for the packet for which that was most often.
    """
    model, dma = load_taps(loaded.overlay), loaded.overlay.dma
    given, came = buffers()
    assert dma.recvchannel._interrupt is not None
    status = loaded.overlay.ip_dict["dma"]["phys_addr"] + 0x34
    read, asked, most = loaded.device.read_registers, [], 0
    loaded.device.read_registers = lambda address, length: (asked.append(address), read(address, length))[1]

    async def three() -> None:
        nonlocal most
        for seed in range(3):
            given[:] = symbols(seed)
            came[:] = 0
            dma.recvchannel.transfer(came)
            asked.clear()
            waits = asyncio.create_task(dma.recvchannel.wait_async())
            for _ in range(20):
                await asyncio.sleep(0)
                assert not waits.done()
            dma.sendchannel.transfer(given)
            await dma.sendchannel.wait_async()
            await waits
            most = max(most, asked.count(status))
            np.testing.assert_array_equal(came, model.process(symbols(seed))[0])

    asyncio.run(asyncio.wait_for(three(), timeout_s))
    return most


def test_interrupts_end_transfers_and_a_host_that_waits_for_one_does_not_poll_the_engine(loaded) -> None:
    """Running, idle, and idle again; and once more where a line was still remembered."""
    assert transfers_by_interrupt(loaded) <= STATUS_READS


def test_a_transfer_that_never_ends_is_given_up_and_explained(loaded) -> None:
    _, came = buffers()
    loaded.device.patience = 1 << 40  # the time-out here is the host's
    loaded.overlay.dma.recvchannel.transfer(came)
    with pytest.raises(BoardError) as error:
        wait(loaded.overlay.dma.recvchannel, 0.2, "samples")
    said = str(error.value)
    assert said.startswith("samples: the transfer does not end within 0.2 s: receive_control 0x1001 (run,")
    assert f"receive_destination {came.physical_address:#x}" in said
    assert "receive_status 0x0," in said
    assert "\n" not in said
    loaded.overlay.dma.recvchannel.stop()
    loaded.overlay.dma.recvchannel.start()
    test_packets_go_through_the_core_by_dma(loaded)


def test_a_wait_of_pynqs_own_that_never_ends_is_given_up_too(loaded) -> None:
    _, came = buffers()
    loaded.device.patience = 1 << 18
    status = loaded.overlay.ip_dict["dma"]["phys_addr"] + 0x34
    loaded.overlay.dma.recvchannel.transfer(came)
    with pytest.raises(BoardError, match=f"register {status:#x} reads 0x0 and is waited for since 26[0-9]{{4}} clocks"):
        loaded.overlay.dma.recvchannel.wait()


def test_a_packet_longer_than_its_buffer_is_an_error_that_says_so(loaded) -> None:
    load_taps(loaded.overlay)
    given, _ = buffers()
    small = pynq.allocate(64, "u1")
    behind = pynq.allocate(4096, "u1")
    loaded.overlay.dma.recvchannel.transfer(small)
    loaded.overlay.dma.sendchannel.transfer(given)
    with pytest.raises(BoardError, match=r"failed: .*receive_status 0x4\d1\d \(halted, .*internal_error, failed\)"):
        wait(loaded.overlay.dma.recvchannel, 5, "samples")
    assert not behind.any()


def test_memory_that_there_is_not_is_a_decode_error(loaded) -> None:
    load_taps(loaded.overlay)
    given, came = buffers()
    came.device_address = 0x0800_0000
    loaded.overlay.dma.recvchannel.transfer(came)
    loaded.overlay.dma.sendchannel.transfer(given)
    with pytest.raises(BoardError, match=r"failed: .*\(halted, idle, decode_error, failed\)"):
        wait(loaded.overlay.dma.recvchannel, 5, "samples")


def test_buffers_that_held_key_are_erased_in_the_boards_memory_too(loaded, monkeypatch) -> None:
    taker = InTurn(loaded.device, loaded.overlay.dma.recvchannel, SYMBOLS, "packets")
    flushed: list[bool] = []
    monkeypatch.setattr(SimulatedBuffer, "flush", lambda buffer: flushed.append(not buffer.any()))
    for buffer in taker._buffers:
        buffer[:] = 7
    taker.erase()
    assert flushed == [True, True]


def test_a_buffer_that_was_erased_is_not_written_again_and_the_packet_is_the_next_ones(loaded) -> None:
    model, dma = load_taps(loaded.overlay), loaded.overlay.dma
    given, came = buffers()
    given[:] = symbols(3)
    taker = InTurn(loaded.device, dma.recvchannel, len(came), "samples")
    taker.begin()
    taker.erase()
    dma.sendchannel.transfer(given)
    loaded.device.gateware.run(20_000)
    assert not any(buffer.any() for buffer in taker._buffers)
    np.testing.assert_array_equal(taker.take(5.0, lambda: None, more=False), model.process(symbols(3))[0])


def test_a_packet_longer_than_an_engine_moves_is_refused_in_a_line(loaded) -> None:
    channel = loaded.overlay.dma.recvchannel
    with pytest.raises(InputError, match=f"samples of {2**27} bytes: the board's DMA engine moves {2**27 - 1} at once"):
        InTurn(loaded.device, channel, 2**27 // 4, "samples")


def test_buffers_do_not_overlap_and_are_given_back(loaded) -> None:
    held = [pynq.allocate(5000, "u1") for _ in range(3)]
    places = sorted(buffer.physical_address for buffer in held)
    assert all(b - a >= 5000 for a, b in itertools.pairwise(places))
    assert all(place % 4096 == 0 for place in places)
    held[1][:] = 7
    freed = held[1].physical_address
    del held[1]
    again = pynq.allocate(100, "u1")
    assert again.physical_address == freed
    assert not again.any()
    with pytest.raises(MemoryError, match="no room for a buffer"):
        pynq.allocate(1 << 29, "u1")


def test_loading_again_resets_the_overlay(loaded) -> None:
    load_taps(loaded.overlay)
    pynq.Overlay(str(loaded.path))
    core = pynq.MMIO(loaded.overlay.ip_dict["pulse_shaper"]["phys_addr"], 4096)
    assert core.read(CONTROL) == 0, "no taps"


def test_a_missing_description_or_overlay_is_one_clear_line(loaded, tmp_path) -> None:
    alone = tmp_path / "kronborg_pulse_shaper.v"
    alone.write_text(loaded.path.read_text())
    with pytest.raises(InputError, match=r"there is no kronborg_pulse_shaper\.hwh beside kronborg_pulse_shaper\.v"):
        pynq.Overlay(str(alone))
    with pytest.raises(InputError, match="no overlay is loaded"):
        _ = SimulatedDevice(BOARD).gateware
