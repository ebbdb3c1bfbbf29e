#include "quant/means.h"

#include <stdlib.h>

oct_status oct_means_open(int channels, oct_means *out)
{
    *out = (oct_means){ .channels = channels };
    out->whole = calloc(2 * (size_t)channels, sizeof *out->whole);
    if (!out->whole) return oct_fail(OCT_ERR_MEMORY, "means: out of memory");
    out->part = out->whole + channels;
    return OCT_OK;
}

void oct_means_close(oct_means *m) { free(m->whole); }

typedef struct work {
    const oct_tensor *t;
    const int32_t *starts; /* NULL: `rows` of each sample */
    int channels, blocks;
    size_t rows;           /* of a sample: positions that have a value of each channel */
    double *mean;          /* [n, channels] */
} work;

/* Block b of sample i / blocks: rows of `width` channels, summed row after row. */
static void average(void *arg, int i, int thread)
{
    const work *w = arg;
    const size_t sample = (size_t)(i / w->blocks), c = (size_t)w->channels;
    const int b = i % w->blocks, width = oct_block_width(w->channels, b);
    const size_t first = (size_t)b * OCT_BLOCK;
    const int blocked = w->t->layout == OCT_BLOCKED;
    const size_t stride = blocked ? (size_t)width : c;
    const size_t row = w->starts ? (size_t)w->starts[sample] : sample * w->rows;
    const size_t rows = w->starts ? (size_t)w->starts[sample + 1] - row : w->rows;
    const float *x = (const float *)w->t->data + row * c + (blocked ? first * rows : first);
    double sum[OCT_BLOCK] = { 0 };
    (void)thread;
    for (size_t r = 0; r < rows; r++, x += stride)
        for (int k = 0; k < width; k++) sum[k] += (double)x[k];
    for (int k = 0; k < width; k++)
        w->mean[sample * c + first + (size_t)k] = sum[k] / (double)rows;
}

static void add(oct_means *m, int c, double mean)
{
    const double most = 0x1p38;
    if (mean != mean) mean = 0;
    mean = mean > most ? most : mean < -most ? -most : mean;
    int64_t whole = (int64_t)mean;
    if ((double)whole > mean) whole--; /* floor */
    m->whole[c] += whole;
    m->part[c] += (int64_t)((mean - (double)whole) * 0x1p40 + 0.5);
}

void oct_means_add(oct_means *m, const oct_tensor *t, const int32_t *starts, int n, oct_pool *pool,
                   double *scratch)
{
    work w = { .t = t, .starts = starts, .channels = m->channels,
               .blocks = oct_block_count(m->channels),
               .rows = oct_tensor_sample_count(t) / (size_t)m->channels, .mean = scratch };
    oct_parallel_for(pool, n * w.blocks, average, &w);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < m->channels; c++, scratch++) add(m, c, *scratch);
    m->samples += n;
}

double oct_means_get(const oct_means *m, int c)
{
    if (!m->samples) return 0;
    return ((double)m->whole[c] + (double)m->part[c] * 0x1p-40) / (double)m->samples;
}
