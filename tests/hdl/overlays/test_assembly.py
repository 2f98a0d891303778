"""The smallest overlay's RTL: registers, memory and interrupts as a driver meets them."""

import numpy as np
import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.overlays.pulse_shaper import PulseShaperOverlay
from kronborg_sim.rtl.model import RtlModel

BASE = 0x1000_0000
SENT, RECEIVED = 0, 0x8000
SPAN, M = 5, 4
RECEIVE_LINE, ALL_ON = 0b10, {"output": 1, "hardware": 1}


@pytest.fixture(scope="module")
def rtl() -> RtlModel:
    overlay = PulseShaperOverlay(BOARDS["pynq-z2"], span=SPAN)
    return RtlModel(Skin(overlay).to_verilog("kronborg_pulse_shaper"), "kronborg_pulse_shaper", overlay.registers)


@pytest.fixture(scope="module")
def attached(rtl: RtlModel) -> np.ndarray:
    memory = np.zeros(1 << 16, np.uint8)
    rtl.attach_memory("m_axi_dma", memory, BASE)
    return memory


@pytest.fixture
def memory(rtl: RtlModel, attached: np.ndarray) -> np.ndarray:
    rtl.reset()
    attached[:] = 0
    return attached


def begin(rtl: RtlModel, *, received: int = RECEIVED, sent_bytes: int, interrupt: int = 0) -> None:
    for half in ("receive", "send"):
        rtl.write(("dma", f"{half}_control"), run=1, interrupt_on_complete=interrupt)
    rtl.write(("dma", "receive_destination"), low=BASE + received)
    rtl.write(("dma", "receive_length"), bytes=0x8000)
    rtl.write(("dma", "send_source"), low=BASE + SENT)
    rtl.write(("dma", "send_length"), bytes=sent_bytes)


def load_taps(rtl: RtlModel) -> PulseShaper:
    taps = quantise_taps(root_raised_cosine(M, SPAN, 0.3))
    for number, value in enumerate(taps.tolist()):
        rtl.write(("pulse_shaper", "tap"), value=value, sample=number % M, symbol=number // M)
    rtl.write(("pulse_shaper", "control"), apply=1)
    return PulseShaper(taps, M, 15)


@pytest.mark.parametrize("pause", [0, 0.3])
def test_symbols_go_from_memory_to_memory_and_nothing_else_changes(
    rtl: RtlModel, memory: np.ndarray, pause: float
) -> None:
    model = load_taps(rtl)
    symbols = np.random.default_rng(3).integers(-(2**14), 2**14, (130, 2)).astype(np.int16)
    memory[: symbols.nbytes] = symbols.view(np.uint8).ravel()
    memory[RECEIVED:] = 0xA5
    for channel in ("ar", "r", "aw", "w", "b"):
        rtl.pause(f"m_axi_dma_{channel}", pause, seed=5)
    begin(rtl, sent_bytes=symbols.nbytes)
    rtl.run(3000)
    expected, _ = model.process(symbols)
    assert rtl.read(("dma", "receive_status"), "completed") == 1
    assert rtl.read(("dma", "receive_length"), "bytes") == expected.nbytes
    received = memory[RECEIVED : RECEIVED + expected.nbytes].view(np.int16).reshape(-1, 2)
    np.testing.assert_array_equal(received, expected)
    assert (memory[RECEIVED + expected.nbytes :] == 0xA5).all()
    for channel in ("ar", "r", "aw", "w", "b"):
        rtl.pause(f"m_axi_dma_{channel}", 0)


def test_an_address_without_memory_stops_the_engine(rtl: RtlModel, memory: np.ndarray) -> None:
    load_taps(rtl)
    begin(rtl, received=memory.size, sent_bytes=64)
    rtl.run(1000)
    assert rtl.read(("dma", "receive_status"), "decode_error") == 1
    assert rtl.read(("dma", "receive_status"), "halted") == 1
    assert not memory.any()


def test_interrupt_comes_counts_and_goes_as_the_controllers_driver_expects(rtl: RtlModel, memory: np.ndarray) -> None:
    load_taps(rtl)
    begin(rtl, sent_bytes=64, interrupt=1)
    rtl.run(1000)
    assert rtl.read(("dma", "receive_status"), "completed") == 1
    assert rtl.get("irq") == 0, "nothing is enabled"
    rtl.write(("interrupts", "master_enable"), **ALL_ON)
    rtl.write(("interrupts", "set_enable"), lines=RECEIVE_LINE)
    rtl.run(5)
    assert rtl.read(("interrupts", "status"), "lines") == 0b11, "the sender is done as well"
    assert rtl.read(("interrupts", "pending"), "lines") == RECEIVE_LINE
    assert rtl.read(("interrupts", "vector"), "number") == 1
    assert rtl.get("irq") == 1
    rtl.write(("interrupts", "acknowledge"), lines=RECEIVE_LINE)
    rtl.run(5)
    assert rtl.get("irq") == 1, "its cause still stands"
    rtl.write(("dma", "receive_status"), completed=1)
    rtl.write(("interrupts", "acknowledge"), lines=RECEIVE_LINE)
    rtl.run(5)
    assert rtl.get("irq") == 0
    assert rtl.read(("interrupts", "vector"), "number") == 2**32 - 1
    rtl.write(("interrupts", "clear_enable"), lines=RECEIVE_LINE)
    assert rtl.read(("interrupts", "enable"), "lines") == 0
    rtl.write(("interrupts", "enable"), lines=0b01)
    rtl.run(5)
    assert rtl.get("irq") == 1, "the sender's line is enabled now"
    rtl.write(("interrupts", "master_enable"), output=0, hardware=1)
    rtl.run(5)
    assert rtl.get("irq") == 0


def test_each_part_answers_at_its_pages_and_nobody_behind_them(rtl: RtlModel, memory: np.ndarray) -> None:
    pages = rtl._registers
    assert rtl.read_at(pages.offset("pulse_shaper", "id")) == (int.from_bytes(b"KBPS", "big"), 0)
    assert rtl.read_at(len(pages.pages) << 12)[1] == 0b10
    assert rtl.write_at(pages.offset("pulse_shaper", "id"), 0) == 0b10
