/* gemm_bf16, AVX2: a bfloat16 is the upper half of a float, so a pair is two floats after an AND
 * and a shift, and two FMAs.  Contract in gemm_bf16.h.
 *
 *   registers: 8 sums + 4 of b + 2 of a + 1 mask = 15 of 16.
 *   a step of two k: 16 FMAs, 12 others */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_avx2.h"
#include "tensor/cpu.h"

enum { ROWS = 2 };
#define SHAPES(X) X(1, 1) X(2, 1) X(1, 2) X(2, 2)

typedef uint32_t elem;
static inline vec vec_b(const elem *p)
{
    return _mm256_castsi256_ps(_mm256_load_si256((const __m256i *)(const void *)p));
}
static inline vec vec_a(const float *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_castsi256_ps(_mm256_set1_epi32(pair));
}
static inline vec odd(vec v)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000)));
}
static inline vec even(vec v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 16));
}
static inline vec vec_mac(vec a, vec b, vec s)
{
    return vec_fma(even(a), even(b), vec_fma(odd(a), odd(b), s));
}
static inline void round_lanes(const float *x, uint16_t *y)
{
    const __m256i u = _mm256_castps_si256(_mm256_loadu_ps(x)), top = _mm256_srli_epi32(u, 16);
    const __m256i a = _mm256_and_si256(u, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(a, _mm256_set1_epi32(0x7f800000));
    const __m256i tiny = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), a);
    const __m256i last = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), last);
    r = _mm256_srli_epi32(r, 16);
    r = _mm256_blendv_epi8(r, _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
    r = _mm256_blendv_epi8(r, _mm256_and_si256(top, _mm256_set1_epi32(0x8000)), tiny);
    r = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08); /* low halves of both lanes */
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(r));
}

#include "ops/kernels/gemm_bf16_tmpl.h"

const oct_gemm_f32 oct_gemm_bf16_avx2 = {
    "gemm_bf16", "avx2", OCT_CPU_AVX2, OCT_BF16, ROWS, NR, tile, gemv, pairs,
};
