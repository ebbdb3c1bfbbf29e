#ifndef OCT_OPS_KERNELS_GEMM_AVX2_H
#define OCT_OPS_KERNELS_GEMM_AVX2_H

/* gemm_f32_tmpl.h's words for eight floats.  The includer has included <immintrin.h>. */
#include "ops/kernels/gemm_f32.h"

enum { LANES = 8 };

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

#endif
