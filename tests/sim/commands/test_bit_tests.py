from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from kronborg_sim.commands.bench.bit_tests import (
    BLOCK_BITS,
    BitBattery,
    binomial,
    rank_deficiencies,
    ranks,
    run_lengths,
)
from kronborg_sim.commands.bench.keystream import prbs31

SEQUENCES = 32
BITS = SEQUENCES << 16

Rng = np.random.Generator


def battery_of(bits: np.ndarray) -> BitBattery:
    battery = BitBattery()
    battery.add(np.packbits(bits.astype(np.uint8), bitorder="little").view("<u4").reshape(-1, 16))
    return battery


def biased(rng: Rng) -> np.ndarray:
    return rng.random(BITS) < 0.503


def drifting(rng: Rng) -> np.ndarray:
    chance = 0.5 + 0.02 * rng.choice([-1, 1], BITS // BLOCK_BITS)
    return rng.random(BITS) < np.repeat(chance, BLOCK_BITS)


def one_position(rng: Rng) -> np.ndarray:
    bits = rng.integers(0, 2, (BITS // BLOCK_BITS, BLOCK_BITS))
    bits[:, 100] |= rng.random(len(bits)) < 0.3
    return bits.ravel()


def sticky(rng: Rng) -> np.ndarray:
    return np.cumsum(rng.random(BITS) < 0.497) & 1


def shy_of_a_pattern(rng: Rng) -> np.ndarray:
    bits = rng.integers(0, 2, (BITS // 4, 4))
    bits[(bits == (0, 1, 1, 0)).all(axis=1) & (rng.random(len(bits)) < 0.3)] = (1, 0, 0, 1)
    return bits.ravel()


def linear(rng: Rng) -> np.ndarray:
    return np.unpackbits(prbs31(int(rng.integers(100)), 0, BITS // BLOCK_BITS).view(np.uint8), bitorder="little")


def with_a_tone(rng: Rng) -> np.ndarray:
    return rng.random(BITS) < 0.5 + 0.01 * np.sin(0.7 * np.arange(BITS))


def echoing(rng: Rng) -> np.ndarray:
    bits = rng.integers(0, 2, BITS)
    again = rng.random(BITS - 5000) < 0.02
    bits[5000:][again] = bits[:-5000][again]
    return bits


def beginning_again(rng: Rng) -> np.ndarray:
    bits = rng.integers(0, 2, BITS)
    bits[-BLOCK_BITS:] = bits[:BLOCK_BITS]
    return bits


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (biased, "frequency"),
        (drifting, "block_frequency"),
        (one_position, "position"),
        (sticky, "runs"),
        (shy_of_a_pattern, "serial"),
        (linear, "rank"),
        (with_a_tone, "spectral"),
        (echoing, "autocorrelation"),
        (beginning_again, "repetition"),
    ],
)
def test_a_faulty_generator_is_found(fault: Callable[[Rng], np.ndarray], name: str) -> None:
    assert battery_of(fault(np.random.default_rng(1))).p_values()[name] < 1e-6


def test_p_values_of_random_bits_are_uniform() -> None:
    rng = np.random.default_rng(3)
    drawn: dict[str, list[float]] = {}
    for _ in range(40):
        battery = BitBattery()
        battery.add(rng.integers(0, 2**32, (16 * 128, 16), np.uint32))
        for name, p in battery.p_values().items():
            drawn.setdefault(name, []).append(p)
    assert drawn.pop("repetition") == [1.0] * 40
    for name, values in drawn.items():
        edges = np.arange(41) / 40
        distance = max(np.max(np.sort(values) - edges[:-1]), np.max(edges[1:] - np.sort(values)))
        assert distance < 1.95 / np.sqrt(40), f"{name} (Kolmogorov, 0.1 %)"


def test_merged_batteries_find_what_one_finds() -> None:
    words = np.random.default_rng(4).integers(0, 2**32, (4, 20 * 128, 16), np.uint32)
    whole, parts = BitBattery(), [BitBattery(), BitBattery()]
    for n, block in enumerate(words):
        whole.add(block)
        parts[n % 2].add(block)
    parts[0].merge(parts[1])
    assert parts[0].p_values() == pytest.approx(whole.p_values(), rel=1e-6)


def test_rank_probabilities_are_those_of_all_small_matrices() -> None:
    every = np.array(list(product(range(8), repeat=3)), np.uint64)
    # Three rows and as many columns: to fill 64, there are no others than zero.
    missing = 3 - ranks(every[:, :, None])
    assert np.bincount(np.minimum(missing, 2)) / 512 == pytest.approx(rank_deficiencies(3))


def test_ranks_are_those_of_elimination_by_hand() -> None:
    rng = np.random.default_rng(5)
    matrices = rng.integers(0, 2**64, (20, 128, 2), np.uint64)
    matrices[3, 100] = matrices[3, 5] ^ matrices[3, 99]
    matrices[4, :, 1] = matrices[4, :, 0]
    for matrix, found in zip(matrices, ranks(matrices), strict=True):
        basis: list[int] = []
        for low, high in matrix.tolist():
            row = low | high << 64
            for other in basis:
                row = min(row, row ^ other)
            if row:
                basis.append(row)
        assert found == len(basis)
    assert ranks(matrices[3:5]).tolist() <= [127, 64]


def test_probabilities_are_complete() -> None:
    assert binomial(512).sum() == pytest.approx(1, abs=1e-14)
    assert binomial(4).tolist() == [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    assert run_lengths().sum() == 1
    assert rank_deficiencies(256) == pytest.approx([0.288788, 0.577576, 0.133636], abs=1e-6)
