"""`kronborg rate`: check points out of the command line, pictures, and options that contradict each other."""

from __future__ import annotations

import json
import math

import pytest

from kronborg.cli import main

CP1 = [
    "--modulation-variance",
    "4",
    "--transmittance",
    str(10**-0.5),
    "--excess-noise",
    "0.01",
    "--electronic-noise",
    "0.05",
]
CP2 = [
    "--modulation-variance",
    "5",
    "--transmittance",
    str(10**-0.2),
    "--excess-noise",
    "0.02",
    "--electronic-noise",
    "0.1",
]
CP4 = [
    "--modulation-variance",
    "4",
    "--transmittance",
    "0.1",
    "--excess-noise",
    "0.01",
    "--electronic-noise",
    "0.05",
    "--beta",
    "0.96",
]
FINITE = ["--proof", "finite", "--symbols", "1e9"]
DTU = ["--proof", "dtu", "--symbols", "1e9"]
IDEAL = ["--detector-efficiency", "1", "--electronic-noise", "0"]
EIGHT_BY_EIGHT = ["--modulation", "qam-64", "--shape", str((3 / 8) ** 2)]  # 8 cells over 6 standard deviations
SIXTEEN_BY_SIXTEEN = ["--modulation", "qam-256", "--shape", str((3.2 / 16) ** 2)]
COMPOSABLE = ["--proof", "composable", "--symbols", "1e9"]


def rate(capsys, *arguments):
    assert main(["rate", *arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (CP1, 0.089324667),
        ([*CP1, "--detection", "homodyne"], 0.088309715),
        ([*CP1, *FINITE], 0.042319546),
        ([*CP1, *COMPOSABLE], 0.061934783),
        (CP2, 0.246771363),
        ([*CP2, "--detection", "homodyne"], 0.230620450),
        ([*CP2, *FINITE], 0.120774479),
        ([*CP2, *COMPOSABLE], 0.188388221),
        (CP4, 0.023451526),
        ([*CP4, "--detection", "homodyne"], 0.023484147),
        ([*CP4, *FINITE], 0.009409394),
        ([*CP4, *COMPOSABLE], 0.008788577),
        ([*CP1, *FINITE, "--estimation-fraction", "0"], 0.08599514964),
        ([*CP1, *DTU], 0.06561091787),
    ],
)
def test_check_points_come_out_of_the_command(capsys, arguments, expected):
    assert rate(capsys, *arguments)["key_rate_bit_per_symbol"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("transmittance", "alphabet", "expected"),
    [
        (10**-0.5, EIGHT_BY_EIGHT, 0.14273),
        (0.1, EIGHT_BY_EIGHT, 0.03483),
        (10**-0.5, SIXTEEN_BY_SIXTEEN, 0.14637),
        (0.1, SIXTEEN_BY_SIXTEEN, 0.03602),
    ],
)
def test_check_points_of_discrete_alphabets(capsys, transmittance, alphabet, expected):
    found = rate(capsys, *IDEAL, "--transmittance", str(transmittance), *alphabet)
    assert found["key_rate_bit_per_symbol"] == pytest.approx(expected, abs=6e-6)
    assert found["modulation"] == alphabet[1]


def test_json_has_the_figures_and_what_they_were_computed_from(capsys):
    found = rate(capsys, *CP1, *COMPOSABLE)
    assert found["mutual_information"] == pytest.approx(0.444748607, abs=1e-9)
    assert found["holevo_bound"] == pytest.approx(0.333186510, abs=1e-9)
    assert found["snr"] == pytest.approx(0.361076925, abs=1e-9)
    assert found["plob_bound"] == pytest.approx(-math.log2(1 - 10**-0.5), rel=1e-12)
    assert found["loss_db"] == pytest.approx(5.0)
    assert found["modulation_variance_snu"] == 4
    assert found["symbols"] == 1e9
    assert found["epsilon"] == 2.0**-32
    assert found["frame_error_rate"] == 0.1


def test_distance_stands_for_a_transmittance(capsys):
    assert rate(capsys, "--distance", "25")["key_rate_bit_per_symbol"] == pytest.approx(0.089324667, abs=1e-9)
    found = rate(capsys, "--distance", "20", "--attenuation", "0.25")
    assert found["transmittance"] == pytest.approx(10**-0.5, rel=1e-12)
    assert found["distance_km"] == 20


def test_frame_errors_scale_the_rate(capsys):
    whole = rate(capsys, *CP1, *FINITE)["key_rate_bit_per_symbol"]
    assert rate(capsys, *CP1, *FINITE, "--frame-error-rate", "0.25")["key_rate_bit_per_symbol"] == pytest.approx(
        0.75 * whole
    )


def test_a_person_reads_the_rate_with_the_plob_bound_beside_it(capsys):
    assert main(["rate", *CP1]) == 0
    text = capsys.readouterr().out
    assert "0.089324667 bit/symbol" in text
    assert "0.548412255 bit/symbol" in text


def test_a_negative_rate_is_printed_as_it_is(capsys):
    arguments = ["rate", *CP4, "--proof", "composable", "--symbols", "1e8"]
    assert main(arguments) == 3
    said = capsys.readouterr()
    assert "-0.011415288 bit/symbol   no key" in said.out
    assert said.err.startswith("kronborg rate: no key: ")
    assert said.err.count("\n") == 1
    assert main([*arguments, "--json", "-"]) == 3
    assert json.loads(capsys.readouterr().out)["key_rate_bit_per_symbol"] == pytest.approx(-0.011415288, abs=1e-9)


def test_no_loss_has_no_bound_and_valid_json(capsys):
    assert rate(capsys, "--transmittance", "1")["plob_bound"] is None
    assert main(["rate", "--distance", "0"]) == 0
    assert "unlimited" in capsys.readouterr().out


def test_a_proof_that_was_recalled_says_so(capsys):
    assert rate(capsys, *CP1, *DTU)["proof_recalled"] is True
    assert main(["rate", *CP1, *DTU]) == 0
    assert "recalled" in capsys.readouterr().out
    assert rate(capsys, *CP1, *COMPOSABLE)["proof_recalled"] is False


def test_json_goes_to_a_file(tmp_path, capsys):
    assert main(["rate", *CP1, "--json", str(tmp_path / "rate.json")]) == 0
    assert json.loads((tmp_path / "rate.json").read_text())["holevo_bound"] == pytest.approx(0.333186510, abs=1e-9)
    assert "key rate" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "magic"), [("rate.png", b"\x89PNG"), ("rate.svg", b"<?xml")])
def test_sweep_draws_a_picture(tmp_path, name, magic):
    for _ in range(2):
        assert main(["rate", "--distance", "25", "--sweep", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_sweep_needs_no_distance_and_the_same_options_give_the_same_picture(tmp_path):
    for name in ("one.svg", "two.svg"):
        assert main(["rate", *COMPOSABLE, "--sweep", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_sweep_says_what_it_assumes_and_gives_its_curve_as_json(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda self, text, **_: titles.append(text))
    picture, figures = tmp_path / "rate.svg", tmp_path / "rate.json"
    assert main(["rate", "--distance", "25", "--modulation", "qam-64", "--sweep", str(picture)]) == 0
    assert main(["rate", "--distance", "25", *COMPOSABLE, "--sweep", str(picture), "--json", str(figures)]) == 0
    assert titles[0].startswith("QAM-64, heterodyne")
    assert titles[1].startswith("Gaussian, heterodyne")
    assert "epsilon" not in titles[0]
    assert titles[1].endswith(r"$\epsilon$ = $2.33 \times 10^{-10}$")

    said = json.loads(figures.read_text())
    distances, rates = said["sweep"]["distance_km"], said["sweep"]["key_rate_bit_per_symbol"]
    assert len(distances) == len(rates) == 400
    assert distances[0] == 0 < distances[-1]
    assert min(rates) >= 0
    later = next(index for index, distance in enumerate(distances) if distance > 25)
    assert rates[later] <= said["key_rate_bit_per_symbol"] <= rates[later - 1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--distance or --transmittance"),
        (["--transmittance", "1.2"], "transmittance"),
        (["--transmittance", "nan"], "transmittance"),
        (["--distance", "25", "--transmittance", "0.3"], "give one"),
        (["--distance", "-1"], "distance"),
        (["--distance", "nan"], "distance"),
        (["--distance", "5", "--attenuation", "0"], "attenuation"),
        (["--transmittance", "0.3", "--attenuation", "0.2"], "--attenuation"),
        (["--distance", "25", "--proof", "finite"], "--symbols"),
        (["--distance", "25", "--symbols", "1e9"], "--symbols"),
        (["--distance", "25", *FINITE, "--bits-per-quadrature", "5"], "--bits-per-quadrature"),
        (["--distance", "25", "--beta", "1.2"], "efficiency"),
        (["--distance", "25", *COMPOSABLE, "--epsilon", "0"], "epsilon"),
        (["--distance", "25", *COMPOSABLE, "--estimation-fraction", "1"], "estimation"),
        (["--distance", "25", "--proof", "finite", "--symbols", "nan"], "symbols"),
        (["--distance", "25", *FINITE, "--modulation", "qpsk"], "Gaussian modulation alone"),
        (["--distance", "25", "--shape", "0.1"], "--modulation"),
        (["--distance", "25", "--modulation", "qam-64", "--shape", "-1"], "shape"),
        (["--distance", "25", "--modulation", "qam-64", "--modulation-variance", "1000"], "photons"),
        (["--sweep", "rate.pdf"], ".png"),
        (["--sweep", "rate.png", "--json", "-"], "--distance or --transmittance"),
        (["--distance", "25", "--sweep", "/nowhere/at/all/rate.png"], "cannot write"),
    ],
)
def test_impossible_options_exit_with_2_and_one_line(capsys, arguments, complaint):
    assert main(["rate", *arguments]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--distance", "25", "--proof", "finite", "--symbols", "50"], ["--excess-noise", "3", "--sweep", "rate.png"]],
)
def test_no_rate_at_all_exits_with_3_and_one_line(capsys, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["rate", *arguments]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
