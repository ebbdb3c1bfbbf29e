#ifndef OCT_QUANT_OBSERVER_H
#define OCT_QUANT_OBSERVER_H

#include <stddef.h>
#include <stdint.h>

#include "quant/qparams.h"
#include "tensor/status.h"

/* What an activation's values were, in counts; and four ways to choose a range from them.
 *
 * A value is counted by its sign and the leading bits of its float: exponent and 9 bits of
 * mantissa, 512 bins an octave from 2^-32 to 2^32.  So bins are fixed before the first value is
 * seen, a bin is at most 1/512 of its value wide, and one pass over the data serves all methods.
 * Smaller magnitudes fall into the first bin, larger ones into the last.  Zeros of both signs,
 * NaN and infinities are counted apart.
 *
 * All fields are integers, sums or maxima of what each value gives: two observers that saw the same
 * values, in any order, in any pieces, merged from any threads, are equal byte for byte.  The size
 * does not depend on how many there were; sums hold 2^64 - 1 of them.
 *
 * docs/quantization.md says why these bins and what they cost. */
enum {
    OCT_OBSERVER_LEAST = (127 - 32) << 23,           /* bits of 2^-32 */
    OCT_OBSERVER_SHIFT = 23 - 9,
    OCT_OBSERVER_BINS  = 64 << 9,                    /* of each sign */
    OCT_OBSERVER_ROOM  = 8,
};

typedef struct oct_observer {
    /* positive by rising magnitude, negative likewise; the rest is room for oct_observer_add, 0 */
    uint64_t count[2 * OCT_OBSERVER_BINS + OCT_OBSERVER_ROOM];
    uint64_t total;                        /* finite values, zeros included */
    uint64_t zeros, nans, infinities;
    int32_t most[2];                       /* bits of the largest magnitude of each sign, or 0 */
    int64_t least;                         /* 1 less than bits of the smallest but 0; INT32_MAX */
} oct_observer;

/* calloc'd, free() it; NULL: out of memory.  Pages of bins that stay empty cost nothing. */
oct_observer *oct_observer_new(void);
void oct_observer_clear(oct_observer *o);

/* One thread at a time an observer; threads count into their own and merge. */
void oct_observer_add(oct_observer *o, const float *x, size_t n);
void oct_observer_merge(oct_observer *into, const oct_observer *from);

/* Finite values only, and 0: min <= 0 <= max. */
oct_range oct_observer_minmax(const oct_observer *o);

/* Finite values outside [lo, hi].  Exact for ends that are the minimum or the maximum; at a bin's
 * edge a value equal to it counts as outside; elsewhere the bin around the end counts as inside. */
uint64_t oct_observer_outside(const oct_observer *o, oct_range range);

/* The lower edge of bin i (of magnitudes), 0 <= i <= OCT_OBSERVER_BINS; 0 for i = 0. */
double oct_observer_edge(int i);

typedef enum oct_method {
    OCT_METHOD_MINMAX, OCT_METHOD_PERCENTILE, OCT_METHOD_KL, OCT_METHOD_MSE, OCT_METHOD_COUNT
} oct_method;
const char *oct_method_name(oct_method method); /* "minmax", "percentile", "kl", "mse" */
OCT_MUST_CHECK oct_status oct_method_find(const char *name, oct_method *out);

enum { OCT_PERCENTILE_DEFAULT = 999300 };  /* 99.93 %: docs/quantization.md, Accuracy */
typedef struct oct_method_options {
    int qmax;          /* 127 or 255: kl and mse weigh the grid's coarseness against clipping */
    int ppm;           /* percentile: parts per million that stay inside; 0: the default */
} oct_method_options;

/* min <= lo <= 0 <= hi <= max.  Without a finite value but 0: 0, 0.  ERR_MEMORY: kl and mse. */
OCT_MUST_CHECK oct_status oct_observer_range(const oct_observer *o, oct_method method,
                                             const oct_method_options *options, oct_range *out);

/* The finishers; each says in its file what it does. */
oct_range oct_observer_percentile(const oct_observer *o, int ppm);
OCT_MUST_CHECK oct_status oct_observer_kl(const oct_observer *o, int qmax, oct_range *out);
OCT_MUST_CHECK oct_status oct_observer_mse(const oct_observer *o, int qmax, oct_range *out);

/* Expected square of the error that quantizing to this range makes on the counted values: their
 * mean, zeros included.  A coarser view of the bins than the counts': 32 an octave. */
double oct_observer_error(const oct_observer *o, oct_range range, int qmax);

#endif
