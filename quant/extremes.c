#include "quant/extremes.h"

#include <stdlib.h>

enum { PART = 64 /* channels a thread looks at */ };

oct_status oct_extremes_open(int channels, oct_extremes *out)
{
    *out = (oct_extremes){ .channels = channels };
    out->lo = calloc(2 * (size_t)channels, sizeof *out->lo);
    if (!out->lo) return oct_fail(OCT_ERR_MEMORY, "extremes: out of memory");
    out->hi = out->lo + channels;
    return OCT_OK;
}

void oct_extremes_close(oct_extremes *e) { free(e->lo); }

typedef struct work {
    oct_extremes *e;
    const float *x;
    int rows;
} work;

static void look(void *arg, int part, int thread)
{
    const work *w = arg;
    const int all = w->e->channels, first = part * PART;
    const int end = first + PART < all ? first + PART : all;
    const float *x = w->x;
    (void)thread;
    for (int i = 0; i < w->rows; i++, x += all)
        for (int c = first; c < end; c++) {
            w->e->lo[c] = x[c] < w->e->lo[c] ? x[c] : w->e->lo[c];
            w->e->hi[c] = x[c] > w->e->hi[c] ? x[c] : w->e->hi[c];
        }
}

void oct_extremes_add(oct_extremes *e, const oct_tensor *t, int n, oct_pool *pool)
{
    work w = { e, t->data, n };
    oct_parallel_for(pool, (e->channels + PART - 1) / PART, look, &w);
}
