#ifndef OCT_MODELS_PRUNE_REPAIR_H
#define OCT_MODELS_PRUNE_REPAIR_H

#include "models/prune.h"

/* octet prune --calib: what oct_prune left, repaired on samples (quant/repair.h).
 *
 * The chosen layers, and those that read or give fewer channels now, are solved for and their batch
 * norms corrected, but for modules that the network uses twice, and layers that are read as one
 * with layers that were not chosen: these stay. */
typedef struct oct_prune_repair oct_prune_repair;

/* p: of the same path and options, its tensors there, until the repair is closed; pruned: the file
 * that p was saved to, read now.  options->batch samples are added at most at a time.  *out is the
 * caller's. */
OCT_MUST_CHECK oct_status oct_prune_repair_open(oct_pruned *p, const char *path,
                                                const char *pruned, const oct_options *options,
                                                oct_prune_repair **out);
void oct_prune_repair_close(oct_prune_repair *r); /* NULL is fine */

/* The model, described: input i's place for samples is oct_prune_repair_input. */
const oct_model *oct_prune_repair_model(const oct_prune_repair *r);
oct_tensor *oct_prune_repair_input(oct_prune_repair *r, int i);
OCT_MUST_CHECK oct_status oct_prune_repair_add(oct_prune_repair *r, int n);

/* p's tensors, zeros and p->repair have what came out.  progress as in quant/repair.h. */
OCT_MUST_CHECK oct_status oct_prune_repair_run(oct_prune_repair *r,
                                               void (*progress)(void *arg, int done, int of),
                                               void *arg);

#endif
