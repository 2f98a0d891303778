import sys
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.errors import InputError, NoKeyError
from kronborg.postprocessing.reconciliation import Code, Decoder, available_codes, choose_code, code_named
from kronborg.postprocessing.reconciliation.base_graph import STORED, BaseGraph, load
from kronborg.postprocessing.reconciliation.construct import construct, main
from kronborg.postprocessing.reconciliation.ensembles import ENSEMBLES, Columns, Ensemble

every_code = pytest.mark.parametrize("code", available_codes(), ids=lambda code: code.name)


def rows(graph: BaseGraph) -> list[list[tuple[int, int]]]:
    """(column, shift) of each edge of each row."""
    edges = list(zip(graph.columns.tolist(), graph.shifts.tolist(), strict=True))
    ends = np.cumsum(graph.row_degrees).tolist()
    return [edges[begin:end] for begin, end in pairwise([0, *ends])]


def test_the_stored_codes_are_what_the_command_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["construct", "--output", str(tmp_path)])
    main()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in STORED.glob("*.npz")}
    for name in ENSEMBLES:
        made, stored = load(tmp_path / f"{name}.npz"), load(STORED / f"{name}.npz")
        for field in ("row_degrees", "columns", "shifts"):
            assert np.array_equal(getattr(made, field), getattr(stored, field)), (name, field)
        assert (made.lifting, made.core_columns, made.core_rows) == (
            stored.lifting,
            stored.core_columns,
            stored.core_rows,
        )


@every_code
def test_the_graph_has_the_degrees_of_its_ensemble(code: Code) -> None:
    graph, ensemble = code.graph, ENSEMBLES[code.name]
    assert graph.row_degrees.tolist() == ensemble.core_check_degrees() + ensemble.leaf_check_degrees()
    core_edges = int(graph.row_degrees[: graph.core_rows].sum())
    classes = [(c.core_degree, c.leaf_degree) for c in ensemble.columns for _ in range(c.count)]
    core_degrees = np.bincount(graph.columns[:core_edges], minlength=len(classes))
    leaf_degrees = np.bincount(graph.columns[core_edges:], minlength=len(classes))
    assert list(zip(core_degrees.tolist(), leaf_degrees.tolist(), strict=True)) == classes


@every_code
def test_no_check_meets_a_column_twice_and_no_cycle_has_length_four(code: Code) -> None:
    differences = set()
    for row in rows(code.graph):
        assert len({column for column, _ in row}) == len(row)
        for (a, s), (b, t) in combinations(sorted(row), 2):
            difference = (a, b, (s - t) % code.graph.lifting)
            assert difference not in differences
            differences.add(difference)


def test_an_ensemble_that_cannot_be_lifted_is_refused() -> None:
    with pytest.raises(InputError, match="lifting of 1 is too small"):
        construct(ENSEMBLES["met-0.1"], lifting=1, seed=1)
    with pytest.raises(InputError, match="meet a column twice"):
        construct(Ensemble((Columns(10, 3, 3),), core_checks=2, leaf_checks=30), lifting=64, seed=1)


@every_code
def test_what_is_not_disclosed_is_the_core_less_its_checks(code: Code) -> None:
    assert code.length % 8 == 0
    assert code.dimension == code.length - code.checks == code.core_length - code.core_checks
    assert code.rate == pytest.approx(ENSEMBLES[code.name].rate, abs=1e-15)
    assert code.dimension == round(code.rate * code.length)


def test_leaves_follow_from_core_bits_and_syndrome(small_code: Code) -> None:
    """Two words with the same core bits and the same syndrome are the same word."""
    rng = np.random.default_rng(1)
    decoder = Decoder(small_code, native=False)
    bits = rng.integers(0, 2, small_code.length, dtype=np.uint8)
    core_alone = np.concatenate(
        [small_code.core_bits(bits), np.zeros(small_code.checks - small_code.core_checks, np.uint8)]
    )
    difference = decoder.syndrome(bits) ^ decoder.syndrome(core_alone)
    assert not difference[: small_code.core_checks].any()
    assert np.array_equal(difference[small_code.core_checks :], bits[small_code.core_length :])


def test_core_bits_come_first_and_wrong_lengths_are_refused(small_code: Code) -> None:
    bits = np.random.default_rng(2).integers(0, 2, small_code.length, dtype=np.uint8)
    assert np.array_equal(small_code.core_bits(bits), bits[: small_code.core_length])
    with pytest.raises(InputError, match=f"words of {small_code.length} bits"):
        small_code.core_bits(bits[1:])


def test_thresholds_were_measured_and_are_as_efficient_as_promised() -> None:
    promised = {"met-0.333": 0.88, "met-0.2": 0.92, "met-0.1": 0.93, "met-0.05": 0.93}
    assert {code.name for code in available_codes()} == set(promised)
    for code in available_codes():
        assert code.threshold.frames >= 40
        assert code.threshold.failed / code.threshold.frames <= 0.05
        assert code.efficiency(code.threshold_snr) >= promised[code.name]


def test_codes_are_found_by_name() -> None:
    for code in available_codes():
        assert code_named(code.name) is code
    with pytest.raises(InputError, match="no code is called 'turbo'"):
        code_named("turbo")


@given(st.floats(1e-3, 1e3))
def test_the_code_of_highest_rate_that_works_is_chosen(snr: float) -> None:
    working = [code.rate for code in available_codes() if code.threshold_snr <= snr]
    if working:
        assert choose_code(snr).rate == max(working)
    else:
        with pytest.raises(NoKeyError):
            choose_code(snr)


@pytest.mark.parametrize("snr", [0.0, 0.01, float("nan")])
def test_an_snr_that_no_code_covers_gets_one_line_of_help(snr: float) -> None:
    with pytest.raises(NoKeyError, match="raise the modulation variance") as caught:
        choose_code(snr)
    assert "\n" not in str(caught.value)
