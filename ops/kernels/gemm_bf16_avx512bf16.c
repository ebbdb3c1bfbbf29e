/* gemm_bf16, AVX-512 BF16: gemm_f32_avx512.c's tiles, vdpbf16ps in place of the FMA: 28 of them a
 * step of two k.  Contract in gemm_bf16.h. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_avx512.h"
#include "tensor/cpu.h"

enum { ROWS = 7 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2)

typedef uint32_t elem;
static inline vec vec_b(const elem *p) { return _mm512_castsi512_ps(_mm512_load_si512(p)); }
static inline vec vec_a(const float *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
}
static inline vec vec_mac(vec a, vec b, vec s)
{
    return _mm512_dpbf16_ps(s, (__m512bh)a, (__m512bh)b);
}
static inline void round_lanes(const float *x, uint16_t *y)
{
    const __m256bh r = _mm512_cvtneps_pbh(_mm512_loadu_ps(x));
    _mm256_storeu_si256((__m256i *)(void *)y, (__m256i)r);
}

#include "ops/kernels/gemm_bf16_tmpl.h"

const oct_gemm_f32 oct_gemm_bf16_avx512bf16 = {
    "gemm_bf16", "avx512bf16", OCT_CPU_AVX512 | OCT_CPU_AVX512BF16, OCT_BF16, ROWS, NR, tile, gemv,
    pairs,
};
