#include "programs/inspect_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "programs/report.h"

enum { WARM = 2, RUNS = 12, TOKENS = 64 };

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "out of memory"); }

static int step_of(const oct_plan *plan, const char *node)
{
    for (int i = 0; i < plan->n_steps; i++)
        if (strcmp(plan->step[i].node->name, node) == 0) return i;
    return -1;
}

/* ---- time ---- */

/* Which values run does not matter; of texts one of TOKENS of the first token. */
static void fill(oct_model *m)
{
    if (!m->graph.starts) return;
    int32_t *starts = oct_model_input(m, 1)->data;
    memset(oct_model_input(m, 0)->data, 0, TOKENS * sizeof(int32_t));
    if (oct_model_input(m, 2)) memset(oct_model_input(m, 2)->data, 0, TOKENS * sizeof(int32_t));
    starts[0] = 0;
    starts[1] = m->max_length < TOKENS ? m->max_length : TOKENS;
}

static void run(oct_model *m, int count, double *laps, double *least)
{
    const int n = m->plan->n_steps;
    report_laps l = { .ms = laps };
    memset(laps, 0, (size_t)n * sizeof *laps);
    l.last = report_now_ms();
    oct_plan_run(m->plan, m->pool, 1, report_lap, &l);
    for (int i = 0; i < n && count; i++) least[i] = fmin(least[i], laps[i]);
}

/* In turns, so that what disturbs one disturbs both. */
static oct_status measure(inspect_runs *r)
{
    const int n = r->model->plan->n_steps, m = r->dense->plan->n_steps;
    double *laps = calloc((size_t)(n > m ? n : m) + 1, sizeof *laps);
    r->ms = calloc((size_t)n + 1, sizeof *r->ms);
    r->dense_ms = calloc((size_t)m + 1, sizeof *r->dense_ms);
    if (!laps || !r->ms || !r->dense_ms) return free(laps), out_of_memory();
    for (int i = 0; i < n; i++) r->ms[i] = INFINITY;
    for (int i = 0; i < m; i++) r->dense_ms[i] = INFINITY;
    fill(r->model);
    fill(r->dense);
    for (int i = -WARM; i < RUNS; i++) {
        run(r->model, i >= 0, laps, r->ms);
        run(r->dense, i >= 0, laps, r->dense_ms);
    }
    free(laps);
    return OCT_OK;
}

/* ---- open, close ---- */

static oct_status load(const char *path, const oct_options *options, int dense, oct_model **out)
{
    oct_options o = *options;
    o.passes = NULL;
    o.batch = 1;
    o.dense = dense;
    return oct_model_load(path, &o, out);
}

oct_status inspect_runs_open(const char *path, const oct_options *options, int measured,
                             inspect_runs *out)
{
    *out = (inspect_runs){ .model = NULL };
    const oct_status status = load(path, options, 0, &out->model);
    if (status == OCT_ERR_MEMORY || status == OCT_ERR_IO || measured) OCT_TRY(status);
    if (!measured) return OCT_OK;
    OCT_TRY(load(path, options, 1, &out->dense));
    return measure(out);
}

void inspect_runs_close(inspect_runs *r)
{
    oct_model_free(r->model);
    oct_model_free(r->dense);
    free(r->ms);
    free(r->dense_ms);
}

/* ---- by name ---- */

const char *inspect_kernel(const inspect_runs *r, const char *node)
{
    const int i = r->model ? step_of(r->model->plan, node) : -1;
    return i < 0 ? NULL : r->model->plan->step[i].kernel;
}

double inspect_gain(const inspect_runs *r, const char *node)
{
    if (!r->dense) return NAN;
    const int i = step_of(r->model->plan, node), k = step_of(r->dense->plan, node);
    if (i < 0 || k < 0) return NAN;
    const char *is = r->model->plan->step[i].kernel, *was = r->dense->plan->step[k].kernel;
    return is && was && strcmp(is, was) != 0 ? r->dense_ms[k] / r->ms[i] : NAN;
}
