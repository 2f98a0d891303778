"""Privacy amplification: hashing with a modified Toeplitz matrix, a 2-universal family, in bounded memory.

A block of n bits becomes m by the matrix (1 | T): the first m bits, plus a Toeplitz matrix times the other n - m. Two
blocks that differ in the latter meet with probability 2**-m over the seed, two that differ in the former only never do
(Hayashi & Tsurumaru, IEEE Trans. Inf. Theory 62, 2213, 2016). It takes a seed of n - 1 bits, and about half of the work
of a Toeplitz matrix for the whole block. Bit i of the key is

    bits[i]  xor  the parity of  seed[i + n - m - 1 - j] & bits[m + j]  over j = 0 ... n - m - 1.

That is a product of polynomials over GF(2). The native library takes it with an additive FFT (native/toeplitz.cpp);
numpy does it piece by piece with float64 transforms, whose sums are integers, and checks that each lies close to one.
Both give the same bits.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from ..native_library import native_library

PIECE = 1 << 22
"""numpy: most bits of input, and of output, that one transform joins; it takes some 100 bytes for each of them."""
EXACTNESS = 0.25
"""numpy: how far a sum may lie from an integer; in float64 it is about 1e-8 for 1e8 bits."""

_ABI = 1


def _library() -> ctypes.CDLL | None:
    return native_library("kronborg_toeplitz_abi", _ABI)


def native_levels() -> int:
    """Kinds of carry-less multiplication that the native library has on this processor; 0 if it was not built."""
    library = _library()
    return 0 if library is None else int(library.kronborg_toeplitz_levels())


def seed_bytes(bits: int) -> int:
    """Random bytes that define the matrix for a block of n bits: n - 1 bits, whatever the key's length."""
    return -(-(bits - 1) // 8)


def hash_bits(bits: NDArray[np.uint8], seed: bytes, key_bits: int, *, level: int | None = None) -> NDArray[np.uint8]:
    """Multiply a bit vector by the seed's matrix (1 | T) over GF(2).

    Args:
        bits: uint8 zeros and ones, shape (n,).
        seed: ``seed_bytes(n)`` random bytes; the first bit of a byte is its highest, what the last byte has beyond
            n - 1 bits is not used.
        key_bits: m, bits to keep, at most n.
        level: which of the native library's multiplications, below :func:`native_levels`; -1 for numpy; None for the
            fastest there is.

    Returns:
        uint8 zeros and ones, shape (key_bits,).

    Raises:
        ValueError: the seed has another length, or there is nothing to hash.
        ArithmeticError: numpy's sums came out too far from an integer; no key is returned.
        MemoryError: the native library got none.
    """
    packed = hash_packed(np.packbits(bits), len(bits), seed, key_bits, level=level)
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=key_bits)


def hash_packed(packed: NDArray[np.uint8], n: int, seed: bytes, key_bits: int, *, level: int | None = None) -> bytes:
    """The same of packed bits, eight to a byte, the first one highest: what a block of 1e9 bits fits into memory as.

    Args:
        packed: uint8, shape (ceil(n / 8),).
        n: how many bits they are.
        seed, key_bits, level: as above.

    Returns:
        The key, packed; what the last byte has beyond it is zero.

    Raises:
        ValueError, ArithmeticError, MemoryError: as above.
    """
    if not 1 <= key_bits <= n or packed.shape != (-(-n // 8),):
        raise ValueError(f"cannot hash {n} bits, in {packed.size} bytes, to {key_bits}")
    if len(seed) != seed_bytes(n):
        raise ValueError(f"hashing {n} bits takes a seed of {seed_bytes(n)} bytes, not {len(seed)}")
    if level is None:
        level = native_levels() - 1
    if not -1 <= level < native_levels():
        raise ValueError(f"the native library has {native_levels()} levels, and level {level} is none of them")
    key = packed[: -(-key_bits // 8)].copy()
    if key_bits < n:
        key ^= (
            np.packbits(_toeplitz_numpy(seed, np.unpackbits(packed, count=n)[key_bits:], key_bits))
            if level < 0
            else _toeplitz_native(seed, _from(packed, key_bits), n - key_bits, key_bits, level)
        )
    if key_bits % 8:
        key[-1] &= 256 - (1 << 8 - key_bits % 8)
    return key.tobytes()


def _from(packed: NDArray[np.uint8], begin: int) -> NDArray[np.uint8]:
    """Packed bits without the first ones."""
    rest, shift = packed[begin // 8 :], begin % 8
    if not shift:
        return np.ascontiguousarray(rest)
    shifted = rest << np.uint8(shift)
    shifted[:-1] |= rest[1:] >> np.uint8(8 - shift)
    return shifted


def _toeplitz_native(seed: bytes, packed: NDArray[np.uint8], n: int, rows: int, level: int) -> NDArray[np.uint8]:
    library = _library()
    assert library is not None
    product = np.empty(-(-rows // 8), np.uint8)
    outcome = library.kronborg_toeplitz(
        seed,
        ctypes.c_void_p(packed.ctypes.data),
        ctypes.c_int64(rows),
        ctypes.c_int64(n),
        ctypes.c_int(level),
        ctypes.c_void_p(product.ctypes.data),
    )
    if outcome < 0:
        raise MemoryError(f"no memory to hash {rows + n} bits")
    return product


def _toeplitz_numpy(seed: bytes, bits: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
    """Parities of sum_j seed[i + n - 1 - j] bits[j] for n bits and i = 0 ... rows - 1.

    Each output piece is a sum over input pieces, taken between the transforms: pieces of one size share it.
    """
    n, packed = len(bits), np.frombuffer(seed, np.uint8)
    piece = min(PIECE, 1 << (max(n, rows) - 1).bit_length())
    size = 2 * piece
    backwards = bits[::-1]
    result = np.empty(rows, np.uint8)
    for low in range(0, rows, piece):
        high = min(low + piece, rows)
        spectrum = np.zeros(size // 2 + 1, np.complex128)
        for begin in range(0, n, piece):
            part = backwards[begin : begin + piece]
            # Output i takes seed[i + j] backwards[j]: for this part, the seed from low + begin on.
            stretch = _bits(packed, low + begin, high + begin + len(part) - 1)
            term = np.fft.rfft(part.astype(np.float64), size)
            np.conj(term, out=term)
            term *= np.fft.rfft(stretch.astype(np.float64), size)
            spectrum += term
        sums = np.fft.irfft(spectrum, size)[: high - low]
        whole = np.rint(sums)
        if not np.abs(sums - whole).max() < EXACTNESS:
            raise ArithmeticError("a parity was not computed exactly; the block is dropped")
        result[low:high] = whole.astype(np.int64) & 1
    return result


def _bits(packed: NDArray[np.uint8], begin: int, end: int) -> NDArray[np.uint8]:
    """Bits `begin` to before `end` of packed ones."""
    return np.unpackbits(packed[begin // 8 : -(-end // 8)])[begin % 8 :][: end - begin]
