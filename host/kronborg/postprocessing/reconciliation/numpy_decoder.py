"""Both decoders in numpy: what the native code must agree with, and what works without a compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import byte_arithmetic
from .base_graph import BaseGraph
from .byte_arithmetic import Tables

_LARGEST_TANH = np.float32(1 - 2.0**-24)

Core = tuple[NDArray[np.uint8], bool, int]
"""Core bits, whether all core checks hold, iterations."""


def decode_floats(
    graph: BaseGraph, llr: NDArray[np.float32], syndrome: NDArray[np.uint8], max_iterations: int, patience: int
) -> Core:
    """Layered sum-product in float32. Arguments as `Decoder.decode` has checked them."""
    core_length = graph.core_columns * graph.lifting
    core_checks = graph.core_rows * graph.lifting
    posterior = llr[:core_length].reshape(graph.core_columns, graph.lifting).copy()
    messages = np.zeros((len(graph.columns), graph.lifting), np.float32)
    factors: NDArray[np.float32] = np.ones(len(syndrome), np.float32)
    factors[core_checks:] = np.tanh(llr[core_length:] / 2)
    factors[syndrome == 1] *= -1
    factors = factors.reshape(-1, graph.lifting)
    lifted = np.arange(graph.lifting)

    stopping = _Stopping(graph, syndrome, max_iterations, patience)
    core = np.empty(core_length, np.uint8)
    while stopping.go_on():
        for row in range(len(graph.row_degrees)):
            edges = slice(graph.first_edge[row], graph.first_edge[row + 1])
            variables = (graph.columns[edges, None], (graph.shifts[edges, None] + lifted) % graph.lifting)
            extrinsic = posterior[variables] - messages[edges]
            belief = np.tanh(extrinsic / 2)
            others = np.empty_like(belief)
            before = factors[row].copy()
            for edge in range(len(belief)):
                others[edge] = before
                before *= belief[edge]
            after = np.ones_like(before)
            for edge in range(len(belief) - 1, -1, -1):
                others[edge] *= after
                after *= belief[edge]
            messages[edges] = 2 * np.arctanh(np.clip(others, -_LARGEST_TANH, _LARGEST_TANH))
            posterior[variables] = extrinsic + messages[edges]
        core = (posterior < 0).astype(np.uint8).reshape(-1)
        stopping.look(core)
    return core, stopping.converged, stopping.iterations


def decode_bytes(
    graph: BaseGraph,
    llr: NDArray[np.float32],
    syndrome: NDArray[np.uint8],
    max_iterations: int,
    patience: int,
    tables: Tables,
) -> Core:
    """Layered sum-product in integers, bit for bit as native/byte_decoder.cpp does it."""
    core_length = graph.core_columns * graph.lifting
    steps = byte_arithmetic.quantised(llr, tables.step)
    posterior = steps[:core_length].reshape(graph.core_columns, graph.lifting).copy()
    leaf_steps = steps[core_length:].reshape(-1, graph.lifting).astype(np.int32)
    leaves = tables.leaf_sum[np.minimum(np.abs(leaf_steps), byte_arithmetic.ENTRIES - 1)]
    negative = syndrome.reshape(-1, graph.lifting) == 1
    negative[graph.core_rows :] ^= leaf_steps < 0
    messages = np.zeros((len(graph.columns), graph.lifting), np.int16)
    lifted = np.arange(graph.lifting)

    stopping = _Stopping(graph, syndrome, max_iterations, patience)
    core = np.empty(core_length, np.uint8)
    while stopping.go_on():
        for row in range(len(graph.row_degrees)):
            edges = slice(graph.first_edge[row], graph.first_edge[row + 1])
            variables = (graph.columns[edges, None], (graph.shifts[edges, None] + lifted) % graph.lifting)
            extrinsic = byte_arithmetic.less(posterior[variables], messages[edges])
            if row < graph.core_rows:
                messages[edges] = byte_arithmetic.core_row(extrinsic, negative[row], tables)
            else:
                leaf = leaves[row - graph.core_rows]
                messages[edges] = byte_arithmetic.leaf_row(extrinsic, leaf, negative[row], tables)
            posterior[variables] = byte_arithmetic.added(extrinsic, messages[edges])
        core = (posterior < 0).astype(np.uint8).reshape(-1)
        stopping.look(core)
    return core, stopping.converged, stopping.iterations


class _Stopping:
    """When to stop: all core checks hold, the iterations are spent, or so many have brought nothing."""

    def __init__(self, graph: BaseGraph, syndrome: NDArray[np.uint8], max_iterations: int, patience: int) -> None:
        self._graph = graph
        self._wanted = syndrome[: graph.core_rows * graph.lifting]
        self._most, self._patience = max_iterations, patience
        self._least, self._since = len(self._wanted) + 1, 0
        self.converged, self.iterations = False, 0

    def go_on(self) -> bool:
        return not self.converged and self.iterations < self._most and self._since < self._patience

    def look(self, core: NDArray[np.uint8]) -> None:
        failed = int(np.count_nonzero(self._graph.core_parity(core, self._graph.core_rows) != self._wanted))
        self.iterations += 1
        self.converged = failed == 0
        self._since = 0 if failed < self._least else self._since + 1
        self._least = min(self._least, failed)
