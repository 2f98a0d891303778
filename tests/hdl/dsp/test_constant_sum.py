from itertools import pairwise

import numpy as np
import pytest
from amaranth import Module, Signal, signed
from amaranth.sim import Simulator, SimulatorContext
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.dsp.constant_sum import constant_sum, signed_digits, sum_steps
from kronborg_hdl.dsp.pipeline import Pipeline

BITS = 9


@given(st.integers(-(2**20), 2**20))
def test_digits_are_the_weight_and_no_two_of_them_are_neighbours(weight: int) -> None:
    digits = signed_digits(weight)
    assert sum(sign << place for place, sign in digits) == weight
    places = [place for place, _ in digits]
    assert all(later - earlier >= 2 for earlier, later in pairwise(places))
    assert {sign for _, sign in digits} <= {-1, 1}


@pytest.mark.parametrize(
    "weights",
    [(1,), (-1,), (5, -3), (-7, -2), (-1, 1), (1, 16384, 10194, -2821, 1150, -441, 134, -25), (0, 2483, -553), (-96,)],
)
def test_sums_are_exact_for_every_sign_of_the_weights(weights: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    least, most = -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1
    rows = [[least] * len(weights), [most] * len(weights)]
    rows += [
        [least if weight < 0 else most for weight in weights],
        [most if weight < 0 else least for weight in weights],
    ]
    rows += rng.integers(least, most + 1, (100, len(weights))).tolist()
    m = Module()
    advance = Signal()
    words = [Signal(signed(BITS), name=f"word_{n}") for n in range(len(weights))]
    total = constant_sum(Pipeline(m, advance), [(word, -least, w) for word, w in zip(words, weights, strict=True)])
    out = Signal(signed(40))
    m.d.sync += Signal().eq(advance)  # one term needs no register, and the simulator a clock
    m.d.comb += out.eq(total)
    given: list[int] = []

    async def drive(ctx: SimulatorContext) -> None:
        ctx.set(advance, 1)
        for number in range(len(rows) + sum_steps(weights)):
            for word, value in zip(words, rows[min(number, len(rows) - 1)], strict=True):
                ctx.set(word, value)
            if number >= sum_steps(weights):
                given.append(ctx.get(out))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert given == [sum(word * weight for word, weight in zip(row, weights, strict=True)) for row in rows]


def test_refuses_to_sum_nothing() -> None:
    m = Module()
    with pytest.raises(ValueError, match="no word has a weight"):
        constant_sum(Pipeline(m, Signal()), [(Signal(signed(4)), 8, 0)])
