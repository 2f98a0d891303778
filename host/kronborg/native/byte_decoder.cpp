// Layered sum-product decoding in bytes and 16-bit words, for processors that can look many bytes up at a time. It computes
// what kronborg/postprocessing/reconciliation/byte_arithmetic.py says, bit for bit.
//
// Columns are not turned back after a row has met them. Each lies in the order of the row that wrote it, so that only
// reading is at an odd place, and the results go to a second copy, for others of the row still read the first.

#include "graph.h"

#include <new>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define KRONBORG_X86 1
#include <immintrin.h>
#endif

using kronborg::Graph;

namespace {

constexpr int32_t PADDING = 64;  // rows are padded to a multiple of it, which all lane counts divide
constexpr int MOST_EDGES = kronborg::MOST_EDGES;

}  // namespace

extern "C" {

// Field for field what decoder.py hands over; each table has 128 entries.
struct ByteTables {
    float inverse_step;
    int32_t shift;
    const uint8_t *to_sum, *leaf_sum, *from_sum, *correction;
};

}

namespace {

// A column as an edge sees it: where to read, turned by so much, and where to write.
struct Edge {
    const int16_t *from;
    int16_t *to;
    int32_t turn, lifting;

    // Where lane k lies; past the end of a column its beginning is repeated.
    int32_t place(int32_t k) const {
        int32_t at = k + turn;
        while (at >= lifting) at -= lifting;
        return at;
    }
};

struct State {
    const Graph *graph;
    const ByteTables *tables;
    int32_t stride;
    Edge *edges;
    int16_t *core_messages;         // of core rows, stride words an edge
    int8_t *leaf_messages;          // of leaf rows, stride bytes an edge
    const uint8_t *leaves;          // a leaf row's sums in seven bits, and the sign with the syndrome in it on top
    const int16_t *odd_core_checks; // 0 or -1
};

// Both copies of all columns.
struct Columns {
    int32_t lifting, length;
    std::vector<int16_t> words;
    std::vector<int32_t> shift;  // of the row that wrote a column: word k is variable k + shift
    std::vector<uint8_t> second; // which copy is the newer

    Columns(const Graph &graph, int32_t stride)
        : lifting(graph.lifting), length(stride + PADDING), words(2 * int64_t(length) * graph.core_columns),
          shift(graph.core_columns, 0), second(graph.core_columns, 0) {}

    int16_t *copy(int32_t column, bool newer) {
        return &words[(2 * int64_t(column) + (second[column] == newer)) * length];
    }

    void repeat_beginning(int16_t *column) const {
        for (int32_t k = lifting; k < length; ++k) column[k] = column[k - lifting];
    }

    void enter(Edge &edge, int32_t column) {
        edge.from = copy(column, true);
        edge.to = copy(column, false);
    }

    void leave(Edge &edge, int32_t column) {
        repeat_beginning(edge.to);
        second[column] ^= 1;
    }

    // Signs, variable after variable.
    void bits(uint8_t *to) {
        for (size_t column = 0; column < shift.size(); ++column, to += lifting) {
            const int16_t *from = copy(int32_t(column), true);
            const int32_t end = lifting - shift[column];
            kronborg::signs(from, to + shift[column], end);
            kronborg::signs(from + end, to, shift[column]);
        }
    }
};

#ifdef KRONBORG_X86

namespace avx512 {

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))
#define SMALL TARGET static inline __attribute__((always_inline))

constexpr int32_t LANES = 64, HALF = 32;
typedef __m512i Bytes;
typedef __m512i Word;
struct Words { Word low, high; };
struct Table { Bytes low, high; };
struct Tables { Table to_sum, from_sum; };

SMALL Bytes load(const void *from) { return _mm512_loadu_si512(from); }
SMALL void store(void *to, Bytes value) { _mm512_storeu_si512(to, value); }
SMALL Bytes all(int value) { return _mm512_set1_epi8(char(value)); }
SMALL Bytes both(Bytes a, Bytes b) { return _mm512_and_si512(a, b); }
SMALL Bytes exclusive(Bytes a, Bytes b) { return _mm512_xor_si512(a, b); }
SMALL Bytes add(Bytes a, Bytes b) { return _mm512_adds_epu8(a, b); }
SMALL Bytes min(Bytes a, Bytes b) { return _mm512_min_epu8(a, b); }
SMALL Bytes magnitude(Bytes a) { return _mm512_xor_si512(a, _mm512_movm_epi8(_mm512_movepi8_mask(a))); }
SMALL Bytes signed_by(Bytes a, Bytes sign) {
    return _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(sign), _mm512_setzero_si512(), a);
}
SMALL Table load_table(const uint8_t *from) { return {load(from), load(from + 64)}; }
SMALL Tables load_tables(const ByteTables &tables) { return {load_table(tables.to_sum), load_table(tables.from_sum)}; }
SMALL Bytes look_up(const Table &table, Bytes index) { return _mm512_permutex2var_epi8(table.low, index, table.high); }

SMALL Word load_word(const int16_t *from) { return _mm512_loadu_si512(from); }
SMALL void store_word(int16_t *to, Word value) { _mm512_storeu_si512(to, value); }
SMALL Word add_word(Word a, Word b) { return _mm512_adds_epi16(a, b); }
SMALL Word less_word(Word a, Word b) { return _mm512_subs_epi16(a, b); }
SMALL Word magnitude_word(Word a) { return _mm512_min_epu16(_mm512_abs_epi16(a), _mm512_set1_epi16(0x7fff)); }
SMALL Word signed_word(Word a, Word sign) {
    return _mm512_mask_sub_epi16(a, _mm512_movepi16_mask(sign), _mm512_setzero_si512(), a);
}
SMALL Word correction_of(Word sum, const Table &table, int shift) {
    const Word index = _mm512_min_epu16(_mm512_srl_epi16(sum, _mm_cvtsi32_si128(shift)), _mm512_set1_epi16(127));
    return _mm512_maskz_permutex2var_epi8(0x5555555555555555u, table.low, index, table.high);
}
SMALL Word pair(Word a, Word b, const Table &correction, int shift) {
    const Word least = _mm512_min_epu16(a, b), most = _mm512_max_epu16(a, b);
    const Word more = correction_of(_mm512_adds_epu16(a, b), correction, shift);
    const Word fewer = correction_of(_mm512_sub_epi16(most, least), correction, shift);
    return _mm512_subs_epu16(_mm512_add_epi16(least, more), fewer);
}

SMALL Words load_words(const int16_t *from) { return {load_word(from), load_word(from + HALF)}; }
SMALL void store_words(int16_t *to, const Words &value) {
    store_word(to, value.low);
    store_word(to + HALF, value.high);
}
SMALL Words words_of(Bytes a) {
    return {_mm512_cvtepi8_epi16(_mm512_castsi512_si256(a)), _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(a, 1))};
}
SMALL Words add_words(const Words &a, const Words &b) { return {add_word(a.low, b.low), add_word(a.high, b.high)}; }
SMALL Words less_words(const Words &a, const Words &b) { return {less_word(a.low, b.low), less_word(a.high, b.high)}; }
SMALL Bytes cut(const Words &a, int shift) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    const Bytes mixed = _mm512_packs_epi16(_mm512_sra_epi16(a.low, count), _mm512_sra_epi16(a.high, count));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), mixed);
}

#include "byte_rows.inc"

#undef SMALL
#undef TARGET
}  // namespace avx512

namespace avx2 {

#define TARGET __attribute__((target("avx2")))
#define SMALL TARGET static inline __attribute__((always_inline))

constexpr int32_t LANES = 32, HALF = 16;
typedef __m256i Bytes;
typedef __m256i Word;
struct Words { Word low, high; };
struct Table { const uint8_t *entries; };
struct Tables { Table to_sum, from_sum; };

SMALL Bytes load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }
SMALL void store(void *to, Bytes value) { _mm256_storeu_si256((__m256i *)to, value); }
SMALL Bytes all(int value) { return _mm256_set1_epi8(char(value)); }
SMALL Bytes both(Bytes a, Bytes b) { return _mm256_and_si256(a, b); }
SMALL Bytes exclusive(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
SMALL Bytes add(Bytes a, Bytes b) { return _mm256_adds_epu8(a, b); }
SMALL Bytes min(Bytes a, Bytes b) { return _mm256_min_epu8(a, b); }
SMALL Bytes magnitude(Bytes a) { return _mm256_xor_si256(a, _mm256_cmpgt_epi8(_mm256_setzero_si256(), a)); }
SMALL Bytes signed_by(Bytes a, Bytes sign) {
    const Bytes negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), sign);
    return _mm256_sub_epi8(_mm256_xor_si256(a, negative), negative);
}
SMALL Table load_table(const uint8_t *from) { return {from}; }
SMALL Tables load_tables(const ByteTables &tables) { return {load_table(tables.to_sum), load_table(tables.from_sum)}; }
// Sixteen entries at a time: what is not among them gets an index with its top bit set, which looks zero up.
SMALL Bytes look_up(const Table &table, Bytes index) {
    Bytes found = _mm256_setzero_si256();
    for (int part = 0; part < 8; ++part) {
        const Bytes entries = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table.entries + 16 * part)));
        const Bytes inside = _mm256_adds_epu8(_mm256_xor_si256(index, all(16 * part)), all(0x70));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(entries, inside));
    }
    return found;
}

SMALL Word load_word(const int16_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
SMALL void store_word(int16_t *to, Word value) { _mm256_storeu_si256((__m256i *)to, value); }
SMALL Word add_word(Word a, Word b) { return _mm256_adds_epi16(a, b); }
SMALL Word less_word(Word a, Word b) { return _mm256_subs_epi16(a, b); }
SMALL Word magnitude_word(Word a) { return _mm256_min_epu16(_mm256_abs_epi16(a), _mm256_set1_epi16(0x7fff)); }
SMALL Word signed_word(Word a, Word sign) {
    const Word negative = _mm256_srai_epi16(sign, 15);
    return _mm256_sub_epi16(_mm256_xor_si256(a, negative), negative);
}
SMALL Word correction_of(Word sum, const Table &table, int shift) {
    const Word index = _mm256_min_epu16(_mm256_srl_epi16(sum, _mm_cvtsi32_si128(shift)), _mm256_set1_epi16(127));
    return _mm256_and_si256(look_up(table, index), _mm256_set1_epi16(0xff));
}
SMALL Word pair(Word a, Word b, const Table &correction, int shift) {
    const Word least = _mm256_min_epu16(a, b), most = _mm256_max_epu16(a, b);
    const Word more = correction_of(_mm256_adds_epu16(a, b), correction, shift);
    const Word fewer = correction_of(_mm256_sub_epi16(most, least), correction, shift);
    return _mm256_subs_epu16(_mm256_add_epi16(least, more), fewer);
}

SMALL Words load_words(const int16_t *from) { return {load_word(from), load_word(from + HALF)}; }
SMALL void store_words(int16_t *to, const Words &value) {
    store_word(to, value.low);
    store_word(to + HALF, value.high);
}
SMALL Words words_of(Bytes a) {
    return {_mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)), _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1))};
}
SMALL Words add_words(const Words &a, const Words &b) { return {add_word(a.low, b.low), add_word(a.high, b.high)}; }
SMALL Words less_words(const Words &a, const Words &b) { return {less_word(a.low, b.low), less_word(a.high, b.high)}; }
SMALL Bytes cut(const Words &a, int shift) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    const Bytes mixed = _mm256_packs_epi16(_mm256_sra_epi16(a.low, count), _mm256_sra_epi16(a.high, count));
    return _mm256_permute4x64_epi64(mixed, 0b11011000);
}

#include "byte_rows.inc"

#undef SMALL
#undef TARGET
}  // namespace avx2

#endif

typedef void (*Iterate)(const State &, Columns &);

// The best that this processor has, or the one asked for: 0 the best, 2 AVX2, 3 AVX-512. Null if it has none.
Iterate choose_iterate(int32_t instructions) {
#ifdef KRONBORG_X86
    __builtin_cpu_init();
    if (instructions != 2 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &avx512::iterate;
    if (instructions != 3 && __builtin_cpu_supports("avx2")) return &avx2::iterate;
#endif
    return nullptr;
}

int16_t quantised(float llr, float inverse_step) {
    const float scaled = __builtin_rintf(llr * inverse_step);
    return int16_t(scaled > 32767.0f ? 32767.0f : scaled < -32767.0f ? -32767.0f : scaled);
}

}  // namespace

extern "C" {

// Whether these instructions (0: any) are there.
int kronborg_bytes_available(int32_t instructions) { return choose_iterate(instructions) != nullptr; }

// Fills `bits` (all of them) and `iterations`. Gives up when in `patience` iterations the number of core checks that fail
// has not got smaller.
// Returns 1 if every check holds, 0 if not, -1 if there is no memory or no such instructions.
int kronborg_decode_bytes(const Graph *graph, const float *llr, const uint8_t *syndrome, int32_t max_iterations,
                          int32_t patience, uint8_t *bits, int32_t *iterations, const ByteTables *tables,
                          int32_t instructions) try {
    const Iterate iterate = choose_iterate(instructions);
    if (!iterate) return -1;
    const int32_t lifting = graph->lifting, rows = graph->rows, core_rows = graph->core_rows;
    const int32_t stride = (lifting + PADDING - 1) / PADDING * PADDING;
    const int64_t first_leaf_edge = graph->first_edge[core_rows], edges = graph->first_edge[rows];

    Columns columns(*graph, stride);
    std::vector<Edge> edge(edges);
    for (int pass = 0; pass < 2; ++pass)  // the first pass finds in which order the last row leaves each column
        for (int64_t e = 0; e < edges; ++e) {
            int32_t &shift = columns.shift[graph->columns[e]];
            edge[e].turn = (graph->shifts[e] - shift + lifting) % lifting;
            edge[e].lifting = lifting;
            shift = graph->shifts[e];
        }
    for (int32_t column = 0; column < graph->core_columns; ++column) {
        int16_t *to = columns.copy(column, true);
        const float *from = llr + int64_t(column) * lifting;
        for (int32_t k = 0; k < lifting; ++k)
            to[k] = quantised(from[(k + columns.shift[column]) % lifting], tables->inverse_step);
        columns.repeat_beginning(to);
    }
    std::vector<int16_t> core_messages(first_leaf_edge * stride, 0), odd(int64_t(core_rows) * stride, 0);
    std::vector<int8_t> leaf_messages((edges - first_leaf_edge) * stride, 0);
    std::vector<uint8_t> leaves(int64_t(rows - core_rows) * stride, 0);
    for (int32_t row = 0; row < rows; ++row)
        for (int32_t k = 0; k < lifting; ++k) {
            const bool one = syndrome[int64_t(row) * lifting + k];
            if (row < core_rows) {
                odd[int64_t(row) * stride + k] = one ? -1 : 0;
                continue;
            }
            const int64_t leaf = int64_t(row - core_rows) * lifting + k;
            const int16_t steps = quantised(llr[int64_t(graph->core_columns) * lifting + leaf], tables->inverse_step);
            const int16_t magnitude = std::min<int16_t>(steps < 0 ? -steps : steps, 127);
            leaves[int64_t(row - core_rows) * stride + k] =
                uint8_t(tables->leaf_sum[magnitude] | ((steps < 0) != one ? 0x80 : 0));
        }
    const State state = {graph, tables, stride, edge.data(), core_messages.data(), leaf_messages.data(),
                         leaves.data(), odd.data()};

    kronborg::Stopping stopping(*graph, syndrome, max_iterations, patience);
    while (stopping.go_on()) {
        iterate(state, columns);
        columns.bits(bits);
        stopping.look(bits);
    }
    *iterations = stopping.iterations;
    kronborg::fill_leaves(*graph, syndrome, bits);
    return stopping.converged;
} catch (const std::bad_alloc &) {
    return -1;
}

}
