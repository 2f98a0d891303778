import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth import Signal
from amaranth.back import verilog
from amaranth.hdl import Fragment
from amaranth.sim import Simulator

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.entropy.chacha20.core import Expander
from kronborg_hdl.modulation.entropy.core import Entropy
from kronborg_hdl.modulation.entropy.health.core import HealthTests
from kronborg_hdl.modulation.entropy.health.model import HealthTests as HealthTestsModel
from kronborg_hdl.modulation.entropy.model import pack
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_EXPANDERS_BENCH = 10
TESTS_IN_THE_BENCH = 37


@pytest.mark.parametrize("rounds_per_clock", [4, 20])  # with 20 a block leaves in every clock
def test_expander_equals_the_rfc_on_the_bench(rounds_per_clock: int, tmp_path: Path) -> None:
    core = Expander(rounds_per_clock=rounds_per_clock)
    outcome = run_bench(
        verilog.convert(core, name="expander", emit_src=False, strip_internal_attrs=True),
        "expander",
        "kronborg_sim.benches.chacha20",
        tmp_path,
        {"rounds_per_clock": core.rounds_per_clock, "ring": core.ring, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_EXPANDERS_BENCH


def test_source_equals_its_model_on_the_bench(tmp_path: Path) -> None:
    core = Entropy(rounds_per_clock=2, sample_bits=8)
    outcome = run_bench(
        Skin(core).to_verilog("entropy"),
        "entropy",
        "kronborg_sim.benches.entropy",
        tmp_path,
        {"rounds_per_clock": 2, "sample_bits": 8, "word_bits": core.word_bits},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def run_health_tests(core: HealthTests, settings: HealthTestsModel, beats: list[int], seed: int) -> tuple[Any, ...]:
    """Feed beats with pauses on both sides; the beats that came out, whether each test failed, whether it started."""
    pauses = random.Random(seed)
    given: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(core.repetition_cutoff, settings.repetition_cutoff)
        ctx.set(core.proportion_cutoff, settings.proportion_cutoff)
        waiting, idle = list(beats), 0
        while idle < 100:
            if not ctx.get(core.i.valid) and waiting and pauses.random() < 0.8:
                ctx.set(core.i.valid, 1)
                ctx.set(core.i.payload, waiting[0])
            ctx.set(core.o.ready, pauses.random() < 0.8)
            taken, came = ctx.get(core.i.valid & core.i.ready), ctx.get(core.o.valid & core.o.ready)
            idle = 0 if taken or came or waiting else idle + 1
            if came:
                given.append(ctx.get(core.o.payload))
            await ctx.tick()
            if taken:
                ctx.set(core.i.valid, 0)
                waiting.pop(0)
        given.append(ctx.get(core.repetition_failed))
        given.append(ctx.get(core.proportion_failed))
        given.append(ctx.get(core.started))

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return given[:-3], bool(given[-3]), bool(given[-2]), bool(given[-1])


@pytest.mark.parametrize("sample_bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("failure", ["none", "run", "frequent"])
def test_health_tests_equal_their_model_for_every_width_of_samples(sample_bits: int, failure: str) -> None:
    rng = np.random.default_rng([sample_bits, len(failure)])
    core = HealthTests(sample_bits=sample_bits)
    beats = 2 * 1024 // core.samples + 20
    samples = rng.integers(0, 2**sample_bits, beats * core.samples).astype(np.uint16)
    free = HealthTestsModel(sample_bits, 10**4, 10**4)
    # Cut-offs that the samples just reach, somewhere after the start-up test or never.
    longest, most = int(free._runs(samples).max()), int(free._occurrences(samples).max())
    if failure == "run":
        begin = 1024 + 5 * core.samples - 3
        samples[begin : begin + longest + 8] = samples[begin]
        longest = int(free._runs(samples).max())
    settings = HealthTestsModel(sample_bits, longest + (failure != "run"), most + 40 - 40 * (failure == "frequent"))
    verdict = settings.process(samples)
    assert verdict.repetition_failed == (failure == "run")
    assert verdict.proportion_failed == (failure == "frequent")
    words = pack(samples, sample_bits).view("<u8").tolist()
    given, repetition, proportion, started = run_health_tests(core, settings, words, sample_bits)
    assert given == pack(verdict.passed, sample_bits).view("<u8").tolist()
    assert (repetition, proportion, started) == (verdict.repetition_failed, verdict.proportion_failed, True)


def registers(fragment: Fragment) -> list[Signal]:
    """All signals that a clock drives, in a fragment and below."""
    found = {id(signal): signal for entry in fragment.statements.get("sync", []) for signal in entry._lhs_signals()}
    return [*found.values(), *(signal for below, *_ in fragment.subfragments for signal in registers(below))]


def test_reset_clears_every_register_but_the_epoch_and_counters() -> None:
    core = Entropy(rounds_per_clock=2, sample_bits=8)
    found = registers(Fragment.get(core, None))
    ring = 512 * (4 * 2 + 1)
    assert sum(len(register) for register in found) > ring + 2 * 352 + 3 * 512
    kept = {register.name: len(register) for register in found if register.reset_less}
    # A block's counter travels beside it in registers that Pipeline names "later".
    assert set(kept) == {"epoch", "counter", "later"}
    assert sum(len(register) for register in found if register.reset_less) == 64 + 32 * core.expander.ring
    assert {register.init for register in found if len(register) >= 32} == {0}


@pytest.mark.parametrize("rounds", [0, 1, 3, 5, 40])
def test_rounds_per_clock_that_do_not_make_a_ring_are_refused(rounds: int) -> None:
    with pytest.raises(ValueError, match=f"{rounds} rounds per clock: must be one of 2, 4, 10, 20"):
        Entropy(rounds_per_clock=rounds, sample_bits=8)


@pytest.mark.parametrize("bits", [0, 3, 32])
def test_widths_of_samples_that_do_not_fill_a_beat_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"samples of {bits} bits: must be one of 1, 2, 4, 8, 16"):
        Entropy(rounds_per_clock=2, sample_bits=bits)


@pytest.mark.parametrize(("rounds", "word_bits"), [(2, 64), (4, 128), (10, 256), (20, 512)])
def test_words_are_wide_enough_for_the_keystream(rounds: int, word_bits: int) -> None:
    core = Entropy(rounds_per_clock=rounds, sample_bits=1)
    assert core.word_bits == word_bits
    assert word_bits / 2 < 512 * rounds / 20 <= word_bits
    # A block's place comes by at the entrance when it has made its passes, and not before.
    passes = [n for n in range(1, 41) if n * core.expander.ring % core.expander.clocks_per_block == 0]
    assert passes[0] == core.expander.clocks_per_block
