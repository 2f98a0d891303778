from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.interpolating_shaper.core import InterpolatingShaper
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 21

CONFIGURATIONS = [
    pytest.param(2, 8, 3, False, id="2 lanes, 4 clocks per symbol"),
    pytest.param(4, 2, 4, False, id="4 lanes, 2 symbols per clock"),
    pytest.param(2, 8, 4, True, id="2 lanes, 4 clocks per symbol, shared multipliers and adders"),
    pytest.param(2, 8, 9, True, id="2 lanes, 4 clocks per symbol, three shared multipliers and adders"),
    pytest.param(2, 4, 8, True, id="2 lanes, 2 clocks per symbol, shared multipliers"),
    pytest.param(1, 8, 11, True, id="1 lane, 8 clocks per symbol, shared multipliers and adders"),
]


@pytest.mark.parametrize(("lanes", "samples_per_symbol", "span", "shared"), CONFIGURATIONS)
def test_core_equals_its_model_on_the_bench(
    lanes: int, samples_per_symbol: int, span: int, shared: bool, tmp_path: Path
) -> None:
    core = InterpolatingShaper(lanes=lanes, samples_per_symbol=samples_per_symbol, span=span, shared=shared)
    outcome = run_bench(
        Skin(core).to_verilog("interpolating_shaper"),
        "interpolating_shaper",
        "kronborg_sim.benches.shaper",
        tmp_path,
        {
            "interpolating": 1,
            "lanes": lanes,
            "samples_per_symbol": samples_per_symbol,
            "span": span,
            "latency": core.latency,
        },
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize(
    ("lanes", "samples_per_symbol", "span", "message"),
    [
        (3, 8, 4, "3 samples per clock: must be one of 1, 2, 4, 8, 16"),
        (4, 12, 4, "12 samples per symbol: must be one of 2, 4, 8, 16"),
        (4, 8, 0, "a span of 0 symbols: must be 1 to 256"),
    ],
)
def test_refuses_what_it_cannot_be(lanes: int, samples_per_symbol: int, span: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InterpolatingShaper(lanes=lanes, samples_per_symbol=samples_per_symbol, span=span)


def test_multiplies_once_what_shares_a_tap() -> None:
    # At two samples a symbol a pulse of 65 taps has 33 that differ; at eight lanes the general shaper multiplies 528.
    assert InterpolatingShaper(lanes=8, samples_per_symbol=8, span=33).multipliers == 2 * 33


def test_shares_a_multiplier_among_the_products_of_a_symbol() -> None:
    # Of 33 products 17 are of the sample on the symbol, which has half of its clocks.
    for lanes, wanted in ((4, 2 * 17), (2, 2 * 9), (1, 2 * 5), (8, 2 * 33)):
        assert InterpolatingShaper(lanes=lanes, samples_per_symbol=8, span=33, shared=True).multipliers == wanted
    # Of three taps the farther half of the line would begin before the nearer one.
    assert InterpolatingShaper(lanes=2, samples_per_symbol=8, span=3, shared=True).multipliers == 2 * 3
