// Products of a Toeplitz matrix over GF(2) with a vector: the fast half of
// kronborg/postprocessing/privacy_amplification.py, whose numpy half says the same in fewer words.
//
// Bits are cut into words of 32, coefficients of polynomials over GF(2^64): products of two words have 63 bits, so nothing
// is reduced and the polynomials' product is that of the bits. It is taken by an additive FFT (additive_fft.inc), which is
// compiled for each kind of carry-less multiplication and chosen when the program runs. Time and addresses do not depend
// on the secret bits.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "processor.h"

#define INLINE inline __attribute__((always_inline))

namespace {

// Cantor's basis of GF(2^64) = GF(2)[z] / (z^64 + z^4 + z^3 + z + 1): BASIS[0] = 1, BASIS[i]^2 + BASIS[i] = BASIS[i - 1].
constexpr int MOST_BITS = 32;
constexpr uint64_t BASIS[MOST_BITS] = {
    0x0000000000000001, 0x19c9369f278adc02, 0xa181e7d66f5ff794, 0x5db84357ce785d08, 0xb973d466f5c9d0ca, 0x521ac889831a075e,
    0x033ce8beddc8a656, 0xb5846c4e07b91010, 0x4087b8cbb37a32ec, 0x00d0d3888c0ae17c, 0xafd5ac70237f2222, 0xe3f5af99cc3aaaf8,
    0x5a1db3b16a0b58b8, 0x09947c54fe7ee248, 0x0e8eaf0e0068f544, 0xa2a113500b4b4f5a, 0xe96f9805d6ce0bb0, 0x53496f8b5c9edd4c,
    0xad325cb6f4ac2a9e, 0x4a8dcf8bd7ede826, 0xa3e9c552b6434210, 0x5fa92ad9c9bc7ed0, 0xa389f910cd7734de, 0xe916f3dfca4609d8,
    0xf89578714bd28f96, 0x564dda59237a3352, 0xad33bc6cc75aed38, 0x57a3104fcd0e5f34, 0xb0f502e4cd60039a, 0xeb42e79f91f49f8c,
    0x54e5bf3774b3f850, 0xb66864e6ec14b4d2};

// Sums of the basis over the bits of a number, and those of the words of a group in each layer.
struct Points {
    uint64_t table[MOST_BITS / 8][256];
    uint64_t of_lanes[MOST_BITS][8];

    uint64_t at(uint64_t number) const {
        uint64_t sum = 0;
        for (int byte = 0; byte < MOST_BITS / 8; ++byte) sum ^= table[byte][number >> 8 * byte & 255];
        return sum;
    }

    explicit Points(int layers) {
        for (int byte = 0; byte < MOST_BITS / 8; ++byte)
            for (int number = 0; number < 256; ++number) {
                uint64_t sum = 0;
                for (int bit = 0; bit < 8; ++bit)
                    if (number >> bit & 1) sum ^= BASIS[8 * byte + bit];
                table[byte][number] = sum;
            }
        for (int layer = 0; layer < layers; ++layer)
            for (uint64_t lane = 0; lane < 8; ++lane) of_lanes[layer][lane] = at(lane << (layers - layer));
    }
};

namespace portable {
#define KERNEL
using Vector = uint64_t;
constexpr int COUNT = 8;
INLINE Vector all(uint64_t word) { return word; }
INLINE Vector add(Vector a, Vector b) { return a ^ b; }
template <int BITS>
INLINE Vector left(Vector a) { return a << BITS; }
template <int BITS>
INLINE Vector right(Vector a) { return a >> BITS; }
// Four bits of b at a time. They are public: twiddles, or what the matrix's seed became; a is secret.
INLINE void product(Vector b, Vector a, Vector &low, Vector &high) {
    uint64_t lows[16] = {0, a}, highs[16] = {0, 0};
    for (int i = 2; i < 16; i += 2) {
        lows[i] = lows[i / 2] << 1, highs[i] = highs[i / 2] << 1 | lows[i / 2] >> 63;
        lows[i + 1] = lows[i] ^ a, highs[i + 1] = highs[i];
    }
    low = high = 0;
    for (int shift = 60; shift >= 0; shift -= 4) {
        high = high << 4 | low >> 60;
        low <<= 4;
        low ^= lows[b >> shift & 15], high ^= highs[b >> shift & 15];
    }
}
#include "additive_fft.inc"
#undef KERNEL
}  // namespace portable

#ifdef KRONBORG_X86

namespace pclmulqdq {
#define KERNEL __attribute__((target(KRONBORG_FOR_PCLMUL)))
using Vector = __m128i;
constexpr int COUNT = 4;
KERNEL INLINE Vector all(uint64_t word) { return _mm_set1_epi64x(int64_t(word)); }
KERNEL INLINE Vector add(Vector a, Vector b) { return _mm_xor_si128(a, b); }
template <int BITS>
KERNEL INLINE Vector left(Vector a) { return _mm_slli_epi64(a, BITS); }
template <int BITS>
KERNEL INLINE Vector right(Vector a) { return _mm_srli_epi64(a, BITS); }
KERNEL INLINE void product(Vector a, Vector b, Vector &low, Vector &high) {
    const Vector even = _mm_clmulepi64_si128(a, b, 0x00), odd = _mm_clmulepi64_si128(a, b, 0x11);
    low = _mm_unpacklo_epi64(even, odd), high = _mm_unpackhi_epi64(even, odd);
}
#include "additive_fft.inc"
#undef KERNEL
}  // namespace pclmulqdq

namespace vpclmulqdq_256 {
#define KERNEL __attribute__((target(KRONBORG_FOR_VPCLMUL_256)))
using Vector = __m256i;
constexpr int COUNT = 2;
KERNEL INLINE Vector all(uint64_t word) { return _mm256_set1_epi64x(int64_t(word)); }
KERNEL INLINE Vector add(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
template <int BITS>
KERNEL INLINE Vector left(Vector a) { return _mm256_slli_epi64(a, BITS); }
template <int BITS>
KERNEL INLINE Vector right(Vector a) { return _mm256_srli_epi64(a, BITS); }
KERNEL INLINE void product(Vector a, Vector b, Vector &low, Vector &high) {
    const Vector even = _mm256_clmulepi64_epi128(a, b, 0x00), odd = _mm256_clmulepi64_epi128(a, b, 0x11);
    low = _mm256_unpacklo_epi64(even, odd), high = _mm256_unpackhi_epi64(even, odd);
}
#include "additive_fft.inc"
#undef KERNEL
}  // namespace vpclmulqdq_256

namespace vpclmulqdq_512 {
#define KERNEL __attribute__((target(KRONBORG_FOR_VPCLMUL_512)))
using Vector = __m512i;
constexpr int COUNT = 1;
KERNEL INLINE Vector all(uint64_t word) { return _mm512_set1_epi64(int64_t(word)); }
KERNEL INLINE Vector add(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
template <int BITS>
KERNEL INLINE Vector left(Vector a) { return _mm512_slli_epi64(a, BITS); }
template <int BITS>
KERNEL INLINE Vector right(Vector a) { return _mm512_srli_epi64(a, BITS); }
KERNEL INLINE void product(Vector a, Vector b, Vector &low, Vector &high) {
    const Vector even = _mm512_clmulepi64_epi128(a, b, 0x00), odd = _mm512_clmulepi64_epi128(a, b, 0x11);
    low = _mm512_unpacklo_epi64(even, odd), high = _mm512_unpackhi_epi64(even, odd);
}
#include "additive_fft.inc"
#undef KERNEL
}  // namespace vpclmulqdq_512

#endif
#ifdef KRONBORG_NEON

namespace pmull {
#if defined(__aarch64__) && !defined(__APPLE__)
#define KERNEL __attribute__((target("+crypto")))
#else
#define KERNEL
#endif
using Vector = uint64x2_t;
constexpr int COUNT = 4;
KERNEL INLINE Vector all(uint64_t word) { return vdupq_n_u64(word); }
KERNEL INLINE Vector add(Vector a, Vector b) { return veorq_u64(a, b); }
template <int BITS>
KERNEL INLINE Vector left(Vector a) { return vshlq_n_u64(a, BITS); }
template <int BITS>
KERNEL INLINE Vector right(Vector a) { return vshrq_n_u64(a, BITS); }
KERNEL INLINE void product(Vector a, Vector b, Vector &low, Vector &high) {
    const poly64x2_t x = vreinterpretq_p64_u64(a), y = vreinterpretq_p64_u64(b);
    const Vector even = vreinterpretq_u64_p128(vmull_p64(vgetq_lane_p64(x, 0), vgetq_lane_p64(y, 0)));
    const Vector odd = vreinterpretq_u64_p128(vmull_high_p64(x, y));
    low = vzip1q_u64(even, odd), high = vzip2q_u64(even, odd);
}
#include "additive_fft.inc"
#undef KERNEL
}  // namespace pmull

#endif

using Multiply = void (*)(uint64_t *, uint64_t *, uint64_t *, int);

// All that this processor can do, the slowest first.
std::vector<Multiply> levels() {
    std::vector<Multiply> able = {&portable::multiply};
    [[maybe_unused]] const kronborg::Processor &processor = kronborg::processor();
#ifdef KRONBORG_X86
    if (processor.pclmul) able.push_back(&pclmulqdq::multiply);
    if (processor.vpclmul_256) able.push_back(&vpclmulqdq_256::multiply);
    if (processor.vpclmul_512) able.push_back(&vpclmulqdq_512::multiply);
#endif
#ifdef KRONBORG_NEON
    if (processor.pmull) able.push_back(&pmull::multiply);
#endif
    return able;
}

// Bits of bytes, the first of a byte being its highest, to words of 32, the first being the lowest.
void to_words(const uint8_t *bytes, int64_t bits, uint64_t *words, int64_t count) {
    const int64_t whole = (bits + 7) / 8;
    for (int64_t word = 0; word < count; ++word) {
        const int64_t left = whole - 4 * word;
        uint32_t value = 0;
        if (left >= 4)
            std::memcpy(&value, bytes + 4 * word, 4);
        else if (left > 0)
            std::memcpy(&value, bytes + 4 * word, size_t(left));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap32(value);
#endif
        value = (value >> 4 & 0x0f0f0f0f) | (value & 0x0f0f0f0f) << 4;
        value = (value >> 2 & 0x33333333) | (value & 0x33333333) << 2;
        value = (value >> 1 & 0x55555555) | (value & 0x55555555) << 1;
        const int64_t kept = bits - 32 * word;
        words[word] = kept >= 32 ? value : kept > 0 ? value & ((uint64_t(1) << kept) - 1) : 0;
    }
}

// The smallest transform, as log2 of its words, whose product is right from word `first` on, with `a` and `b` words in.
// x^N is the sum of x^(2^i) over i = 0 and all i < k whose bits are bits of k: what is too long comes back low.
int transform_bits(int64_t a, int64_t b, int64_t first) {
    for (int bits = 6;; ++bits) {
        const int64_t words = int64_t(1) << bits, beyond = a + b - words;
        if (a <= words && b <= words && (beyond <= 0 || beyond + (int64_t(1) << (bits & (bits - 1))) <= first)) return bits;
    }
}

}  // namespace

extern "C" {

// Changes whenever a signature below does.
int kronborg_toeplitz_abi(void) { return 1; }

// Kinds of multiplication that this processor has; 0, the portable one, is always there, and the last is the fastest.
int kronborg_toeplitz_levels(void) { return int(levels().size()); }

// out[i] = sum over j of seed[i + columns - 1 - j] in[j] over GF(2), i from 0 to rows - 1; columns at least 1.
// Bits are packed, the first of a byte being its highest; `seed` has rows + columns - 1 of them.
// Returns 0, or -1 if there is no memory.
int kronborg_toeplitz(const uint8_t *seed, const uint8_t *in, int64_t rows, int64_t columns, int level, uint8_t *out) try {
    const int64_t seed_words = (rows + columns - 1 + 31) / 32, in_words = (columns + 31) / 32;
    const int64_t first = (columns - 1) / 32;  // the words of the product that are wanted begin here
    const int bits = transform_bits(seed_words, in_words, first - 1);
    const int64_t words = int64_t(1) << bits;
    std::vector<uint64_t> a(words), b(words), c(words);
    to_words(seed, rows + columns - 1, a.data(), seed_words);
    to_words(in, columns, b.data(), in_words);
    levels().at(size_t(level))(a.data(), b.data(), c.data(), bits - 3);
    // Word w of the product is the lower half of coefficient w and the upper half of the one before.
    auto word = [&](int64_t w) {
        const uint64_t low = w < words ? c[w] & 0xffffffff : 0;
        return low ^ (w > 0 && w <= words ? c[w - 1] >> 32 : 0);
    };
    const int shift = int((columns - 1) % 32);
    uint64_t now = word(first);
    for (int64_t w = 0; 32 * w < rows; ++w) {
        const uint64_t next = word(first + w + 1);
        uint32_t value = uint32_t((now | next << 32) >> shift);
        now = next;
        const int64_t kept = rows - 32 * w;
        if (kept < 32) value &= (uint32_t(1) << kept) - 1;
        for (int64_t byte = 0; byte < 4 && 8 * byte < kept; ++byte) {
            uint32_t v = value >> 8 * byte & 255, reversed = 0;
            for (int bit = 0; bit < 8; ++bit) reversed |= (v >> bit & 1) << (7 - bit);
            out[4 * w + byte] = uint8_t(reversed);
        }
    }
    return 0;
} catch (const std::bad_alloc &) {
    return -1;
}

}
