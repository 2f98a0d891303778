import itertools

import numpy as np
import pytest
from amaranth import Module, Signal, signed
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.dsp.arithmetic import (
    add_or_subtract,
    drop_bits,
    event_counter,
    multiply_in_logic,
    negate_where,
    round_last_bit,
    saturate,
    word_shape,
)
from kronborg_hdl.dsp.formats import Q, round_shift
from kronborg_hdl.dsp.formats import saturate as saturate_words

WORD_BITS = 24
words = st.lists(st.integers(-(2 ** (WORD_BITS - 1)), 2 ** (WORD_BITS - 1) - 1), min_size=1, max_size=40)
EXTREMES = [
    -(2 ** (WORD_BITS - 1)),
    2 ** (WORD_BITS - 1) - 1,
    -1,
    0,
    1,
    2**14,
    -(2**14),
    2**15 - 1,
    2**15,
    -(2**15) - 1,
]


@settings(max_examples=30, deadline=None)
@given(words, st.integers(0, 31))
def test_rounding_and_saturation_equal_the_models(values: list[int], shift: int) -> None:
    m = Module()
    word, amount, clipped, overflowed = Signal(signed(WORD_BITS)), Signal(5), Signal(signed(16)), Signal()
    rounded = Signal(signed(WORD_BITS + 2))
    result, overflow = saturate(rounded, Q(1, 15))
    m.d.comb += rounded.eq(round_last_bit(drop_bits(word, amount))), clipped.eq(result), overflowed.eq(overflow)
    values = EXTREMES + values
    expected = round_shift(np.array(values), shift)
    limited, _ = saturate_words(expected, Q(1, 15))

    async def check(ctx) -> None:  # type: ignore[no-untyped-def]
        ctx.set(amount, shift)
        for value, whole, limit in zip(values, expected, limited, strict=True):
            ctx.set(word, value)
            assert ctx.get(rounded) == whole
            assert ctx.get(clipped) == limit
            assert ctx.get(overflowed) == (whole != limit)

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


def test_saturate_refuses_a_word_that_always_fits() -> None:
    with pytest.raises(ValueError, match=r"16 bits always fits Q1\.15"):
        saturate(Signal(signed(16)), Q(1, 15))


def test_a_product_of_adders_is_the_product() -> None:
    word, factor = Signal(signed(4)), Signal(signed(3))
    product = multiply_in_logic(word, factor)
    assert (product.shape().width, product.shape().signed) == (7, True)

    async def check(ctx) -> None:  # type: ignore[no-untyped-def]
        for a, b in itertools.product(range(-8, 8), range(-4, 4)):
            ctx.set(word, a)
            ctx.set(factor, b)
            assert ctx.get(product) == a * b

    simulator = Simulator(Module())
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_an_adder_subtracts_where_it_is_told(bits: int) -> None:
    a, b, subtracts = Signal(signed(5)), Signal(signed(bits)), Signal()
    total, negated = add_or_subtract(a, b, subtracts), negate_where(subtracts, b)
    assert negated.shape() == signed(bits + 1)

    async def check(ctx) -> None:  # type: ignore[no-untyped-def]
        half = 1 << (bits - 1)
        for one, other, less in itertools.product(range(-16, 16), range(-half, half), range(2)):
            ctx.set(a, one)
            ctx.set(b, other)
            ctx.set(subtracts, less)
            expected = one - other if less else one + other
            if -16 <= expected < 16:
                assert ctx.get(total) == expected
            assert ctx.get(negated) == (-other if less else other)

    simulator = Simulator(Module())
    simulator.add_testbench(check)
    simulator.run()


def test_the_shape_of_a_format_holds_its_words() -> None:
    shape = word_shape(Q(3, 5))
    assert (shape.width, shape.signed) == (8, True)


BY_SEVERAL = ((5, 0), (7, 0), (3, 0), (1, 0), (7, 0), (2, 1), (0, 0), (0, 1), (0, 0))
BY_ONE = (*((1, 0),) * 16, (0, 0), (1, 1), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0))


@pytest.mark.parametrize(
    ("bits", "steps", "counts"),
    [
        (3, BY_SEVERAL, [0, 5, 12, 15, 15, 15, 2, 2, 0]),
        (1, BY_ONE, [*range(16), 15, 15, 1, 1, 0, 0, 1]),
    ],
)
def test_a_counter_stays_at_its_largest_value_and_counts_while_it_is_cleared(
    bits: int, steps: tuple[tuple[int, int], ...], counts: list[int]
) -> None:
    m = Module()
    increment, clear = Signal(bits), Signal()
    count = event_counter(m, 4, increment, clear)
    seen = []

    async def drive(ctx) -> None:  # type: ignore[no-untyped-def]
        for step, wipe in steps:
            ctx.set(increment, step)
            ctx.set(clear, wipe)
            await ctx.tick()
            seen.append(ctx.get(count))

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert seen == counts
