#ifndef OCT_QUANT_NORMAL_H
#define OCT_QUANT_NORMAL_H

#include "ops/op.h"

/* The normal equations of a layer, from streamed samples.
 *
 * Of rows x[r, 0..k), what the layer reads, and y[r, 0..out), what it should give, r = 0, 1, ...
 *
 *   gram[i,j]  = sum over r of (x[r,i] - mean x[i]) (x[r,j] - mean x[j])     [k, k]
 *   cross[o,j] = sum over r of (y[r,o] - mean y[o]) (x[r,j] - mean x[j])     [out, k]
 *
 * and the means: all that the least squares of y = W x + b need.  Memory does not grow with the
 * rows.
 *
 * Rows come in order; OCT_NORMAL_ROWS of them at a time are collected as columns
 *     z[i, 0..ROWS)   i < k: x[., i], else y[., i - k]
 * and multiplied, in FP32: a product's sums are chains over these rows, products are added one
 * after the other.  So the bits depend on the rows only, not on how many come at a time.  What is
 * summed has the mean of the first ROWS rows taken off, so that nothing cancels at the end. */
enum { OCT_NORMAL_ROWS = 1024 };

typedef struct oct_normal {
    int k, out;
    int64_t rows;
    float *matrix;         /* [k + out, k]: gram, then cross; sums before oct_normal_finish */
    double *mean;          /* [k + out] of x, then of y; valid after oct_normal_finish */
    double *square;        /* [out]: sum over r of (y - mean y)^2, likewise */
    float *z;              /* [k + out, ROWS]: the caller writes columns of it */
    float *shift;          /* [k + out] */
    int filled;            /* rows in z */
    unsigned cpu;
    oct_pool *pool;
    oct_arena arena;
} oct_normal;

/* out is freed with oct_normal_close, whatever happens. */
OCT_MUST_CHECK oct_status oct_normal_open(int k, int out, unsigned cpu, oct_pool *pool,
                                          oct_normal *n);
void oct_normal_close(oct_normal *n);

/* Room for `want` rows: *got >= 1 of them from column *first of z on are to be written, then
 * oct_normal_add is called. */
void oct_normal_room(const oct_normal *n, int want, int *first, int *got);
OCT_MUST_CHECK oct_status oct_normal_add(oct_normal *n, int got);

/* No more rows will come. */
OCT_MUST_CHECK oct_status oct_normal_finish(oct_normal *n);

#endif
