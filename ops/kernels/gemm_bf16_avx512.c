/* gemm_bf16, AVX-512 without BF16 instructions: a bfloat16 is the upper half of a float, so a pair
 * is two floats after an AND and a shift, and two FMAs.  Contract in gemm_bf16.h.
 *
 *   registers: 24 sums + 4 of b + 2 of a + 1 mask = 31 of 32.
 *   a step of two k: 48 FMAs, 28 others */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_avx512.h"
#include "tensor/cpu.h"

enum { ROWS = 6 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)

typedef uint32_t elem;
static inline vec vec_b(const elem *p) { return _mm512_castsi512_ps(_mm512_load_si512(p)); }
static inline vec vec_a(const float *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
}
static inline vec odd(vec v)
{
    return _mm512_and_ps(v, _mm512_castsi512_ps(_mm512_set1_epi32((int)0xffff0000)));
}
static inline vec even(vec v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 16));
}
static inline vec vec_mac(vec a, vec b, vec s)
{
    return vec_fma(even(a), even(b), vec_fma(odd(a), odd(b), s));
}
static inline void round_lanes(const float *x, uint16_t *y)
{
    const __m512i u = _mm512_castps_si512(_mm512_loadu_ps(x)), top = _mm512_srli_epi32(u, 16);
    const __m512i a = _mm512_and_si512(u, _mm512_set1_epi32(0x7fffffff));
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(a, _mm512_set1_epi32(0x7f800000));
    const __mmask16 tiny = _mm512_cmplt_epi32_mask(a, _mm512_set1_epi32(0x00800000));
    const __m512i last = _mm512_and_si512(top, _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), last);
    r = _mm512_srli_epi32(r, 16);
    r = _mm512_mask_or_epi32(r, nan, top, _mm512_set1_epi32(0x40));
    r = _mm512_mask_and_epi32(r, tiny, top, _mm512_set1_epi32(0x8000));
    _mm256_storeu_si256((__m256i *)(void *)y, _mm512_cvtepi32_epi16(r));
}

#include "ops/kernels/gemm_bf16_tmpl.h"

const oct_gemm_f32 oct_gemm_bf16_avx512 = {
    "gemm_bf16", "avx512", OCT_CPU_AVX512, OCT_BF16, ROWS, NR, tile, gemv, pairs,
};
