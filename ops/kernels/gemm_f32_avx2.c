/* gemm_f32, AVX2 + FMA, tiles of two groups of up to 3 rows x 16 columns.  Contract in gemm_f32.h.
 *
 *                          b: 16 columns, one k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   broadcast   1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a = 15 of 16.   A step of k: 12 FMAs (6 cycles on two ports),
 *   2 + 6 loads, 1 prefetch.
 */
#include <immintrin.h>

#include "ops/kernels/gemm_f32.h"
#include "tensor/cpu.h"

enum { ROWS = 3, LANES = 8 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef __m256 vec;
static inline vec vec_zero(void) { return _mm256_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm256_load_ps(p); }
static inline vec vec_dup(const float *p) { return _mm256_broadcast_ss(p); }
static inline vec vec_fma(vec a, vec b, vec s) { return _mm256_fmadd_ps(a, b, s); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }

/* relu is x < 0 ? 0 : x: maxps returns its second operand if either is NaN or both are zero. */
static inline vec vec_clamp(vec y, oct_act act)
{
    if (act != OCT_ACT_NONE) y = _mm256_max_ps(_mm256_setzero_ps(), y);
    if (act == OCT_ACT_RELU6) y = _mm256_min_ps(_mm256_set1_ps(6.f), y);
    return y;
}

static inline __m256i first(int n) /* all ones in the first n lanes */
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec vec_load_n(const float *p, int n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first(n));
}
static inline void vec_store_n(float *p, int n, vec v)
{
    if (n >= LANES) _mm256_storeu_ps(p, v);
    else _mm256_maskstore_ps(p, first(n), v);
}

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_avx2 = { "avx2", OCT_CPU_AVX2, ROWS, NR, tile, gemv };
