"""Layered sum-product syndrome decoding: numpy everywhere, native code where the package was built with a compiler.

The rows of the base graph are worked on in order (core rows first), each with what the rows before it have just found
(Hocevar 2004). Two facts about leaves make it cheap. A leaf's message to its check never changes, so it is a factor
that is computed once and only core edges are updated. And whatever the core bits are, leaf bits that fit the syndrome
exist and follow from them; so decoding has converged as soon as the core checks hold.
"""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .codes import Code

MOST_EDGES = 64
"""Largest number of core edges of a check; the native decoder has room for no more."""

_ABI = 1
_LARGEST_TANH = np.float32(1 - 2.0**-24)


@dataclass(frozen=True)
class Decoded:
    """What decoding gave.

    Attributes:
        bits: uint8, shape (length,); fit the syndrome if converged, and are worthless if not.
        converged: every check holds. It does not prove that the bits are Bob's: verify them with a universal hash.
        iterations: how many it took.
    """

    bits: NDArray[np.uint8]
    converged: bool
    iterations: int

    def __repr__(self) -> str:
        return f"Decoded(converged={self.converged}, iterations={self.iterations})"  # the bits are secret


class _Graph(ctypes.Structure):
    """`Graph` of decoder.cpp."""

    _fields_ = [
        ("lifting", ctypes.c_int32),
        ("core_columns", ctypes.c_int32),
        ("core_rows", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("first_edge", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("shifts", ctypes.c_void_p),
    ]


@cache
def _library() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec("kronborg._native")
    if spec is None or spec.origin is None:
        return None
    library = ctypes.CDLL(spec.origin)
    return library if library.kronborg_native_abi() == _ABI else None


def native_available() -> bool:
    """Whether the native decoder was built with this version of the package."""
    return _library() is not None


class Decoder:
    """Syndromes and decoding of one code. Holds no state between calls: threads may share it, and run side by side.

    Args:
        code: the code.
        native: True for the native library, False for numpy, None for the native one if it is there.

    Raises:
        InputError: the native library is asked for and not there, or a check has more than `MOST_EDGES` core edges.
    """

    def __init__(self, code: Code, native: bool | None = None) -> None:
        if native and not native_available():
            raise InputError("the native decoder was not built: install a C++ compiler and then kronborg again")
        if code.graph.row_degrees.max() > MOST_EDGES:
            raise InputError(f"code {code.name} has a check of more than {MOST_EDGES} core edges: use more core checks")
        self.code = code
        self.native = native_available() if native is None else native
        graph = code.graph
        self._first_edge = np.concatenate([[0], np.cumsum(graph.row_degrees)]).astype(np.int64)
        self._c_graph = _Graph(
            graph.lifting,
            graph.core_columns,
            graph.core_rows,
            len(graph.row_degrees),
            self._first_edge.ctypes.data,
            graph.columns.ctypes.data,
            graph.shifts.ctypes.data,
        )

    def syndrome(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Parity of each check, uint8, shape (checks,), core checks first.

        Raises:
            InputError: not as many bits as the code is long.
        """
        code = self.code
        _check("bits", bits, np.uint8, code.length)
        bits = np.ascontiguousarray(bits)
        syndrome = np.empty(code.checks, np.uint8)
        if self.native:
            library = _library()
            assert library is not None
            library.kronborg_syndrome(
                ctypes.byref(self._c_graph), ctypes.c_void_p(bits.ctypes.data), ctypes.c_void_p(syndrome.ctypes.data)
            )
            return syndrome
        syndrome[: code.core_checks] = 0
        syndrome[code.core_checks :] = bits[code.core_length :]
        return syndrome ^ self._core_parity(bits[: code.core_length], len(code.graph.row_degrees))

    def decode(self, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], max_iterations: int = 250) -> Decoded:
        """Find the word with this syndrome that the log-likelihood ratios speak for.

        Args:
            llr: ln P(0) / P(1) of each bit, float32, shape (length,).
            syndrome: uint8, shape (checks,).
            max_iterations: when to give up, at least 1.

        Raises:
            InputError: arrays of another type or length, or no iterations.
        """
        code = self.code
        _check("log-likelihood ratios", llr, np.float32, code.length)
        _check("syndrome bits", syndrome, np.uint8, code.checks)
        if max_iterations < 1:
            raise InputError(f"decoding takes at least one iteration, not {max_iterations}")
        llr, syndrome = np.ascontiguousarray(llr), np.ascontiguousarray(syndrome)
        return (
            self._decode_native(llr, syndrome, max_iterations)
            if self.native
            else self._decode_numpy(llr, syndrome, max_iterations)
        )

    def _decode_native(self, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], max_iterations: int) -> Decoded:
        library = _library()
        assert library is not None
        bits = np.empty(self.code.length, np.uint8)
        iterations = ctypes.c_int32()
        outcome = library.kronborg_decode(
            ctypes.byref(self._c_graph),
            ctypes.c_void_p(llr.ctypes.data),
            ctypes.c_void_p(syndrome.ctypes.data),
            ctypes.c_int32(max_iterations),
            ctypes.c_void_p(bits.ctypes.data),
            ctypes.byref(iterations),
        )
        if outcome < 0:
            raise MemoryError(f"no memory to decode a block of {self.code.length} bits")
        return Decoded(bits, bool(outcome), iterations.value)

    def _decode_numpy(self, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], max_iterations: int) -> Decoded:
        code, graph = self.code, self.code.graph
        posterior = llr[: code.core_length].reshape(graph.core_columns, graph.lifting).copy()
        messages = np.zeros((len(graph.columns), graph.lifting), np.float32)
        factors: NDArray[np.float32] = np.ones(code.checks, np.float32)
        factors[code.core_checks :] = np.tanh(llr[code.core_length :] / 2)
        factors[syndrome == 1] *= -1
        factors = factors.reshape(-1, graph.lifting)
        lifted = np.arange(graph.lifting)

        core = np.empty(code.core_length, np.uint8)
        converged, iterations = False, 0
        while iterations < max_iterations and not converged:
            for row, degree in enumerate(graph.row_degrees):
                edges = slice(self._first_edge[row], self._first_edge[row + 1])
                variables = (graph.columns[edges, None], (graph.shifts[edges, None] + lifted) % graph.lifting)
                extrinsic = posterior[variables] - messages[edges]
                belief = np.tanh(extrinsic / 2)
                others = np.empty_like(belief)
                before = factors[row].copy()
                for edge in range(degree):
                    others[edge] = before
                    before *= belief[edge]
                after = np.ones_like(before)
                for edge in range(degree - 1, -1, -1):
                    others[edge] *= after
                    after *= belief[edge]
                messages[edges] = 2 * np.arctanh(np.clip(others, -_LARGEST_TANH, _LARGEST_TANH))
                posterior[variables] = extrinsic + messages[edges]
            iterations += 1
            core = (posterior < 0).astype(np.uint8).reshape(-1)
            converged = bool(np.array_equal(self._core_parity(core, graph.core_rows), syndrome[: code.core_checks]))
        leaves = (syndrome ^ self._core_parity(core, len(graph.row_degrees)))[code.core_checks :]
        return Decoded(np.concatenate([core, leaves]), converged, iterations)

    def _core_parity(self, core: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
        """Parity of the core bits in each check of the first rows."""
        graph = self.code.graph
        columns = core.reshape(graph.core_columns, graph.lifting)
        parity = np.zeros((rows, graph.lifting), np.uint8)
        for row in range(rows):
            for edge in range(self._first_edge[row], self._first_edge[row + 1]):
                parity[row] ^= np.roll(columns[graph.columns[edge]], -graph.shifts[edge])
        return parity.reshape(-1)


def _check(what: str, array: NDArray[np.generic], dtype: type[np.generic], length: int) -> None:
    if array.dtype != dtype or array.shape != (length,):
        raise InputError(
            f"{length} {what} of type {dtype.__name__} are needed, not {array.dtype} of shape {array.shape}"
        )
