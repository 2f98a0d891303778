from pathlib import Path

import pytest
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.matched_filter.core import MatchedFilter
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 21

CONFIGURATIONS = [
    pytest.param(1, 4, 3, id="one lane, 4 clocks per symbol"),
    pytest.param(2, 6, 2, id="2 lanes, 3 clocks per symbol"),
    pytest.param(4, 4, 3, id="4 lanes, 1 clock per symbol"),
    pytest.param(8, 2, 3, id="8 lanes, 4 symbols per clock"),
]


@pytest.mark.parametrize(("lanes", "samples_per_symbol", "span"), CONFIGURATIONS)
def test_core_equals_its_model_on_the_bench(lanes: int, samples_per_symbol: int, span: int, tmp_path: Path) -> None:
    core = MatchedFilter(lanes=lanes, samples_per_symbol=samples_per_symbol, span=span)
    outcome = run_bench(
        Skin(core).to_verilog("matched_filter"),
        "matched_filter",
        "kronborg_sim.benches.matched_filter",
        tmp_path,
        {"lanes": lanes, "samples_per_symbol": samples_per_symbol, "span": span, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("last", range(4))
def test_a_tap_written_in_the_clock_of_the_apply_is_used_with_it(last: int) -> None:
    """No bus is so fast. Samples wait for them, all ones: the first symbol has half of the taps, the second all."""
    core, taps = MatchedFilter(lanes=1, samples_per_symbol=2, span=2), (1, 2, 4, 8)

    async def bench(context: SimulatorContext) -> None:
        tap, apply, given = core.port.tap, core.port.control.apply, []
        context.set(core.port.shift.amount, 0)
        context.set(core.o.ready, 1)
        context.set(core.i.valid, 1)
        context.set(core.i.payload.words[0].i, 1)
        context.set(tap.written, 1)
        for index in (*(index for index in range(len(taps)) if index != last), last):
            context.set(tap.value, taps[index])
            context.set(tap.symbol, index // 2)
            context.set(tap.sample, index % 2)
            context.set(apply.start, index == last)
            await context.tick()
        context.set(tap.written, 0)
        context.set(apply.start, 0)
        for _ in range(3 * core.latency):
            _, _, valid, word = await context.tick().sample(core.o.valid, core.o.payload.words[0].i)
            given += [word] * valid
        assert given[:2] == [4 + 8, 1 + 2 + 4 + 8]

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("lanes", "samples_per_symbol", "span", "message"),
    [
        (3, 6, 4, "3 samples per clock: must be one of 1, 2, 4, 8, 16"),
        (32, 8, 4, "32 samples per clock"),
        (4, 6, 4, "6 samples per symbol: must be 2 to 16, and a multiple or a divisor of 4 lanes"),
        (16, 3, 4, "3 samples per symbol"),
        (1, 1, 4, "1 samples per symbol"),
        (1, 17, 4, "17 samples per symbol"),
        (4, 8, 0, "a span of 0 symbols: must be 1 to 256"),
        (4, 8, 257, "a span of 257 symbols"),
    ],
)
def test_refuses_what_it_cannot_be(lanes: int, samples_per_symbol: int, span: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatchedFilter(lanes=lanes, samples_per_symbol=samples_per_symbol, span=span)


def test_costs_one_multiplier_per_tap_rail_and_clock() -> None:
    core = MatchedFilter(lanes=4, samples_per_symbol=8, span=33)
    taps, rails, clocks_per_symbol = 8 * 33, 2, 2
    assert core.multipliers == taps * rails / clocks_per_symbol
    # 264 products of two's-complement 16-bit words, the largest being 2**30
    assert 2 ** (core.accumulator_bits - 1) > 264 * 2**30
