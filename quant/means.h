#ifndef OCT_QUANT_MEANS_H
#define OCT_QUANT_MEANS_H

#include <stdint.h>

#include "tensor/tensor.h"
#include "tensor/threads.h"

/* E[x] of each channel, for bias correction: what the rounded weights add to an output on average
 * is (W_q - W) E[x].
 *
 * A sample's mean of a channel is a sum in double in a fixed order, then rounded to a multiple of
 * 2^-40 and added as integers: samples may come in any order and any batches, the sums are the
 * same.  A mean beyond +-2^38 counts as that, a NaN as 0.  2^24 samples fit. */
typedef struct oct_means {
    int channels;          /* the last dim of the value */
    int64_t samples;
    int64_t *whole, *part; /* [channels]: sums of floor(mean), of the rest in units of 2^-40 */
} oct_means;

OCT_MUST_CHECK oct_status oct_means_open(int channels, oct_means *out);
void oct_means_close(oct_means *m);

/* The first n samples of t, FP32, whose last dim is m->channels; starts NULL: each is t's first dim
 * once, else sample i is the rows starts[i] .. starts[i + 1] - 1 of a DENSE t.  scratch:
 * [n, channels]. */
void oct_means_add(oct_means *m, const oct_tensor *t, const int32_t *starts, int n, oct_pool *pool,
                   double *scratch);

/* 0 without samples */
double oct_means_get(const oct_means *m, int channel);

#endif
