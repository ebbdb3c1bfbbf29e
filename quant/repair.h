#ifndef OCT_QUANT_REPAIR_H
#define OCT_QUANT_REPAIR_H

#include "graph/plan.h"

/* Repair of a pruned network on samples, without training: its layers learn to answer, with the
 * weights they have left, what the dense layers answered.
 *
 * In the order they run, of each chosen node:
 *
 *   conv2d, linear   the weights that are not 0 are solved for by least squares (quant/solve.h): x
 *                    is what the layer reads in the pruned network, repaired so far, y what the
 *                    dense one gives (quant/normal.h).  A bias becomes mean y - W mean x
 *   batchnorm        that alone reads such a layer: mean += mean' - mean'', var *= var' / var'',
 *                    where ' is W x and '' is y: the network's own statistics stay, the samples
 *                    only say what pruning did to them.  A ratio beyond 1/4 .. 4 counts as that.
 *                    (A batch norm elsewhere needs none: what follows it is solved for what it
 *                    gives)
 *
 * Nodes before the first one that differs are left alone: with nothing pruned nothing changes.
 *
 *     oct_repair_open(&dense->graph, &pruned->graph, &options, &r);
 *     while (...) { write samples into oct_repair_input(r, 0); oct_repair_add(r, n); }
 *     oct_repair_run(r);               the pruned graph's constants have their new values
 *
 * The bits depend on the samples and their order only: not on batch, threads or ISA.
 * Memory: two plans, the samples (quant/replay.h), and of a layer of k inputs and n outputs, of a
 * group, 8 (k + n) (k + 1024) bytes and 17 n k.  k may be OCT_REPAIR_MAX_K at most. */
enum { OCT_REPAIR_MAX_K = 8192 };

typedef struct oct_repair oct_repair;

typedef struct oct_repair_options {
    const unsigned char *chosen; /* [n_nodes]; others are left as they are */
    /* [n_nodes] of a layer that lost outputs: the dense one's that these are; NULL: all of them */
    const int *const *kept;
    unsigned cpu;
    oct_pool *pool;
} oct_repair_options;

typedef struct oct_repaired {
    double before, after;      /* of a layer: |W x - y|^2 as a share of y's own variance */
    const char *left;          /* why a chosen layer was left as it is; NULL: it was not */
    int done;
} oct_repaired;

/* Both graphs are of one model, without passes; the pruned one's constants have other data, or lack
 * channels.  Both are there as long as r is.  *out is the caller's. */
OCT_MUST_CHECK oct_status oct_repair_open(const oct_graph *dense, const oct_graph *pruned,
                                          const oct_repair_options *options, oct_repair **out);
void oct_repair_close(oct_repair *r); /* NULL is fine */

/* Input i, for up to a batch of samples; they are copied by oct_repair_add. */
oct_tensor *oct_repair_input(oct_repair *r, int i);
OCT_MUST_CHECK oct_status oct_repair_add(oct_repair *r, int n);

/* Once, after the samples; progress, NULL is fine, is called after each node.  ERR_FORMAT: there
 * are no samples, or what they do in the network is not finite. */
OCT_MUST_CHECK oct_status oct_repair_run(oct_repair *r,
                                         void (*progress)(void *arg, int done, int of), void *arg);
const oct_repaired *oct_repair_at(const oct_repair *r, int node);

#endif
