#ifndef OCT_OPS_KERNELS_SIMD_AVX2_H
#define OCT_OPS_KERNELS_SIMD_AVX2_H

/* Eight floats; what the functions mean is in simd_math.h.  The includer has
 * included <immintrin.h>. */
#include <stddef.h>
#include <stdint.h>

typedef __m256 vf;
typedef __m256 vm;
enum { VW = 8 };

static inline __m256i v_first(int n)
{
    static const int32_t ones[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - n));
}

static inline vf v_set1(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vf v_load_part(const float *p, int n) { return _mm256_maskload_ps(p, v_first(n)); }
static inline void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }

/* In pieces: vmaskmovps to memory takes tens of cycles on AMD's cores. */
static inline void v_store_part(float *p, vf v, int n)
{
    __m128 q = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, q);
        q = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, q);
        q = _mm_movehl_ps(q, q);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, q);
}

static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.f), a); }

static inline vf v_copysign(vf a, vf sign)
{
    return _mm256_or_ps(a, _mm256_and_ps(sign, _mm256_set1_ps(-0.f)));
}

static inline vm v_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vm v_unordered(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
static inline vm v_or(vm a, vm b) { return _mm256_or_ps(a, b); }
static inline vm v_none(void) { return _mm256_setzero_ps(); }
static inline vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }

static inline vf v_keep(vf v, int n)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(v_first(n)));
}

static inline vf v_pow2(vf t)
{
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(0x3f800000)));
}

static inline vf v_quads(const float *const *row, size_t col)
{
    const __m256 a = _mm256_castps128_ps256(_mm_loadu_ps(row[0] + col));
    return _mm256_insertf128_ps(a, _mm_loadu_ps(row[4] + col), 1);
}

static inline void v_transpose4(vf v[4])
{
    const __m256 a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]);
    const __m256 c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
    v[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(c)));
    v[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(c)));
    v[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(b), _mm256_castps_pd(d)));
    v[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(b), _mm256_castps_pd(d)));
}

/* Element e of source s belongs in float 3 e + s, so in lane (3 e + s) % 8 of one of the three
 * vectors: these lanes differ, one permutation a source serves all three. */
static inline void v_store3(float *p, vf a, vf b, vf c)
{
    const __m256i ia = _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5);
    const __m256i ib = _mm256_setr_epi32(5, 0, 3, 6, 1, 4, 7, 2);
    const __m256i ic = _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7);
    enum { M0 = 0x49, M1 = 0x92, M2 = 0x24 }; /* lanes 0, 1, 2 mod 3 */
    a = _mm256_permutevar8x32_ps(a, ia);
    b = _mm256_permutevar8x32_ps(b, ib);
    c = _mm256_permutevar8x32_ps(c, ic);
    v_store(p, _mm256_blend_ps(_mm256_blend_ps(a, b, M1), c, M2));
    v_store(p + 8, _mm256_blend_ps(_mm256_blend_ps(a, b, M2), c, M0));
    v_store(p + 16, _mm256_blend_ps(_mm256_blend_ps(a, b, M0), c, M1));
}

#endif
