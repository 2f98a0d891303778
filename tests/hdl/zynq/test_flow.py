"""The way from an overlay to its files, with a nextpnr that is none: what it is given, and what becomes of it."""

import hashlib
import json
import lzma
import re
import sys
from pathlib import Path

import pytest

from kronborg.board.pynq.opening import bitstream, unpacked
from kronborg.cli import main
from kronborg_hdl.overlays.manifest import check, load
from kronborg_hdl.zynq import flow
from kronborg_hdl.zynq.bitstream import parse
from kronborg_hdl.zynq.database import Database
from kronborg_hdl.zynq.frames import disassemble, flat

FEATURES = "LOGIC_X0Y0.SITE_Y0.INIT[63:0] = 64'h3\nLOGIC_X0Y0.WIRE_A.WIRE_C\nLOGIC_X0Y0.WIRE_D.WIRE_E\n"
REQUIRED = ("LOGIC_X0Y1", "SITE_Y0.LATCH", 0)
NEXTPNR = """#!{python}
import json, sys
if "--version" in sys.argv:
    print('"nextpnr-himbaechel" -- Next Generation Place and Route (Version {version})')
    sys.exit()
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if {fails}:
    print("ERROR: no way for net x")
    sys.exit(1)
assert given["--device"] == "xc7z020clg400-1"
assert "create_clock -period 10.000" in open("top.xdc").read()
top = json.load(open(given["--json"]))["modules"]["zynq_top"]
assert given["--placer"] == "static"
assert top["settings"]["router2/bbMargin/y"] == "6"
assert "delay.last" in top["cells"]
open("top.fasm", "w").write({fasm!r})
used = {{"SLICE_LUTX": {{"used": 7, "available": 9}}, "DSP48E1_DSP48E1": {{"used": 0, "available": 220}}}}
step = {{"delay": {path_ns}, "type": "logic", "from": {{}}, "to": {{"cell": "a", "port": "D"}}}}
path = {{"from": "posedge none", "to": "posedge clk", "path": [step]}}
fmax = {{"clk": {{"achieved": {reached}, "constraint": 100}}}}
json.dump({{"fmax": fmax, "utilization": used, "critical_paths": [path]}}, open(given["--report"], "w"))
"""


@pytest.fixture
def tools(bits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Arguments of the command, with a nextpnr that does as it is told."""

    chip = tmp_path / "chip.bin"
    chip.write_bytes(b"chip")

    def make(
        *,
        reached: float = 123.4,
        path_ns: float = 1.5,
        fasm: str = FEATURES,
        fails: bool = False,
        version: str = "made-up-mended",
    ) -> list[str]:
        pins = {"A0": ["1"], "A1": ["1"], "A2": ["0"], "A3": ["0"], "CE": ["1"], "CLK": [2], "D": [3], "Q": [4]}
        ways = {pin: "output" if pin == "Q" else "input" for pin in pins}
        delay = {"type": "SRL16E", "parameters": {}, "port_directions": ways, "connections": pins}
        module = {"cells": {"delay": delay}, "netnames": {}, "ports": {"q": {"direction": "output", "bits": [4]}}}

        def synthesise(top, folder: Path) -> None:
            (folder / "netlist.json").write_text(json.dumps({"modules": {"zynq_top": module}}))

        monkeypatch.setattr(flow, "synthesise", synthesise)
        program = tmp_path / "nextpnr-himbaechel"
        given = {"reached": reached, "path_ns": path_ns, "fasm": fasm, "fails": fails, "version": version}
        program.write_text(NEXTPNR.format(python=sys.executable, **given))
        program.chmod(0o755)
        named = ["--nextpnr", str(program), "--chipdb", str(chip), "--bits", str(bits)]
        return ["build", "pynq-z2", "--overlay", "pulse_shaper", "--tool", "nextpnr", *named, "--out"]

    return make


def test_a_bitstream_and_all_that_is_said_of_it_are_written(tools, tmp_path: Path, database: Database) -> None:
    out = tmp_path / "out"
    assert main([*tools(), str(out)]) == 0
    manifest = load(out)
    assert check(out) == []
    names = {f"kronborg_pulse_shaper.{kind}" for kind in ("bit", "hwh", "v")} | {"report.txt"}
    assert set(manifest["sha256"]) == names
    assert {path.name for path in out.iterdir()} == {*names, "manifest.json"}
    assert manifest["status"] == "built"
    assert manifest["bitstream"] == "kronborg_pulse_shaper.bit"
    assert manifest["timing"] == {"asked_hz": 100_000_000, "reached_hz": 123_400_000}
    assert manifest["utilisation"] == {"half LUT": [7, 9]}
    assert manifest["tools"]["nextpnr-himbaechel"] == "made-up-mended"
    assert manifest["run_on_hardware"] == "no"
    assert len(manifest["revision"].removesuffix("-dirty")) == 40 or manifest["revision"] == "unknown"
    read = parse((out / "kronborg_pulse_shaper.bit").read_bytes())
    assert (read.design, read.part) == ("kronborg_pulse_shaper", "xc7z020clg400-1")
    made = {feature for feature in flat(FEATURES) if "WIRE_E" not in feature[1]}
    assert disassemble(read.frames(database), database) == made | {REQUIRED}
    assert "123.4 MHz reached" in (out / "report.txt").read_text()


def test_a_packed_bitstream_is_the_same_one(tools, tmp_path: Path) -> None:
    for arguments in (["whole"], ["packed", "--xz"]):
        assert main([*tools(), str(tmp_path / arguments[0]), *arguments[1:]]) == 0
    whole, packed = load(tmp_path / "whole"), load(tmp_path / "packed")
    assert check(tmp_path / "packed") == []
    assert packed["bitstream"] == "kronborg_pulse_shaper.bit.xz"
    assert set(packed["sha256"]) == {"kronborg_pulse_shaper.bit.xz", "kronborg_pulse_shaper.hwh", "report.txt"}
    bits = lzma.decompress((tmp_path / "packed" / packed["bitstream"]).read_bytes())
    assert bits == (tmp_path / "whole" / whole["bitstream"]).read_bytes()
    digest = hashlib.sha256(bits).hexdigest()
    assert digest == packed["bitstream_sha256"] == whole["sha256"]["kronborg_pulse_shaper.bit"]
    assert packed["design_sha256"] == whole["design_sha256"]
    beside = tmp_path / "packed" / "kronborg_pulse_shaper.bit"
    assert unpacked(bitstream(tmp_path / "packed", packed)) == beside
    assert beside.read_bytes() == bits
    assert check(tmp_path / "packed") == []
    assert unpacked(bitstream(tmp_path / "packed", packed)) == beside
    beside.write_bytes(bits[:-1])
    assert check(tmp_path / "packed") == ["kronborg_pulse_shaper.bit is not the one that was built"]


def test_two_builds_are_the_same(tools, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main([*tools(), str(tmp_path / name)]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_slower_clock_is_what_the_processor_makes_of_it_and_everybody_is_told(tools, tmp_path: Path) -> None:
    assert main([*tools(reached=62.6), str(tmp_path), "--clock", "66"]) == 0
    manifest = load(tmp_path)
    assert manifest["clock_hz"] == 62_500_000
    assert manifest["timing"] == {"asked_hz": 62_500_000, "reached_hz": 62_600_000}
    described = (tmp_path / "kronborg_pulse_shaper.hwh").read_text()
    assert re.search(r'NAME="PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ" VALUE="62.500000"', described)


@pytest.mark.parametrize("clock", ["9", "251", "nan"])
def test_a_clock_that_there_is_not_is_refused(clock: str, tools, tmp_path: Path, capsys) -> None:
    assert main([*tools(), str(tmp_path / "out"), "--clock", clock]) == 2
    assert f"a clock of {clock} MHz: must be 10 to 250" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reached": 99.9}, "the clock reaches 99.9 MHz of 100: not built"),
        ({"path_ns": 10.1}, "the clock reaches 99.0 MHz of 100: not built"),
        ({"fails": True}, "not built: nextpnr failed: ERROR: no way for net x"),
        ({"fasm": "LOGIC_X0Y0.NOTHING"}, "has no LOGIC_X0Y0.NOTHING[0]"),
    ],
)
def test_what_fails_is_one_line_and_no_file(
    given: dict, said: str, tools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*tools(**given), str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(out.iterdir()) == []


def test_a_nextpnr_that_would_not_end_is_refused(tools, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*tools(version="0.11.1"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "is nextpnr 0.11.1, and not mended" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("--nextpnr", "there is no /nowhere: build it with HIMBAECHEL_UARCH=xilinx from https://github.com/YosysHQ/"),
        ("--chipdb", "there is no chip database '/nowhere'"),
        ("--bits", "there is no bit database '/nowhere': take folder zynq7 of https://github.com/f4pga/prjxray-db"),
    ],
)
def test_a_missing_tool_is_named_with_where_it_comes_from_and_nothing_is_written(
    missing: str, said: str, tools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = tools()
    arguments[arguments.index(missing) + 1] = "/nowhere"
    assert main([*arguments, str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "not built" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
