/* mse: the range that quantizes with the least mean square error, clipping included.
 *
 * Values inside a bin are taken as spread evenly, so the error of a bin is an integral, and the
 * bins' width does not blur steps that are as narrow as they are.  With G' = (t - Q(t))^2,
 *
 *     mean over [a, b) = (G(b) - G(a)) / (b - a)
 *     inside the grid  G(t) = s^3 (k / 12 + f^3 / 3),   t / s = k + f, k an integer, |f| <= 1/2
 *     beyond its ends  G(t) = G(end) + (t - end)^3 / 3
 *
 * 16 bins of the observer make one here, 32 an octave: twice as fast as it matters, and where the
 * density of real activations changes within 3 % of a value, nothing depends on it.
 *
 * Candidates: both ends of min..max times 2^(-k/32), k = 0 ... 255; then, of a range with two
 * ends, each end alone by 2^(k/32), |k| <= 16, twice.  Of equal errors the widest range. */
#include <stdlib.h>

#include "quant/observer.h"
#include "tensor/f16.h"

enum { WIDTH = 16, SPANS = OCT_OBSERVER_BINS / WIDTH, STEPS = 256, NEAR = 16 };

typedef struct span {
    double a, b;     /* signed, a <= b */
    double count;
} span;

typedef struct grid {
    double scale, lo, hi, at_lo, at_hi;
} grid;

/* 2^(-1/32) */
static const double ratio = 0x1.f50765b6e4540p-1;

static double periodic(const grid *g, double t)
{
    const double steps = t / g->scale, k = (steps + 0x1.8p52) - 0x1.8p52, f = steps - k;
    return g->scale * g->scale * g->scale * (k / 12 + f * f * f / 3);
}

static double integral(const grid *g, double t)
{
    if (t > g->hi) return g->at_hi + (t - g->hi) * (t - g->hi) * (t - g->hi) / 3;
    if (t < g->lo) return g->at_lo + (t - g->lo) * (t - g->lo) * (t - g->lo) / 3;
    return periodic(g, t);
}

static double error_at(const grid *g, double t)
{
    if (t > g->hi) return (t - g->hi) * (t - g->hi);
    if (t < g->lo) return (t - g->lo) * (t - g->lo);
    const double steps = t / g->scale, f = steps - ((steps + 0x1.8p52) - 0x1.8p52);
    return f * f * g->scale * g->scale;
}

static grid make_grid(oct_range range, int qmax)
{
    const oct_qparams p = oct_qparams_u8(range, qmax);
    grid g = { .scale = (double)p.scale };
    g.lo = -p.zero * g.scale;
    g.hi = (qmax - p.zero) * g.scale;
    g.at_lo = periodic(&g, g.lo);
    g.at_hi = periodic(&g, g.hi);
    return g;
}

static double span_error(const grid *g, const span *s)
{
    const double mean = s->b > s->a ? (integral(g, s->b) - integral(g, s->a)) / (s->b - s->a)
                                    : error_at(g, s->a);
    return s->count * mean;
}

/* Span number i of a sign; 0 if it is empty. */
static int get_span(const oct_observer *o, int sign, int i, span *out)
{
    const double most = (double)oct_f32_of_bits((uint32_t)o->most[sign]);
    uint64_t count = 0;
    for (int k = 0; k < WIDTH; k++) count += o->count[sign * OCT_OBSERVER_BINS + i * WIDTH + k];
    if (!count) return 0;
    const double a = oct_observer_edge(i * WIDTH), edge = oct_observer_edge((i + 1) * WIDTH);
    const double b = edge < most && i < SPANS - 1 ? edge : most;
    *out = (span){ sign ? -b : a, sign ? -a : b, (double)count };
    return 1;
}

double oct_observer_error(const oct_observer *o, oct_range range, int qmax)
{
    const grid g = make_grid(range, qmax);
    double sum = 0;
    for (int sign = 0; sign < 2; sign++)
        for (int i = 0; i < SPANS; i++) {
            span s;
            if (get_span(o, sign, i, &s)) sum += span_error(&g, &s);
        }
    return o->total ? sum / (double)o->total : 0;
}

typedef struct search {
    span *s;
    int n, qmax;
    oct_range best;
    double least;
} search;

static void try_range(search *w, double lo, double hi)
{
    const oct_range range = { (float)lo, (float)hi };
    const grid g = make_grid(range, w->qmax);
    double sum = 0;
    for (int i = 0; i < w->n; i++) sum += span_error(&g, &w->s[i]);
    if (w->least >= 0 && sum >= w->least) return;
    w->least = sum;
    w->best = range;
}

/* One end of the best range, moved inwards and outwards, not beyond `full`. */
static void refine(search *w, oct_range full, int upper)
{
    const oct_range from = w->best;
    double factor = 1;
    for (int k = 0; k < NEAR; k++) factor /= ratio;
    for (int k = -NEAR; k <= NEAR; k++, factor *= ratio) {
        const double lo = upper ? (double)from.lo : (double)from.lo * factor;
        const double hi = upper ? (double)from.hi * factor : (double)from.hi;
        if (lo >= (double)full.lo && hi <= (double)full.hi) try_range(w, lo, hi);
    }
}

oct_status oct_observer_mse(const oct_observer *o, int qmax, oct_range *out)
{
    const oct_range full = oct_observer_minmax(o);
    *out = full;
    if (o->total == o->zeros) return OCT_OK;
    search w = { .s = malloc(2 * SPANS * sizeof *w.s), .qmax = qmax, .least = -1 };
    if (!w.s) return oct_fail(OCT_ERR_MEMORY, "mse: out of memory");
    for (int sign = 0; sign < 2; sign++)
        for (int i = 0; i < SPANS; i++) w.n += get_span(o, sign, i, &w.s[w.n]);

    double factor = 1;
    for (int k = 0; k < STEPS; k++, factor *= ratio)
        try_range(&w, (double)full.lo * factor, (double)full.hi * factor);
    if (full.lo < 0 && full.hi > 0)
        for (int k = 0; k < 4; k++) refine(&w, full, k & 1);
    free(w.s);
    *out = w.best;
    return OCT_OK;
}
