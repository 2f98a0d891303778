import sys
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.errors import InputError, NoKeyError
from kronborg.postprocessing.reconciliation import Code, Decoder, available_codes, choose_code, code_named
from kronborg.postprocessing.reconciliation.base_graph import STORED, BaseGraph, load
from kronborg.postprocessing.reconciliation.codes import Family, families
from kronborg.postprocessing.reconciliation.construct import LIGHTEST, construct, lightest_cycle, main
from kronborg.postprocessing.reconciliation.ensembles import ENSEMBLES, Ensemble, Nodes

every_family = pytest.mark.parametrize("family", families(), ids=lambda family: family.name)


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


@every_family
def test_the_graph_has_the_degrees_of_its_ensemble_with_however_many_leaf_checks(family: Family) -> None:
    ensemble = family.ensemble
    for leaves in (ensemble.fewest_leaves, ensemble.most_leaves):
        graph = family.code(leaves).graph
        assert graph.row_degrees.tolist() == ensemble.core_check_degrees() + ensemble.leaf_check_degrees(leaves)
        core_edges = int(graph.row_degrees[: graph.core_rows].sum())
        assert np.bincount(graph.columns[:core_edges]).tolist() == ensemble.column_degrees()
        leaf_degrees = np.bincount(graph.columns[core_edges:], minlength=ensemble.core_columns)
        assert np.ptp(leaf_degrees) <= 1
        classes = ensemble.classes(leaves)
        assert sum(share for share, _, _ in classes) == pytest.approx(1)
        assert sum(share * degree for share, _, degree in classes) == pytest.approx(leaf_degrees.mean())


@every_family
def test_no_check_meets_a_column_twice_and_no_cycle_has_length_four(family: Family) -> None:
    differences = set()
    for row in rows(family.graph):
        assert len({column for column, _ in row}) == len(row)
        for (a, s), (b, t) in combinations(sorted(row), 2):
            difference = (a, b, (s - t) % family.graph.lifting)
            assert difference not in differences
            differences.add(difference)


@every_family
def test_few_columns_of_degree_two_form_no_cycle(family: Family) -> None:
    """Such a cycle is a code word of few bits, however its circulants are turned."""
    twos = [column for column, degree in enumerate(family.ensemble.column_degrees()) if degree == 2]
    if len(twos) >= family.graph.core_rows:
        return
    group = list(range(family.graph.core_rows))
    for column in twos:
        first, second = (r for r, row in enumerate(rows(family.graph)[: len(group)]) if column in dict(row))
        assert group[first] != group[second]
        group = [group[first] if g == group[second] else g for g in group]


def test_the_lightest_cycle_of_degree_two_columns_is_found() -> None:
    """Two columns that meet the same two rows close after the order of what they are turned by: 2 here, so 4 bits."""
    rows, degrees = [[0, 1, 2], [0, 1, 2]], np.array([2, 2, 3])
    assert lightest_cycle(rows, [[5, 0, 1], [0, 3, 9]], degrees, lifting=16) == 2 * 16 // 8
    assert lightest_cycle(rows, [[5, 0, 1], [0, 2, 9]], degrees, lifting=16) == 16, "none is lighter than a circulant"


@every_family
def test_no_cycle_of_degree_two_columns_makes_a_word_of_few_bits(family: Family) -> None:
    core = slice(0, family.graph.core_rows)
    pairs = rows(family.graph)[core]
    lightest = lightest_cycle(
        [[column for column, _ in row] for row in pairs],
        [[shift for _, shift in row] for row in pairs],
        np.array(family.ensemble.column_degrees()),
        family.graph.lifting,
    )
    assert lightest >= LIGHTEST


def test_an_ensemble_that_cannot_be_lifted_is_refused() -> None:
    with pytest.raises(InputError, match="take fewer of them or a larger lifting"):
        construct(replace(ENSEMBLES["met-0.11"], lifting=1), seed=1)
    with pytest.raises(InputError, match="meet a column twice"):
        construct(Ensemble((Nodes(10, 3),), (Nodes(2, 15),), 100, 30, 30, 64), seed=1)
    with pytest.raises(ValueError, match="30 sockets of core columns cannot be tied to 29"):
        Ensemble((Nodes(10, 3),), (Nodes(1, 29),), 100, 30, 30, 64)


@every_family
def test_what_is_not_disclosed_is_the_core_less_its_checks(family: Family) -> None:
    for leaves in (family.ensemble.fewest_leaves, family.ensemble.most_leaves):
        code = family.code(leaves)
        assert code.length % 64 == 0
        assert code.dimension == code.length - code.checks == code.core_length - code.core_checks
        assert code.rate == pytest.approx(family.ensemble.rate(leaves), abs=1e-15)


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


def test_codes_are_as_efficient_as_promised_without_a_gap() -> None:
    """From the lowest SNR to where slices take over; tests of decoding hold the thresholds to it."""
    for least, promised in ((0.0185, 0.93), (0.16, 0.92), (0.25, 0.915), (0.34, 0.89), (0.55, 0.85)):
        for snr in np.geomspace(least, 0.68 if least > 0.5 else least * 1.3, 30):
            code = choose_code(float(snr))
            assert code.threshold_snr <= snr
            assert code.efficiency(float(snr)) > promised, (snr, code.name)


def test_rates_are_fine_enough_to_follow_the_snr() -> None:
    for snr in (0.02, 0.0734, 0.16, 0.5):
        code = choose_code(snr)
        assert snr / code.threshold_snr < 1.005, code.name


def test_codes_are_found_by_name() -> None:
    for code in (*available_codes(), choose_code(0.1234)):
        found = code_named(code.name)
        assert (found.name, found.rate, found.threshold_snr) == (code.name, code.rate, code.threshold_snr)
        assert found.graph.lifting == code.graph.lifting
        assert np.array_equal(found.graph.columns, code.graph.columns)
    for name in ("turbo", "met-0.11", "met-0.11/x", "met-0.11/٣", "met-9/600", "met-0.11/"):
        with pytest.raises(InputError, match="no code is called"):
            code_named(name)
    with pytest.raises(InputError, match=r"codes met-0\.11 have 530 to 1010 leaf checks, not 7"):
        code_named("met-0.11/7")


@given(st.floats(1e-3, 1e3))
def test_no_code_of_the_ladder_that_works_has_a_higher_rate_than_the_one_chosen(snr: float) -> None:
    working = [code.rate for code in available_codes() if code.threshold_snr <= snr]
    if working:
        chosen = choose_code(snr)
        assert chosen.rate >= max(working)
        assert chosen.threshold_snr <= snr
    else:
        with pytest.raises(NoKeyError):
            choose_code(snr)


@pytest.mark.parametrize("snr", [0.0, -1.0, 0.01])
def test_an_snr_that_no_code_covers_gets_one_line_of_help(snr: float) -> None:
    with pytest.raises(NoKeyError, match="raise the modulation variance") as caught:
        choose_code(snr)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("snr", [float("nan"), float("inf")])
def test_an_snr_that_is_no_number_gets_one_line_of_help(snr: float) -> None:
    with pytest.raises(NoKeyError, match="check that the symbols are numbers and not constant") as caught:
        choose_code(snr)
    assert "\n" not in str(caught.value)
