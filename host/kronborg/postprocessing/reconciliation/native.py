"""The native library: the structures of native/*.cpp, and whether it is there."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .base_graph import BaseGraph
from .byte_arithmetic import Tables

_ABI = 2


class CGraph(ctypes.Structure):
    """`Graph` of graph.h. It borrows the arrays of a `BaseGraph`, which must outlive it."""

    _fields_ = [
        ("lifting", ctypes.c_int32),
        ("core_columns", ctypes.c_int32),
        ("core_rows", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("first_edge", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("shifts", ctypes.c_void_p),
    ]

    @classmethod
    def of(cls, graph: BaseGraph) -> CGraph:
        """The same graph."""
        return cls(
            graph.lifting,
            graph.core_columns,
            graph.core_rows,
            len(graph.row_degrees),
            graph.first_edge.ctypes.data,
            graph.columns.ctypes.data,
            graph.shifts.ctypes.data,
        )


class CTables(ctypes.Structure):
    """`ByteTables` of byte_decoder.cpp. It borrows the arrays of `Tables`, which must outlive it."""

    _fields_ = [
        ("inverse_step", ctypes.c_float),
        ("shift", ctypes.c_int32),
        ("to_sum", ctypes.c_void_p),
        ("leaf_sum", ctypes.c_void_p),
        ("from_sum", ctypes.c_void_p),
        ("correction", ctypes.c_void_p),
    ]

    @classmethod
    def of(cls, tables: Tables) -> CTables:
        """The same tables."""
        arrays = (tables.to_sum, tables.leaf_sum, tables.from_sum, tables.correction)
        return cls(1 / tables.step, tables.shift, *(array.ctypes.data for array in arrays))


@cache
def library() -> ctypes.CDLL | None:
    """The library, or None if it was not built with this version of the package."""
    spec = importlib.util.find_spec("kronborg._native")
    if spec is None or spec.origin is None:
        return None
    found = ctypes.CDLL(spec.origin)
    return found if found.kronborg_native_abi() == _ABI else None


def native_available() -> bool:
    """Whether the native decoder was built with this version of the package."""
    return library() is not None


@cache
def instructions_available() -> tuple[str, ...]:
    """Vector instructions that the integer decoder can use on this processor, the best first."""
    found = library()
    if found is None:
        return ()
    return tuple(name for name, number in INSTRUCTIONS.items() if found.kronborg_bytes_available(number))


INSTRUCTIONS = {"avx512": 3, "avx2": 2, "neon": 1}
"""Names, and what the library calls them."""


def address(array: NDArray[np.generic]) -> ctypes.c_void_p:
    """Where an array begins."""
    return ctypes.c_void_p(array.ctypes.data)
