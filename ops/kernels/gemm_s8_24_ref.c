/* gemm_s8_24, plain C: the specification.  Contract in gemm_s8_24.h. */
#include "ops/kernels/gemm_s8_24.h"

#include <string.h>

enum { ROWS = 2, NR = 8, KR = 8, KEPT = 4 };

static int place(int j, int p) { return oct_gemm_s8_24_place(0, j, p); }

/* The sum of row i of group g and column j, from the packed bias on. */
static int32_t sum_of(const oct_gemm_s8_args *t, int g, int i, int j)
{
    const int32_t *bias = t->panel;
    const int8_t *w = (const int8_t *)(bias + 4 * NR) + j * KEPT;
    int32_t sum = bias[j];
    for (int s = 0; s < t->n_segs; s++) {
        const oct_gemm_s8_seg *seg = &t->seg[s];
        const uint8_t *a = t->a[g] + seg->offset + (t->pos[g] + i * t->step) * seg->width;
        for (int c = 0; c < seg->len; c += KR, a += KR, w += NR * KR)
            for (int p = 0; p < KEPT; p++) sum += a[w[NR * KEPT + p] & (KR - 1)] * w[p];
    }
    return sum;
}

static void *element(const oct_gemm_s8_args *t, const void *array, size_t at)
{
    const size_t size = t->out->kind == OCT_REQUANT_U8 ? 1 : 4;
    return array ? (char *)(uintptr_t)array + at * size : NULL;
}

/* Row by row, what is behind the sums by the dense kernel: of no k, with the sums as its bias. */
static void tile(const oct_gemm_s8_args *t)
{
    int32_t panel[4 * NR];
    oct_gemm_s8_args to = *t;
    to.n_segs = 0;
    to.rows = to.groups = 1;
    to.panel = memcpy(panel, t->panel, sizeof panel);
    for (int g = 0; g < t->groups; g++)
        for (int i = 0; i < t->rows; i++) {
            for (int j = 0; j < NR; j++) panel[j] = sum_of(t, g, i, j);
            to.c[0] = element(t, t->c[g], (size_t)i * t->ldc);
            to.residual[0] = t->residual[0] ? element(t, t->residual[g], (size_t)i * t->ldc) : NULL;
            to.row_scale[0] = t->row_scale[0] ? t->row_scale[g] + i : NULL;
            to.row_zero[0] = t->row_zero[0] ? t->row_zero[g] + i : NULL;
            oct_gemm_s8_ref.tile(&to);
        }
}

const oct_gemm_s8 oct_gemm_s8_24_ref = {
    .isa = "ref", .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR, .place = place, .tile = tile };
