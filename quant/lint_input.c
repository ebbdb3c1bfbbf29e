/* lint: what the samples tell without the network: range, moments, noise, duplicates. */
#include <math.h>
#include <stdlib.h>

#include "quant/lint_private.h"

/* What one sample gives; samples are looked at in parallel and added in order. */
typedef struct look {
    double low[OCT_LINT_MAX_CHANNELS], high[OCT_LINT_MAX_CHANNELS], correlation;
    double mean[OCT_LINT_MAX_CHANNELS], square[OCT_LINT_MAX_CHANNELS];
    int correlated, constant, finite;
    uint64_t hash;
} look;

typedef struct job {
    const oct_lint *l;
    const float *x;
    look *out;
} job;

/* Sums for the correlation of neighbours, over all channels of a sample. */
typedef struct pairs {
    double product, square;
} pairs;

/* x[y][x] with its right and lower neighbour, less the channel's mean. */
static void add_pairs(const float *x, int h, int w, double mean, pairs *p)
{
    for (int i = 0; i < h; i++)
        for (int k = 0; k < w; k++) {
            const float *at = x + (size_t)i * (size_t)w + (size_t)k;
            const double v = *at - mean;
            if (k + 1 < w) {
                const double r = at[1] - mean;
                p->product += v * r;
                p->square += (v * v + r * r) / 2;
            }
            if (i + 1 < h) {
                const double d = at[w] - mean;
                p->product += v * d;
                p->square += (v * v + d * d) / 2;
            }
        }
}

double oct_lint_correlation(const oct_lint *l, const float *x)
{
    const size_t map = (size_t)l->h * (size_t)l->w;
    pairs p = { 0, 0 };
    for (int c = 0; c < l->c; c++, x += map) {
        double sum = 0;
        for (size_t k = 0; k < map; k++) sum += x[k];
        add_pairs(x, l->h, l->w, sum / (double)map, &p);
    }
    return p.square > 0 ? p.product / p.square : 0;
}

static void reset_range(double *low, double *high)
{
    for (int c = 0; c < OCT_LINT_MAX_CHANNELS; c++) low[c] = INFINITY, high[c] = -INFINITY;
}

static void look_at(void *arg, int i, int thread)
{
    const job *j = arg;
    const oct_lint *l = j->l;
    const float *x = j->x + (size_t)i * l->sample;
    const size_t map = (size_t)l->h * (size_t)l->w;
    look *o = &j->out[i];
    (void)thread;
    *o = (look){ .constant = 1, .hash = oct_lint_hash(x, l->sample) };
    reset_range(o->low, o->high);
    for (int c = 0; c < l->c; c++, x += map) {
        double sum = 0, square = 0, low = x[0], high = x[0];
        for (size_t k = 0; k < map; k++) {
            sum += x[k];
            square += (double)x[k] * x[k];
            low = x[k] < low ? x[k] : low;
            high = x[k] > high ? x[k] : high;
        }
        if (!isfinite(sum)) return; /* finite stays 0; a NaN or infinity shows in the sum */
        const double mean = sum / (double)map;
        const int k = c < OCT_LINT_MAX_CHANNELS ? c : OCT_LINT_MAX_CHANNELS - 1;
        if (k == c) o->mean[c] = mean, o->square[c] = square / (double)map;
        if (high - low > 1e-5 * fmax(fabs(high), fabs(low))) o->constant = 0;
        o->low[k] = fmin(o->low[k], low);
        o->high[k] = fmax(o->high[k], high);
    }
    o->finite = 1;
    if (o->constant) return;
    o->correlated = 1;
    o->correlation = oct_lint_correlation(l, j->x + (size_t)i * l->sample);
}

oct_status oct_lint_input_add(oct_lint *l, const float *x, int n)
{
    lint_input *in = &l->input;
    if (!l->n) reset_range(in->low, in->high);
    OCT_TRY(oct_lint_hash_room(&in->hashes, n));
    look *found = calloc((size_t)n, sizeof *found);
    if (!found) return oct_fail(OCT_ERR_MEMORY, "lint: out of memory");
    job j = { l, x, found };
    oct_parallel_for(l->o.pool, n, look_at, &j);
    for (int i = 0; i < n; i++) {
        const look *f = &found[i];
        in->hashes.v[in->hashes.n++] = f->hash;
        if (!f->finite) {
            in->not_finite++;
            continue;
        }
        in->constant += f->constant;
        in->correlated += f->correlated;
        in->correlation += f->correlation;
        for (int c = 0; c < OCT_LINT_MAX_CHANNELS; c++) {
            in->low[c] = fmin(in->low[c], f->low[c]);
            in->high[c] = fmax(in->high[c], f->high[c]);
            in->mean[c] += f->mean[c];
            in->square[c] += f->square[c];
        }
    }
    free(found);
    return OCT_OK;
}
