import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.link import positions
from kronborg.link.positions import Exchanged, complex_symbols, estimation_mask, quadratures


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


@pytest.mark.parametrize(("symbols", "count"), [(1, 1), (1000, 1), (1000, 999), (70_000, 1400), (3_000_000, 2_000_000)])
def test_the_lowest_lots_are_chosen_whatever_the_pieces(
    monkeypatch: pytest.MonkeyPatch, symbols: int, count: int
) -> None:
    lots = np.random.PCG64(int.from_bytes(b"seed", "big")).random_raw(symbols)
    expected = lots <= np.partition(lots, count - 1)[count - 1]
    for piece in (1 << 20, 997 + symbols // 7):
        monkeypatch.setattr(positions, "_PIECE", piece)
        mask = positions.estimation_mask(b"seed", symbols, count)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, expected)
    assert expected.sum() == count


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.binary(min_size=1, max_size=8),
    st.data(),
)
def test_what_is_disclosed_and_what_is_kept_are_the_symbols_in_their_order(
    lengths: list[int], seed: bytes, data: st.DataObject
) -> None:
    frames = {7 * i: np.arange(1000 * i, 1000 * i + length) for i, length in enumerate(lengths)}
    whole = np.concatenate(list(frames.values()))
    count = data.draw(st.integers(0, len(whole)))
    exchanged = Exchanged(frames, list(frames))
    assert (exchanged.total, exchanged.kept) == (len(whole), 0)
    disclosed, counts = exchanged.disclose(seed, count)
    mask = estimation_mask(seed, len(whole), count)
    assert disclosed.tolist() == whole[mask].tolist()
    assert counts.tolist() == [np.isin(frame, disclosed).sum() for frame in frames.values()]
    assert exchanged.kept == len(whole) - count
    if exchanged.kept:
        begin = data.draw(st.integers(0, exchanged.kept - 1))
        end = data.draw(st.integers(begin + 1, exchanged.kept))
        assert exchanged.part(begin, end).tolist() == whole[~mask][begin:end].tolist()
