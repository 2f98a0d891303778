"""Layered sum-product syndrome decoding: numpy everywhere, native code where the package was built with a compiler.

The rows of the base graph are worked on in order (core rows first), each with what the rows before it have just found
(Hocevar 2004). Two facts about leaves make it cheap. A leaf's message to its check never changes, so it is computed
once and only core edges are updated. And whatever the core bits are, leaf bits that fit the syndrome exist and follow
from them; so decoding has converged as soon as the core checks hold.

Two arithmetics: floats, and bytes (`byte_arithmetic`), which are five times faster where the processor has the
instructions and lose a little. By default bytes come first and floats try what is left.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .byte_arithmetic import mean_square, tables_for
from .codes import Code
from .native import INSTRUCTIONS, CGraph, CTables, address, instructions_available, library, native_available
from .numpy_decoder import Core, decode_bytes, decode_floats

MOST_EDGES = 256
"""Largest number of core edges of a check; the native decoder has room for no more."""

PATIENCE = 80
"""Iterations without fewer failed checks after which a frame is given up."""

ARITHMETICS = ("bytes", "floats", "bytes, then floats")


@dataclass(frozen=True)
class Decoded:
    """What decoding gave.

    Attributes:
        bits: uint8, shape (length,); fit the syndrome if converged, and are worthless if not.
        converged: every check holds. It does not prove that the bits are Bob's: verify them with a universal hash.
        iterations: how many it took, all attempts together.
    """

    bits: NDArray[np.uint8]
    converged: bool
    iterations: int

    def __repr__(self) -> str:
        return f"Decoded(converged={self.converged}, iterations={self.iterations})"  # the bits are secret


class Decoder:
    """Syndromes and decoding of one code. Holds no state between calls: threads may share it, and run side by side.

    Args:
        code: the code.
        native: True for the native library, False for numpy, None for the native one if it is there.
        arithmetic: one of `ARITHMETICS`; None for bytes, then floats where bytes are fast, and floats elsewhere.
        instructions: vector instructions for native bytes; None for the best that the processor has.

    Raises:
        InputError: what is asked for is not there, or a check has more than `MOST_EDGES` core edges.
    """

    def __init__(
        self, code: Code, native: bool | None = None, arithmetic: str | None = None, instructions: str | None = None
    ) -> None:
        if native and not native_available():
            raise InputError("the native decoder was not built: install a C++ compiler and then kronborg again")
        if code.graph.row_degrees.max() > MOST_EDGES:
            raise InputError(f"code {code.name} has a check of more than {MOST_EDGES} core edges: use more core checks")
        self.code = code
        self.native = native_available() if native is None else native
        fast = self.native and bool(instructions_available())
        self.arithmetic = arithmetic or ("bytes, then floats" if fast else "floats")
        if self.arithmetic not in ARITHMETICS:
            raise InputError(f"no arithmetic is called {arithmetic!r}: choose from {', '.join(ARITHMETICS)}")
        if (
            self.native
            and self.arithmetic != "floats"
            and (instructions or "any")
            not in (
                *instructions_available(),
                *(["any"] if fast else []),
            )
        ):
            raise InputError(f"this processor has no {instructions or 'vector'} instructions for bytes: use floats")
        self._instructions = INSTRUCTIONS[instructions] if instructions else 0
        self._c_graph = CGraph.of(code.graph)

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
            _native().kronborg_syndrome(ctypes.byref(self._c_graph), address(bits), address(syndrome))
            return syndrome
        syndrome[: code.core_checks] = 0
        syndrome[code.core_checks :] = bits[code.core_length :]
        return syndrome ^ code.graph.core_parity(bits[: code.core_length], len(code.graph.row_degrees))

    def decode(
        self,
        llr: NDArray[np.float32],
        syndrome: NDArray[np.uint8],
        max_iterations: int = 300,
        patience: int = PATIENCE,
    ) -> Decoded:
        """Find the word with this syndrome that the log-likelihood ratios speak for.

        Args:
            llr: ln P(0) / P(1) of each bit, float32, shape (length,).
            syndrome: uint8, shape (checks,).
            max_iterations: when to give up, at least 1; of each arithmetic.
            patience: iterations without progress after which to give up, at least 1.

        Raises:
            InputError: arrays of another type or length, an LLR that is infinite or no number, or no iterations.
        """
        code = self.code
        _check("log-likelihood ratios", llr, np.float32, code.length)
        _check("syndrome bits", syndrome, np.uint8, code.checks)
        if max_iterations < 1 or patience < 1:
            raise InputError(f"decoding takes at least one iteration, not {min(max_iterations, patience)}")
        llr, syndrome = np.ascontiguousarray(llr), np.ascontiguousarray(syndrome)
        spent = 0
        for attempt in self.arithmetic.split(", then "):
            decode = getattr(self, f"_{attempt}")
            decoded: Decoded = decode(llr, syndrome, max_iterations, patience)
            spent += decoded.iterations
            if decoded.converged:
                break
        return Decoded(decoded.bits, decoded.converged, spent)

    def _bytes(self, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], most: int, patience: int) -> Decoded:
        tables = tables_for(llr)
        if not self.native:
            return self._with_leaves(decode_bytes(self.code.graph, llr, syndrome, most, patience, tables), syndrome)
        return self._call(
            "kronborg_decode_bytes", llr, syndrome, most, patience, ctypes.byref(CTables.of(tables)), self._instructions
        )

    def _floats(self, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], most: int, patience: int) -> Decoded:
        mean_square(llr)  # refuses what is not finite
        if not self.native:
            return self._with_leaves(decode_floats(self.code.graph, llr, syndrome, most, patience), syndrome)
        return self._call("kronborg_decode", llr, syndrome, most, patience)

    def _call(
        self,
        function: str,
        llr: NDArray[np.float32],
        syndrome: NDArray[np.uint8],
        most: int,
        patience: int,
        *more: object,
    ) -> Decoded:
        bits = np.empty(self.code.length, np.uint8)
        iterations = ctypes.c_int32()
        outcome = getattr(_native(), function)(
            ctypes.byref(self._c_graph),
            address(llr),
            address(syndrome),
            ctypes.c_int32(most),
            ctypes.c_int32(patience),
            address(bits),
            ctypes.byref(iterations),
            *more,
        )
        if outcome < 0:
            raise MemoryError(f"no memory to decode a block of {self.code.length} bits")
        return Decoded(bits, bool(outcome), iterations.value)

    def _with_leaves(self, core: Core, syndrome: NDArray[np.uint8]) -> Decoded:
        bits, converged, iterations = core
        graph = self.code.graph
        leaves = (syndrome ^ graph.core_parity(bits, len(graph.row_degrees)))[self.code.core_checks :]
        return Decoded(np.concatenate([bits, leaves]), converged, iterations)


def _native() -> ctypes.CDLL:
    found = library()
    assert found is not None
    return found


def _check(what: str, array: NDArray[np.generic], dtype: type[np.generic], length: int) -> None:
    if array.dtype != dtype or array.shape != (length,):
        raise InputError(
            f"{length} {what} of type {dtype.__name__} are needed, not {array.dtype} of shape {array.shape}"
        )
