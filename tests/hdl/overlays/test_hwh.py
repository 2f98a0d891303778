"""The hardware description, as PYNQ's own parser reads it."""

from pathlib import Path

import pytest
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from kronborg_hdl.axi.registers import Access
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.boards.board import CLOCKS
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.overlays.hwh import hwh
from kronborg_hdl.overlays.overlay import Overlay, dma_part

READABLE = {"read-only", "read-write"}


def parsed(text: str, folder: Path) -> RuntimeMetadataParser:
    path = folder / "overlay.hwh"
    path.write_text(text)
    return RuntimeMetadataParser(Metadata(input=path))


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_pynq_finds_parts_registers_and_interrupts(name: str, board, tmp_path: Path) -> None:
    overlay = OVERLAYS[name](board)
    found = parsed(hwh(overlay, board), tmp_path)
    parts = {key: value for key, value in found.ip_dict.items() if "phys_addr" in value}
    assert list(parts) == [part.name for part in overlay.parts]
    for part in overlay.parts:
        entry = parts[part.name]
        assert entry["type"] == part.type
        assert entry["phys_addr"] == board.processor.base + overlay.offset(part.name)
        assert entry["addr_range"] == part.bytes
        assert entry["parameters"] == part.parameters
        expected = {}
        for page, table in part.tables:
            begin = overlay.pages.base(page) - overlay.offset(part.name)
            prefix = "" if page == part.name else page[len(part.name) + 1 :] + "_"
            expected |= {prefix + register.name: (begin, register) for register in table.registers}
        assert set(entry["registers"]) == set(expected)
        for key, (begin, register) in expected.items():
            said = entry["registers"][key]
            assert said["address_offset"] == begin + register.offset
            assert said["description"] == register.sentence
            for field in register.fields:
                bits = said["fields"][field.name]
                assert (bits["bit_offset"], bits["bit_width"]) == (field.lsb, field.width)
                assert (bits["access"] in READABLE) == (field.access is not Access.WRITE_ONLY)
                assert (bits["access"] == "read-only") == (not field.host_writes)
    for number, (part_name, line) in enumerate(overlay.lines):
        pin = found.interrupt_pins[f"{part_name}/{line}"]
        assert (pin["controller"], pin["index"]) == ("interrupts", number)
    assert (
        found.interrupt_controllers["interrupts"]["raw_irq"] == {"zynq": 61, "zynquplus": 121}[board.processor.family]
    )


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_pynq_finds_the_clock(board, tmp_path: Path) -> None:
    found = parsed(hwh(OVERLAYS["pulse_shaper"](board), board), tmp_path).clock_dict
    assert found[0]["enable"] == 1
    assert not any(found[number]["enable"] for number in range(1, CLOCKS))
    assert found[0]["frequency"] * 1e6 == board.clock_hz
    assert board.processor.source_clock_hz / (found[0]["divisor0"] * found[0]["divisor1"]) == board.clock_hz


def test_a_clock_that_does_not_divide_is_approached_from_below() -> None:
    processor = BOARDS["pynq-z2"].processor
    first, second = processor.divisors(143e6)
    assert 0.97 * 143e6 < processor.source_clock_hz / (first * second) <= 143e6


def test_interrupts_without_a_controller_are_refused() -> None:
    overlay = Overlay("bare", (dma_part("dma", data_bits=64, address_bits=32),), "DMA alone.")
    with pytest.raises(ValueError, match="no controller of interrupts"):
        hwh(overlay, BOARDS["pynq-z2"])
