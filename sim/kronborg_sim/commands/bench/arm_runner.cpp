// The native library on an ARM processor, or an emulator of one: tasks come from standard input, answers go to standard
// output, both as arm.py writes and reads them.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "graph.h"

extern "C" {
struct ByteTables {
    float inverse_step;
    int32_t shift;
    const uint8_t *to_sum, *leaf_sum, *from_sum, *correction;
};
int kronborg_bytes_available(int32_t instructions);
int kronborg_decode_bytes(const kronborg::Graph *, const float *, const uint8_t *, int32_t, int32_t, uint8_t *, int32_t *,
                          const ByteTables *, int32_t);
int kronborg_toeplitz_levels(void);
int kronborg_toeplitz(const uint8_t *, const uint8_t *, int64_t, int64_t, int, uint8_t *);
}

namespace {

template <typename Number>
std::vector<Number> take(size_t count) {
    std::vector<Number> values(count);
    if (std::fread(values.data(), sizeof(Number), count, stdin) != count) std::exit(3);
    return values;
}

template <typename Number>
Number one() {
    return take<Number>(1)[0];
}

template <typename Number>
void give(const Number *values, size_t count) {
    if (std::fwrite(values, sizeof(Number), count, stdout) != count) std::exit(3);
}

void decode() {
    const auto sizes = take<int32_t>(7);  // lifting, core columns, core rows, rows, frames, iterations, instructions
    const auto first_edge = take<int64_t>(sizes[3] + 1);
    const auto columns = take<int32_t>(first_edge.back()), shifts = take<int32_t>(first_edge.back());
    const kronborg::Graph graph = {sizes[0], sizes[1], sizes[2], sizes[3], first_edge.data(), columns.data(), shifts.data()};
    const size_t checks = size_t(sizes[3]) * sizes[0];
    const size_t length = size_t(sizes[1]) * sizes[0] + checks - size_t(sizes[2]) * sizes[0];
    const int32_t available = kronborg_bytes_available(sizes[6]);
    give(&available, 1);
    for (int32_t frame = 0; frame < sizes[4]; ++frame) {
        const float inverse_step = one<float>();
        const int32_t shift = one<int32_t>();
        const auto tables = take<uint8_t>(4 * 128);
        const ByteTables lent = {inverse_step, shift, &tables[0], &tables[128], &tables[256], &tables[384]};
        const auto llr = take<float>(length);
        const auto syndrome = take<uint8_t>(checks);
        std::vector<uint8_t> bits(length);
        int32_t outcome[2] = {0, 0};
        outcome[0] = kronborg_decode_bytes(&graph, llr.data(), syndrome.data(), sizes[5], sizes[5], bits.data(), &outcome[1],
                                           &lent, sizes[6]);
        give(outcome, 2);
        give(bits.data(), length);
    }
}

void hash() {
    const auto sizes = take<int64_t>(2);  // rows, columns
    const auto seed = take<uint8_t>((sizes[0] + sizes[1] - 1 + 7) / 8), in = take<uint8_t>((sizes[1] + 7) / 8);
    const int32_t levels = kronborg_toeplitz_levels();
    give(&levels, 1);
    for (int32_t level = 0; level < levels; ++level) {
        std::vector<uint8_t> out((sizes[0] + 7) / 8);
        if (kronborg_toeplitz(seed.data(), in.data(), sizes[0], sizes[1], level, out.data())) std::exit(4);
        give(out.data(), out.size());
    }
}

}  // namespace

int main() {
    decode();
    hash();
}
