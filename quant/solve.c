#include "quant/solve.h"

#include <string.h>

#include "ops/spread.h"
#include "quant/product.h"

static const double damping = 1e-3, few = 0.1, tolerance = 1e-4;

/* Of output o: r = c + damping w0 - G w, z = r / diagonal, p the direction, q = G p; all but w0's
 * places are 0. */
typedef struct work {
    oct_solve *s;
    double damp;
    float *w, *r, *p, *q;      /* [out, k] */
    unsigned char *keep;       /* [out, k] */
    float *inverse;            /* [k]: 1 / diagonal */
    double *first, *now;       /* [out]: r z at the start and now */
    double *error;             /* [out] */
    unsigned char *done;       /* [out] */
} work;

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

static oct_status make(work *w, oct_arena *arena)
{
    const size_t out = (size_t)w->s->out, k = (size_t)w->s->k, count = out * k;
    w->r = oct_arena_alloc(arena, count * sizeof *w->r);
    w->p = oct_arena_alloc(arena, count * sizeof *w->p);
    w->q = oct_arena_alloc(arena, count * sizeof *w->q);
    w->keep = oct_arena_alloc(arena, count);
    w->inverse = oct_arena_alloc(arena, k * sizeof *w->inverse);
    w->first = oct_arena_zalloc(arena, out * sizeof *w->first);
    w->now = oct_arena_zalloc(arena, out * sizeof *w->now);
    w->error = oct_arena_zalloc(arena, out * sizeof *w->error);
    w->done = oct_arena_zalloc(arena, out);
    return w->r && w->p && w->q && w->keep && w->inverse && w->first && w->now && w->error &&
           w->done ? OCT_OK : out_of_memory();
}

static void damp(work *w)
{
    const size_t k = (size_t)w->s->k;
    const double share = (double)k / (double)w->s->rows - 0.5;
    double trace = 0;
    for (size_t i = 0; i < k; i++) trace += (double)w->s->gram[i * k + i];
    w->damp = (damping + (share > 0 ? few * share : 0)) * trace / (double)k;
    for (size_t i = 0; i < k; i++) {
        float *g = &w->s->gram[i * k + i];
        *g = (float)((double)*g + w->damp);
        w->inverse[i] = *g > 0 ? 1 / *g : 0;
    }
}

/* r z, z = r / diagonal */
static double weigh(const work *w, const float *r)
{
    double sum = 0;
    for (int j = 0; j < w->s->k; j++) sum += (double)r[j] * (double)(r[j] * w->inverse[j]);
    return sum;
}

/* q = G w, damped: the first residual and direction of outputs first .. end - 1. */
static void begin(void *arg, size_t first, size_t end)
{
    work *w = arg;
    const size_t k = (size_t)w->s->k;
    for (size_t o = first; o < end; o++) {
        const float *c = w->s->cross + o * k, *w0 = w->w + o * k, *q = w->q + o * k;
        float *r = w->r + o * k, *p = w->p + o * k;
        for (size_t j = 0; j < k; j++) {
            const double pull = w->damp * (double)w0[j];
            w->keep[o * k + j] = w0[j] != 0;
            w->error[o] += ((double)q[j] - pull - 2 * (double)c[j]) * (double)w0[j];
            r[j] = w->keep[o * k + j] ? (float)((double)c[j] + pull - (double)q[j]) : 0;
            p[j] = r[j] * w->inverse[j];
        }
        w->first[o] = w->now[o] = weigh(w, r);
        w->done[o] = !(w->now[o] > 0);
    }
}

/* q = G p: one step of outputs first .. end - 1. */
static void step(void *arg, size_t first, size_t end)
{
    work *w = arg;
    const size_t k = (size_t)w->s->k;
    for (size_t o = first; o < end; o++) {
        float *x = w->w + o * k, *r = w->r + o * k, *p = w->p + o * k, *q = w->q + o * k;
        const unsigned char *keep = w->keep + o * k;
        double along = 0;
        for (size_t j = 0; j < k && !w->done[o]; j++) along += (double)p[j] * (double)q[j];
        if (!(along > 0)) w->done[o] = 1;
        if (w->done[o]) continue;
        const float a = (float)(w->now[o] / along);
        for (size_t j = 0; j < k; j++) {
            x[j] += a * p[j];
            r[j] = keep[j] ? r[j] - a * q[j] : 0;
        }
        const double next = weigh(w, r);
        const float b = (float)(next / w->now[o]);
        for (size_t j = 0; j < k; j++) p[j] = r[j] * w->inverse[j] + b * p[j];
        w->now[o] = next;
        w->done[o] = !(next > tolerance * tolerance * w->first[o]);
    }
}

/* q = G w, damped */
static void end_error(work *w, double *sum)
{
    const size_t k = (size_t)w->s->k;
    for (int o = 0; o < w->s->out; o++) {
        const float *c = w->s->cross + (size_t)o * k, *x = w->w + (size_t)o * k;
        const float *q = w->q + (size_t)o * k;
        double power = 0, common = 0;
        for (size_t j = 0; j < k; j++) {
            power += ((double)q[j] - w->damp * (double)x[j]) * (double)x[j];
            common += (double)c[j] * (double)x[j];
        }
        w->s->power[o] = power > 0 ? power : 0;
        *sum += w->s->square[o] + power - 2 * common;
    }
}

static int all_done(const work *w)
{
    return memchr(w->done, 0, (size_t)w->s->out) == NULL;
}

static void solve(work *w, oct_product *g, oct_pool *pool)
{
    oct_solve *s = w->s;
    const size_t row = 5 * sizeof(float) * (size_t)s->k;
    s->steps = 0;
    oct_product_run(g, s->out, w->w, 0, w->q);
    oct_spread(pool, (size_t)s->out, row, begin, w);
    s->error_before = s->error_after = 0;
    for (int o = 0; o < s->out; o++) s->error_before += s->square[o] + w->error[o];
    for (; s->steps < OCT_SOLVE_STEPS && !all_done(w); s->steps++) {
        oct_product_run(g, s->out, w->p, 0, w->q);
        oct_spread(pool, (size_t)s->out, row, step, w);
    }
    oct_product_run(g, s->out, w->w, 0, w->q);
    end_error(w, &s->error_after);
}

oct_status oct_solve_run(oct_solve *s, unsigned cpu, oct_pool *pool, float *x)
{
    oct_arena arena = { 0 };
    work w = { .s = s, .w = x };
    oct_product *g = NULL;
    oct_status status = make(&w, &arena);
    if (status == OCT_OK) {
        damp(&w);
        status = oct_product_open(s->out, s->k, s->k, s->gram, cpu, pool, &g);
    }
    if (status == OCT_OK) solve(&w, g, pool);
    oct_product_close(g);
    oct_arena_free(&arena);
    return status;
}
