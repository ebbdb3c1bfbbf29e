#include "graph/plan.h"

int oct_plan_batch(const oct_plan *plan)
{
    if (plan->starts) return plan->starts->dim[0] - 1;
    return plan->n_ins ? plan->in[0].dim[0] : 0;
}

/* Values that hold the batch begin with sample number `first`. */
static void begin_with(oct_plan *plan, size_t first)
{
    for (int i = 0; i < plan->n_values; i++)
        plan->value[i].tensor->data = plan->value[i].data + first * plan->value[i].step;
}

void oct_plan_run_between(oct_plan *plan, oct_pool *pool, int n, int first, int end,
                          oct_plan_hook *after, void *arg)
{
    oct_run how = plan->how;
    const int texts = plan->starts ? n : 0;
    how.pool = pool;
    how.texts = texts;
    if (texts) n = ((const int32_t *)plan->starts->data)[texts];
    for (const oct_plan_group *g = plan->group; g < plan->group + plan->n_groups; g++)
        for (int at = 0; at < n && g->first < end; at += g->slice) {
            const int rows = n - at < g->slice ? n - at : g->slice;
            if (n > g->slice) begin_with(plan, (size_t)at);
            for (int i = g->first > first ? g->first : first; i < g->end && i < end; i++) {
                const oct_step *step = &plan->step[i];
                how.n = step->per_text ? texts : rows;
                step->op->run(&step->args, step->state, &how);
                if (after) after(arg, plan, i, how.n);
            }
            if (at + g->slice >= n && n > g->slice) begin_with(plan, 0);
        }
}

void oct_plan_run_steps(oct_plan *plan, oct_pool *pool, int n, int steps, oct_plan_hook *after,
                        void *arg)
{
    oct_plan_run_between(plan, pool, n, 0, steps, after, arg);
}

void oct_plan_run(oct_plan *plan, oct_pool *pool, int n, oct_plan_hook *after, void *arg)
{
    oct_plan_run_steps(plan, pool, n, plan->n_steps, after, arg);
}

oct_status oct_plan_run_all(oct_plan *plan, oct_pool *pool, int n)
{
    if (!plan->backend) {
        oct_plan_run(plan, pool, n, plan->watched ? oct_plan_watch : NULL, plan->watched);
        return OCT_OK;
    }
    const int texts = plan->starts ? n : 0;
    const int rows = texts ? ((const int32_t *)plan->starts->data)[texts] : n;
    OCT_TRY(plan->backend->run(plan->device, rows, texts));
    for (int i = 0; plan->watched && i < plan->n_steps; i++) {
        int nan, infinite;
        plan->backend->watched(plan->device, i, &nan, &infinite);
        plan->watched[i].nan += nan;
        plan->watched[i].infinite += infinite;
    }
    return OCT_OK;
}
