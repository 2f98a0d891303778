"""The key's length: every line, against the key, and never a short key."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError, NoKeyError
from kronborg.postprocessing.budget import (
    LENGTHS,
    SUMS_BITS,
    Epsilons,
    floor_to_length,
    key_budget,
    outcomes,
    sliced_key_budget,
)
from kronborg.postprocessing.raw_entropy import PairEntropy
from kronborg.postprocessing.security import (
    Link,
    aep_penalty,
    chernoff_tail,
    composable_rate,
    holevo_bound,
    mutual_information,
    worst_case,
)

SHARE = 1e-9 / 6
WORST = Link(5, 10**-0.2, 0.02, 0.6, 0.1)
SOUND = {
    "blocks_tried": 100,
    "blocks": 100,
    "block_bits": 100_000,
    "syndrome_bits": 58_000,
    "hashed_bits": 60_000,
    "dither_steps": 1.0,
    "worst_case": WORST,
    "epsilons": Epsilons.within(1e-9),
}


def budget(**changes):
    return key_budget(**(SOUND | changes))


def test_lines_add_up_to_the_key_and_each_is_the_formulas():
    found = budget()
    lines = dict(found.lines)
    assert lines.pop("secret key") == found.key_bits == sum(lines.values())
    symbols = 100 * 50_000
    secret = found.key_bits - lines["rounding down to a length"]
    assert found.key_bits == floor_to_length(secret, 100 * 42_000)
    del lines["rounding down to a length"]
    assert lines == {
        "uniform code bits": 2 * symbols,
        "error-correction syndromes": -100 * 58_000,
        "verification tags": -100 * 127,
        "Alice's answers": -2 * 100,
        "Alice's sums for the estimation": -3 * 64,
        "Holevo bound at the worst case": -math.ceil(symbols * holevo_bound(WORST)),
        "finite size (smooth min-entropy)": -math.ceil(
            4 * math.log2(18) * math.sqrt(symbols / 4) * math.sqrt(math.log2(2 / (SHARE / (128 * 101)) ** 2))
        ),
        "rounding of Bob's symbols": -1,
        "hashing and correctness": -math.ceil(-math.log2(2 * SHARE * (SHARE / (128 * 101)) ** 2)),
    }
    assert found.disclosed_bits == 100 * (58_000 + 127 + 2) + 192


def test_agrees_with_the_composable_rate_of_the_same_code_without_frame_errors():
    """beta I_AB = 2 R per symbol; tags, rounding, and an alphabet of octonions instead of symbols differ."""
    link, epsilon, symbols = Link(5, 10**-0.2, 0.02, 0.6, 0.1), SHARE, 1e9
    n, beta = 0.9 * symbols, 2 * 0.42 / mutual_information(link)
    at_worst = worst_case(link, 2 * 0.1 * symbols, chernoff_tail(epsilon))
    blocks = {"blocks": 9000, "blocks_tried": 9000}
    found = budget(**blocks, block_bits=200_000, syndrome_bits=116_000, hashed_bits=120_000, worst_case=at_worst)
    # d = 256 for four symbols costs as much as 2**p + 2 = 18**(1/2) for each.
    bits = math.log2(math.sqrt(18) - 2)
    formula = composable_rate(link, beta, symbols, frame_error_rate=0.0, bits_per_quadrature=bits, epsilon=epsilon)
    assert n == 9000 * 100_000
    secret = found.key_bits - dict(found.lines)["rounding down to a length"]
    # Every outcome pays for smoothing and hashing: lengths, and how many blocks were lost.
    among = LENGTHS * 9001
    shared = math.sqrt(n / 4) * (aep_penalty(4, epsilon / among) - aep_penalty(4, epsilon)) + 2 * math.log2(among)
    assert 0 <= formula * symbols - (secret + 9000 * 127 + 2 * 9000 + SUMS_BITS + shared) < 5


@settings(deadline=None)
@given(
    st.integers(1, 2000),
    st.integers(0, 99_999),
    st.floats(0.0, 0.3),
    st.floats(-28, -3),
)
def test_there_is_a_positive_whole_key_or_none(blocks, syndrome_bits, excess_noise, exponent):
    epsilons = Epsilons.within(10**exponent)
    noisy = replace(WORST, excess_noise_snu=excess_noise)
    try:
        found = budget(
            blocks=blocks,
            blocks_tried=blocks,
            syndrome_bits=syndrome_bits,
            hashed_bits=100_000,
            worst_case=noisy,
            epsilons=epsilons,
        )
    except NoKeyError as reason:
        message = str(reason)
        assert message.startswith("no key: ")
        assert "\n" not in message
    else:
        assert isinstance(found.key_bits, int)
        assert 0 < found.key_bits <= blocks * (100_000 - syndrome_bits - 50_000 * holevo_bound(noisy))


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_lengths_are_few_and_never_longer_than_what_is_secret(corrected, secret):
    lengths = {math.floor(corrected * 2 ** (-step / 16)) for step in range(LENGTHS)}
    assert len(lengths) <= LENGTHS
    found = floor_to_length(secret, corrected)
    if secret <= corrected:
        assert found == max((length for length in lengths if 0 < length <= secret), default=0)
    else:
        assert found == 0


def test_parts_of_all_outcomes_add_up_to_one_length_each():
    for tried in (1, 7, 30):
        shares = [math.comb(tried, blocks) / outcomes(blocks, tried) for blocks in range(tried + 1)]
        assert sum(shares) * LENGTHS == pytest.approx(1, rel=1e-12)


def test_lost_blocks_cost_what_choosing_them_among_all_would():
    whole, lost = (dict(budget(blocks=90, blocks_tried=tried).lines) for tried in (90, 100))
    assert lost["finite size (smooth min-entropy)"] < whole["finite size (smooth min-entropy)"]
    choices = math.log2(101 * math.comb(100, 90)) - math.log2(91)
    assert whole["hashing and correctness"] - lost["hashing and correctness"] == pytest.approx(2 * choices, abs=1)
    # So many that a share of epsilon could not be held in a float.
    assert dict(budget(blocks=2000, blocks_tried=6000).lines)["hashing and correctness"] < -10_000


def test_every_epsilon_has_a_line_and_they_add_up():
    found = budget()
    assert sum(value for _, value in found.epsilons) == pytest.approx(found.epsilon, rel=1e-12)
    assert len(found.epsilons) == 5
    assert found.epsilon <= 1e-9


def test_epsilon_is_the_sum_of_its_equal_parts():
    for total in (1e-9, 1e-10, 3e-7, 2.0**-32):
        parts = Epsilons.within(total)
        assert parts.correctness == parts.smoothing == parts.hashing == parts.estimation
        assert parts.total == pytest.approx(total, rel=1e-15)
        assert parts.total <= total
    # Two bounds of the estimation may fail, and smoothing counts twice.
    assert Epsilons(1.0, 2.0, 4.0, 8.0).total == 25.0


@pytest.mark.parametrize("total", [0.0, 1.0, -1e-9, math.nan, 1e-31])
def test_impossible_epsilon_is_refused(total):
    with pytest.raises(InputError, match="outside"):
        Epsilons.within(total)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blocks": 0}, "not one block was corrected"),
        ({"worst_case": replace(WORST, excess_noise_snu=0.4)}, "lower the excess noise"),
        ({"blocks": 1}, "send more symbols"),
        ({"epsilons": Epsilons.within(2e-30), "blocks": 10_000_000, "blocks_tried": 10_000_000}, "tag"),
    ],
)
def test_no_key_says_what_took_it(changes, reason):
    with pytest.raises(NoKeyError, match=reason):
        budget(**changes)


def test_more_corrected_blocks_than_were_tried_are_refused():
    with pytest.raises(InputError, match="101 blocks of 100 that were tried"):
        budget(blocks=101)


def test_bits_that_cannot_carry_a_block_are_refused():
    with pytest.raises(InputError, match="do not carry"):
        budget(hashed_bits=41_999)


SLICED = {
    "blocks_tried": 9,
    "blocks": 8,
    "block_symbols": 1_280_000,
    "low_bits": 10_240_000,
    "syndrome_bits": 3_754_240,
    "hashed_bits": 7_761_920,
    "letters": 16,
    "entropy": PairEntropy(9 * 1_280_000, 11.88),
    "snr": 1.2,
    "worst_case": Link(5, 10**-0.2, 0.005, 0.8, 0.05),
    "epsilons": Epsilons.within(1e-9, entropy=True),
}


def test_of_slices_all_that_was_sent_is_charged_and_the_alphabet_is_what_was_not():
    found = sliced_key_budget(**SLICED)
    lines = dict(found.lines)
    symbols = 8 * 1_280_000
    assert sum(bits for _, bits in found.lines[:-1]) == found.key_bits > 0
    assert lines["entropy of Bob's integers, counted"] == math.floor(symbols * 11.88)
    assert lines["low bits of the slices"] == -8 * symbols
    assert lines["error-correction syndromes"] == -8 * 3_754_240
    share = 1e-9 / 7
    chance = (math.log2(9 * 1_280_000) + math.log2(math.e)) * math.sqrt(math.log(1 / share) / (18 * 1_280_000))
    assert lines["entropy that chance may have added"] == -math.ceil(symbols * chance)
    assert lines["finite size (smooth min-entropy)"] == -math.ceil(
        4 * math.log2(16 + 2) * math.sqrt(symbols) * math.sqrt(math.log2(2 / (share / (128 * 10 * 9)) ** 2))
    )
    lengths = {math.floor(math.floor(symbols * math.log2(2.2)) * 2 ** (-step / 16)) for step in range(LENGTHS)}
    assert found.key_bits in lengths
    assert found.epsilon == pytest.approx(1e-9)
    assert len(found.epsilons) == 6


def test_a_key_from_slices_is_never_longer_than_the_information_that_the_disclosed_symbols_showed():
    found = sliced_key_budget(**(SLICED | {"entropy": PairEntropy(9 * 1_280_000, 14.0)}))
    assert found.key_bits == math.floor(8 * 1_280_000 * math.log2(2.2))


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"blocks": 0}, NoKeyError, "not one block"),
        ({"entropy": PairEntropy(9 * 1_280_000, 11.0)}, NoKeyError, "an eavesdropper knows"),
        ({"entropy": PairEntropy(9 * 1_280_000, 11.68)}, NoKeyError, "send more symbols"),
        ({"epsilons": Epsilons.within(1e-9)}, InputError, "share of epsilon"),
        ({"snr": math.nan}, InputError, "no positive number"),
    ],
)
def test_where_slices_leave_nothing_there_is_no_key(changes, error, reason):
    with pytest.raises(error, match=reason):
        sliced_key_budget(**(SLICED | changes))
