// What decoder.py hands over, and what both decoders make of it.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace kronborg {

constexpr int MOST_EDGES = 256;  // of a check; decoder.py knows it too

// Field for field what decoder.py hands over. Edges are listed row after row, core rows first.
struct Graph {
    int32_t lifting, core_columns, core_rows, rows;
    const int64_t *first_edge;  // rows + 1
    const int32_t *columns, *shifts;
};

// Byte loops whose compiler must know that nothing overlaps.
inline void flip(uint8_t *__restrict to, const uint8_t *__restrict by, int32_t count) {
    for (int32_t k = 0; k < count; ++k) to[k] ^= by[k];
}

template <typename Number>
inline void signs(const Number *__restrict from, uint8_t *__restrict to, int64_t count) {
    for (int64_t k = 0; k < count; ++k) to[k] = from[k] < 0;
}

// Parity of the core bits in each check of a row, on top of what `parity` holds.
inline void add_core_bits(const Graph &graph, int32_t row, const uint8_t *bits, uint8_t *parity) {
    for (int64_t edge = graph.first_edge[row]; edge < graph.first_edge[row + 1]; ++edge) {
        const uint8_t *column = bits + int64_t(graph.columns[edge]) * graph.lifting;
        const int32_t shift = graph.shifts[edge], end = graph.lifting - shift;
        flip(parity, column + shift, end);
        flip(parity + end, column, shift);
    }
}

// How many core checks fail.
inline int64_t core_checks_failed(const Graph &graph, const uint8_t *bits, const uint8_t *syndrome, uint8_t *parity) {
    int64_t failed = 0;
    for (int32_t row = 0; row < graph.core_rows; ++row) {
        std::memcpy(parity, syndrome + int64_t(row) * graph.lifting, graph.lifting);
        add_core_bits(graph, row, bits, parity);
        int32_t odd = 0;
        for (int32_t k = 0; k < graph.lifting; ++k) odd += parity[k];
        failed += odd;
    }
    return failed;
}

// Leaf bits follow from core bits and syndrome.
inline void fill_leaves(const Graph &graph, const uint8_t *syndrome, uint8_t *bits) {
    const int64_t core = int64_t(graph.core_columns) * graph.lifting;
    std::memcpy(bits + core, syndrome + int64_t(graph.core_rows) * graph.lifting,
                int64_t(graph.rows - graph.core_rows) * graph.lifting);
    for (int32_t row = graph.core_rows; row < graph.rows; ++row)
        add_core_bits(graph, row, bits, bits + core + int64_t(row - graph.core_rows) * graph.lifting);
}

// When to stop: all core checks hold, the iterations are spent, or so many of them have brought nothing.
struct Stopping {
    const Graph &graph;
    const uint8_t *syndrome;
    int32_t most, patience, iterations = 0, since = 0;
    int64_t least;
    bool converged = false;
    std::vector<uint8_t> parity;

    Stopping(const Graph &graph, const uint8_t *syndrome, int32_t most, int32_t patience)
        : graph(graph), syndrome(syndrome), most(most), patience(patience),
          least(int64_t(graph.core_rows) * graph.lifting + 1), parity(graph.lifting) {}

    bool go_on() const { return !converged && iterations < most && since < patience; }

    void look(const uint8_t *bits) {
        const int64_t failed = core_checks_failed(graph, bits, syndrome, parity.data());
        ++iterations;
        converged = failed == 0;
        since = failed < least ? 0 : since + 1;
        least = std::min(least, failed);
    }
};

}  // namespace kronborg
