"""Sums over files: exact in integers, whatever the pieces, and bad files refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.postprocessing import streaming
from kronborg.postprocessing.estimation import Moments
from kronborg.postprocessing.streaming import stream, word_sums

SYMBOLS = 3001


def words(seed: int, count: int = SYMBOLS) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32767, 32767, (count, 2), dtype=np.int16)


def saved(folder: Path, x: np.ndarray, y: np.ndarray) -> tuple[Path, Path]:
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return folder / "x.npy", folder / "y.npy"


def by_integers(x: np.ndarray, y: np.ndarray) -> tuple[int, int, int]:
    a, b = x.reshape(-1).tolist(), y.reshape(-1).tolist()
    return sum(i * i for i in a), sum(i * j for i, j in zip(a, b, strict=True)), sum(j * j for j in b)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 9000), st.integers(0, 2**32), st.sampled_from([1, 100, 1 << 18]))
def test_native_and_numpy_sums_are_those_of_pythons_integers(count, seed, piece):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-32768, 32768, (2, count), dtype=np.int16)
    x[: count // 3], y[: count // 2] = -32768, -32768  # the largest products there are
    expected = (*by_integers(x, y), int(np.isin(x, (32767, -32768)).sum()), int(np.isin(y, (32767, -32768)).sum()))
    assert word_sums(x, y) == expected
    before, streaming.PIECE = streaming.PIECE, piece
    try:
        assert word_sums(x, y, native=False) == expected
    finally:
        streaming.PIECE = before


@pytest.mark.parametrize("piece", [7, 1000, SYMBOLS, 1 << 18])
def test_pieces_do_not_matter(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(streaming, "PIECE", piece)
    x, y, steps = words(1), words(2), []
    found = stream(*saved(tmp_path, x, y), steps.append)
    assert found == Moments(2 * SYMBOLS, *map(float, by_integers(x, y)))
    assert sum(steps) == SYMBOLS


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_complex_symbols_serve_as_well_beside_words_too(tmp_path, kind):
    x, y = words(3), words(4)
    wide = (y[:, 0] + 1j * y[:, 1]).astype(kind)
    found, exact = stream(*saved(tmp_path, x, wide)), by_integers(x, y)
    assert (found.xx, found.xy, found.yy) == pytest.approx(exact, rel=1e-12)


def constant(symbols: np.ndarray) -> np.ndarray:
    return np.broadcast_to(symbols[:1], symbols.shape).copy()


def clipped(symbols: np.ndarray) -> np.ndarray:
    symbols[-1, 1] = -32768
    return symbols


def with_value(value: float) -> np.ndarray:
    symbols = np.random.default_rng(5).normal(size=SYMBOLS) + 0j
    symbols[17] = value
    return symbols


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (constant(words(1)), words(2), "Alice's symbols are constant"),
        (words(1), constant(words(2)), "Bob's symbols are constant"),
        (words(1), clipped(words(2)), "1 words of Bob's symbols are clipped"),
        (words(1), with_value(np.nan), "not finite"),
        (words(1), with_value(np.inf), "not finite"),
        (words(1), words(2, 10), "do not match"),
        (words(1), words(2)[:, 0], "int16 of shape"),
        (words(1), words(2).astype(np.int32), "int16 of shape"),
        (words(1), np.asfortranarray(words(2)), "int16 of shape"),
    ],
)
def test_symbols_that_tell_nothing_are_refused_in_one_line(tmp_path, x, y, reason):
    with pytest.raises(InputError, match=reason) as caught:
        stream(*saved(tmp_path, x, y))
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused_in_one_line(tmp_path):
    paths = saved(tmp_path, words(1), words(2))
    with pytest.raises(InputError, match="No such file"):
        stream(tmp_path / "nothing.npy", paths[1])
    (tmp_path / "text.npy").write_text("symbols")
    with pytest.raises(InputError, match=r"no \.npy file"):
        stream(paths[0], tmp_path / "text.npy")
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:-5])
    with pytest.raises(InputError, match="ends before"):
        stream(*paths)
