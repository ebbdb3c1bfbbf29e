/* finish() of gemm_s8 for AVX-512: a tile's sums -> c.  Contract in requant.h.
 *
 * Sums are in pack order: packssdw of the two vectors of a row, then packuswb of two rows, leave
 * the bytes of columns 8l .. 8l + 7 in 128-bit lane l; vpermq makes two rows of that.
 *
 * The lower clamp comes after the rounding: vcvtps2dq gives INT_MIN for what is too small, which
 * packs to -32768.  What is too large would give INT_MIN as well, so the upper clamp is in float,
 * unless q->bounded says that there is no such thing.  Then words and bytes saturate, and both
 * clamps are one instruction for two rows.  If q is plain, packuswb is the lower one.
 *
 * A residual's byte r becomes a float without a conversion: 2^23 + r is the word 0x4b00 before r,
 * and less 2^23 + residual_zero it is exactly r - residual_zero. */
#include "ops/kernels/gemm_s8_rows.h"

typedef struct u8_params {
    __m512 bias[2], scale[2], top, residual_scale, residual_zero;
    __m512i zero, lo, hi;
    __mmask32 cols;
} u8_params;

/* 32 words of one row, still in pack order; r: its residual or NULL.  whole: all columns. */
INLINE __m512i row_words(const int care, const int whole, const u8_params *p, const int32_t *acc,
                         const uint8_t *r)
{
    __m512 y0 = _mm512_cvtepi32_ps(_mm512_load_si512(acc));
    __m512 y1 = _mm512_cvtepi32_ps(_mm512_load_si512(acc + LANES));
    if (care != PLAIN) y0 = _mm512_add_ps(y0, p->bias[0]), y1 = _mm512_add_ps(y1, p->bias[1]);
    y0 = _mm512_mul_ps(y0, p->scale[0]);
    y1 = _mm512_mul_ps(y1, p->scale[1]);
    if (r) { /* words of columns 8l .. 8l + 7 in lane l, unpacked: pack order */
        const __m512i above = _mm512_set1_epi16(0x4b00);
        const __m512i w = _mm512_cvtepu8_epi16(whole ? _mm256_loadu_si256((const void *)r)
                                                     : _mm256_maskz_loadu_epi8(p->cols, r));
        const __m512 r0 = _mm512_castsi512_ps(_mm512_unpacklo_epi16(w, above));
        const __m512 r1 = _mm512_castsi512_ps(_mm512_unpackhi_epi16(w, above));
        y0 = _mm512_fmadd_ps(_mm512_sub_ps(r0, p->residual_zero), p->residual_scale, y0);
        y1 = _mm512_fmadd_ps(_mm512_sub_ps(r1, p->residual_zero), p->residual_scale, y1);
    }
    if (care == ANY) y0 = _mm512_min_ps(y0, p->top), y1 = _mm512_min_ps(y1, p->top);
    const __m512i q = _mm512_packs_epi32(_mm512_cvtps_epi32(y0), _mm512_cvtps_epi32(y1));
    return care == PLAIN ? q : _mm512_adds_epi16(q, p->zero);
}

/* 32 bytes of one row, then of another. */
INLINE __m512i two_rows(const int care, const u8_params *p, __m512i words0, __m512i words1)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    __m512i v = _mm512_packus_epi16(words0, words1);
    if (care != PLAIN) v = _mm512_max_epu8(v, p->lo);
    return _mm512_permutexvar_epi64(order, _mm512_min_epu8(v, p->hi));
}

INLINE void rows_u8(const int with_residual, const int care, const oct_gemm_s8_args *t,
                    const u8_params *p, const int32_t (*acc)[NR])
{
    const int n = t->rows * t->groups;
    row_walk at = first_row(t);
    for (int r = 0; r < n; r += 2) { /* two rows; the last one twice if it is alone */
        const row_walk x = at;
        if (r + 1 < n) next_row(t, &at);
        const __m512i upper = row_words(care, 0, p, acc[r], with_residual ? x.residual : NULL);
        const __m512i lower = row_words(care, 0, p, acc[r + 1 < n ? r + 1 : r],
                                        with_residual ? at.residual : NULL);
        const __m512i v = two_rows(care, p, upper, lower);
        _mm256_mask_storeu_epi8(x.c, p->cols, _mm512_castsi512_si256(v));
        if (r + 1 == n) break;
        _mm256_mask_storeu_epi8(at.c, p->cols, _mm512_extracti64x4_epi64(v, 1));
        if (r + 2 < n) next_row(t, &at);
    }
}

/* The same of two groups of WHOLE rows with all columns, which most tiles are: no masks, which cost
 * a step each, and no loop. */
INLINE void whole_u8(const int with_residual, const int care, const oct_gemm_s8_args *t,
                     const u8_params *p, const int32_t (*acc)[NR])
{
    __m512i words[2];
    uint8_t *c[2];
    UNROLL for (int r = 0; r < 2 * WHOLE; r++) {
        const int g = r / WHOLE;
        const size_t at = (size_t)(r % WHOLE) * t->ldc;
        c[r % 2] = (uint8_t *)t->c[g] + at;
        words[r % 2] = row_words(care, 1, p, acc[r],
                                 with_residual ? (const uint8_t *)t->residual[g] + at : NULL);
        if (r % 2 == 0) continue;
        const __m512i v = two_rows(care, p, words[0], words[1]);
        _mm256_storeu_si256((void *)c[0], _mm512_castsi512_si256(v));
        _mm256_storeu_si256((void *)c[1], _mm512_extracti64x4_epi64(v, 1));
    }
}

static inline __mmask16 first(int n)
{
    return (__mmask16)(n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
}

/* Vectors in pack order -> columns 16 half .. 16 half + 15. */
static inline __m512 in_order(__m512 v0, __m512 v1, int half)
{
    const __m512i lo = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i at = _mm512_add_epi64(lo, _mm512_set1_epi64(4 * half));
    return _mm512_castpd_ps(_mm512_permutex2var_pd(_mm512_castps_pd(v0), at, _mm512_castps_pd(v1)));
}

/* relu is x < 0 ? 0 : x: maxps returns its second operand if either is NaN or both are zero. */
static inline __m512 clamp_f32(__m512 y, oct_act act)
{
    if (act != OCT_ACT_NONE) y = _mm512_max_ps(_mm512_setzero_ps(), y);
    if (act == OCT_ACT_RELU6) y = _mm512_min_ps(_mm512_set1_ps(6.f), y);
    return y;
}

static void row_f32(const oct_gemm_s8_args *t, const int32_t *acc, row_pos x)
{
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const int32_t *colsum = (const int32_t *)t->panel + 3 * NR;
    __m512 y[2];
    for (int h = 0; h < 2; h++) {
        __m512i s = _mm512_load_si512(acc + h * LANES);
        if (t->row_zero[0]) {
            const __m512i zero = _mm512_set1_epi32(t->row_zero[x.group][x.i]);
            const __m512i sums = _mm512_load_si512(colsum + h * LANES);
            s = _mm512_sub_epi32(s, _mm512_mullo_epi32(zero, sums));
        }
        y[h] = _mm512_mul_ps(_mm512_cvtepi32_ps(s), _mm512_load_ps(scale + h * LANES));
        if (t->row_scale[0]) y[h] = _mm512_mul_ps(y[h], _mm512_set1_ps(t->row_scale[x.group][x.i]));
        y[h] = _mm512_add_ps(y[h], _mm512_load_ps(fbias + h * LANES));
    }
    for (int h = 0; h < 2; h++) {
        const __mmask16 m = first(t->cols - h * LANES);
        const size_t at = x.at + (size_t)(h * LANES);
        __m512 z = in_order(y[0], y[1], h);
        const float *r = t->residual[0] ? (const float *)t->residual[x.group] + at : NULL;
        if (r) z = _mm512_add_ps(z, _mm512_maskz_loadu_ps(m, r));
        _mm512_mask_storeu_ps((float *)t->c[x.group] + at, m, clamp_f32(z, t->out->act));
    }
}

static void row_s32(const oct_gemm_s8_args *t, const int32_t *acc, row_pos x)
{
    const __m512 v0 = _mm512_load_ps(acc), v1 = _mm512_load_ps(acc + LANES);
    for (int h = 0; h < 2; h++)
        _mm512_mask_storeu_ps((int32_t *)t->c[x.group] + x.at + h * LANES,
                              first(t->cols - h * LANES), in_order(v0, v1, h));
}

static __attribute__((noinline)) void finish(const oct_gemm_s8_args *t, const int32_t (*acc)[NR])
{
    const oct_requant *q = t->out;
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    if (q->kind == OCT_REQUANT_U8) {
        const u8_params p = {
            .bias = { _mm512_load_ps(fbias), _mm512_load_ps(fbias + LANES) },
            .scale = { _mm512_load_ps(scale), _mm512_load_ps(scale + LANES) },
            .top = _mm512_set1_ps(q->spread.top),
            .residual_scale = _mm512_set1_ps(q->residual_scale),
            .residual_zero = _mm512_set1_ps(q->spread.residual_zero),
            .zero = _mm512_set1_epi32((int)q->spread.zero),
            .lo = _mm512_set1_epi32((int)q->spread.lo), .hi = _mm512_set1_epi32((int)q->spread.hi),
            .cols = t->cols >= NR ? ~(__mmask32)0 : ((__mmask32)1 << t->cols) - 1 };
        const int with_residual = t->residual[0] != NULL;
        const int whole = t->rows == WHOLE && t->groups == 2 && t->cols == NR;
        if (care(q) == ANY) rows_u8(with_residual, ANY, t, &p, acc);
        else if (care(q) == BOUNDED && whole && !with_residual) whole_u8(0, BOUNDED, t, &p, acc);
        else if (care(q) == BOUNDED) rows_u8(with_residual, BOUNDED, t, &p, acc);
        else if (!whole) rows_u8(with_residual, PLAIN, t, &p, acc);
        else if (with_residual) whole_u8(1, PLAIN, t, &p, acc);
        else whole_u8(0, PLAIN, t, &p, acc);
        return;
    }
    for (int r = 0; r < t->rows * t->groups; r++)
        if (q->kind == OCT_REQUANT_F32) row_f32(t, acc[r], row_of(t, r));
        else row_s32(t, acc[r], row_of(t, r));
}
