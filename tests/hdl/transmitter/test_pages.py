"""Figures in the pages of the transmitter that follow from how it is built are those of the cores as they are."""

from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.dsp.rates import LANES
from kronborg_hdl.modulation.entropy.chacha20.core import ROUNDS_PER_CLOCK
from kronborg_hdl.modulation.entropy.core import BLOCK_BITS, Entropy
from kronborg_hdl.modulation.entropy.health.model import HealthTests, window
from kronborg_hdl.modulation.gaussian.tables import WORD_BITS
from kronborg_hdl.modulation.interpolating_shaper.model import HALF_BANDS
from kronborg_hdl.transmitter.core import Transmitter

M, SPAN = 8, 33
DEVICE_MULTIPLIERS = 220
"""Of an XC7Z020."""


def page(name: str) -> str:
    return " ".join((Path(__file__).parents[3] / "docs" / name).read_text().split())


def test_sizes_and_latencies_are_those_of_the_cores() -> None:
    text = page("transmitter.md")
    built = [Transmitter(lanes=lanes, samples_per_symbol=M, span=SPAN) for lanes in LANES]
    multipliers, latencies = (
        ", ".join(str(getattr(core, name)) for core in built) for name in ("multipliers", "latency")
    )
    assert f"{multipliers} at 1, 2, 4, 8, 16 lanes (M = 8, K = 33)" in text
    assert f"{latencies} clocks at 1, 2, 4, 8, 16 lanes (M = 8, K = 33)" in text
    assert f"(8 lanes, M = 8: {built[LANES.index(8)].minimum_head})" in text
    four, two = (Transmitter(lanes=8, samples_per_symbol=m, span=SPAN).multipliers for m in (4, 2))
    assert f"{four} multipliers for M = 4, {two} for M = 2" in text


def test_every_pair_of_lanes_and_samples_a_symbol_is_built_or_refused_as_the_page_says() -> None:
    text = page("transmitter.md")
    general = "such an M comes at one lane; at two lanes if it is 6, 10, 12 or 14; at four if it is 12."
    assert general in text
    lanes_of = {m: LANES if m in HALF_BANDS else (1,) for m in range(2, 17)} | dict.fromkeys((6, 10, 14), (1, 2))
    lanes_of[12] = (1, 2, 4)
    too_large = {}
    for m, lanes_there in lanes_of.items():
        for lanes in LANES:
            if lanes not in lanes_there:
                with pytest.raises(ValueError, match=f"{m} samples per symbol: must be 2 to 16, and a multiple or"):
                    Transmitter(lanes=lanes, samples_per_symbol=m, span=SPAN)
                continue
            core = Transmitter(lanes=lanes, samples_per_symbol=m, span=SPAN)
            tail = 32 if m == 2 else 40 if m in HALF_BANDS else SPAN - 1
            assert core.pulse_shaper.tail == tail
            if m not in HALF_BANDS and core.multipliers > DEVICE_MULTIPLIERS:
                too_large[m, lanes] = core.multipliers
    assert list(too_large) == [(12, 4)]
    assert f"Only M = 12 at four lanes has too many multipliers for an XC7Z020 ({too_large[12, 4]})." in text
    assert "40 symbols for K = 33 and M = 4, 8 or 16, 32 for M = 2, K - 1 for any other M." in text


@pytest.mark.parametrize("rounds", ROUNDS_PER_CLOCK)
def test_the_table_of_chacha20_is_that_of_the_core(rounds: int) -> None:
    core = Entropy(rounds_per_clock=rounds, sample_bits=8)
    expander = core.expander
    bits = BLOCK_BITS / expander.clocks_per_block
    figures = [f"{bits:g}", core.word_bits, f"{bits / WORD_BITS:g}", expander.clocks_per_block, expander.latency]
    row = f"| {rounds} | {' | '.join(map(str, figures))} | "
    assert row in page("entropy.md")
    assert f" | {expander.ring * BLOCK_BITS} |" in page("entropy.md").partition(row)[2][:20]


def test_cut_offs_beyond_what_can_be_seen_switch_a_test_off_and_zero_fails_at_once() -> None:
    """What the page warns of."""
    assert "a proportion above the window's samples can never be seen" in page("entropy.md")
    stuck = np.zeros(4096, np.uint8)
    verdict = HealthTests(8, 65_535, window(8) + 1).process(stuck)
    assert not verdict.repetition_failed
    assert not verdict.proportion_failed
    verdict = HealthTests(8, 0, 0).process(np.random.default_rng(1).integers(0, 256, 4096).astype(np.uint8))
    assert verdict.repetition_failed
    assert verdict.proportion_failed
    assert not len(verdict.passed)
