import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kronborg.link.positions import complex_symbols, estimation_mask, quadratures


@given(st.binary(min_size=1, max_size=32), st.integers(1, 2000), st.data())
def test_chooses_as_many_as_asked_and_the_same_at_both_ends(seed: bytes, symbols: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, symbols))
    mask = estimation_mask(seed, symbols, count)
    assert mask.sum() == count
    np.testing.assert_array_equal(mask, estimation_mask(seed, symbols, count))


def test_every_position_is_as_likely_as_another() -> None:
    chosen = sum(estimation_mask(seed.to_bytes(2, "big"), 50, 10).astype(int) for seed in range(2000))
    assert np.abs(chosen - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_the_choice_is_part_of_the_protocol_and_does_not_change_with_a_release() -> None:
    assert np.flatnonzero(estimation_mask(b"kronborg", 20, 6)).tolist() == CHOSEN


CHOSEN = [0, 2, 13, 16, 17, 18]


def test_quadratures_run_i_then_q() -> None:
    words = np.array([[1, -2], [3, 4]], np.int16)
    assert quadratures(words).tolist() == [1, -2, 3, 4]
    assert complex_symbols(words).tolist() == [1 - 2j, 3 + 4j]
