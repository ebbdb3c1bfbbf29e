#ifndef OCT_QUANT_EXTREMES_H
#define OCT_QUANT_EXTREMES_H

#include "ops/qparams.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

/* The least and the largest value of each channel, 0 included, for SmoothQuant.  Minima and maxima:
 * values may come in any order, in any batches. */
typedef struct oct_extremes {
    int channels;          /* the last dim of the value; 0: not asked for */
    float *lo, *hi;        /* [channels], lo <= 0 <= hi */
} oct_extremes;

OCT_MUST_CHECK oct_status oct_extremes_open(int channels, oct_extremes *out);
void oct_extremes_close(oct_extremes *e);

/* The first n rows of t, FP32 and DENSE [m, channels]; a NaN does not count. */
void oct_extremes_add(oct_extremes *e, const oct_tensor *t, int n, oct_pool *pool);

#endif
