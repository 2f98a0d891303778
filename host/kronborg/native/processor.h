// What this processor can do. Whatever is compiled for several kinds of vector instructions asks here which of them to run.

#pragma once

// A test may define KRONBORG_NEON elsewhere, and bring an arm_neon.h that says in plain C++ what each instruction does.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(KRONBORG_NEON)
#define KRONBORG_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__)
#define KRONBORG_NEON 1
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

#ifdef KRONBORG_NEON
#include <arm_neon.h>
#endif

// What a function may use, beside the question whether it may: __attribute__((target(...))).
#define KRONBORG_FOR_AVX2 "avx2,fma"
#define KRONBORG_FOR_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,fma"
#define KRONBORG_FOR_AVX512_BYTES "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"
#define KRONBORG_FOR_PCLMUL "pclmul,sse4.1"
#define KRONBORG_FOR_VPCLMUL_256 "vpclmulqdq,pclmul,avx2"
#define KRONBORG_FOR_VPCLMUL_512 "vpclmulqdq,pclmul,avx512f,avx512bw,avx512dq,avx512vl"

namespace kronborg {
namespace {  // one for each source: two builds of the library in one process must not share it

struct Processor {
    bool avx2 = false, avx512 = false, avx512_bytes = false;
    bool pclmul = false, vpclmul_256 = false, vpclmul_512 = false;
    bool neon = false, pmull = false;

    Processor() {
#ifdef KRONBORG_X86
        __builtin_cpu_init();
        const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        avx512 = wide && __builtin_cpu_supports("fma");
        avx512_bytes = wide && __builtin_cpu_supports("avx512vbmi");
        pclmul = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
        vpclmul_256 = pclmul && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2");
        vpclmul_512 = vpclmul_256 && wide;
#endif
#ifdef KRONBORG_NEON
        neon = true;
#if defined(__aarch64__) && defined(__linux__)
        pmull = getauxval(AT_HWCAP) & HWCAP_PMULL;
#else
        pmull = true;  // of every Apple processor; and of a test
#endif
#endif
    }
};

[[maybe_unused]] const Processor &processor() {
    static const Processor found;
    return found;
}

}  // namespace
}  // namespace kronborg
