import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.modulation.entropy.chacha20.model import keystream
from kronborg_hdl.modulation.entropy.health.model import (
    START_UP_SAMPLES,
    HealthTests,
    proportion_cutoff,
    repetition_cutoff,
    window,
)
from kronborg_hdl.modulation.entropy.model import Entropy, pack
from kronborg_sim.benches.rfc_8439 import RFC_8439, block_in_integers

WIDTHS = [1, 2, 4, 8, 16]


def words(text: bytes) -> np.ndarray:
    return np.frombuffer(text, "<u4").astype(np.uint32)


@pytest.mark.parametrize(("key", "nonce", "counter", "expected"), RFC_8439)
def test_keystream_is_that_of_the_rfc(key: bytes, nonce: bytes, counter: int, expected: bytes) -> None:
    stream = keystream(words(key), words(nonce), 1, counter=counter)
    assert stream.astype("<u4").tobytes() == expected
    assert block_in_integers(key, nonce, counter) == expected


def test_keystream_encrypts_as_the_rfc_does() -> None:
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would "
        b"be it."
    )
    cipher = bytes.fromhex(  # RFC 8439, 2.4.2
        "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
        "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
        "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
        "5af90bbf74a35be6b40b8eedf2785e42874d"
    )
    stream = keystream(words(bytes(range(32))), words(bytes.fromhex("000000000000004a00000000")), 2, counter=1)
    assert bytes(a ^ b for a, b in zip(text, stream.astype("<u4").tobytes(), strict=False)) == cipher


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12), st.integers(0, 2**32 - 4))
def test_keystream_equals_the_definition_in_integers(key: bytes, nonce: bytes, counter: int) -> None:
    stream = keystream(words(key), words(nonce), 3, counter=counter)
    expected = b"".join(block_in_integers(key, nonce, counter + n) for n in range(3))
    assert stream.astype("<u4").tobytes() == expected


def test_a_counter_never_begins_again() -> None:
    key, nonce = np.zeros(8, np.uint32), np.zeros(3, np.uint32)
    assert keystream(key, nonce, 1, counter=2**32 - 1).shape == (1, 16)
    with pytest.raises(ValueError, match="2 blocks from 4294967295 on pass the counter's end"):
        keystream(key, nonce, 2, counter=2**32 - 1)
    with pytest.raises(ValueError, match=r"a nonce is uint32 of shape \(3,\), not uint32 of shape \(2,\)"):
        keystream(key, nonce[:2], 1)
    with pytest.raises(ValueError, match=r"a key is uint32 of shape \(8,\), not int64"):
        keystream(key.astype(np.int64), nonce, 1)


def test_no_word_of_the_streams_keys_is_lost_or_used_twice() -> None:
    rng = np.random.default_rng(1)
    passed = rng.integers(0, 2**32, 8 * 3 + 5, dtype=np.uint32)
    before = rng.integers(0, 2**32, 8, dtype=np.uint32)
    entropy = Entropy(instance=7, blocks_per_key=5)
    expected = []
    key = before
    for n in range(3):
        key = key ^ passed[8 * n : 8 * n + 8]
        nonce = np.array([7, 0xFFFFFFFF if n == 0 else n - 1, 2 if n == 0 else 3], np.uint32)
        expected.append(keystream(key, nonce, 5).ravel())
    given_words = entropy.stream(passed, 2 << 32 | 0xFFFFFFFF, 100, before=before)
    np.testing.assert_array_equal(given_words, np.concatenate(expected))
    np.testing.assert_array_equal(entropy.stream(passed, 2 << 32 | 0xFFFFFFFF, 7, before=before), given_words[: 7 * 16])
    assert len(entropy.stream(passed[:7], 0, 100)) == 0


def test_the_oldest_sample_lies_lowest() -> None:
    assert pack(np.array([1, 2, 3, 4], np.uint8), 8).tolist() == [0x04030201]
    assert pack(np.array([0x1234, 0xABCD], np.uint16), 16).tolist() == [0xABCD1234]
    assert pack(np.array([1] + [0] * 30 + [1], np.uint8), 1).tolist() == [0x80000001]
    with pytest.raises(ValueError, match="3 samples of 8 bits do not fill words"):
        pack(np.zeros(3, np.uint8), 8)


def test_repetition_cutoff_is_the_standards() -> None:
    assert repetition_cutoff(2.0, 2**-20) == 11  # the example of SP 800-90B, 4.4.1
    assert repetition_cutoff(1.0) == 31
    assert repetition_cutoff(8.0) == 5
    assert repetition_cutoff(0.1) == 301


@pytest.mark.parametrize(("min_entropy", "size"), [(1.0, 1024), (0.3, 1024), (1.0, 512), (6.5, 512), (8.0, 512)])
def test_proportion_cutoff_is_the_smallest_that_keeps_the_false_alarm_rate(min_entropy: float, size: int) -> None:
    unit = 2**60
    p = int(2.0**-min_entropy * unit)
    terms = [math.comb(size, n) * p**n * (unit - p) ** (size - n) for n in range(size + 1)]
    cutoff = proportion_cutoff(min_entropy, size)
    # P(X <= cutoff - 1) >= 1 - alpha, and not so for one less
    assert sum(terms[cutoff:]) <= unit**size >> 30 < sum(terms[cutoff - 1 :])


def test_proportion_cutoff_is_the_one_in_use_elsewhere() -> None:
    assert proportion_cutoff(1.0, 512) == 325  # the jitter entropy generator of Linux, alpha = 2**-30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: repetition_cutoff(0.0), "min-entropy of 0 bit per sample: must be above 0"),
        (lambda: proportion_cutoff(float("nan"), 512), "min-entropy of nan"),
        (lambda: repetition_cutoff(1.0, 1.0), "false-alarm probability of 1: must lie between 0 and 1"),
        (lambda: proportion_cutoff(1.0, 512, 0.0), "false-alarm probability of 0"),
        (lambda: proportion_cutoff(1.0, 0), "window of 0 samples"),
        (lambda: proportion_cutoff(0.05, 512), "0.05 bit per sample: a good source may well repeat one value"),
        (lambda: HealthTests(3, 5, 5), "samples of 3 bits: must be 1, 2, 4, 8, 16"),
        (lambda: HealthTests(8, -1, 5), "a cut-off is a number of samples"),
        (lambda: HealthTests(8, 5, 5).process(np.zeros(9, np.uint8)), "whole beats of 8"),
        (lambda: HealthTests(4, 5, 5).process(np.full(16, 16, np.uint8)), "does not fit 4 bits"),
    ],
)
def test_impossible_settings_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


def in_words_of_the_standard(tests: HealthTests, samples: list[int]) -> tuple[int | None, int | None]:
    """SP 800-90B, 4.4.1 and 4.4.2, sample by sample: the first that fails each test."""
    repetition = proportion = None
    a, b = samples[0], 1
    if tests.repetition_cutoff <= 1:
        repetition = 0
    for n, x in enumerate(samples[1:], 1):
        b = b + 1 if x == a else 1
        a = x
        if repetition is None and b >= tests.repetition_cutoff:
            repetition = n
    size = window(tests.sample_bits)
    for begin in range(0, len(samples), size):
        a, b = samples[begin], 0
        for n, x in enumerate(samples[begin : begin + size], begin):
            b += x == a
            if proportion is None and b >= tests.proportion_cutoff:
                proportion = n
    return repetition, proportion


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WIDTHS), st.integers(0, 2**32 - 1), st.integers(0, 14), st.integers(0, 400), st.integers(0, 60))
def test_health_tests_equal_the_standards_words(width: int, seed: int, run: int, often: int, beats: int) -> None:
    rng = np.random.default_rng(seed)
    tests = HealthTests(width, run, often)
    values = rng.integers(0, min(2**width, 5), beats * tests.samples_per_beat).astype(np.uint16)
    verdict = tests.process(values)
    failures = in_words_of_the_standard(tests, values.tolist()) if beats else (None, None)
    assert verdict.repetition_failed == (failures[0] is not None)
    assert verdict.proportion_failed == (failures[1] is not None)
    first = min((f for f in failures if f is not None), default=len(values))
    good = first // tests.samples_per_beat * tests.samples_per_beat
    np.testing.assert_array_equal(verdict.passed, values[START_UP_SAMPLES:good])


@pytest.mark.parametrize("width", [1, 8])
def test_false_alarms_are_as_rare_as_they_were_asked_to_be(width: int) -> None:
    rng, alarm, runs = np.random.default_rng(5), 2.0**-8, 3000
    size = window(width)
    cutoff = proportion_cutoff(float(width), size, alarm)
    tests = HealthTests(width, 10**6, cutoff)
    alarms = sum(tests.process(rng.integers(0, 2**width, size).astype(np.uint8)).proportion_failed for _ in range(runs))
    # The first sample of a window counts itself: P = P(X >= cutoff - 1), X binomial of one sample fewer.
    p = 2.0**-width
    exact = sum(math.comb(size - 1, n) * p**n * (1 - p) ** (size - 1 - n) for n in range(cutoff - 1, size))
    assert abs(alarms - runs * exact) < 5 * math.sqrt(runs * exact)
    assert exact < 2 * alarm if width == 1 else exact < 16 * alarm

    cutoff = repetition_cutoff(float(width), alarm)
    tests = HealthTests(width, cutoff, 10**6)
    alarms = sum(tests.process(rng.integers(0, 2**width, 64).astype(np.uint8)).repetition_failed for _ in range(runs))
    assert alarms < 64 * runs * alarm + 5 * math.sqrt(64 * runs * alarm)
    assert alarms > 0


def test_good_samples_raise_no_alarm_and_failing_sources_do() -> None:
    rng = np.random.default_rng(6)
    for width, claim in ((1, 0.95), (8, 7.5)):
        tests = HealthTests(width, repetition_cutoff(claim), proportion_cutoff(claim, window(width)))
        good = rng.integers(0, 2**width, 1 << 20).astype(np.uint8)
        verdict = tests.process(good)
        assert not verdict.repetition_failed
        assert not verdict.proportion_failed
        assert len(verdict.passed) == len(good) - START_UP_SAMPLES
        # A source that has lost half of the entropy that was claimed: its most frequent value has p = 2**-(H / 2).
        biased = np.where(rng.random(1 << 16) < 2.0 ** -(claim / 2), 0, rng.integers(1, 2**width, 1 << 16))
        assert tests.process(biased.astype(np.uint8)).proportion_failed
        stuck = good[:8192].copy()
        stuck[5000:] = stuck[5000]
        verdict = tests.process(stuck)
        assert verdict.repetition_failed
        assert (
            len(verdict.passed)
            == (5000 + repetition_cutoff(claim) - 1) // tests.samples_per_beat * (tests.samples_per_beat)
            - START_UP_SAMPLES
            or len(verdict.passed) < 5000
        )
