#ifndef OCT_PROGRAMS_INSPECT_RUNS_H
#define OCT_PROGRAMS_INSPECT_RUNS_H

#include "models/model.h"

/* octet inspect of a pruned or quantized file: which kernel each layer runs on here and, if it is
 * measured, what leaving out its zeros gains: the least time of the layer where they are multiplied
 * over the least time as it runs, a sample at a time. */
typedef struct inspect_runs {
    oct_model *model, *dense;  /* NULL: not such a file; not measured */
    double *ms, *dense_ms;     /* [n_steps] of each plan */
} inspect_runs;

/* options: as the file is inspected; passes and dense are not looked at.  A model that cannot run
 * here has no kernels, which is no failure. */
OCT_MUST_CHECK oct_status inspect_runs_open(const char *path, const oct_options *options,
                                            int measure, inspect_runs *out);
void inspect_runs_close(inspect_runs *r);

const char *inspect_kernel(const inspect_runs *r, const char *node); /* NULL: no step of its own */
double inspect_gain(const inspect_runs *r, const char *node); /* NAN: not measured, or dense */

#endif
