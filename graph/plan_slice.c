/* A batch of large images does not fit the caches: layer by layer, each would write the whole batch
 * to memory and the next would read it back.  So the first steps, whose activations are large, take
 * a few samples through several layers; the later ones, whose weights are large, take the batch, so
 * that the weights are read once.  No sum knows the difference: the bits stay.
 *
 *   want[i]  = samples of which step i reads and writes SLICE_SIZE bytes, a power of two
 *   slice[i] = the least want of steps i and later, so that groups are few and slices grow
 *   group    = neighbours of equal slice */
#include "graph/plan.h"

enum { SLICE_SIZE = 6 << 20 };

static int want(size_t bytes, int batch)
{
    int slice = 1;
    while (slice < batch && 2 * (size_t)slice * bytes <= SLICE_SIZE) slice *= 2;
    return slice < batch ? slice : batch;
}

oct_status oct_plan_slices(oct_plan *plan, const size_t *bytes, int batch)
{
    oct_plan_group *g = oct_arena_alloc(&plan->arena, ((size_t)plan->n_steps + 1) * sizeof *g);
    if (!g) return oct_fail(OCT_ERR_MEMORY, "plan: out of memory");
    int n = 0, least = batch;
    for (int i = plan->n_steps; i-- > 0;) { /* from the end; g[0] is the last group */
        const int w = want(bytes[i], batch);
        if (w < least) least = w;
        if (n && g[n - 1].slice == least) g[n - 1].first = i;
        else g[n++] = (oct_plan_group){ i, i + 1, least };
    }
    for (int i = 0; i < n / 2; i++) {
        const oct_plan_group other = g[i];
        g[i] = g[n - 1 - i];
        g[n - 1 - i] = other;
    }
    plan->group = g;
    plan->n_groups = n;
    return OCT_OK;
}
