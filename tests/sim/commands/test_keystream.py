import numpy as np
import pytest

from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_sim.commands.bench.keystream import GENERATORS, chacha20, prbs31, stuck


def bits_of(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.astype("<u4").view(np.uint8).ravel(), bitorder="little")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_stream_comes_in_blocks(name: str) -> None:
    words = GENERATORS[name](1, 5, 3)
    assert words.dtype == np.uint32
    assert words.shape == (3, 16)
    assert not np.array_equal(words, GENERATORS[name](2, 5, 3))


def test_pieces_of_keystream_join() -> None:
    assert np.array_equal(chacha20(1, 0, 9), np.concatenate([chacha20(1, 0, 4), chacha20(1, 4, 5)]))


def test_a_spent_key_goes_on_in_the_next_epoch() -> None:
    key = np.random.SeedSequence(1).generate_state(8)
    words = chacha20(1, 2**32 - 2, 5)
    assert np.array_equal(words[:2], chacha20(1, 2**32 - 2, 2))
    assert np.array_equal(words[2:].ravel(), Entropy().host(key, 1, 3))


@pytest.mark.parametrize("count", [1, 2, 500])
def test_the_test_pattern_obeys_its_polynomial(count: int) -> None:
    bits = bits_of(prbs31(3, 7, count))
    assert np.array_equal(bits[31:], bits[:-31] ^ bits[3:-28])
    assert 0.2 < bits.mean() < 0.8


def test_one_wire_is_stuck() -> None:
    different = bits_of(stuck(1, 0, 400)).reshape(-1, 512) != bits_of(chacha20(1, 0, 400)).reshape(-1, 512)
    assert np.flatnonzero(different.any(axis=0)).tolist() == [5 * 32 + 7]
    assert np.all(bits_of(stuck(1, 0, 400)).reshape(-1, 512)[:, 5 * 32 + 7] == 1)
