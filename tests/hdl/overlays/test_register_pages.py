"""What is made from the register tables for others: SystemRDL, and the page of the documentation."""

from pathlib import Path

import pytest
from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode

from kronborg.cli import main
from kronborg_hdl.axi.registers import Access, RegisterMap
from kronborg_hdl.overlays.system_rdl import system_rdl
from kronborg_hdl.overlays.tables import markdown, tables
from kronborg_hdl.transmitter.registers import transmitter_pages

ROOT = Path(__file__).parents[3]


def compiled(text: str, top: str, folder: Path) -> AddrmapNode:
    """An address map as an independent compiler of SystemRDL understands it."""
    path = folder / "registers.rdl"
    path.write_text(text)
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    return compiler.elaborate(top).top


def check(node: AddrmapNode, table: RegisterMap) -> None:
    found = {register.inst_name: register for register in node.registers()}
    assert list(found) == [register.name for register in table.registers]
    for register in table.registers:
        assert found[register.name].address_offset == register.offset
        fields: dict[str, FieldNode] = {field.inst_name: field for field in found[register.name].fields()}
        assert set(fields) == ({field.name for field in register.fields} or {"nothing"})
        for field in register.fields:
            node_ = fields[field.name]
            assert (node_.low, node_.width) == (field.lsb, field.width)
            assert node_.is_sw_writable == field.host_writes
            assert node_.is_sw_readable == (field.access is not Access.WRITE_ONLY)
            assert node_.get_property("desc") == field.sentence
            assert (node_.get_property("kronborg_unit") or "") == field.unit
            assert float(node_.get_property("kronborg_scale") or 1) == field.scale
            assert bool(node_.get_property("kronborg_signed")) == field.signed
            if field.access in (Access.CONSTANT, Access.READ_WRITE):
                assert node_.get_property("reset") == field.insert(field.reset) >> field.lsb


@pytest.mark.parametrize("core", tables())
def test_system_rdl_says_what_the_table_says(core: str, tmp_path: Path) -> None:
    table = tables()[core]
    check(compiled(system_rdl({core: table}), core, tmp_path), table)


def test_system_rdl_has_every_page_at_its_base(tmp_path: Path) -> None:
    pages = transmitter_pages(shaper=tables()["interpolating_shaper"], predistortion=True)
    top = compiled(system_rdl({"transmitter": pages}), "transmitter", tmp_path)
    children = {child.inst_name: child for child in top.children()}
    for name, table in pages.pages:
        assert children[name].address_offset == pages.base(name)
        check(children[name], table)


def test_every_core_with_registers_is_found() -> None:
    assert {"dma", "interrupts", "transmitter", "receiver", "half_band", "frame_synchroniser"} <= set(tables())
    assert len(tables()) == len(list((ROOT / "hdl").rglob("registers.py"))) - 1  # one defines what a table is


def test_page_of_the_documentation_is_up_to_date() -> None:
    page = (ROOT / "docs" / "registers.md").read_text()
    assert page == markdown(), "write it again: kronborg registers --output docs/registers.md"


def test_command_writes_one_core_or_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registers", "dma"]) == 0
    assert capsys.readouterr().out.startswith("# Registers of dma")
    assert main(["registers", "--system-rdl", "--output", str(tmp_path / "all.rdl")]) == 0
    check(compiled((tmp_path / "all.rdl").read_text(), "mixer", tmp_path), tables()["mixer"])
    with pytest.raises(SystemExit, match="2"):
        main(["registers", "nothing"])
