import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.compensation.rotator.model import MOST_DELAY, REACH, START, Rotator, power_gain
from kronborg_hdl.dsp.formats import BASEBAND


def stream(seed: int, hops: int, spare: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of full scale, the corners often, and phasors of any length."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (2 * hops, 2))
    corners = rng.choice([BASEBAND.minimum, BASEBAND.maximum], samples.shape)
    samples = np.where(rng.random(samples.shape) < 0.3, corners, samples).astype(np.int32)
    return samples, rng.integers(-(2**15), 2**15, (hops + spare, 2)).astype(np.int16)


def by_definition(samples: list[list[int]], phasors: list[list[int]], delay: int) -> tuple[list[list[int]], int]:
    """In Python's integers."""
    words, saturated = [], 0
    for n, (i, q) in enumerate(samples):
        hop = n // 2 - delay
        own, other = (phasors[k] if k >= 0 else [0, 0] for k in (hop, hop + 1 if n % 2 else hop - 1))
        a, b = ((3 * mine + its + 2) >> 2 for mine, its in zip(own, other, strict=True))
        exact = [(i * a + q * b + 2**14) >> 15, (q * a - i * b + 2**14) >> 15]
        words.append([min(max(word, -(2**17)), 2**17 - 1) for word in exact])
        saturated += sum(word != clipped for word, clipped in zip(exact, words[-1], strict=True))
    return words, saturated


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-MOST_DELAY, MOST_DELAY), st.integers(0, 40))
def test_equals_its_definition_in_integers(seed: int, delay: int, hops: int) -> None:
    samples, phasors = stream(seed, hops, REACH)
    rotated = Rotator(delay).process(samples, phasors)
    words, saturated = by_definition(samples.tolist(), phasors.tolist(), delay)
    assert rotated.samples.dtype == np.int32
    assert rotated.samples.tolist() == words
    assert rotated.saturated == saturated


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-MOST_DELAY, MOST_DELAY))
def test_pieces_give_what_the_whole_gives(seed: int, delay: int) -> None:
    samples, phasors = stream(seed, 60, REACH)
    whole = Rotator(delay).process(samples, phasors)
    rng = np.random.default_rng(seed)
    pieces, saturated, state = [], 0, START
    at, hop = 0, 0
    while at < len(samples) or hop < len(phasors):
        more, further = (int(step) for step in rng.integers(0, 30, 2))
        piece = Rotator(delay).process(samples[at : at + more], phasors[hop : hop + further], state)
        pieces.append(piece.samples)
        saturated, state = saturated + piece.saturated, piece.state
        at, hop = at + more, hop + further
    np.testing.assert_array_equal(np.concatenate(pieces), whole.samples)
    assert saturated == whole.saturated


def test_samples_wait_for_every_phasor_that_a_delay_could_ask_for() -> None:
    samples, phasors = stream(1, 50, 0)
    for delay in (-MOST_DELAY, 0, MOST_DELAY):
        assert len(Rotator(delay).process(samples, phasors).samples) == 2 * (50 - REACH)
        assert len(Rotator(delay).process(samples, phasors[: REACH - 1]).samples) == 0


@pytest.mark.parametrize("delay", [-5, 0, 3])
def test_takes_the_phase_off_samples_that_are_late(delay: int) -> None:
    hops, step = 500, 0.04
    angle = step * np.arange(hops + 2 * REACH)
    phasors = np.round(32767 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.int16)
    # Samples lie a quarter of a hop before and behind its middle.
    turn = 100_000 * np.exp(1j * step * ((np.arange(2 * hops) - 0.5) / 2 - delay))
    samples = np.round(np.stack([turn.real, turn.imag], axis=-1)).astype(np.int32)
    # Phasor 0 has none before it.
    rotated = Rotator(delay).process(samples, phasors).samples[2 * max(delay, 0) + 1 :]
    length = 99_997 * (1 - 3 / 32 * step**2)  # 32767 / 32768, and a chord is shorter than its arc
    assert np.abs(rotated - (length, 0)).max() < 8
    assert np.abs(rotated[:, 1]).mean() < 3


def test_a_unit_phasor_saturates_only_what_is_longer_than_full_scale() -> None:
    angle = np.linspace(0, 2 * np.pi, 2000)
    phasors = np.round(32767 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.int16)
    inside = np.tile(np.array([[131_060, 0]], np.int32), (3600, 1))
    assert Rotator().process(inside, phasors).saturated == 0
    corner = np.tile(np.array([[BASEBAND.maximum, BASEBAND.maximum]], np.int32), (3600, 1))
    assert Rotator().process(corner, phasors).saturated > 1000


@pytest.mark.parametrize("delay", [-MOST_DELAY - 1, MOST_DELAY + 1])
def test_refuses_a_delay_beyond_its_reach(delay: int) -> None:
    with pytest.raises(ValueError, match="must be -7 to 7"):
        Rotator(delay)


@pytest.mark.parametrize(
    ("samples", "phasors", "message"),
    [
        (np.zeros((4, 2), np.int16), np.zeros((2, 2), np.int16), "samples must be int32"),
        (np.zeros((4, 2), np.int32), np.zeros((2, 2), np.int32), "phasors must be int16"),
        (np.zeros(4, np.int32), np.zeros((2, 2), np.int16), r"shape \(4,\)"),
        (np.full((4, 2), 2**17, np.int32), np.zeros((2, 2), np.int16), "18 bits"),
    ],
)
def test_refuses_what_its_streams_cannot_carry(samples: np.ndarray, phasors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rotator().process(samples, phasors)


def test_says_what_power_noise_keeps_when_phasors_that_walk_turn_it() -> None:
    rng = np.random.default_rng(4)
    angle = np.cumsum(rng.normal(0, 0.2, 20_000))
    phasors = np.round(32767 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.int16)
    noise = np.round(rng.normal(0, 20_000, (2 * len(phasors), 2))).astype(np.int32)
    turned = Rotator().process(noise, phasors).samples[2:].astype(float)
    measured = np.mean(turned**2) / np.mean(noise[2 : 2 + len(turned)].astype(float) ** 2)
    assert power_gain(phasors) == pytest.approx(1 - 3 / 16 * 0.2**2, abs=5e-4)
    assert power_gain(phasors) == pytest.approx(measured, abs=5e-4)
