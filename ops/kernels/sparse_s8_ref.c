/* sparse_s8, plain C: the specification.  Contract in sparse_s8.h. */
#include "ops/kernels/sparse_s8.h"

enum { NR = 8, LANES = 4, VECS = 14, SHARE = 4 };

static void input(const oct_sparse_in *t)
{
    for (int q = 0; q < t->planes; q++)
        for (int i = 0; i < 4 * t->n; i++)
            t->to[(size_t)q * t->step + (size_t)i] =
                t->x[(size_t)(i / 4) * t->pixel + (size_t)(4 * q + i % 4)];
}

static void input_4x1(const oct_sparse_in *t)
{
    for (int c = 0; c < t->planes; c++)
        for (int i = 0; i < t->n; i++)
            t->to[(size_t)c * t->step + (size_t)i] = t->x[(size_t)i * t->pixel + (size_t)c];
}

/* The sum of column j and this pixel to element `at`. */
static void put(const oct_sparse_s8_args *t, size_t at, int pixel, int j, int32_t acc)
{
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const oct_requant *q = t->out;
    if (t->row_zero) acc -= t->row_zero[pixel] * ((const int32_t *)t->panel)[3 * NR + j];
    float y = (float)acc * scale[j];
    if (t->row_scale) y = y * t->row_scale[pixel];
    switch (q->kind) {
    case OCT_REQUANT_S32:
        ((int32_t *)t->c)[at] = acc;
        break;
    case OCT_REQUANT_F32:
        y = y + fbias[j];
        if (t->residual) y = y + ((const float *)t->residual)[at];
        ((float *)t->c)[at] = oct_requant_act(y, q->act);
        break;
    case OCT_REQUANT_U8:
        y = ((float)acc + fbias[j]) * scale[j];
        if (t->residual) y = oct_requant_add(y, ((const uint8_t *)t->residual)[at], q);
        ((uint8_t *)t->c)[at] = oct_requant_u8(y, q);
        break;
    }
}

/* Column j of those that share n entries. */
static void column_4x1(const oct_sparse_s8_args *t, int j, const oct_sparse_s8_entry *e, int n)
{
    for (int r = 0; r < t->n_runs; r++)
        for (int i = 0; i < t->run[r].count; i++) {
            int32_t sum = ((const int32_t *)t->panel)[j];
            const uint8_t *x = (const uint8_t *)t->x + t->run[r].first + i;
            for (int k = 0; k < n; k++)
                for (int p = 0; p < 4; p++) sum += x[e[k].offset[p]] * e[k].w[j % SHARE][p];
            put(t, t->run[r].at + (size_t)i * t->ldc + (size_t)j, t->run[r].first + i, j, sum);
        }
}

static void column(const oct_sparse_s8_args *t, int j, const oct_sparse_s8_block *block, int n)
{
    for (int r = 0; r < t->n_runs; r++)
        for (int i = 0; i < t->run[r].count; i++) {
            int32_t sum = ((const int32_t *)t->panel)[j];
            for (int k = 0; k < n; k++) {
                const uint8_t *x = (const uint8_t *)t->x + block[k].offset +
                                   4 * (ptrdiff_t)(t->run[r].first + i);
                for (int p = 0; p < 4; p++) sum += x[p] * block[k].w[p];
            }
            put(t, t->run[r].at + (size_t)i * t->ldc + (size_t)j, t->run[r].first + i, j, sum);
        }
}

static void tile(const oct_sparse_s8_args *t)
{
    const int32_t *fast = (const int32_t *)t->panel + 4 * NR;
    const oct_sparse_s8_block *block = (const void *)(fast + 2 * NR);
    for (int j = 0; j < t->cols; block += fast[j++]) column(t, j, block, fast[j]);
}

const oct_sparse_s8 oct_sparse_s8_ref = { .isa = "ref", .x_max = 255, .share = 1,
                                          .lanes = LANES, .nr = NR, .vecs = VECS,
                                          .input = input, .tile = tile };

static void tile_4x1(const oct_sparse_s8_args *t)
{
    const int32_t *fast = (const int32_t *)t->panel + 4 * NR;
    const oct_sparse_s8_entry *entry = (const void *)(fast + 2 * NR);
    for (int j = 0; j < t->cols; j++) {
        column_4x1(t, j, entry, fast[j / SHARE]);
        if (j % SHARE == SHARE - 1) entry += fast[j / SHARE];
    }
}

const oct_sparse_s8 oct_sparse_s8_4x1_ref = { .isa = "ref", .x_max = 255, .share = SHARE,
                                              .lanes = LANES, .nr = NR, .vecs = VECS,
                                              .input = input_4x1, .tile = tile_4x1 };
