#include "quant/normal.h"

#include <string.h>

#include "ops/spread.h"
#include "quant/product.h"

enum { ROWS = OCT_NORMAL_ROWS };

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

oct_status oct_normal_open(int k, int out, unsigned cpu, oct_pool *pool, oct_normal *n)
{
    const size_t both = (size_t)k + (size_t)out;
    *n = (oct_normal){ .k = k, .out = out, .cpu = cpu, .pool = pool };
    n->matrix = oct_arena_zalloc(&n->arena, both * (size_t)k * sizeof *n->matrix);
    n->mean = oct_arena_zalloc(&n->arena, both * sizeof *n->mean);
    n->square = oct_arena_zalloc(&n->arena, (size_t)out * sizeof *n->square);
    n->shift = oct_arena_zalloc(&n->arena, both * sizeof *n->shift);
    n->z = oct_arena_alloc(&n->arena, both * ROWS * sizeof *n->z);
    return n->matrix && n->mean && n->square && n->shift && n->z ? OCT_OK : out_of_memory();
}

void oct_normal_close(oct_normal *n) { oct_arena_free(&n->arena); }

void oct_normal_room(const oct_normal *n, int want, int *first, int *got)
{
    *first = n->filled;
    *got = want < ROWS - n->filled ? want : ROWS - n->filled;
}

/* Rows first .. end - 1 of z: the shift is taken off, and the sums grow. */
static void center(void *arg, size_t first, size_t end)
{
    oct_normal *n = arg;
    for (size_t i = first; i < end; i++) {
        float *z = n->z + i * ROWS;
        double sum = 0, square = 0;
        for (int r = 0; r < n->filled && n->rows == 0; r++) sum += (double)z[r];
        if (n->rows == 0) n->shift[i] = (float)(sum / n->filled);
        sum = 0;
        for (int r = 0; r < n->filled; r++) {
            z[r] -= n->shift[i];
            sum += (double)z[r];
            square += (double)z[r] * (double)z[r];
        }
        memset(z + n->filled, 0, (size_t)(ROWS - n->filled) * sizeof *z);
        n->mean[i] += sum;
        if (i >= (size_t)n->k) n->square[i - (size_t)n->k] += square;
    }
}

static oct_status multiply(oct_normal *n)
{
    oct_product *p;
    const int both = n->k + n->out;
    if (!n->filled) return OCT_OK;
    oct_spread(n->pool, (size_t)both, ROWS * sizeof(float), center, n);
    OCT_TRY(oct_product_open(both, n->k, ROWS, n->z, n->cpu, n->pool, &p));
    oct_product_run(p, both, n->z, n->rows > 0, n->matrix);
    oct_product_close(p);
    n->rows += n->filled;
    n->filled = 0;
    return OCT_OK;
}

oct_status oct_normal_add(oct_normal *n, int got)
{
    n->filled += got;
    return n->filled == ROWS ? multiply(n) : OCT_OK;
}

/* What sums of shifted values have too much: sum_i sum_j / rows. */
static void finish_rows(void *arg, size_t first, size_t end)
{
    oct_normal *n = arg;
    const size_t k = (size_t)n->k;
    for (size_t i = first; i < end; i++) {
        const double mean = n->mean[i] / (double)n->rows;
        float *row = n->matrix + i * k;
        for (size_t j = 0; j < k; j++) row[j] = (float)((double)row[j] - mean * n->mean[j]);
        if (i >= k) n->square[i - k] -= mean * n->mean[i];
    }
}

oct_status oct_normal_finish(oct_normal *n)
{
    const size_t both = (size_t)n->k + (size_t)n->out;
    OCT_TRY(multiply(n));
    if (!n->rows) return OCT_OK;
    oct_spread(n->pool, both, (size_t)n->k * sizeof(float), finish_rows, n);
    for (size_t i = 0; i < both; i++)
        n->mean[i] = n->mean[i] / (double)n->rows + (double)n->shift[i];
    return OCT_OK;
}
