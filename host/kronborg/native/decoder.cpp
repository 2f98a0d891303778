// Layered sum-product decoding of quasi-cyclic LDPC codes with a core and leaves: the fast half of
// kronborg/postprocessing/reconciliation/decoder.py, whose numpy half says the same in fewer words.
//
// Several checks of a row are worked on at a time, written with the vector types that GCC and Clang share. The kernel is
// compiled for the baseline (4 lanes) and, on x86, for AVX2 (8) and AVX-512 (16), and chosen when the program runs.

#include "graph.h"
#include "processor.h"

#include <new>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only
#endif

#define INLINE inline __attribute__((always_inline))

using kronborg::Graph;

namespace {

constexpr int PADDING = 16;     // rows are padded to a multiple of it, which all lane counts divide
constexpr int MOST_EDGES = kronborg::MOST_EDGES;

// Arrays of a decoding under way. Rows are padded to whole vectors: `stride` floats each.
struct State {
    const Graph *graph;
    int32_t stride;
    float *posterior;       // core variables, lifting floats a column
    float *messages;        // check to variable, stride floats an edge
    const float *factors;   // per row: tanh of half the leaf's LLR, 1 without a leaf; sign from the syndrome
    float *gathered;        // MOST_EDGES rows of scratch
};

template <int LANES>
struct Kernel {
    typedef float Floats __attribute__((vector_size(LANES * sizeof(float))));
    typedef int32_t Ints __attribute__((vector_size(LANES * sizeof(int32_t))));

    static INLINE Floats load(const float *from) {
        Floats value;
        std::memcpy(&value, from, sizeof value);
        return value;
    }

    static INLINE void store(float *to, const Floats &value) { std::memcpy(to, &value, sizeof value); }

    static INLINE Floats all(float value) { return value - Floats{}; }
    static INLINE Ints all(int32_t value) { return value - Ints{}; }
    static INLINE Floats larger(const Floats &a, const Floats &b) { return a > b ? a : b; }
    static INLINE Floats smaller(const Floats &a, const Floats &b) { return a < b ? a : b; }

    // tanh(x / 2) as a fraction: (1 - e) / (1 + e) with e = exp(-|x|), sign of x. Dividing once, later, is cheaper.
    struct Fraction {
        Floats over, under;
    };

    static INLINE Fraction times(const Fraction &a, const Fraction &b) { return {a.over * b.over, a.under * b.under}; }

    static INLINE Fraction tanh_half(const Floats &x) {
        const Ints sign = (Ints)x & all(INT32_MIN);
        const Floats magnitude = smaller((Floats)((Ints)x ^ sign), all(30.0f));
        const Floats exponent = magnitude * -1.44269504f;  // log2 of e
        const Floats magic = all(12582912.0f);             // 1.5 * 2^23: adding it rounds to an integer in the low bits
        const Floats shifted = exponent + magic;
        const Floats f = exponent - (shifted - magic);     // -0.5 to 0.5
        // 2^f, minimax polynomial, relative error 2e-7, exact at 0
        Floats power = all(0.00132764714f);
        power = power * f + 0.00967554157f;
        power = power * f + 0.0555071328f;
        power = power * f + 0.240221197f;
        power = power * f + 0.693146967f;
        power = power * f + 1.0f;
        const Floats e = (Floats)((Ints)power + (((Ints)shifted - (Ints)magic) << 23));
        return {(Floats)((Ints)(1.0f - e) | sign), 1.0f + e};
    }

    static INLINE void tanh_halves(const float *x, float *result, int32_t count) {
        for (int32_t k = 0; k < count; k += LANES) {
            const Fraction t = tanh_half(load(x + k));
            store(result + k, t.over / t.under);
        }
    }

    // 2 atanh(over / under) = ln((under + over) / (under - over)), limited to +-ln(2^25).
    static INLINE Floats twice_atanh(const Fraction &t) {
        const Floats least = t.under * 5.9604645e-8f;  // 2^-24
        const Floats ratio = larger(t.under + t.over, least) / larger(t.under - t.over, least);
        // ratio = 2^exponent * mantissa with mantissa in [sqrt(1/2), sqrt(2))
        const Ints raised = (Ints)ratio + all(0x3f800000 - 0x3f3504f3);
        const Ints exponent = (raised >> 23) - all(127);
        const Ints mantissa = (raised & all(0x007fffff)) + all(0x3f3504f3);
        const Floats m = (Floats)mantissa - 1.0f;
        // ln(1 + m) / m, minimax polynomial, relative error 3e-8
        Floats series = all(0.0872234637f);
        series = series * m - 0.143668446f;
        series = series * m + 0.149522708f;
        series = series * m - 0.165623932f;
        series = series * m + 0.199568332f;
        series = series * m - 0.25002074f;
        series = series * m + 0.333341856f;
        series = series * m - 0.49999988f;
        series = series * m + 0.999999974f;
        const Floats whole = (Floats)(exponent + all(0x4b400000)) - 12582912.0f;  // to float, by the same magic number
        return whole * 0.69314718f + series * m;
    }

    // One row of checks: what each variable knows from elsewhere, what the check makes of it, and the sum of both.
    // FIXED degrees are unrolled; 0 takes the degree from the graph.
    template <int FIXED>
    static INLINE void update_row(const State &state, int32_t row) {
        const Graph &graph = *state.graph;
        const int64_t first = graph.first_edge[row];
        const int degree = FIXED ? FIXED : int(graph.first_edge[row + 1] - first);
        const int32_t lifting = graph.lifting, stride = state.stride;
        float *messages = state.messages + first * stride;
        const float *factors = state.factors + int64_t(row) * stride;

        for (int e = 0; e < degree; ++e) {
            const float *column = state.posterior + int64_t(graph.columns[first + e]) * lifting;
            const int32_t shift = graph.shifts[first + e];
            std::memcpy(state.gathered + e * stride, column + shift, (lifting - shift) * sizeof(float));
            std::memcpy(state.gathered + e * stride + lifting - shift, column, shift * sizeof(float));
        }
        for (int32_t k = 0; k < stride; k += LANES) {
            Floats extrinsic[FIXED ? FIXED : MOST_EDGES];
            Fraction belief[FIXED ? FIXED : MOST_EDGES], after[FIXED ? FIXED : MOST_EDGES];
            for (int e = 0; e < degree; ++e) {
                extrinsic[e] = load(state.gathered + e * stride + k) - load(messages + e * stride + k);
                belief[e] = tanh_half(extrinsic[e]);
            }
            after[degree - 1] = {load(factors + k), all(1.0f)};
            for (int e = degree - 1; e > 0; --e) after[e - 1] = times(after[e], belief[e]);
            Fraction before = {all(1.0f), all(1.0f)};
            for (int e = 0; e < degree; ++e) {
                const Floats message = twice_atanh(times(before, after[e]));
                before = times(before, belief[e]);
                store(messages + e * stride + k, message);
                store(state.gathered + e * stride + k, extrinsic[e] + message);
            }
        }
        for (int e = 0; e < degree; ++e) {
            float *column = state.posterior + int64_t(graph.columns[first + e]) * lifting;
            const int32_t shift = graph.shifts[first + e];
            std::memcpy(column + shift, state.gathered + e * stride, (lifting - shift) * sizeof(float));
            std::memcpy(column, state.gathered + e * stride + lifting - shift, shift * sizeof(float));
        }
    }

    static INLINE void update_all_rows(const State &state) {
        for (int32_t row = 0; row < state.graph->rows; ++row) switch (state.graph->first_edge[row + 1] - state.graph->first_edge[row]) {
                case 2: update_row<2>(state, row); break;
                case 3: update_row<3>(state, row); break;
                case 4: update_row<4>(state, row); break;
                case 5: update_row<5>(state, row); break;
                default: update_row<0>(state, row);
            }
    }
};

void iterate_baseline(const State &state) { Kernel<4>::update_all_rows(state); }

#ifdef KRONBORG_X86
__attribute__((target(KRONBORG_FOR_AVX2))) void iterate_avx2(const State &state) { Kernel<8>::update_all_rows(state); }
__attribute__((target(KRONBORG_FOR_AVX512))) void iterate_avx512(const State &state) { Kernel<16>::update_all_rows(state); }
#endif

auto *choose_iterate() {
#ifdef KRONBORG_X86
    if (kronborg::processor().avx512) return &iterate_avx512;
    if (kronborg::processor().avx2) return &iterate_avx2;
#endif
    return &iterate_baseline;
}

}  // namespace

extern "C" {

// Changes whenever a signature below or Graph does.
int kronborg_native_abi(void) { return 2; }

// Syndrome of a word: one byte a check, core rows first.
void kronborg_syndrome(const Graph *graph, const uint8_t *bits, uint8_t *syndrome) {
    const int64_t core = int64_t(graph->core_columns) * graph->lifting;
    const int64_t core_checks = int64_t(graph->core_rows) * graph->lifting;
    const int64_t leaves = int64_t(graph->rows - graph->core_rows) * graph->lifting;
    std::memset(syndrome, 0, core_checks);
    std::memcpy(syndrome + core_checks, bits + core, leaves);
    for (int32_t row = 0; row < graph->rows; ++row)
        kronborg::add_core_bits(*graph, row, bits, syndrome + int64_t(row) * graph->lifting);
}

// Fills `bits` (all of them; leaves follow from core bits and syndrome) and `iterations`.
// Gives up when in `patience` iterations the number of core checks that fail has not got smaller.
// Returns 1 if every check holds, 0 if not, -1 if there is no memory.
int kronborg_decode(const Graph *graph, const float *llr, const uint8_t *syndrome, int32_t max_iterations,
                    int32_t patience, uint8_t *bits, int32_t *iterations) try {
    const int32_t lifting = graph->lifting, rows = graph->rows;
    const int32_t stride = (lifting + PADDING - 1) / PADDING * PADDING;
    const int64_t core = int64_t(graph->core_columns) * lifting;

    std::vector<float> posterior(llr, llr + core), messages(graph->first_edge[rows] * stride, 0.0f);
    std::vector<float> factors(int64_t(rows) * stride, 1.0f), gathered(MOST_EDGES * stride, 0.0f);
    for (int32_t row = 0; row < rows; ++row) {
        float *factor = &factors[int64_t(row) * stride];
        if (row >= graph->core_rows) {
            std::memcpy(gathered.data(), llr + core + int64_t(row - graph->core_rows) * lifting, lifting * sizeof(float));
            Kernel<4>::tanh_halves(gathered.data(), factor, stride);
        }
        const uint8_t *odd = syndrome + int64_t(row) * lifting;
        for (int32_t k = 0; k < lifting; ++k) factor[k] = odd[k] ? -factor[k] : factor[k];
    }
    const State state = {graph, stride, posterior.data(), messages.data(), factors.data(), gathered.data()};
    auto *iterate = choose_iterate();

    kronborg::Stopping stopping(*graph, syndrome, max_iterations, patience);
    while (stopping.go_on()) {
        iterate(state);
        kronborg::signs(posterior.data(), bits, core);
        stopping.look(bits);
    }
    *iterations = stopping.iterations;
    kronborg::fill_leaves(*graph, syndrome, bits);
    return stopping.converged;
} catch (const std::bad_alloc &) {
    return -1;
}

}
