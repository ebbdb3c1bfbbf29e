/* lint: samples through the network as it was built; moments of what its batch norms see. */
#include "quant/lint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "quant/lint_private.h"

/* Samples kept for the trials, as many as 40 MB hold, within these bounds: enough that the margin
 * of the answers tells (docs/lint.md), few enough that trials stay short.  64 of 3 x 224 x 224. */
enum { MIN_KEPT = 16, MAX_KEPT = 128, KEPT_FLOATS = 64 * 3 * 224 * 224 };

const char *oct_lint_cause_name(oct_lint_cause cause)
{
    static const char *const names[] = {
#define X(KIND, name) name,
        OCT_LINT_LIST(X)
#undef X
    };
    return names[cause];
}

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "lint: out of memory"); }

/* ---- what one sample shows to one batch norm ---- */

typedef struct job {
    oct_lint *l;
    const lint_bn *bn;
    const oct_tensor *x;
} job;

/* Mean and mean square of `width` channels over `map` pixels that are `width` apart. */
static void channel_moments(const float *x, size_t map, int width, double *mean, double *square)
{
    double sum[OCT_BLOCK] = { 0 }, sum2[OCT_BLOCK] = { 0 };
    for (size_t i = 0; i < map; i++, x += width)
        for (int c = 0; c < width; c++) {
            const double v = x[c];
            sum[c] += v;
            sum2[c] += v * v;
        }
    for (int c = 0; c < width; c++) {
        mean[c] = sum[c] / (double)map;
        square[c] = sum2[c] / (double)map;
    }
}

static void sample_moments(void *arg, int i, int thread)
{
    const job *j = arg;
    const oct_tensor *x = j->x;
    const float *at = (const float *)x->data + (size_t)i * oct_tensor_sample_count(x);
    const size_t map = x->rank == 4 ? (size_t)x->dim[1] * (size_t)x->dim[2] : 1;
    double *mean = j->l->moments + 2 * (size_t)i * j->l->channels + j->bn->at;
    double *square = mean + j->l->channels;
    (void)thread;
    for (int b = 0; b < oct_block_count(j->bn->c); b++) { /* of dense rows, blocks follow as well */
        const int width = oct_block_width(j->bn->c, b);
        channel_moments(at, map, width, mean + b * OCT_BLOCK, square + b * OCT_BLOCK);
        at += map * (size_t)width;
    }
}

typedef struct hooked {
    oct_lint *l;
    lint_sums *sums;
} hooked;

static void after_step(void *arg, const oct_plan *plan, int step, int n)
{
    const hooked *h = arg;
    oct_lint *l = h->l;
    if (l->bn_of_step[step] < 0) return;
    const lint_bn *bn = &l->bn[l->bn_of_step[step]];
    job j = { l, bn, plan->step[step].args.in[OCT_BATCHNORM_X] };
    oct_parallel_for(l->o.pool, n, sample_moments, &j);
    for (int i = 0; i < n; i++) {
        const double *m = l->moments + 2 * (size_t)i * l->channels;
        for (size_t c = bn->at; c < bn->at + (size_t)bn->c; c++) {
            h->sums->mean[c] += m[c];
            h->sums->square[c] += m[l->channels + c];
        }
    }
}

void oct_lint_run(oct_lint *l, int n, int steps, lint_sums *sums)
{
    hooked h = { l, sums };
    oct_plan_run_steps(l->o.plan, l->o.pool, n, steps, after_step, &h);
    sums->n += n;
}

double oct_lint_margin(const oct_lint *l, int i, int *answer)
{
    const float *y = (const float *)l->o.plan->out[0].data + (size_t)i * (size_t)l->classes;
    double most = -INFINITY, second = -INFINITY;
    *answer = 0;
    for (int k = 0; k < l->classes; k++) {
        const double v = l->o.is_probability ? log(fmax(y[k], 1e-30)) : y[k];
        if (v > most) second = most, most = v, *answer = k;
        else if (v > second) second = v;
    }
    return l->classes > 1 ? most - second : 0;
}

/* ---- opening ---- */

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A hundredth of the median variance: a channel that was almost dead in training would turn any
 * difference into an enormous distance. */
static oct_status set_floor(const oct_lint *l, lint_bn *bn)
{
    double *sorted = malloc((size_t)bn->c * sizeof *sorted);
    if (!sorted) return out_of_memory();
    memcpy(sorted, l->run_var + bn->at, (size_t)bn->c * sizeof *sorted);
    qsort(sorted, (size_t)bn->c, sizeof *sorted, rising);
    bn->floor = fmax(sorted[bn->c / 2] * 1e-2, 1e-12);
    free(sorted);
    return OCT_OK;
}

static oct_status read_running(oct_lint *l, lint_bn *bn)
{
    const oct_args *args = &l->o.plan->step[bn->step].node->args;
    const oct_tensor *mean = args->in[OCT_BATCHNORM_MEAN], *var = args->in[OCT_BATCHNORM_VAR];
    for (int c = 0; c < bn->c; c++) {
        float m, v;
        oct_tensor_read_f32(mean, (size_t)c, 1, &m);
        oct_tensor_read_f32(var, (size_t)c, 1, &v);
        if (!isfinite(m) || !isfinite(v) || v < 0)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: running mean %g, variance %g of channel %d",
                            bn->name, (double)m, (double)v, c);
        l->run_mean[bn->at + (size_t)c] = m;
        l->run_var[bn->at + (size_t)c] = v;
    }
    return set_floor(l, bn);
}

/* Mean 0 and variance 1 everywhere: nothing was recorded, there is nothing to compare with. */
static int is_untouched(const oct_lint *l, const lint_bn *bn)
{
    for (size_t c = bn->at; c < bn->at + (size_t)bn->c; c++)
        if (l->run_mean[c] != 0 || l->run_var[c] != 1) return 0;
    return 1;
}

static oct_status find_batch_norms(oct_lint *l)
{
    const oct_plan *plan = l->o.plan;
    l->bn = oct_arena_zalloc(&l->arena, ((size_t)plan->n_steps + 1) * sizeof *l->bn);
    l->bn_of_step = oct_arena_alloc(&l->arena, ((size_t)plan->n_steps + 1) * sizeof(int));
    if (!l->bn || !l->bn_of_step) return out_of_memory();
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_node *node = plan->step[i].node;
        l->bn_of_step[i] = -1;
        if (node->kind != OCT_OP_BATCHNORM) continue;
        const oct_tensor *x = node->args.in[OCT_BATCHNORM_X];
        l->bn[l->n_bn++] = (lint_bn){ .name = node->name, .step = i, .at = l->channels,
                                      .c = x->dim[x->rank - 1] };
        l->channels += (size_t)x->dim[x->rank - 1];
    }
    l->run_mean = oct_arena_alloc(&l->arena, l->channels * sizeof(double));
    l->run_var = oct_arena_alloc(&l->arena, l->channels * sizeof(double));
    if (!l->run_mean || !l->run_var) return out_of_memory();
    const int found = l->n_bn;
    l->n_bn = 0;
    for (int i = 0; i < found; i++) {
        lint_bn bn = l->bn[i];
        OCT_TRY(read_running(l, &bn));
        if (is_untouched(l, &bn)) continue;
        l->bn_of_step[bn.step] = l->n_bn;
        l->bn[l->n_bn++] = bn;
    }
    return OCT_OK;
}

static oct_status make_sums(oct_lint *l, lint_sums *s)
{
    s->mean = oct_arena_zalloc(&l->arena, l->channels * sizeof(double));
    s->square = oct_arena_zalloc(&l->arena, l->channels * sizeof(double));
    return s->mean && s->square ? OCT_OK : out_of_memory();
}

static oct_status make_room(oct_lint *l)
{
    const size_t fit = KEPT_FLOATS / l->sample;
    l->max_kept = fit < MIN_KEPT ? MIN_KEPT : fit > MAX_KEPT ? MAX_KEPT : (int)fit;
    if (l->max_kept > l->o.samples) l->max_kept = l->o.samples;
    const size_t kept = (size_t)l->max_kept;
    l->kept = oct_arena_alloc(&l->arena, kept * l->sample * sizeof(float));
    l->margin = oct_arena_zalloc(&l->arena, kept * sizeof(double));
    l->moments = oct_arena_alloc(&l->arena,
                                 2 * (size_t)l->batch * l->channels * sizeof(double));
    l->answers = oct_arena_zalloc(&l->arena, (size_t)l->classes * sizeof(int));
    l->labels = oct_arena_zalloc(&l->arena, (size_t)l->classes * sizeof(int));
    l->layer = oct_arena_zalloc(&l->arena, ((size_t)l->n_bn + 1) * sizeof *l->layer);
    if (!l->kept || !l->margin || !l->moments || !l->answers || !l->labels || !l->layer)
        return out_of_memory();
    OCT_TRY(make_sums(l, &l->all));
    return make_sums(l, &l->trial);
}

static oct_status fill(oct_lint *l, const oct_lint_options *o)
{
    const oct_tensor *x = &o->plan->in[0], *y = &o->plan->out[0];
    if (x->rank != 4 || x->dtype != OCT_F32 || y->rank != 2 || y->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "lint: the model does not make classes of images");
    if (o->samples < 1) return oct_fail(OCT_ERR_SHAPE, "lint: %d samples", o->samples);
    l->o = *o;
    l->batch = x->dim[0];
    l->c = x->dim[1];
    l->h = x->dim[2];
    l->w = x->dim[3];
    l->sample = oct_tensor_sample_count(x);
    l->classes = y->dim[1];
    OCT_TRY(find_batch_norms(l));
    return make_room(l);
}

oct_status oct_lint_open(const oct_lint_options *options, oct_lint **out)
{
    oct_lint *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return out_of_memory();
    const oct_status status = fill(l, options);
    if (status != OCT_OK) oct_lint_free(l);
    else *out = l;
    return status;
}

void oct_lint_free(oct_lint *l)
{
    if (!l) return;
    free(l->input.hashes.v);
    oct_arena_free(&l->arena);
    free(l);
}

/* ---- adding ---- */

/* Sample number k of all is kept if it is the first of its share of the data. */
static int is_kept(const oct_lint *l, int k)
{
    return l->n_kept < l->max_kept
           && k >= (int)((int64_t)l->n_kept * l->o.samples / l->max_kept);
}

oct_status oct_lint_add(oct_lint *l, const float *x, const int *label, int n)
{
    OCT_TRY(oct_lint_input_add(l, x, n));
    if (l->n_bn) {
        memcpy(l->o.plan->in[0].data, x, (size_t)n * l->sample * sizeof *x);
        oct_lint_run(l, n, l->o.plan->n_steps, &l->all);
    }
    for (int i = 0; i < n; i++) {
        int answer = 0;
        const double margin = l->n_bn ? oct_lint_margin(l, i, &answer) : 0;
        l->answers[answer]++;
        if (label && label[i] >= 0 && label[i] < l->classes) l->labels[label[i]]++;
        l->labelled += label && label[i] >= 0;
        if (!is_kept(l, l->n + i)) continue;
        memcpy(l->kept + (size_t)l->n_kept * l->sample, x + (size_t)i * l->sample,
               l->sample * sizeof *x);
        l->margin[l->n_kept++] = margin;
    }
    l->n += n;
    return OCT_OK;
}
