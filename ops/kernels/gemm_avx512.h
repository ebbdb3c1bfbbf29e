#ifndef OCT_OPS_KERNELS_GEMM_AVX512_H
#define OCT_OPS_KERNELS_GEMM_AVX512_H

/* gemm_f32_tmpl.h's words for sixteen floats.  The includer has included <immintrin.h>. */
#include "ops/kernels/gemm_f32.h"

enum { LANES = 16 };

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

#endif
