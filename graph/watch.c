#include <math.h>

#include "graph/plan.h"

void oct_plan_watch(void *watched, const oct_plan *plan, int step, int n)
{
    oct_watched *w = (oct_watched *)watched + step;
    const oct_tensor *t = plan->step[step].args.out;
    if (t->dtype != OCT_F32) return;
    const float *x = t->data;
    const size_t count = (size_t)n * oct_tensor_sample_count(t);
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(x[i]);
        if (size < INFINITY) w->most = size > w->most ? size : w->most;
        else if (size > 1) w->infinite++;
        else w->nan++;
    }
}
