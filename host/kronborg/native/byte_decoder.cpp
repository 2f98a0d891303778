// Layered sum-product decoding in bytes and 16-bit words, for processors that can look many bytes up at a time. It computes
// what kronborg/postprocessing/reconciliation/byte_arithmetic.py says, bit for bit.
//
// Columns are not turned back after a row has met them. Each lies in the order of the row that wrote it, so that only
// reading is at an odd place, and the results go to a second copy, for others of the row still read the first.

#include "graph.h"
#include "processor.h"

#include <new>
#include <vector>

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

#define TARGET __attribute__((target(KRONBORG_FOR_AVX512_BYTES)))
#define SMALL TARGET static inline __attribute__((always_inline))

constexpr int32_t LANES = 64, HALF = 32;
typedef __m512i Bytes;
typedef __m512i Word;
struct Table { Bytes low, high; };

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
SMALL Word smaller(Word a, Word b) { return _mm512_min_epu16(a, b); }
SMALL Word larger(Word a, Word b) { return _mm512_max_epu16(a, b); }
SMALL Word sum(Word a, Word b) { return _mm512_adds_epu16(a, b); }
SMALL Word difference(Word a, Word b) { return _mm512_subs_epu16(a, b); }
SMALL Word low_words(Bytes a) { return _mm512_cvtepi8_epi16(_mm512_castsi512_si256(a)); }
SMALL Word high_words(Bytes a) { return _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(a, 1)); }
SMALL Bytes cut(Word low, Word high, int shift) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    const Bytes mixed = _mm512_packs_epi16(_mm512_sra_epi16(low, count), _mm512_sra_epi16(high, count));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), mixed);
}

#include "byte_rows.inc"

#undef SMALL
#undef TARGET
}  // namespace avx512

namespace avx2 {

#define TARGET __attribute__((target(KRONBORG_FOR_AVX2)))
#define SMALL TARGET static inline __attribute__((always_inline))

constexpr int32_t LANES = 32, HALF = 16;
typedef __m256i Bytes;
typedef __m256i Word;
struct Table { const uint8_t *entries; };

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
SMALL Word smaller(Word a, Word b) { return _mm256_min_epu16(a, b); }
SMALL Word larger(Word a, Word b) { return _mm256_max_epu16(a, b); }
SMALL Word sum(Word a, Word b) { return _mm256_adds_epu16(a, b); }
SMALL Word difference(Word a, Word b) { return _mm256_subs_epu16(a, b); }
SMALL Word low_words(Bytes a) { return _mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)); }
SMALL Word high_words(Bytes a) { return _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1)); }
SMALL Bytes cut(Word low, Word high, int shift) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    const Bytes mixed = _mm256_packs_epi16(_mm256_sra_epi16(low, count), _mm256_sra_epi16(high, count));
    return _mm256_permute4x64_epi64(mixed, 0b11011000);
}

#include "byte_rows.inc"

#undef SMALL
#undef TARGET
}  // namespace avx2

#endif
#ifdef KRONBORG_NEON

namespace neon {

#define TARGET
#define SMALL static inline __attribute__((always_inline))

constexpr int32_t LANES = 16, HALF = 8;
typedef int8x16_t Bytes;
typedef int16x8_t Word;
struct Table { uint8x16x4_t low, high; };

SMALL uint16x8_t plain(Word a) { return vreinterpretq_u16_s16(a); }
SMALL Word word(uint16x8_t a) { return vreinterpretq_s16_u16(a); }

SMALL Bytes load(const void *from) { return vld1q_s8((const int8_t *)from); }
SMALL void store(void *to, Bytes value) { vst1q_s8((int8_t *)to, value); }
SMALL Bytes all(int value) { return vdupq_n_s8(int8_t(value)); }
SMALL Bytes both(Bytes a, Bytes b) { return vandq_s8(a, b); }
SMALL Bytes exclusive(Bytes a, Bytes b) { return veorq_s8(a, b); }
SMALL Word exclusive(Word a, Word b) { return veorq_s16(a, b); }
SMALL Bytes add(Bytes a, Bytes b) {
    return vreinterpretq_s8_u8(vqaddq_u8(vreinterpretq_u8_s8(a), vreinterpretq_u8_s8(b)));
}
SMALL Bytes min(Bytes a, Bytes b) {
    return vreinterpretq_s8_u8(vminq_u8(vreinterpretq_u8_s8(a), vreinterpretq_u8_s8(b)));
}
SMALL Bytes magnitude(Bytes a) { return veorq_s8(a, vshrq_n_s8(a, 7)); }
SMALL Bytes signed_by(Bytes a, Bytes sign) {
    const Bytes negative = vshrq_n_s8(sign, 7);
    return vsubq_s8(veorq_s8(a, negative), negative);
}
SMALL Table load_table(const uint8_t *from) {
    return {{{vld1q_u8(from), vld1q_u8(from + 16), vld1q_u8(from + 32), vld1q_u8(from + 48)}},
            {{vld1q_u8(from + 64), vld1q_u8(from + 80), vld1q_u8(from + 96), vld1q_u8(from + 112)}}};
}
// What is not among the first 64 entries looks zero up there, and what is among them is left by the second half.
SMALL Bytes look_up(const Table &table, Bytes index) {
    const uint8x16_t at = vreinterpretq_u8_s8(index);
    return vreinterpretq_s8_u8(vqtbx4q_u8(vqtbl4q_u8(table.low, at), table.high, vsubq_u8(at, vdupq_n_u8(64))));
}

SMALL Word load_word(const int16_t *from) { return vld1q_s16(from); }
SMALL void store_word(int16_t *to, Word value) { vst1q_s16(to, value); }
SMALL Word add_word(Word a, Word b) { return vqaddq_s16(a, b); }
SMALL Word less_word(Word a, Word b) { return vqsubq_s16(a, b); }
SMALL Word magnitude_word(Word a) { return vqabsq_s16(a); }
SMALL Word signed_word(Word a, Word sign) {
    const Word negative = vshrq_n_s16(sign, 15);
    return vsubq_s16(veorq_s16(a, negative), negative);
}
SMALL Word correction_of(Word sum, const Table &table, int shift) {
    const uint16x8_t index = vminq_u16(vshlq_u16(plain(sum), vdupq_n_s16(int16_t(-shift))), vdupq_n_u16(127));
    const uint8x8_t at = vmovn_u16(index);
    return word(vmovl_u8(vqtbx4_u8(vqtbl4_u8(table.low, at), table.high, vsub_u8(at, vdup_n_u8(64)))));
}
SMALL Word smaller(Word a, Word b) { return word(vminq_u16(plain(a), plain(b))); }
SMALL Word larger(Word a, Word b) { return word(vmaxq_u16(plain(a), plain(b))); }
SMALL Word sum(Word a, Word b) { return word(vqaddq_u16(plain(a), plain(b))); }
SMALL Word difference(Word a, Word b) { return word(vqsubq_u16(plain(a), plain(b))); }
SMALL Word low_words(Bytes a) { return vmovl_s8(vget_low_s8(a)); }
SMALL Word high_words(Bytes a) { return vmovl_s8(vget_high_s8(a)); }
SMALL Bytes cut(Word low, Word high, int shift) {
    const Word by = vdupq_n_s16(int16_t(-shift));
    return vcombine_s8(vqmovn_s16(vshlq_s16(low, by)), vqmovn_s16(vshlq_s16(high, by)));
}

#include "byte_rows.inc"

#undef SMALL
#undef TARGET
}  // namespace neon

#endif

typedef void (*Iterate)(const State &, Columns &);

enum Instructions : int32_t { BEST = 0, NEON = 1, AVX2 = 2, AVX512 = 3 };

// The best that this processor has, or the one asked for. Null if it has none.
Iterate choose_iterate(int32_t asked) {
    [[maybe_unused]] auto may = [asked](Instructions which, bool able) { return able && (asked == BEST || asked == which); };
    [[maybe_unused]] const kronborg::Processor &processor = kronborg::processor();
#ifdef KRONBORG_X86
    if (may(AVX512, processor.avx512_bytes)) return &avx512::iterate;
    if (may(AVX2, processor.avx2)) return &avx2::iterate;
#endif
#ifdef KRONBORG_NEON
    if (may(NEON, processor.neon)) return &neon::iterate;
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
