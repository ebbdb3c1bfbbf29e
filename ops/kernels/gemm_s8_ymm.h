/* finish() of gemm_s8 for AVX2: a tile's sums -> c.  Contract in requant.h; the order of the
 * columns and of the clamps is gemm_s8_zmm.h's, with two 128-bit lanes. */
#include "ops/kernels/gemm_s8_rows.h"

typedef struct u8_params {
    __m256 bias[2], scale[2], top, residual_scale, residual_zero;
    __m256i zero, lo, hi;
} u8_params;

/* 16 words of one row, still in pack order; r: its residual or NULL. */
INLINE __m256i row_words(const int care, const u8_params *p, const int32_t *acc,
                         const uint8_t *r)
{
    __m256 y0 = _mm256_cvtepi32_ps(vec_load(acc));
    __m256 y1 = _mm256_cvtepi32_ps(vec_load(acc + LANES));
    if (care != PLAIN) y0 = _mm256_add_ps(y0, p->bias[0]), y1 = _mm256_add_ps(y1, p->bias[1]);
    y0 = _mm256_mul_ps(y0, p->scale[0]);
    y1 = _mm256_mul_ps(y1, p->scale[1]);
    if (r) { /* words of columns 8l .. 8l + 7 in lane l, unpacked: pack order */
        const __m256i above = _mm256_set1_epi16(0x4b00);
        const __m256i w = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)r));
        const __m256 r0 = _mm256_castsi256_ps(_mm256_unpacklo_epi16(w, above));
        const __m256 r1 = _mm256_castsi256_ps(_mm256_unpackhi_epi16(w, above));
        y0 = _mm256_fmadd_ps(_mm256_sub_ps(r0, p->residual_zero), p->residual_scale, y0);
        y1 = _mm256_fmadd_ps(_mm256_sub_ps(r1, p->residual_zero), p->residual_scale, y1);
    }
    if (care == ANY) y0 = _mm256_min_ps(y0, p->top), y1 = _mm256_min_ps(y1, p->top);
    const __m256i q = _mm256_packs_epi32(_mm256_cvtps_epi32(y0), _mm256_cvtps_epi32(y1));
    return care == PLAIN ? q : _mm256_adds_epi16(q, p->zero);
}

static inline void store_u8(uint8_t *c, int cols, __m128i bytes)
{
    if (cols >= NR) {
        _mm_storeu_si128((void *)c, bytes);
        return;
    }
    uint8_t part[NR];
    _mm_storeu_si128((void *)part, bytes);
    memcpy(c, part, (size_t)cols);
}

INLINE void rows_u8(const int with_residual, const int care, const oct_gemm_s8_args *t,
                    const u8_params *p, const int32_t (*acc)[NR])
{
    const int n = t->rows * t->groups;
    row_walk at = first_row(t);
    for (int r = 0; r < n; r += 2) { /* two rows; the last one twice if it is alone */
        const row_walk x = at;
        if (r + 1 < n) next_row(t, &at);
        const __m256i upper = row_words(care, p, acc[r], with_residual ? x.residual : NULL);
        const __m256i lower = row_words(care, p, acc[r + 1 < n ? r + 1 : r],
                                        with_residual ? at.residual : NULL);
        __m256i v = _mm256_packus_epi16(upper, lower);
        if (care != PLAIN) v = _mm256_max_epu8(v, p->lo);
        v = _mm256_min_epu8(v, p->hi);
        const __m256i bytes = _mm256_permute4x64_epi64(v, 0xd8); /* 0 2 1 3 */
        store_u8(x.c, t->cols, _mm256_castsi256_si128(bytes));
        if (r + 1 == n) break;
        store_u8(at.c, t->cols, _mm256_extracti128_si256(bytes, 1));
        if (r + 2 < n) next_row(t, &at);
    }
}

static inline __m256i first(int n) /* all ones in the first n lanes */
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Vectors in pack order -> columns 8 half .. 8 half + 7. */
static inline __m256i in_order(__m256i v0, __m256i v1, int half)
{
    return half ? _mm256_permute2x128_si256(v0, v1, 0x31) : _mm256_permute2x128_si256(v0, v1, 0x20);
}

/* relu is x < 0 ? 0 : x: maxps returns its second operand if either is NaN or both are zero. */
static inline __m256 clamp_f32(__m256 y, oct_act act)
{
    if (act != OCT_ACT_NONE) y = _mm256_max_ps(_mm256_setzero_ps(), y);
    if (act == OCT_ACT_RELU6) y = _mm256_min_ps(_mm256_set1_ps(6.f), y);
    return y;
}

static void row_f32(const oct_gemm_s8_args *t, const int32_t *acc, row_pos x)
{
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const int32_t *colsum = (const int32_t *)t->panel + 3 * NR;
    __m256i y[2];
    for (int h = 0; h < 2; h++) {
        __m256i s = vec_load(acc + h * LANES);
        if (t->row_zero[0]) {
            const __m256i zero = _mm256_set1_epi32(t->row_zero[x.group][x.i]);
            s = _mm256_sub_epi32(s, _mm256_mullo_epi32(zero, vec_load(colsum + h * LANES)));
        }
        __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(s), _mm256_load_ps(scale + h * LANES));
        if (t->row_scale[0]) v = _mm256_mul_ps(v, _mm256_set1_ps(t->row_scale[x.group][x.i]));
        y[h] = _mm256_castps_si256(_mm256_add_ps(v, _mm256_load_ps(fbias + h * LANES)));
    }
    for (int h = 0; h < 2; h++) {
        const __m256i m = first(t->cols - h * LANES);
        const size_t at = x.at + (size_t)(h * LANES);
        __m256 z = _mm256_castsi256_ps(in_order(y[0], y[1], h));
        if (t->residual[0])
            z = _mm256_add_ps(z, _mm256_maskload_ps((const float *)t->residual[x.group] + at, m));
        _mm256_maskstore_ps((float *)t->c[x.group] + at, m, clamp_f32(z, t->out->act));
    }
}

static void row_s32(const oct_gemm_s8_args *t, const int32_t *acc, row_pos x)
{
    const __m256i v0 = vec_load(acc), v1 = vec_load(acc + LANES);
    for (int h = 0; h < 2; h++)
        _mm256_maskstore_epi32((int32_t *)t->c[x.group] + x.at + h * LANES,
                               first(t->cols - h * LANES), in_order(v0, v1, h));
}

static __attribute__((noinline)) void finish(const oct_gemm_s8_args *t, const int32_t (*acc)[NR])
{
    const oct_requant *q = t->out;
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    if (q->kind == OCT_REQUANT_U8) {
        const u8_params p = {
            .bias = { _mm256_load_ps(fbias), _mm256_load_ps(fbias + LANES) },
            .scale = { _mm256_load_ps(scale), _mm256_load_ps(scale + LANES) },
            .top = _mm256_set1_ps(q->spread.top),
            .residual_scale = _mm256_set1_ps(q->residual_scale),
            .residual_zero = _mm256_set1_ps(q->spread.residual_zero),
            .zero = _mm256_set1_epi32((int)q->spread.zero),
            .lo = _mm256_set1_epi32((int)q->spread.lo),
            .hi = _mm256_set1_epi32((int)q->spread.hi) };
        const int with_residual = t->residual[0] != NULL;
        if (care(q) == ANY) rows_u8(with_residual, ANY, t, &p, acc);
        else if (care(q) == BOUNDED) rows_u8(with_residual, BOUNDED, t, &p, acc);
        else if (with_residual) rows_u8(1, PLAIN, t, &p, acc);
        else rows_u8(0, PLAIN, t, &p, acc);
        return;
    }
    for (int r = 0; r < t->rows * t->groups; r++)
        if (q->kind == OCT_REQUANT_F32) row_f32(t, acc[r], row_of(t, r));
        else row_s32(t, acc[r], row_of(t, r));
}
