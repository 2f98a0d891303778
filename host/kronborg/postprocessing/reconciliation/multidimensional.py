"""Eight-dimensional reconciliation: turns Gaussian quadratures into a binary channel (Leverrier et al. 2008).

Phys. Rev. A 77, 042325. Quadratures are taken eight at a time as octonions. Bob holds y and draws eight uniform bits;
u = ((-1)^bit) / sqrt(8) is a point of the unit sphere. He publishes r = u * conj(y). Octonions are alternative and
normed, so r y = u |y|^2 and left multiplication by r / |y| is an orthogonal map M with M y = u |y|. If y is as likely
as each of its rotated copies, as Gaussian quadratures are, r says nothing about the bits; rounded ones are not, and
must be made continuous first (``postprocessing.dithering``). Alice applies the same map to her x, and since y = t x + z
with Gaussian z of variance sigma2 in each quadrature,

    LLR_i = ln P(bit_i = 0) / P(bit_i = 1) = 2 t |y| (M x)_i / (sqrt(8) sigma2) = 2 t (r x)_i / (sqrt(8) sigma2).

To Alice this is a binary-input Gaussian channel whose SNR is faded by |y|^2 / (8 Var y), a chi2_8 / 8 variable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

DIMENSION = 8


def _cayley_dickson_signs(dimension: int) -> NDArray[np.int8]:
    """Entry [i, j] is the sign of e_i e_j = +-e_(i xor j).

    By doubling: (a, b)(c, d) = (ac - conj(d) b, da + b conj(c)).
    """
    signs = np.ones((1, 1), np.int8)
    while (half := len(signs)) < dimension:
        conjugate = np.where(np.arange(half) == 0, 1, -1).astype(np.int8)
        signs = np.block([[signs, signs.T], [signs * conjugate, -(signs * conjugate[:, None]).T]]).astype(np.int8)
    return signs


_SIGNS = _cayley_dickson_signs(DIMENSION)
_BLOCK = 4096
"""Octonions that are multiplied at a time: operands stay in cache."""


def multiply(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Octonion products a b, row by row. Both of shape (n, 8) and of the same float type, which the result has too."""
    product = np.empty_like(a)
    for begin in range(0, len(a), _BLOCK):
        left = np.ascontiguousarray(a[begin : begin + _BLOCK].T)
        right = np.ascontiguousarray(b[begin : begin + _BLOCK].T)
        total = np.zeros_like(left)
        term = np.empty_like(left[0])
        for i in range(DIMENSION):
            for j in range(DIMENSION):
                np.multiply(left[i], right[j], out=term)
                add = np.add if _SIGNS[i, j] > 0 else np.subtract
                add(total[i ^ j], term, out=total[i ^ j])
        product[begin : begin + _BLOCK] = total.T
    return product


def conjugate(a: NDArray[np.floating]) -> NDArray[np.floating]:
    """Octonion conjugates, shape (n, 8): all but the real part (column 0) change sign."""
    result = -a
    result[:, 0] = a[:, 0]
    return result


def bob_message(y: NDArray[np.floating], bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bob's public message r = u conj(y): direction says how to turn y to u, and the norm is |y|.

    Args:
        y: Bob's quadratures in sqrt(SNU), shape (8 n,).
        bits: uniform and secret, 0 or 1, shape (8 n,). Bit 0 is +1.

    Returns:
        float32, shape (n, 8), sqrt(SNU).

    Raises:
        InputError: lengths differ or are no multiple of eight.
    """
    _check(y, bits)
    u = (1.0 - 2.0 * bits.reshape(-1, DIMENSION)) / np.sqrt(DIMENSION)
    return multiply(u, conjugate(y.reshape(-1, DIMENSION).astype(np.float64))).astype(np.float32)


def alice_llr(x: NDArray[np.floating], message: NDArray[np.float32], t: float, sigma2: float) -> NDArray[np.float32]:
    """Alice's log-likelihood ratios of Bob's bits; positive where 0 is more likely.

    Args:
        x: Alice's quadratures in sqrt(SNU), shape (8 n,).
        message: Bob's, shape (n, 8).
        t: gain of the channel, y = t x + z.
        sigma2: variance of z in SNU.

    Returns:
        float32, shape (8 n,).

    Raises:
        InputError: lengths differ or are no multiple of eight, or the noise variance is not positive.
    """
    _check(x, message.reshape(-1))
    if not sigma2 > 0:
        raise InputError(f"the noise variance must be positive, not {sigma2:g} SNU: estimate the channel first")
    turned = multiply(message, x.reshape(-1, DIMENSION).astype(np.float32))
    return np.asarray(turned.reshape(-1) * np.float32(2 * t / (np.sqrt(DIMENSION) * sigma2)), np.float32)


def bob_quadratures(message: NDArray[np.float32], bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What Bob measured, for whoever knows his bits: y = conj(r) u, since r = u conj(y) and |u| = 1.

    Args:
        message: Bob's, shape (n, 8).
        bits: his, 0 or 1, shape (8 n,).

    Returns:
        float32, shape (8 n,), sqrt(SNU).

    Raises:
        InputError: lengths differ or are no multiple of eight.
    """
    _check(message.reshape(-1), bits)
    u = ((1.0 - 2.0 * bits.reshape(-1, DIMENSION)) / np.sqrt(DIMENSION)).astype(np.float32)
    return np.asarray(multiply(conjugate(message), u).reshape(-1), np.float32)


def _check(quadratures: NDArray[np.floating], other: NDArray[np.generic]) -> None:
    if len(quadratures) != len(other) or len(quadratures) % DIMENSION:
        raise InputError(
            f"{len(quadratures)} quadratures against {len(other)} values: give equal numbers, a multiple of {DIMENSION}"
        )
