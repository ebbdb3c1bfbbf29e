/* sparse_f32, plain C: the specification.  Contract in sparse_f32.h. */
#include <math.h>
#include <string.h>

#include "ops/kernels/sparse_f32.h"

enum { NR = OCT_SPARSE_F32_NR, LANES = 4, VECS = 14 };

static void input(const oct_sparse_in *t)
{
    for (int p = 0; p < t->planes; p++)
        for (int i = 0; i < t->n; i++) {
            float x;
            memcpy(&x, t->x + (size_t)i * t->pixel + 4 * (size_t)p, sizeof x);
            if (!isfinite(x)) *t->odd = 1;
            memcpy(t->to + (size_t)p * t->step + 4 * (size_t)i, &x, sizeof x);
        }
}

static void add(const oct_sparse_f32_args *t, int32_t offset, float w, float *sum)
{
    const float *x = (const float *)((const void *)((const char *)t->x + offset));
    for (int i = 0; i < t->vecs * LANES; i++) sum[i] = fmaf(x[i], w, sum[i]);
}

static float finish(float sum, float bias, const float *residual, oct_act act)
{
    float y = sum + bias;
    if (residual) y = y + *residual;
    if (act != OCT_ACT_NONE) y = y < 0 ? 0 : y;
    if (act == OCT_ACT_RELU6) y = y > 6 ? 6 : y;
    return y;
}

static void put(const oct_sparse_f32_args *t, int j, const float *sum)
{
    const float bias = ((const float *)t->panel)[j];
    for (int r = 0; r < t->n_runs; r++)
        for (int i = 0; i < t->run[r].count; i++) {
            const size_t at = t->run[r].at + (size_t)i * t->ldc + (size_t)j;
            t->c[at] = finish(sum[t->run[r].first + i], bias,
                              t->residual ? t->residual + at : NULL, t->act);
        }
}

static void tile(const oct_sparse_f32_args *t)
{
    float sum[NR][VECS * LANES];
    const int32_t *quads = (const int32_t *)t->panel + NR;
    const int32_t *singles = quads + t->chunks * (NR / 4);
    const int32_t *at = singles + t->chunks * NR;
    memset(sum, 0, sizeof sum);
    for (int c = 0; c < t->chunks; c++)
        for (int j = 0; j < NR; j += 4) {
            for (int q = 0; q < quads[c * (NR / 4) + j / 4]; q++, at += 5) {
                const oct_sparse_f32_quad *quad = (const void *)at;
                for (int l = 0; l < 4; l++) add(t, quad->offset, quad->w[l], sum[j + l]);
            }
            for (int l = 0; l < 4; l++)
                for (int q = 0; q < singles[c * NR + j + l]; q++, at += 2) {
                    const oct_sparse_f32_single *single = (const void *)at;
                    add(t, single->offset, single->w, sum[j + l]);
                }
        }
    for (int j = 0; j < t->cols; j++) put(t, j, sum[j]);
}

/* ---- any x ---- */

/* Column j's weights to their places in row; nothing where they have none. */
static void expand(const oct_sparse_f32_args *t, int column, const int32_t *offset, int k,
                   float *row)
{
    const int32_t *quads = (const int32_t *)t->panel + NR;
    const int32_t *singles = quads + t->chunks * (NR / 4);
    const int32_t *at = singles + t->chunks * NR;
    int next = 0;
    memset(row, 0, (size_t)k * sizeof *row);
    for (int c = 0; c < t->chunks; c++)
        for (int j = 0; j < NR; j++) {
            const int in_quads = j % 4 ? 0 : quads[c * (NR / 4) + j / 4];
            for (int q = 0; q < in_quads + singles[c * NR + j]; q++) {
                const int quad = q < in_quads, mine = quad ? column / 4 == j / 4 : column == j;
                for (; mine && next < k; next++)
                    if (offset[next] == *at) {
                        memcpy(&row[next++], at + 1 + (quad ? column % 4 : 0), sizeof *row);
                        break;
                    }
                at += quad ? 5 : 2;
            }
        }
}

void oct_sparse_f32_every(const oct_sparse_f32_args *t, const int32_t *offset, int k, float *row)
{
    for (int j = 0; j < t->cols; j++) {
        const float bias = ((const float *)t->panel)[j];
        expand(t, j, offset, k, row);
        for (int r = 0; r < t->n_runs; r++)
            for (int i = 0; i < t->run[r].count; i++) {
                const size_t at = t->run[r].at + (size_t)i * t->ldc + (size_t)j;
                const char *x = (const char *)t->x + 4 * (size_t)(t->run[r].first + i);
                float sum = 0;
                for (int p = 0; p < k; p++)
                    sum = fmaf(*(const float *)(const void *)(x + offset[p]), row[p], sum);
                t->c[at] = finish(sum, bias, t->residual ? t->residual + at : NULL, t->act);
            }
    }
}

const oct_sparse_f32 oct_sparse_f32_ref = { .isa = "ref", .lanes = LANES, .vecs = VECS,
                                            .input = input, .tile = tile };
