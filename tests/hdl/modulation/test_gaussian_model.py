import math
import zlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.modulation.gaussian import tables
from kronborg_hdl.modulation.gaussian.accuracy import (
    FunctionErrors,
    error_bound_words,
    exact_symbols,
    exhaust_functions,
    largest_error_words,
)
from kronborg_hdl.modulation.gaussian.model import (
    DEFAULT_DEVIATION,
    MAXIMUM_DEVIATION,
    MINIMUM_DEVIATION,
    GaussianSource,
    deviation_word,
    octant_functions,
)

DEVIATIONS = [MINIMUM_DEVIATION, DEFAULT_DEVIATION, MAXIMUM_DEVIATION]


@pytest.fixture(scope="module")
def errors() -> FunctionErrors:
    return exhaust_functions()


def uniform_bits(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def symbol_in_plain_integers(bits: int, deviation: int) -> list[int]:
    """One symbol as the core makes it: leading zeros, tables, sums and shifts of Python's integers."""
    k, t = bits >> 16, bits & 0xFFFF
    side = k >> 47
    w = k ^ (2**48 - 1) if side else k
    odd = 2 * w + 1
    exponent = odd.bit_length() - 1
    after = ((odd << 18) >> exponent) & 0x3FFFF
    constant, slope, curve = tables.RADIUS[(side << 8) + 4 * (exponent + 16) + (after >> 16)].tolist()
    argument = (after & 0xFFFF) - 2**15
    slope += (curve * argument + 2**15) >> 16
    radius = constant + ((slope * argument + 2**15) >> 16)
    amplitude = (radius * deviation + 2**13) >> 14
    octant, within = t >> 13, t & 0x1FFF
    if octant % 2:
        within = 0x1FFF - within
    fine = 2 * (within % 16) - 15
    c, c_slope, s, s_slope = tables.ANGLE[within // 16].tolist()
    cosine, sine = -((c + c_slope * fine + 64) >> 7), -((s + s_slope * fine + 64) >> 7)
    i, q = [
        (cosine, sine),
        (sine, cosine),
        (-sine, cosine),
        (-cosine, sine),
        (-cosine, -sine),
        (-sine, -cosine),
        (sine, -cosine),
        (cosine, -sine),
    ][octant]
    words = []
    for function in (i, q):
        word = -((-amplitude * abs(function) + 2**24) >> 25)
        word = word if function >= 0 else -word
        words.append(max(-(2**15), min(2**15 - 1, word)))
    return words


@given(st.integers(0, 2**64 - 1), st.integers(MINIMUM_DEVIATION, MAXIMUM_DEVIATION))
def test_equals_plain_integer_arithmetic(bits: int, deviation: int) -> None:
    words = GaussianSource(deviation).process(np.array([bits], np.uint64)).words
    assert words.tolist() == [symbol_in_plain_integers(bits, deviation)]


def test_equals_plain_integer_arithmetic_at_the_edges_of_segments() -> None:
    bits = tables.edge_words()
    words = GaussianSource().process(bits).words
    expected = [symbol_in_plain_integers(word, DEFAULT_DEVIATION) for word in bits.tolist()]
    np.testing.assert_array_equal(words, expected)


def test_edge_words_reach_every_row_at_both_ends() -> None:
    bits = tables.edge_words()
    k = (bits >> np.uint64(16)).tolist()
    ends = {0: set(), 1: set()}
    for value in k:
        side = value >> 47
        odd = 2 * (value ^ (2**48 - 1) if side else value) + 1
        ends[side].add(odd)
    for side in (0, 1):
        for exponent in range(48):
            for quarter in range(4):
                first, last = (((4 + q) << exponent) / 4 for q in (quarter, quarter + 1))
                odds = [odd for odd in range(math.ceil(first), math.ceil(last)) if odd % 2] if exponent < 6 else None
                if odds is None:
                    assert {int(first) + 1, int(last) - 1} <= ends[side]
                elif odds:
                    assert {odds[0], odds[-1]} <= ends[side]
    angles = {int(t) & 0xFFFF for t in bits}
    assert {t for t in range(1 << 16) if t % 16 in (0, 15)} <= angles


def test_the_reference_equals_forty_digits_where_doubles_are_short() -> None:
    k = [0, 1, 2**47 - 1, 2**47, 2**48 - 2, 2**48 - 1]
    given_radius = np.hypot(*exact_symbols(np.array(k, np.uint64) << np.uint64(16)).T)
    with localcontext() as context:
        context.prec = 40
        exact = [(-2 * ((Decimal(2 * value + 1) / 2**49).ln())).sqrt() for value in k]
    np.testing.assert_allclose(given_radius, [float(r) for r in exact], rtol=1e-15)
    assert given_radius[0] == pytest.approx(tables.LARGEST_RADIUS, rel=1e-15)
    assert given_radius[0] > 8.24


def test_every_angle_of_the_reference_is_the_middle_of_its_cell() -> None:
    t = np.arange(1 << 16)
    symbols = exact_symbols(t.astype(np.uint64)) @ [1, 1j]
    np.testing.assert_allclose(np.diff(np.unwrap(np.angle(symbols))), 2 * np.pi / 2**16, rtol=1e-9)
    assert np.angle(symbols[0]) == pytest.approx(np.pi / 2**16)


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_is_within_one_word_of_the_transform(deviation: int, errors: FunctionErrors) -> None:
    source = GaussianSource(deviation)
    bound = error_bound_words(errors, source)
    seen = max(largest_error_words(source, uniform_bits(1 << 20)), largest_error_words(source, tables.edge_words()))
    assert seen <= bound < 0.84
    assert seen > 0.9 * bound - 0.06  # the bound is not idle


def test_is_within_one_word_in_the_far_tail(errors: FunctionErrors) -> None:
    # Random bits shifted to the right by up to 48 places: as many at 8 sigma as at 1, and likewise near u = 1.
    rng = np.random.default_rng(2)
    k = rng.integers(0, 2**48, 1 << 19, np.uint64) >> rng.integers(0, 48, 1 << 19, np.uint64)
    k = np.where(rng.integers(0, 2, len(k)), k, 2**48 - 1 - k)
    bits = (k << np.uint64(16)) | rng.integers(0, 2**16, len(k), np.uint64)
    for deviation in (3970 << 3, DEFAULT_DEVIATION, MAXIMUM_DEVIATION):
        source = GaussianSource(deviation)
        assert largest_error_words(source, bits) <= error_bound_words(errors, source)


def test_the_tail_reaches_8_24_deviations_without_clipping() -> None:
    source = GaussianSource(3970 << 3)  # 8.24 of these fit
    symbols = source.process(np.arange(1 << 16, dtype=np.uint64))  # u = 2**-49, all angles
    assert symbols.saturated == 0
    assert np.abs(symbols.words.astype(int)).max() == round(tables.LARGEST_RADIUS * 3970)


def test_the_error_of_a_word_has_the_variance_of_rounding_and_little_more() -> None:
    bits = uniform_bits(1 << 18)
    error = GaussianSource().process(bits).words - exact_symbols(bits) * 4096
    assert 0.08 < error.var() < 0.09
    assert abs(error.mean()) < 0.002


def test_clipped_words_are_counted() -> None:
    bits = np.arange(1 << 16, dtype=np.uint64)
    exact = exact_symbols(bits) * 4096
    symbols = GaussianSource().process(bits)
    beyond = (exact > 32768) | (exact < -32769)
    assert np.all(np.isin(symbols.words[beyond], [-(2**15), 2**15 - 1]))
    assert np.count_nonzero(beyond) <= symbols.saturated <= np.count_nonzero((exact > 32767) | (exact < -32768))


def fits(words: np.ndarray, bits: int, *, signed: bool) -> bool:
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return bool(np.all((words >= lowest) & (words <= highest)))


def test_every_width_holds_what_is_put_into_it(errors: FunctionErrors) -> None:
    constant_bits, slope_bits, curve_bits = tables.RADIUS_ROW_BITS
    constant, slope, curve = tables.RADIUS.T
    assert fits(constant, constant_bits, signed=False)
    assert fits(slope, slope_bits, signed=True)
    assert fits(curve, curve_bits, signed=True)
    for end in (-1, 1):  # of the argument, half of which the curve adds to the slope
        assert fits(slope + end * (curve // 2 + 1), slope_bits, signed=True)
    extremes = np.array([errors.smallest_radius_word, errors.largest_radius_word])
    assert fits(extremes, constant_bits, signed=False)
    assert fits(extremes * MAXIMUM_DEVIATION // 2**14 + 1, tables.AMPLITUDE_BITS, signed=False)
    for column, bits in zip(tables.ANGLE.T, 2 * tables.ANGLE_ROW_BITS, strict=True):
        assert fits(column, bits, signed=True)
    line, fine = np.divmod(np.arange(1 << 13), 16)
    for words in octant_functions(line, 2 * fine - 15):
        assert fits(words, tables.COSINE_FRACTION + 1, signed=True)
        assert words.max() <= 0
    block_ram_row = 72
    assert sum(tables.RADIUS_ROW_BITS) <= block_ram_row
    assert 2 * sum(tables.ANGLE_ROW_BITS) <= block_ram_row


def test_tables_are_the_same_on_every_machine() -> None:
    # A bitstream and the model that checks it are built on different ones.
    assert zlib.crc32(tables.RADIUS.astype("<i8").tobytes()) == 0x7C359A2C
    assert zlib.crc32(tables.ANGLE.astype("<i8").tobytes()) == 0x7F3263B2


def test_blocks_do_not_show() -> None:
    bits = uniform_bits(20_001)
    whole = GaussianSource().process(bits)
    parts = [GaussianSource().process(part).words for part in np.split(bits, [1, 8192, 8193, 17_000])]
    np.testing.assert_array_equal(whole.words, np.concatenate(parts))
    assert GaussianSource().process(bits[:0]).words.shape == (0, 2)


def test_symbols_are_not_shown() -> None:
    assert "[" not in repr(GaussianSource().process(uniform_bits(4)))


@pytest.mark.parametrize("deviation", [0, MINIMUM_DEVIATION - 1, MAXIMUM_DEVIATION + 1, 2**16 - 1])
def test_refuses_a_deviation_that_the_core_refuses(deviation: int) -> None:
    with pytest.raises(ValueError, match="is outside 512 to 43689"):
        GaussianSource(deviation)


def test_the_largest_deviation_is_the_last_that_leaves_six_sigma() -> None:
    assert 6 * MAXIMUM_DEVIATION / 8 <= 2**15 - 1 < 6 * (MAXIMUM_DEVIATION + 1) / 8


@pytest.mark.parametrize("bits", [np.zeros((2, 2), np.uint64), np.zeros(2, np.int64)])
def test_refuses_what_are_no_words_of_bits(bits: np.ndarray) -> None:
    with pytest.raises(ValueError, match="bits must be a vector of uint64"):
        GaussianSource().process(bits)


def test_the_scale_follows_from_shot_noise_units() -> None:
    assert deviation_word(4.0, 2.0 / 4096) == DEFAULT_DEVIATION
    assert deviation_word(9.0, 2.0 / 2048) == 3072 << 3
    assert deviation_word(2.0, 1e-3) == round(8 * math.sqrt(2) / 1e-3)


@pytest.mark.parametrize(
    ("variance", "snu_per_word", "message"),
    [
        (4.0, 2.0 / 5462, "5462.0 words clips within 6 sigma: at most 5461.125 fit"),
        (4.0, 2.0 / 63, "63.0 words is below 64.0"),
        (0.0, 1e-3, "must be positive"),
        (4.0, -1e-3, "must be positive"),
        (math.nan, 1e-3, "must be positive"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(variance: float, snu_per_word: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deviation_word(variance, snu_per_word)
