import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation import alice_llr, bob_message, bob_quadratures
from kronborg.postprocessing.reconciliation.multidimensional import conjugate, multiply

BASIS = np.eye(8)

octonions = st.lists(st.floats(-10, 10), min_size=8, max_size=8).map(lambda values: np.array([values]))


def channel(snr: float, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Bob's bits and Alice's LLRs, with a gain and a noise variance that are not 1."""
    rng = np.random.default_rng(seed)
    gain, noise = 0.4, 1.3
    x = rng.normal(0, np.sqrt(snr * noise) / gain, count)
    y = gain * x + rng.normal(0, np.sqrt(noise), count)
    bits = rng.integers(0, 2, count, dtype=np.uint8)
    return bits, alice_llr(x, bob_message(y, bits), gain, noise)


def test_imaginary_units_square_to_minus_one_and_anticommute() -> None:
    for i in range(1, 8):
        assert np.array_equal(multiply(BASIS[i : i + 1], BASIS[i : i + 1]), -BASIS[:1])
        for j in set(range(1, 8)) - {i}:
            product = multiply(BASIS[i : i + 1], BASIS[j : j + 1])
            assert np.array_equal(product, -multiply(BASIS[j : j + 1], BASIS[i : i + 1]))
            assert np.array_equal(np.abs(product), BASIS[i ^ j : (i ^ j) + 1])


@given(octonions, octonions)
def test_norms_multiply_and_the_product_is_alternative(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    product = multiply(a, b)
    assert np.linalg.norm(product) == pytest.approx(np.linalg.norm(a) * np.linalg.norm(b), abs=1e-9)
    assert multiply(product, conjugate(b)) == pytest.approx(a * np.sum(b**2), abs=1e-7)


def test_the_message_holds_the_norm_and_turns_y_to_the_bits() -> None:
    rng = np.random.default_rng(1)
    y, bits = rng.normal(size=8 * 5000), rng.integers(0, 2, 8 * 5000, dtype=np.uint8)
    message = bob_message(y, bits)
    assert message.dtype == np.float32
    assert message.shape == (5000, 8)
    norm = np.linalg.norm(y.reshape(-1, 8), axis=1, keepdims=True)
    assert np.linalg.norm(message, axis=1, keepdims=True) == pytest.approx(norm, rel=1e-6)
    u = (1.0 - 2.0 * bits.reshape(-1, 8)) / np.sqrt(8)
    assert multiply(message.astype(np.float64), y.reshape(-1, 8)) / norm**2 == pytest.approx(u, abs=1e-6)


def test_the_map_is_orthogonal() -> None:
    rng = np.random.default_rng(2)
    message = bob_message(rng.normal(size=8), rng.integers(0, 2, 8, dtype=np.uint8)).astype(np.float64)
    matrix = multiply(np.repeat(message / np.linalg.norm(message), 8, axis=0), BASIS).T
    assert matrix @ matrix.T == pytest.approx(np.eye(8), abs=1e-7)


def test_the_message_does_not_depend_on_the_bits() -> None:
    """For one u after the other, directions are uniform: first and second moments are those of the sphere."""
    rng = np.random.default_rng(3)
    count = 100_000
    for word in (0b00000000, 0b10000000, 0b01101001):
        bits = np.tile(np.unpackbits(np.array([word], np.uint8)), count)
        message = bob_message(rng.normal(size=8 * count), bits)
        assert np.abs(message.mean(0)).max() < 5 / np.sqrt(count)
        assert np.abs(message.T @ message / count - np.eye(8)).max() < 8 / np.sqrt(count)


def test_llrs_mean_what_they_say() -> None:
    bits, llr = channel(0.361, 1_600_000, 4)
    for low in np.arange(-3, 3, 0.5):
        inside = (llr >= low) & (llr < low + 0.5)
        expected = np.mean(1 / (1 + np.exp(llr[inside].astype(np.float64))))
        assert np.mean(bits[inside]) == pytest.approx(expected, abs=5 / np.sqrt(4 * inside.sum()))


@pytest.mark.parametrize(("snr", "ceiling"), [(0.361, 0.967), (0.5, 0.956), (1.0, 0.919)])
def test_the_virtual_channel_has_the_ceiling_of_eight_dimensions(snr: float, ceiling: float) -> None:
    bits, llr = channel(snr, 1_600_000, 5)
    density = 1 - np.logaddexp(0, -llr.astype(np.float64) * (1.0 - 2.0 * bits)) / np.log(2)
    error = 4 * density.std() / np.sqrt(len(density))
    assert error < 0.012 * density.mean(), "the test is precise enough to see the ceiling"
    assert density.mean() == pytest.approx(ceiling * 0.5 * np.log2(1 + snr), abs=error + 0.0005 * density.mean())


def test_a_block_of_zeros_is_an_erasure() -> None:
    message = bob_message(np.zeros(8), np.ones(8, np.uint8))
    assert np.array_equal(alice_llr(np.ones(8), message, 1.0, 1.0), np.zeros(8))


def test_refuses_lengths_that_do_not_fit_and_noise_that_is_none() -> None:
    with pytest.raises(InputError, match="multiple of 8"):
        bob_message(np.zeros(12), np.zeros(12, np.uint8))
    with pytest.raises(InputError, match="equal numbers"):
        bob_message(np.zeros(16), np.zeros(8, np.uint8))
    with pytest.raises(InputError, match="equal numbers"):
        alice_llr(np.zeros(16), np.zeros((1, 8), np.float32), 1.0, 1.0)
    for noise in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="noise variance must be positive"):
            alice_llr(np.zeros(8), np.zeros((1, 8), np.float32), 1.0, noise)


def test_whoever_knows_the_bits_knows_what_bob_measured() -> None:
    rng = np.random.default_rng(21)
    y, bits = rng.normal(size=800), rng.integers(0, 2, 800, np.uint8)
    found = bob_quadratures(bob_message(y, bits), bits)
    np.testing.assert_allclose(found, y, atol=2e-6)
