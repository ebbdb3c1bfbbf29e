#ifndef OCT_QUANT_REPLAY_H
#define OCT_QUANT_REPLAY_H

#include "graph/plan.h"

/* The same samples through two plans of one graph, dense and pruned, as far as some step, again and
 * again, while the pruned one's later steps change.
 *
 *     oct_replay_add(r, n);                        the plan's inputs hold n samples: they are kept
 *     for (b = 0; b < r->n_batches; b++)
 *         oct_replay_to(r, b, step, keep);         both plans have done the steps before `step`
 *     oct_replay_kept(r, step);                    if keep: from now on all begin here
 *
 * What later steps read of earlier ones' values is kept for all samples at one step, so that
 * nothing is computed twice; where that would be more than OCT_REPLAY_SIZE bytes, the plans begin
 * at an earlier step.  Memory: the samples' inputs, up to OCT_REPLAY_SIZE, twice that of a
 * batch. */
#define OCT_REPLAY_SIZE ((size_t)1 << 30)

enum { OCT_REPLAY_DENSE, OCT_REPLAY_PRUNED, OCT_REPLAY_PLANS };

typedef struct oct_replay_batch {
    int n;                     /* samples: images, texts */
    int tokens;                /* of the texts */
    unsigned char *in;         /* the inputs, one after the other */
    unsigned char *value[OCT_REPLAY_PLANS]; /* what lives at the step, likewise; NULL: nothing */
} oct_replay_batch;

typedef struct oct_replay {
    oct_plan *plan[OCT_REPLAY_PLANS]; /* whole (oct_plan_options) */
    oct_pool *pool;
    int at;                    /* the step that kept values are of */
    int64_t samples, tokens;
    oct_replay_batch *batch;
    int n_batches, max_batches;
} oct_replay;

/* The first n samples of the dense plan's inputs, 1 <= n <= the batch. */
OCT_MUST_CHECK oct_status oct_replay_add(oct_replay *r, int n);
void oct_replay_close(oct_replay *r);

/* May the values before `step` be kept? */
int oct_replay_fits(const oct_replay *r, int step);
OCT_MUST_CHECK oct_status oct_replay_to(oct_replay *r, int batch, int step, int keep);
void oct_replay_kept(oct_replay *r, int step);

#endif
