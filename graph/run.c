#include "graph/plan.h"

void oct_plan_run_steps(oct_plan *plan, oct_pool *pool, int n, int steps, oct_plan_hook *after,
                        void *arg)
{
    oct_run how = plan->how;
    how.pool = pool;
    how.n = n;
    for (int i = 0; i < steps; i++) {
        const oct_step *step = &plan->step[i];
        step->op->run(&step->args, step->state, &how);
        if (after) after(arg, plan, i, n);
    }
}

void oct_plan_run(oct_plan *plan, oct_pool *pool, int n, oct_plan_hook *after, void *arg)
{
    oct_plan_run_steps(plan, pool, n, plan->n_steps, after, arg);
}
