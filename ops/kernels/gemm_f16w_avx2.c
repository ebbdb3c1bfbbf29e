/* gemm_f16w: gemm_f32_avx2.c's tiles, the weights widened as they are loaded, two vectors a step
 * of k.  Contract in gemm_f16w.h. */
#include <immintrin.h>

#include "ops/kernels/gemm_avx2.h"
#include "ops/kernels/gemm_f16w.h"
#include "tensor/cpu.h"

enum { ROWS = 3 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef uint16_t elem;
static inline vec vec_b(const elem *p)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)p));
}
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f16w_avx2 = {
    "gemm_f16w", "avx2", OCT_CPU_AVX2, OCT_F16, ROWS, NR, tile, gemv, NULL,
};
