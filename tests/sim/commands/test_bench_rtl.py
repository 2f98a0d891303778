"""What the bench says of what ``bench_core`` finds; the comparison itself has its own tests."""

from dataclasses import replace
from typing import Any

import pytest

from kronborg_sim.rtl import bench as rtl_bench
from kronborg_sim.rtl.bench import RtlBench

from .conftest import Bench

FOUND = RtlBench("pulse_shaper", 8, 400_000, 8.0, True, "", 125e3, 957_913, 30.0, 9.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``bench_core`` is asked for; its answer is under "answer"."""
    asked: dict[str, Any] = {"answer": FOUND}

    def bench_core(name: str, lanes: int, **options: Any) -> RtlBench:
        asked.update(options, name=name, lanes=lanes)
        if isinstance(asked["answer"], Exception):
            raise asked["answer"]
        return asked["answer"]

    monkeypatch.setattr(rtl_bench, "bench_core", bench_core)
    return asked


def test_a_core_that_is_bit_exact_passes(bench: Bench, asked: dict[str, Any]) -> None:
    finished = bench("rtl", "--core", "pulse_shaper", "--lanes", "4", "--symbols", "2e4", "--seed", "9")
    assert finished.code == 0
    assert finished.figures["symbols"] == 400_000
    assert finished.figures["samples_per_clock"] == 8.0
    assert finished.figures["bit_exact"] is True
    assert finished.figures["simulated_cycles_per_second"] == 125e3
    assert (asked["name"], asked["lanes"], asked["symbols"], asked["seed"]) == ("pulse_shaper", 4, 20_000, 9)
    assert (asked["samples_per_symbol"], asked["span"]) == (8, 33)
    assert "125 kcycle/s" in finished.out


def test_a_word_that_differs_fails_and_is_named(bench: Bench, asked: dict[str, Any]) -> None:
    asked["answer"] = replace(FOUND, bit_exact=False, fault="idle: m_axis, clock 5: word 3 of 9 is 1 and not 2")
    finished = bench("rtl", "--core", "pulse_shaper")
    assert finished.code == 1
    assert finished.err.splitlines()[-1] == f"kronborg bench: rtl failed: {asked['answer'].fault}"
    assert finished.figures["bit_exact"] is False
    assert finished.figures["fault"] == asked["answer"].fault


def test_what_the_compiler_refuses_is_told_in_one_line(bench: Bench, asked: dict[str, Any]) -> None:
    asked["answer"] = RuntimeError("c++ refuses the simulation:\nmodel.cpp:1: no such thing\nand more")
    finished = bench("rtl", "--core", "pulse_shaper")
    assert finished.code == 1
    assert finished.err.splitlines()[-1] == ("kronborg bench: c++ refuses the simulation: model.cpp:1: no such thing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--core"),
        (["--core", "castle"], "there is no core 'castle': choose one of "),
        (["--core", "pulse_shaper", "--lanes", "3"], "pulse_shaper: "),
        (["--core", "pulse_shaper", "--symbols", "0"], "give a whole number"),
        (["--core", "pulse_shaper", "--symbols", "1e99"], "give a whole number"),
        (["--core", "pulse_shaper", "--seed", "-1"], "give a whole number"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_in_one_line(bench: Bench, arguments: list[str], message: str) -> None:
    finished = bench("rtl", *arguments)
    assert finished.code == 2
    assert len(finished.err.splitlines()) == 1
    assert message in finished.err
    assert finished.figures is None
