/* gemm_f16w: gemm_f32_avx512.c's tiles, the weights widened as they are loaded, two vectors a step
 * of k.  Contract in gemm_f16w.h. */
#include <immintrin.h>

#include "ops/kernels/gemm_avx512.h"
#include "ops/kernels/gemm_f16w.h"
#include "tensor/cpu.h"

enum { ROWS = 7 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2)

typedef uint16_t elem;
static inline vec vec_b(const elem *p)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)p));
}
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f16w_avx512 = {
    "gemm_f16w", "avx512", OCT_CPU_AVX512, OCT_F16, ROWS, NR, tile, gemv, NULL,
};
