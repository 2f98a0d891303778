import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.dsp.formats import Q, round_shift, saturate


@given(st.integers(-(2**40), 2**40), st.integers(0, 20))
def test_round_shift_is_to_nearest_with_ties_towards_plus_infinity(word: int, shift: int) -> None:
    exact = Fraction(word, 2**shift)
    assert int(round_shift(np.array([word]), shift)[0]) == math.floor(exact + Fraction(1, 2))


def test_round_shift_refuses_a_left_shift() -> None:
    with pytest.raises(ValueError, match="cannot be -1"):
        round_shift(np.array([1]), -1)


@given(st.lists(st.integers(-(2**30), 2**30), min_size=1), st.integers(1, 8), st.integers(0, 8))
def test_saturate_clips_and_counts(words: list[int], integer: int, fraction: int) -> None:
    form = Q(integer, fraction)
    clipped, count = saturate(np.array(words), form)
    assert clipped.min() >= form.minimum
    assert clipped.max() <= form.maximum
    assert count == sum(not form.minimum <= word <= form.maximum for word in words)
    inside = [word for word in words if form.minimum <= word <= form.maximum]
    assert [int(word) for word, original in zip(clipped, words, strict=True) if word == original] == inside


@given(st.floats(-4, 4), st.integers(1, 3), st.integers(0, 14))
def test_quantise_is_within_half_a_word_or_at_the_limit(value: float, integer: int, fraction: int) -> None:
    form = Q(integer, fraction)
    word = int(form.quantise(value))
    if form.minimum < word < form.maximum:
        assert abs(form.to_float(word) - value) <= 0.5 / form.scale
    else:
        assert word in (form.minimum, form.maximum)
