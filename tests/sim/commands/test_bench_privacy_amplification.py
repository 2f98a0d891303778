"""`kronborg bench privacy-amplification`, and the random projection that checks long keys."""

import numpy as np
import pytest

from kronborg.postprocessing import privacy_amplification
from kronborg_sim.commands.bench.projection import Multiplier, horner, power, powers_under, projection_holds, times

Z = 0x9E3779B97F4A7C15


def test_the_field_has_an_inverse_for_everything_but_zero() -> None:
    for value in (1, 2, Z, 2**64 - 1):
        assert times(value, power(value, 2**64 - 2)) == 1
    assert times(times(3, 5), Z) == times(3, times(5, Z))
    assert times(3 ^ 9, Z) == times(3, Z) ^ times(9, Z)


def test_table_look_ups_are_products() -> None:
    words = np.random.default_rng(1).integers(0, 2**64, 100, np.uint64)
    assert Multiplier(Z)(words).tolist() == [times(word, Z) for word in words.tolist()]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 100, 101])
def test_sums_of_powers_are_those_of_their_definition(count: int) -> None:
    rng = np.random.default_rng(count)
    words, bits = rng.integers(0, 2**64, count, np.uint64), rng.integers(0, 2, count, np.uint8)
    value, under = 0, [0]
    for place in range(count):
        value ^= times(int(words[place]), power(Z, place))
        under.append(under[-1] ^ (power(Z, place) if bits[place] else 0))
    assert horner(words, Z) == value
    assert powers_under(bits, Z).tolist() == under


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 40), (40, 1), (40, 40), (40, 17), (17, 40)])
def test_the_right_product_passes_and_every_wrong_bit_is_seen(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * 100 + columns)
    seed, bits = rng.integers(0, 2, rows + columns - 1, np.uint8), rng.integers(0, 2, columns, np.uint8)
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    product = (seed[i + columns - 1 - j].astype(int) @ bits % 2).astype(np.uint8)
    assert projection_holds(seed, bits, product, Z)
    for row in range(rows):
        wrong = product.copy()
        wrong[row] ^= 1
        assert not projection_holds(seed, bits, wrong, Z)


@pytest.mark.parametrize("bits", ["1e5", "3e6"])
def test_every_bit_is_checked_and_figures_have_their_units(bench, bits: str) -> None:
    found = bench("privacy-amplification", "--bits", bits)
    assert found.code == 0
    assert found.figures["checked_bits"] == found.figures["key_bits"] == float(bits) / 2
    assert found.figures["input_megabit_per_second"] > 0
    assert found.figures["resident_mebibyte"] > 1
    assert "Mbit/s" in found.out


@pytest.mark.parametrize("bits", ["1e5", "3e6"])
def test_a_wrong_bit_fails_the_bench(bench, monkeypatch: pytest.MonkeyPatch, bits: str) -> None:
    native = privacy_amplification.native_levels() > 0
    name = "_toeplitz_native" if native else "_toeplitz_numpy"
    if not native:
        bits = "3e6"  # numpy is not checked by itself
    right = getattr(privacy_amplification, name)

    def wrong(*arguments: object) -> np.ndarray:
        product = right(*arguments)
        product[-1] ^= 1
        return product

    monkeypatch.setattr(privacy_amplification, name, wrong)
    found = bench("privacy-amplification", "--bits", bits)
    assert found.code == 1
    assert found.figures["checked_bits"] == 0
    assert "not the product" in found.err


@pytest.mark.parametrize(
    "wrong", [("--bits", "1"), ("--bits", "1.5e3", "--share", "1"), ("--level", "9"), ("--level", "-2")]
)
def test_what_cannot_be_is_refused_in_one_line(bench, wrong: tuple[str, ...]) -> None:
    found = bench("privacy-amplification", *wrong)
    assert found.code == 2
    assert found.err.count("\n") == 1
