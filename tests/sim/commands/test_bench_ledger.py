"""The ledger: every effect is there, below its bound, and moves with what it comes from."""

import json
from pathlib import Path

import pytest

from kronborg import cli
from kronborg_sim.commands.bench.ledger import Effect, ledger

EFFECTS = (
    "fixed point",
    "oscillators",
    "timing in 128ths",
    "timing off by T/128",
    "clock's loop",
    "filters",
    "phase",
)


def by_name(effects: list[Effect]) -> dict[str, Effect]:
    return {effect.effect: effect for effect in effects}


def test_every_effect_is_measured_and_within_its_bound() -> None:
    effects = by_name(ledger(6000, 2e3, 20.0, 20.0, seed=1))
    assert tuple(effects) == EFFECTS
    for effect in effects.values():
        assert 0 < effect.measured_msnu <= effect.bound_msnu, effect


def test_bounds_are_no_wider_than_they_have_to_be() -> None:
    effects = by_name(ledger(6000, 2e3, 20.0, 20.0, seed=2))
    for name in ("fixed point", "timing in 128ths", "timing off by T/128", "phase"):
        assert effects[name].measured_msnu > 0.6 * effects[name].bound_msnu, name


def test_phase_grows_with_the_linewidth_and_roundings_do_not() -> None:
    narrow, wide = (by_name(ledger(4000, linewidth, 20.0, 0.0, seed=3)) for linewidth in (200.0, 20e3))
    assert wide["phase"].measured_msnu > 5 * narrow["phase"].measured_msnu
    assert wide["fixed point"].measured_msnu == pytest.approx(narrow["fixed point"].measured_msnu, rel=0.1)


def test_the_command_writes_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "ledger", "--symbols", "4000", "--plain", "--json", str(tmp_path / "l.json")]) == 0
    figures = json.loads((tmp_path / "l.json").read_text())
    assert [row["effect"] for row in figures["rows"]] == list(EFFECTS)
    assert set(figures["rows"][0]) == {"effect", "measured_msnu", "bound_msnu"}
    assert figures["fixed_point_and_filters_msnu"] < 0.3
    assert figures["model_samples_per_second"] > 1e6
    assert "timing off by T/128" in capsys.readouterr().out


def test_too_few_symbols_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "ledger", "--symbols", "10"]) == 2
    assert "10 symbols" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--linewidth", "nan"], "nan Hz of --linewidth: give 1 to 1e+06"),
        (["--linewidth", "-5"], "-5 Hz of --linewidth"),
        (["--pilot-snr", "inf"], "inf dB of --pilot-snr: give 0 to 50"),
        (["--clock-offset", "101"], "101 ppm of --clock-offset: give -100 to 100"),
    ],
)
def test_light_that_cannot_be_is_refused(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "ledger", *arguments]) == 2
    assert line in capsys.readouterr().err
