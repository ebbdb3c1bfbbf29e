#include "graph/plan.h"

void oct_plan_run(oct_plan *plan, oct_pool *pool, int n, oct_plan_hook *after, void *arg)
{
    oct_run how = plan->how;
    how.pool = pool;
    how.n = n;
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_step *step = &plan->step[i];
        step->op->run(&step->args, step->state, &how);
        if (after) after(arg, plan, i, n);
    }
}
