/* gemm_f32, AVX-512, tiles of two groups of up to 7 rows x 32 columns.  Contract in gemm_f32.h.
 *
 * 56, 28, 14 and 7 are multiples of 7: on a ResNet's maps no row of a tile is idle.  A group is a
 * run of neighbours, pixel floats apart, so all its rows are reached from three registers.
 *
 *                          b: 32 columns, one k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 zmm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     28 zmm
 *   broadcast   1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 28 sums + 2 b + 1 a = 31 of 32.   A step of k: 28 FMAs (14 cycles on two ports),
 *   2 + 14 loads, 2 prefetches.
 */
#include <immintrin.h>

#include "ops/kernels/gemm_f32.h"
#include "tensor/cpu.h"

enum { ROWS = 7, LANES = 16 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2)

typedef __m512 vec;
static inline vec vec_zero(void) { return _mm512_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm512_load_ps(p); }
static inline vec vec_dup(const float *p) { return _mm512_set1_ps(*p); }
static inline vec vec_fma(vec a, vec b, vec s) { return _mm512_fmadd_ps(a, b, s); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }

/* relu is x < 0 ? 0 : x: maxps returns its second operand if either is NaN or both are zero. */
static inline vec vec_clamp(vec y, oct_act act)
{
    if (act != OCT_ACT_NONE) y = _mm512_max_ps(_mm512_setzero_ps(), y);
    if (act == OCT_ACT_RELU6) y = _mm512_min_ps(_mm512_set1_ps(6.f), y);
    return y;
}

static inline __mmask16 first(int n)
{
    return (__mmask16)(n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
}
static inline vec vec_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void vec_store_n(float *p, int n, vec v) { _mm512_mask_storeu_ps(p, first(n), v); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_avx512 = { "avx512", OCT_CPU_AVX512, ROWS, NR, tile, gemv };
