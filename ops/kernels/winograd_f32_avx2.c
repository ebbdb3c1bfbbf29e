/* winograd_f32, AVX2 + FMA: 8 channels a vector.  Contract in winograd_f32.h, code in
 * winograd_f32_tmpl.h.  Registers of a pass of F(4): 6 values + 4 halves + 6 results, as they die
 * one after the other 12 of 16; constants are memory operands. */
#include <immintrin.h>

#include "ops/kernels/winograd_f32.h"
#include "tensor/cpu.h"

enum { LANES = 8 };
typedef __m256 vec;

static inline __m256i first(int n)
{
    static const int mask[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask + 8 - n));
}

static inline vec load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, vec x) { _mm256_storeu_ps(p, x); }
static inline vec set1(float x) { return _mm256_set1_ps(x); }
static inline vec load_n(const float *p, int n) { return _mm256_maskload_ps(p, first(n)); }
static inline void store_n(float *p, vec x, int n) { _mm256_maskstore_ps(p, first(n), x); }

static inline vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec madd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec nmadd(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }

/* max(a, b) is a > b ? a : b, min(a, b) is a < b ? a : b, on x86: NaN and -0 as the contract says */
static inline vec relu(vec x) { return _mm256_max_ps(_mm256_setzero_ps(), x); }
static inline vec min6(vec x) { return _mm256_min_ps(_mm256_set1_ps(6.0f), x); }

#include "ops/kernels/winograd_f32_tmpl.h"

const oct_winograd_f32 oct_winograd_f32_avx2 = { "avx2", OCT_CPU_AVX2, input, output };
