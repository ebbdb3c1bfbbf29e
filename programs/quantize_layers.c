/* octet quantize's look at each layer: the FP32 and the INT8 network run the same samples. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/feed.h"
#include "programs/quantize.h"
#include "programs/report.h"
#include "tensor/text.h"

enum { SAMPLES = 64, RUNS = 9, LONG_MS = 2000 };

/* ---- time ---- */

static oct_status time_steps(const oct_model *m, int n, double *ms)
{
    const size_t steps = (size_t)m->plan->n_steps;
    double *all = calloc(steps * (RUNS + 1), sizeof *all), run[RUNS];
    if (!all) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    const double start = report_now_ms();
    int runs = -1; /* the first one warms up */
    for (; runs < RUNS && (runs < 1 || report_now_ms() < start + LONG_MS); runs++) {
        report_laps laps = { report_now_ms(), all + (size_t)(runs + 1) * steps };
        oct_plan_run(m->plan, m->pool, n, report_lap, &laps);
    }
    for (size_t k = 0; k < steps; k++) {
        for (int i = 0; i < runs; i++) run[i] = all[(size_t)(i + 1) * steps + k];
        report_sort(run, runs);
        ms[k] = run[runs / 2] / n;
    }
    free(all);
    return OCT_OK;
}

int quantize_time_both(const quantize_work *w, oct_model *ints, double *before, double *after)
{
    int code = quantize_text_fill(w, w->job.model);
    if (!code) code = quantize_text_fill(w, ints);
    if (code) return code;
    oct_status status = time_steps(w->job.model, w->job.batch, before);
    if (!status) status = time_steps(ints, w->job.batch, after);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

int quantize_step(const oct_plan *plan, const char *name)
{
    int i = 0;
    while (i < plan->n_steps && strcmp(plan->step[i].node->name, name) != 0) i++;
    return i < plan->n_steps ? i : -1;
}

/* ---- what is known of a layer without running ---- */

/* Of a layer that can become integers; NULL: node is none. */
static const oct_tensor *weight_of(const oct_node *node)
{
    switch (node->kind) {
    case OCT_OP_CONV2D:    return node->args.in[OCT_CONV2D_W];
    case OCT_OP_LINEAR:    return node->args.in[OCT_LINEAR_W];
    case OCT_OP_EMBEDDING: return node->args.in[OCT_EMBEDDING_WORD];
    default:               return NULL;
    }
}

static const char *shape_of(oct_arena *arena, const oct_tensor *t)
{
    char *text = oct_arena_alloc(arena, 64);
    oct_text out = { text, 64 };
    if (!text) return NULL;
    if (t->layout == OCT_BLOCKED)
        oct_text_put(&out, "[%d, %d, %d]", t->dim[3], t->dim[1], t->dim[2]);
    else oct_text_put(&out, "[%d]", t->dim[t->rank - 1]);
    return text;
}

static const char *why_kept(const quantize_work *w, const char *name)
{
    for (int i = 0; i < w->n_kept; i++)
        if (strcmp(w->kept[i].layer, name) == 0) return w->kept[i].why;
    return NULL;
}

/* Range and clipping of what a layer writes, where that is integers. */
static void set_range(const quantize_work *w, const oct_tensor *y, layer_report *out)
{
    out->low = out->high = out->seen_low = out->seen_high = out->clipped = out->scale = NAN;
    const oct_calibration *c = oct_quantizer_calibration(w->q);
    const oct_observed *seen = c ? oct_calibration_find(c, out->name) : NULL;
    if (seen) {
        const oct_range range = oct_observer_minmax(seen->observer);
        out->seen_low = (double)range.lo;
        out->seen_high = (double)range.hi;
    }
    if (y->dtype != OCT_U8) return;
    out->scale = (double)*y->scale;
    out->zero = y->zero;
    const oct_range kept = { *y->scale * (float)-y->zero, *y->scale * (float)(y->max - y->zero) };
    out->low = (double)kept.lo;
    out->high = (double)kept.hi;
    if (seen && seen->observer->total)
        out->clipped = (double)oct_observer_outside(seen->observer, kept) /
                       (double)seen->observer->total;
}

/* ---- both networks on the same samples ---- */

static int run_both(quantize_work *w, job *a, job *b, const float *x, int n, diff_set *set)
{
    const float *logits;
    oct_status status = job_run(a, x, n, &logits, NULL);
    if (!status) status = job_run(b, x, n, &logits, NULL);
    if (!status) status = diff_add(set, 0, n);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

static int compare(quantize_work *w, job *a, job *b, diff_set *set)
{
    oct_source *source = w->calib ? w->calib : w->eval;
    char *data = w->calib ? w->a->calib : w->a->eval;
    int code = CLI_OK, done = 0;
    if (w->texts) return quantize_text_compare(w, a, b, set);
    if (!source) {
        float *x = job_random(a, a->batch);
        if (!x) return cli_refuse(w->a, NULL, OCT_ERR_MEMORY, "out of memory");
        code = run_both(w, a, b, x, a->batch, set);
        free(x);
        return code;
    }
    feed *f;
    feed_batch batch;
    const oct_status status = feed_open(a, &data, 1, source, 0, &f);
    if (status) return cli_fail(w->a, data, status);
    for (feed_next(f, &batch); batch.n && !code && done < SAMPLES; feed_next(f, &batch)) {
        code = run_both(w, a, b, batch.data, batch.n, set);
        done += batch.n;
    }
    feed_close(f);
    return code;
}

static const diff_layer *find(const diff_set *set, const char *name)
{
    for (int i = 0; i < set->n; i++)
        if (strcmp(set->layer[i].name, name) == 0) return &set->layer[i];
    return NULL;
}

static void fill(quantize_work *w, const job *a, const job *b, const diff_set *set,
                 const double *before, const double *after, layer_report *list)
{
    const oct_plan *plan = b->model->plan;
    int n = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_step *step = &plan->step[i];
        const oct_tensor *weight = weight_of(step->node);
        if (!weight) continue;
        const int integers = weight->dtype == OCT_S8;
        const diff_layer *diff = find(set, step->node->name);
        const int other = quantize_step(a->model->plan, step->node->name);
        layer_report *l = &list[n++];
        *l = (layer_report){ .name = oct_arena_strdup(&w->arena, step->node->name),
                             .op = step->op->name, .shape = shape_of(&w->arena, step->args.out),
                             .precision = integers ? "int8" : "fp32",
                             .why = integers ? NULL : why_kept(w, step->node->name),
                             .macs = step->macs, .sqnr_db = diff ? diff_sqnr(diff) : NAN,
                             .ms_before = other < 0 ? NAN : before[other], .ms_after = after[i] };
        if (!l->name) l->name = "";
        set_range(w, step->args.out, l);
    }
    w->report.layer = list;
    w->report.n_layers = n;
}

/* Times are taken of plans that reuse memory, as they run for the user. */
static int measure(quantize_work *w, double *before, double *after)
{
    job trial;
    int code = quantize_trial_open(w, w->kept, w->n_kept, 0, &trial, NULL);
    if (code) return code;
    code = quantize_time_both(w, trial.model, before, after);
    quantize_trial_close(&trial);
    return code;
}

static int look(quantize_work *w, job *a, job *b)
{
    const size_t n = (size_t)a->model->plan->n_steps, m = (size_t)b->model->plan->n_steps;
    layer_report *list = oct_arena_zalloc(&w->arena, m * sizeof *list);
    double *before = oct_arena_zalloc(&w->arena, (n + m) * sizeof *before), *after = before + n;
    diff_set set;
    if (!list || !before) return cli_refuse(w->a, NULL, OCT_ERR_MEMORY, "out of memory");
    int code = measure(w, before, after);
    if (code) return code;
    const oct_status status = diff_pair_models(a->model, b->model, &set);
    if (status) return cli_fail(w->a, w->path, status);
    code = compare(w, a, b, &set);
    if (!code) fill(w, a, b, &set, before, after, list);
    diff_free(&set);
    return code;
}

static int open_images(quantize_work *w, job *a, job *b)
{
    job_settings settings = job_defaults(w->a, w->path, w->job.batch);
    settings.keep_values = 1;
    settings.source = w->calib ? w->calib : w->eval;
    const int code = job_open(w->a, &settings, a);
    return code ? code : quantize_trial_open(w, w->kept, w->n_kept, 1, b, NULL);
}

int quantize_layers(quantize_work *w)
{
    job a = { .batch = 0 }, b;
    int code = w->texts ? quantize_text_pair(w, &a, &b) : open_images(w, &a, &b);
    if (!code) {
        code = look(w, &a, &b);
        quantize_trial_close(&b);
    }
    job_close(&a);
    return code;
}
