/* gemm_s8, plain C: the specification.  Contract in gemm_s8.h. */
#include "ops/kernels/gemm_s8.h"

enum { ROWS = 2, NR = 8, KR = 4 };

static int place(int j, int p) { return j * KR + p; }

/* The sum of row i of group g and column j, from the packed bias on. */
static int32_t sum_of(const oct_gemm_s8_args *t, int g, int i, int j)
{
    const int32_t *bias = t->panel;
    const int8_t *b = (const int8_t *)(bias + 4 * NR);
    int32_t sum = bias[j];
    for (int s = 0; s < t->n_segs; s++) {
        const oct_gemm_s8_seg *seg = &t->seg[s];
        const uint8_t *a = t->a[g] + seg->offset + (t->pos[g] + i * t->step) * seg->width;
        for (int c = 0; c < seg->len; c++) sum += a[c] * b[c / KR * NR * KR + place(j, c % KR)];
        b += (seg->len + KR - 1) / KR * NR * KR;
    }
    return sum;
}

static void put(const oct_gemm_s8_args *t, int g, int i, int j, int32_t acc)
{
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const int32_t *colsum = (const int32_t *)t->panel + 3 * NR;
    const oct_requant *q = t->out;
    const size_t at = (size_t)i * t->ldc + (size_t)j;
    float y = (float)acc * scale[j];
    switch (q->kind) {
    case OCT_REQUANT_S32:
        ((int32_t *)t->c[g])[at] = acc;
        break;
    case OCT_REQUANT_F32:
        if (t->row_zero[0]) y = (float)(acc - t->row_zero[g][i] * colsum[j]) * scale[j];
        if (t->row_scale[0]) y = y * t->row_scale[g][i];
        y = y + fbias[j];
        if (t->residual[0]) y = y + ((const float *)t->residual[g])[at];
        ((float *)t->c[g])[at] = oct_requant_act(y, q->act);
        break;
    case OCT_REQUANT_U8:
        y = ((float)acc + fbias[j]) * scale[j];
        if (t->residual[0]) y = oct_requant_add(y, ((const uint8_t *)t->residual[g])[at], q);
        ((uint8_t *)t->c[g])[at] = oct_requant_u8(y, q);
        break;
    }
}

static void tile(const oct_gemm_s8_args *t)
{
    for (int g = 0; g < t->groups; g++)
        for (int i = 0; i < t->rows; i++)
            for (int j = 0; j < t->cols; j++) put(t, g, i, j, sum_of(t, g, i, j));
}

const oct_gemm_s8 oct_gemm_s8_ref = {
    .isa = "ref", .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR, .place = place,
    .tile = tile };
