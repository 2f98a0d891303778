// Sums over 16-bit words, exact: the fast half of kronborg/postprocessing/streaming.py.

#include <cstdint>

#include "processor.h"

#define INLINE inline __attribute__((always_inline))

namespace {

// Of one piece; streaming.py adds pieces up.
struct Sums {
    int64_t xx, xy, yy;
    int64_t clipped_x, clipped_y;  // words at either end of their range
};

constexpr int64_t PIECE = 1 << 12;  // words of both in the first cache: three passes cost no more than one

template <bool SAME>
INLINE int64_t products(const int16_t *__restrict a, const int16_t *__restrict b, int64_t count) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += int32_t(a[i]) * int32_t(SAME ? a[i] : b[i]);
    return sum;
}

INLINE int64_t clipped(const int16_t *a, int64_t count) {
    int64_t sum = 0;
    for (int64_t start = 0; start < count; start += 1 << 12) {
        int16_t some = 0;  // at most 4096
        const int64_t end = start + (1 << 12) < count ? start + (1 << 12) : count;
        for (int64_t i = start; i < end; ++i) some = int16_t(some + ((a[i] == INT16_MAX) | (a[i] == INT16_MIN)));
        sum += some;
    }
    return sum;
}

INLINE void add_up(const int16_t *x, const int16_t *y, int64_t count, Sums *sums) {
    for (int64_t start = 0; start < count; start += PIECE) {
        const int64_t length = count - start < PIECE ? count - start : PIECE;
        sums->xx += products<true>(x + start, x + start, length);
        sums->xy += products<false>(x + start, y + start, length);
        sums->yy += products<true>(y + start, y + start, length);
        sums->clipped_x += clipped(x + start, length);
        sums->clipped_y += clipped(y + start, length);
    }
}

void add_up_baseline(const int16_t *x, const int16_t *y, int64_t count, Sums *sums) { add_up(x, y, count, sums); }

#ifdef KRONBORG_X86
__attribute__((target(KRONBORG_FOR_AVX2))) void add_up_avx2(const int16_t *x, const int16_t *y, int64_t count, Sums *sums) {
    add_up(x, y, count, sums);
}
#endif

}  // namespace

extern "C" {

// Changes whenever a signature below or Sums does.
int kronborg_moments_abi(void) { return 1; }

// Adds the sums of `count` words of each to `sums`.
void kronborg_moments(const int16_t *x, const int16_t *y, int64_t count, Sums *sums) {
#ifdef KRONBORG_X86
    if (kronborg::processor().avx2) return add_up_avx2(x, y, count, sums);
#endif
    add_up_baseline(x, y, count, sums);
}

}
