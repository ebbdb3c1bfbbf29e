#ifndef OCT_OPS_KERNELS_SIMD_AVX512_H
#define OCT_OPS_KERNELS_SIMD_AVX512_H

/* Sixteen floats; what the functions mean is in simd_math.h.  The includer has
 * included <immintrin.h>. */
#include <stddef.h>

typedef __m512 vf;
typedef __mmask16 vm;
enum { VW = 16 };

static inline __mmask16 v_first(int n) { return (__mmask16)((1u << n) - 1); }

static inline vf v_set1(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vf v_load_part(const float *p, int n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
static inline void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline void v_store_part(float *p, vf v, int n) { _mm512_mask_storeu_ps(p, v_first(n), v); }

static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_abs(vf a) { return _mm512_abs_ps(a); }

static inline vf v_copysign(vf a, vf sign) /* a >= 0 */
{
    return _mm512_or_ps(a, _mm512_and_ps(sign, _mm512_set1_ps(-0.f)));
}

static inline vm v_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm v_unordered(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
static inline vm v_or(vm a, vm b) { return (vm)(a | b); }
static inline vm v_none(void) { return 0; }
static inline vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vf v_keep(vf v, int n) { return _mm512_maskz_mov_ps(v_first(n), v); }

static inline vf v_pow2(vf t)
{
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(0x3f800000)));
}

static inline vf v_quads(const float *const *row, size_t col)
{
    const __m512 a = _mm512_castps128_ps512(_mm_loadu_ps(row[0] + col));
    const __m512 b = _mm512_insertf32x4(a, _mm_loadu_ps(row[4] + col), 1);
    const __m512 c = _mm512_insertf32x4(b, _mm_loadu_ps(row[8] + col), 2);
    return _mm512_insertf32x4(c, _mm_loadu_ps(row[12] + col), 3);
}

static inline void v_transpose4(vf v[4])
{
    const __m512 a = _mm512_unpacklo_ps(v[0], v[1]), b = _mm512_unpackhi_ps(v[0], v[1]);
    const __m512 c = _mm512_unpacklo_ps(v[2], v[3]), d = _mm512_unpackhi_ps(v[2], v[3]);
    v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)));
    v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)));
    v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)));
    v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)));
}

/* Element e of source s belongs in float 3 e + s, so in lane (3 e + s) % 16 of one of the three
 * vectors: these lanes differ, one permutation a source serves all three. */
static inline void v_store3(float *p, vf a, vf b, vf c)
{
    const __m512i ia = _mm512_setr_epi32(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5);
    const __m512i ib = _mm512_setr_epi32(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10);
    const __m512i ic = _mm512_setr_epi32(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15);
    enum { M0 = 0x9249, M1 = 0x2492, M2 = 0x4924 }; /* lanes 0, 1, 2 mod 3 */
    a = _mm512_permutexvar_ps(ia, a);
    b = _mm512_permutexvar_ps(ib, b);
    c = _mm512_permutexvar_ps(ic, c);
    v_store(p, _mm512_mask_blend_ps(M2, _mm512_mask_blend_ps(M1, a, b), c));
    v_store(p + 16, _mm512_mask_blend_ps(M1, _mm512_mask_blend_ps(M0, a, b), c));
    v_store(p + 32, _mm512_mask_blend_ps(M0, _mm512_mask_blend_ps(M2, a, b), c));
}

#endif
