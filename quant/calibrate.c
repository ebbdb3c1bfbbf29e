#include "quant/calibrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 15 /* values a thread counts at a time */ };

/* What is done with the output of a step of the plan. */
typedef struct task {
    const char *name;         /* of the step's node */
    int value;
    int counts, means, extremes; /* 1: that value's observer, means, extremes see it */
} task;

struct oct_calibration {
    oct_observed *value;      /* [n_values], inputs first */
    int n_values, n_ins;
    task *task;               /* [n_steps] */
    int n_steps;
    oct_observer **scratch;   /* [threads], empty between steps */
    int threads;
    double *mean;             /* [batch, most channels] */
    oct_pool *pool;           /* of the run in progress */
    int texts;                /* of it; the steps tell of rows */
    int64_t samples;
    oct_arena arena;          /* arrays, names */
};

static oct_status out_of_memory(void)
{
    return oct_fail(OCT_ERR_MEMORY, "calibrate: out of memory");
}

void oct_calibration_close(oct_calibration *c)
{
    if (!c) return;
    for (int i = 0; c->value && i < c->n_values; i++) {
        free(c->value[i].observer);
        oct_means_close(&c->value[i].means);
        oct_extremes_close(&c->value[i].extremes);
    }
    for (int i = 0; c->scratch && i < c->threads; i++) free(c->scratch[i]);
    oct_arena_free(&c->arena);
    free(c);
}

static oct_status add_value(oct_calibration *c, const char *name, const oct_tensor *t)
{
    if (t->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "calibrate: %.80s is %s, an FP32 plan is needed", name,
                        oct_dtype_name(t->dtype));
    oct_observed *v = &c->value[c->n_values++];
    v->name = oct_arena_strdup(&c->arena, name);
    v->observer = oct_observer_new();
    return v->name && v->observer ? OCT_OK : out_of_memory();
}

/* The value that step i only moves, -1: it computes. */
static int moved(const oct_calibration *c, const oct_plan *plan, int i)
{
    const oct_step *step = &plan->step[i];
    const oct_op_kind kind = step->node->kind;
    if (kind != OCT_OP_LAYOUT && kind != OCT_OP_FLATTEN) return -1;
    for (int k = 0; k < plan->n_ins; k++)
        if (step->args.in[0] == &plan->in[k]) return k;
    for (int k = i - 1; k >= 0; k--)
        if (step->args.in[0] == plan->step[k].args.out) return c->task[k].value;
    return -1;
}

static oct_status add_step(oct_calibration *c, const oct_plan *plan, int i,
                           const oct_calibrate_options *o)
{
    const oct_tensor *t = plan->step[i].args.out;
    task *s = &c->task[i];
    s->name = oct_arena_strdup(&c->arena, plan->step[i].node->name);
    if (!s->name) return out_of_memory();
    s->value = moved(c, plan, i);
    if (s->value < 0) {
        s->value = c->n_values;
        s->counts = 1;
        OCT_TRY(add_value(c, s->name, t));
    }
    oct_observed *v = &c->value[s->value];
    const int channels = t->dim[t->rank - 1];
    s->means = o->means && t->rank > 1 && !v->means.channels;
    s->extremes = o->extremes && t->rank == 2 && !v->extremes.channels;
    if (s->means) OCT_TRY(oct_means_open(channels, &v->means));
    return s->extremes ? oct_extremes_open(channels, &v->extremes) : OCT_OK;
}

/* Only once an image is laid out its channels are the last dim, so the means of a caller's
 * [n, c, h, w] are those of the layout step.  A text's ids and begins are no activations. */
static oct_status add_values(oct_calibration *c, const oct_plan *plan,
                             const oct_calibrate_options *o)
{
    char name[24] = "input";
    for (int i = 0; i < plan->n_ins && !plan->starts; i++) {
        if (i) snprintf(name, sizeof name, "input.%d", i);
        OCT_TRY(add_value(c, name, &plan->in[i]));
        if (o->means && plan->in[i].rank == 2)
            OCT_TRY(oct_means_open(plan->in[i].dim[1], &c->value[i].means));
    }
    c->n_ins = c->n_values;
    for (int i = 0; i < plan->n_steps; i++) OCT_TRY(add_step(c, plan, i, o));
    return OCT_OK;
}

static oct_status build(oct_calibration *c, const oct_plan *plan, const oct_pool *pool,
                        const oct_calibrate_options *o)
{
    const size_t steps = (size_t)plan->n_steps, values = steps + (size_t)plan->n_ins;
    c->n_steps = plan->n_steps;
    c->value = oct_arena_zalloc(&c->arena, values * sizeof *c->value);
    c->task = oct_arena_zalloc(&c->arena, steps * sizeof *c->task);
    c->scratch = oct_arena_zalloc(&c->arena, (size_t)pool->threads * sizeof *c->scratch);
    if (!c->value || !c->task || !c->scratch) return out_of_memory();
    OCT_TRY(add_values(c, plan, o));
    c->threads = pool->threads;
    for (int i = 0; i < c->threads; i++)
        if (!(c->scratch[i] = oct_observer_new())) return out_of_memory();

    size_t channels = 0;
    for (int i = 0; i < c->n_values; i++)
        if ((size_t)c->value[i].means.channels > channels)
            channels = (size_t)c->value[i].means.channels;
    if (!channels) return OCT_OK;
    const size_t count = (size_t)oct_plan_batch(plan) * channels;
    c->mean = oct_arena_alloc(&c->arena, count * sizeof *c->mean);
    return c->mean ? OCT_OK : out_of_memory();
}

oct_status oct_calibration_open(const oct_plan *plan, const oct_pool *pool,
                                const oct_calibrate_options *options, oct_calibration **out)
{
    static const oct_calibrate_options nothing_more;
    *out = NULL;
    oct_calibration *c = calloc(1, sizeof *c);
    if (!c) return out_of_memory();
    const oct_status status = build(c, plan, pool, options ? options : &nothing_more);
    if (status != OCT_OK) oct_calibration_close(c);
    else *out = c;
    return status;
}

typedef struct piece {
    oct_calibration *c;
    const float *x;
    size_t n;
} piece;

static void count(void *arg, int i, int thread)
{
    const piece *p = arg;
    const size_t first = (size_t)i * PIECE, left = p->n - first;
    oct_observer_add(p->c->scratch[thread], p->x + first, left < PIECE ? left : PIECE);
}

/* The first n samples of t, of texts rows: they lie one after the other in both layouts.  A small
 * value is counted here and now, for a large one threads count apart and are added up. */
static void observe(oct_calibration *c, oct_observed *v, const oct_tensor *t, int n)
{
    piece p = { c, t->data, (size_t)n * oct_tensor_sample_count(t) };
    if (c->pool->threads == 1 || p.n <= PIECE) {
        oct_observer_add(v->observer, p.x, p.n);
        return;
    }
    oct_parallel_for(c->pool, (int)((p.n + PIECE - 1) / PIECE), count, &p);
    for (int i = 0; i < c->pool->threads; i++) {
        oct_observer_merge(v->observer, c->scratch[i]);
        oct_observer_clear(c->scratch[i]);
    }
}

static void after(void *arg, const oct_plan *plan, int step, int n)
{
    oct_calibration *c = arg;
    const task *s = &c->task[step];
    oct_observed *v = &c->value[s->value];
    const oct_tensor *t = plan->step[step].args.out;
    if (s->counts) observe(c, v, t, n);
    if (s->extremes) oct_extremes_add(&v->extremes, t, n, c->pool);
    if (!s->means) return;
    const int ragged = plan->starts && !plan->step[step].per_text;
    oct_means_add(&v->means, t, ragged ? plan->starts->data : NULL, ragged ? c->texts : n, c->pool,
                  c->mean);
}

void oct_calibration_run(oct_calibration *c, oct_plan *plan, oct_pool *pool, int n)
{
    c->pool = pool;
    c->texts = n;
    c->samples += n;
    for (int i = 0; i < c->n_ins; i++) {
        oct_means *m = &c->value[i].means;
        observe(c, &c->value[i], &plan->in[i], n);
        if (m->channels && plan->in[i].rank == 2)
            oct_means_add(m, &plan->in[i], NULL, n, pool, c->mean);
    }
    oct_plan_run(plan, pool, n, after, c);
}

oct_status oct_calibration_check(const oct_calibration *c)
{
    if (!c->samples) return oct_fail(OCT_ERR_FORMAT, "calibrate: there are no samples");
    for (int i = 0; i < c->n_values; i++) {
        const oct_observer *o = c->value[i].observer;
        const uint64_t bad = o->nans + o->infinities;
        if (bad)
            return oct_fail(OCT_ERR_FORMAT, "calibrate: %.80s: %" PRIu64 " of %" PRIu64
                            " values are NaN or infinite", c->value[i].name, bad, o->total + bad);
    }
    return OCT_OK;
}

int64_t oct_calibration_samples(const oct_calibration *c) { return c->samples; }

int oct_calibration_count(const oct_calibration *c) { return c->n_values; }

const oct_observed *oct_calibration_at(const oct_calibration *c, int i) { return &c->value[i]; }

const oct_observed *oct_calibration_step(const oct_calibration *c, int step)
{
    return &c->value[c->task[step].value];
}

const oct_observed *oct_calibration_find(const oct_calibration *c, const char *name)
{
    for (int i = 0; i < c->n_steps; i++)
        if (strcmp(c->task[i].name, name) == 0) return oct_calibration_step(c, i);
    for (int i = 0; i < c->n_ins; i++)
        if (strcmp(c->value[i].name, name) == 0) return &c->value[i];
    return NULL;
}

static oct_status run_all(oct_calibration *c, oct_plan *plan, oct_pool *pool,
                          oct_calibrate_fill *fill, void *arg)
{
    const int batch = oct_plan_batch(plan);
    for (;;) {
        int n = 0;
        OCT_TRY(fill(arg, plan->in, batch, &n));
        if (!n) return oct_calibration_check(c);
        if (n < 0 || n > batch)
            return oct_fail(OCT_ERR_SHAPE, "calibrate: %d samples, the plan is made for 1 to %d",
                            n, batch);
        oct_calibration_run(c, plan, pool, n);
    }
}

oct_status oct_calibrate(oct_plan *plan, oct_pool *pool, const oct_calibrate_options *options,
                         oct_calibrate_fill *fill, void *arg, oct_calibration **out)
{
    OCT_TRY(oct_calibration_open(plan, pool, options, out));
    const oct_status status = run_all(*out, plan, pool, fill, arg);
    if (status == OCT_OK) return OCT_OK;
    oct_calibration_close(*out);
    *out = NULL;
    return status;
}
