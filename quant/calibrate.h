#ifndef OCT_QUANT_CALIBRATE_H
#define OCT_QUANT_CALIBRATE_H

#include "graph/plan.h"
#include "quant/extremes.h"
#include "quant/means.h"
#include "quant/observer.h"

/* Runs an FP32 plan on samples and counts what every value is.  One pass, nothing is kept of a
 * sample: memory depends on the plan only.  What comes out does not depend on the order of the
 * samples, the batch or the threads.
 *
 *     oct_calibration *c;
 *     OCT_TRY(oct_calibration_open(plan, pool, NULL, &c));
 *     while (...) {
 *         memcpy(plan->in[0].data, samples, ...);          // n of them
 *         oct_calibration_run(c, plan, pool, n);
 *     }
 *     OCT_TRY(oct_calibration_check(c));
 *     oct_observer_range(oct_calibration_find(c, "conv1")->observer, method, &options, &range);
 *     oct_calibration_close(c);
 */
typedef struct oct_observed {
    const char *name;        /* of the node that writes it; of inputs "input", "input.1" ... */
    oct_observer *observer;
    oct_means means;         /* of its channels; channels 0: not asked for */
    oct_extremes extremes;   /* of its channels; channels 0: not asked for, or no rows */
} oct_observed;

typedef struct oct_calibration oct_calibration;

typedef struct oct_calibrate_options {
    int means;               /* 1: collect E[x] of each channel, for bias correction */
    int extremes;            /* 1: least and largest of each channel of DENSE [m, d] values */
} oct_calibrate_options;

/* For this plan, or others of the same graph for the same or a smaller batch; the pool may have
 * fewer threads later, not more.  options may be NULL.  *out is the caller's. */
OCT_MUST_CHECK oct_status oct_calibration_open(const oct_plan *plan, const oct_pool *pool,
                                               const oct_calibrate_options *options,
                                               oct_calibration **out);
void oct_calibration_close(oct_calibration *c); /* NULL is fine */

/* The first n samples of the plan's inputs, 1 <= n <= the batch: runs and counts. */
void oct_calibration_run(oct_calibration *c, oct_plan *plan, oct_pool *pool, int n);

/* There were samples, and no value was NaN or infinite: else no range can be right.  The message
 * names the first value, in order of the run. */
OCT_MUST_CHECK oct_status oct_calibration_check(const oct_calibration *c);

int64_t oct_calibration_samples(const oct_calibration *c);

/* Values in order: the inputs, then what steps compute.  A step that only moves values (layout,
 * flatten) has none of its own: it shares its operand's. */
int oct_calibration_count(const oct_calibration *c);
const oct_observed *oct_calibration_at(const oct_calibration *c, int i);
const oct_observed *oct_calibration_step(const oct_calibration *c, int step);
/* By a node's name (the first of that name), movers included; NULL: none. */
const oct_observed *oct_calibration_find(const oct_calibration *c, const char *name);

/* Fills the inputs of a plan with up to `batch` samples, *n of them; 0: there are no more. */
typedef oct_status oct_calibrate_fill(void *arg, oct_tensor *in, int batch, int *n);

/* All of the above: open, run until fill gives no more, check. */
OCT_MUST_CHECK oct_status oct_calibrate(oct_plan *plan, oct_pool *pool,
                                        const oct_calibrate_options *options,
                                        oct_calibrate_fill *fill, void *arg,
                                        oct_calibration **out);

#endif
