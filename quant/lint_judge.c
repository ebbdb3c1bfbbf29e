/* lint: distances, trials, the verdict.  docs/lint.md says where each number comes from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/lint_private.h"

enum { LEAST_NEIGHBOURS = 8 }; /* pixels of a side: neighbours of fewer need not be alike */

/* Clean sets: at most 0.05 from 32 samples on, 0.11 of 8; the nearest departing set: 0.17. */
static double threshold(int samples) { return 0.09 + 0.3 / samples; }

static const double
    constant_share = 0.25,
    noise_correlation = 0.25,  /* photographs and digits: 0.8 to 0.97; random pixels: 0 */
    half_departed = 1.4,       /* in thresholds: what one class alone may reach (0.10) */
    labelled_share = 0.95,
    clear = 3,                 /* standard errors of the mean difference of margins */
    size_ratio = 2;

/* ---- distances ---- */

/* Of one batch norm; fills *out if it is not NULL. */
static double distance(const oct_lint *l, const lint_bn *bn, const lint_sums *s,
                       oct_lint_layer *out)
{
    double sum = 0, shift = 0, ratio = 0;
    for (size_t c = bn->at; c < bn->at + (size_t)bn->c; c++) {
        const double m = s->mean[c] / s->n, v = fmax(s->square[c] / s->n - m * m, 0) + bn->floor;
        const double var = l->run_var[c] + bn->floor, d = m - l->run_mean[c];
        const double kl = (d * d / var + v / var - 1 - log(v / var)) / 2;
        sum += isfinite(kl) ? log1p(fmax(kl, 0)) : 50; /* ln of more than a double holds */
        shift += d / sqrt(var);
        ratio += log(v / var);
    }
    if (out)
        *out = (oct_lint_layer){ bn->name, sum / bn->c, shift / bn->c, ratio / bn->c };
    return sum / bn->c;
}

static int shallow(const oct_lint *l)
{
    return l->n_bn < OCT_LINT_SHALLOW ? l->n_bn : OCT_LINT_SHALLOW;
}

static double data_distance(const oct_lint *l, const lint_sums *s)
{
    double sum = 0;
    for (int i = 0; i < shallow(l); i++) sum += distance(l, &l->bn[i], s, NULL);
    return sum / shallow(l);
}

/* ---- trials on the kept samples ---- */

typedef struct job {
    const oct_lint *l;
    const lint_reading *reading;
    int first;
    float *out;
} job;

static void read_one(void *arg, int i, int thread)
{
    const job *j = arg;
    (void)thread;
    oct_lint_read(j->l, j->reading, j->first + i, j->out + (size_t)i * j->l->sample);
}

/* Runs the kept samples, read so, through `steps` steps; margin[n_kept] or NULL. */
static void try(oct_lint *l, const lint_reading *r, int steps, double *margin)
{
    memset(l->trial.mean, 0, l->channels * sizeof *l->trial.mean);
    memset(l->trial.square, 0, l->channels * sizeof *l->trial.square);
    l->trial.n = 0;
    for (int i = 0; i < l->n_kept; i += l->batch) {
        const int n = l->n_kept - i < l->batch ? l->n_kept - i : l->batch;
        job j = { l, r, i, l->o.plan->in[0].data };
        oct_parallel_for(l->o.pool, n, read_one, &j);
        oct_lint_run(l, n, steps, &l->trial);
        int answer;
        for (int k = 0; margin && k < n; k++) margin[i + k] = oct_lint_margin(l, k, &answer);
    }
}

/* Channels apart, an image is smoother than with its channels mixed.  (A smooth image taken for
 * channels last is merely a smaller one, and a smaller one may be what the network wants.) */
static int is_smoother(const oct_lint *l, const lint_reading *r)
{
    double more = 0;
    float *read = l->o.plan->in[0].data;
    for (int i = 0; i < l->n_kept; i++) {
        oct_lint_read(l, r, i, read);
        more += oct_lint_correlation(l, read)
                - oct_lint_correlation(l, l->kept + (size_t)i * l->sample);
    }
    return more > 0;
}

/* The reading with the least distance, which is returned; infinity: there is none. */
static double nearest(oct_lint *l, const lint_reading *list, int n, lint_reading *best)
{
    double least = INFINITY;
    const int steps = l->bn[shallow(l) - 1].step + 1;
    for (int i = 0; i < n; i++) {
        if (list[i].kind == LINT_HWC && !is_smoother(l, &list[i])) continue;
        try(l, &list[i], steps, NULL);
        const double d = data_distance(l, &l->trial);
        if (d < least) least = d, *best = list[i];
    }
    return least;
}

/* By how many standard errors the margins of the reading are above those of the data as it is. */
static double clearer(const oct_lint *l, const double *margin)
{
    double sum = 0, square = 0;
    const int n = l->n_kept;
    for (int i = 0; i < n; i++) {
        const double d = margin[i] - l->margin[i];
        sum += d;
        square += d * d;
    }
    const double mean = sum / n, var = (square - n * mean * mean) / (n - 1);
    return var > 0 ? mean / sqrt(var / n) : 0;
}

/* Colours swapped or inverted?  The network answers more clearly if they are put right, and its
 * first layers do not object. */
static oct_status try_colours(oct_lint *l, oct_lint_report *r)
{
    lint_reading swaps[LINT_MAX_READINGS], list[2] = { oct_lint_inverted(l) };
    const int n = oct_lint_swaps(l, swaps);
    double *margin = malloc((size_t)l->n_kept * sizeof *margin);
    if (!margin) return oct_fail(OCT_ERR_MEMORY, "lint: out of memory");
    if (n) nearest(l, swaps, n, &list[1]);
    r->clearer = -INFINITY;
    for (int i = 0; i < (n ? 2 : 1); i++) {
        try(l, &list[i], l->o.plan->n_steps, margin);
        const double t = clearer(l, margin), d = data_distance(l, &l->trial);
        if (t <= r->clearer) continue;
        r->clearer = t;
        if (t < clear || d > fmax(r->threshold, r->distance)) continue;
        r->cause = list[i].cause;
        r->corrected = d;
    }
    free(margin);
    return OCT_OK;
}

/* ---- the verdict ---- */

static int most(const int *count, int n)
{
    int m = 0;
    for (int i = 0; i < n; i++) m = count[i] > m ? count[i] : m;
    return m;
}

/* Of k classes in equal parts none has much more than 1 / k of the answers; of one class alone
 * a network gives 0.73 and more.  Of two classes nothing can be said without labels. */
static int is_one_class(const oct_lint *l, const oct_lint_report *r)
{
    if (l->classes < 2) return 0;
    if (l->labelled == l->n) return r->top_share >= labelled_share;
    return l->n_bn && l->classes > 2 && r->top_share >= 1 - 0.4 * (1 - 2.0 / l->classes);
}

static void describe(oct_lint *l, oct_lint_report *r)
{
    const lint_input *in = &l->input;
    const int finite = l->n - in->not_finite;
    *r = (oct_lint_report){
        .samples = l->n, .distinct = oct_lint_hash_distinct(&l->input.hashes),
        .constant = in->constant,
        .channels = l->c, .low = INFINITY, .high = -INFINITY, .n_layers = l->n_bn,
        .layer = l->layer, .threshold = threshold(l->n),
        .correlation = in->correlated ? in->correlation / in->correlated : 0,
    };
    for (int c = 0; c < OCT_LINT_MAX_CHANNELS && finite; c++) {
        r->low = fmin(r->low, in->low[c]);
        r->high = fmax(r->high, in->high[c]);
        r->mean[c] = in->mean[c] / finite;
        r->std[c] = sqrt(fmax(in->square[c] / finite - r->mean[c] * r->mean[c], 0));
    }
    const int *count = l->labelled == l->n ? l->labels : l->answers;
    if (l->labelled == l->n || l->n_bn) r->top_share = (double)most(count, l->classes) / l->n;
    for (int i = 0; i < l->n_bn; i++) distance(l, &l->bn[i], &l->all, &l->layer[i]);
    if (l->n_bn) r->distance = r->corrected = data_distance(l, &l->all);
}

/* What can be said without the network. */
static oct_lint_cause from_samples(const oct_lint *l, const oct_lint_report *r)
{
    const double h = l->o.own_height, w = l->o.own_width;
    if (l->input.not_finite) return OCT_LINT_NOT_FINITE;
    if (r->constant >= constant_share * r->samples) return OCT_LINT_CONSTANT;
    if (r->samples < OCT_LINT_LEAST) return OCT_LINT_FEW_SAMPLES;
    if (2 * r->distinct <= r->samples) return OCT_LINT_DUPLICATES;
    if (r->distinct < OCT_LINT_LEAST) return OCT_LINT_FEW_SAMPLES;
    if (h > 0 && w > 0
        && (fmax(l->h / h, l->w / w) >= size_ratio || fmin(l->h / h, l->w / w) <= 1 / size_ratio))
        return OCT_LINT_WRONG_SIZE;
    return OCT_LINT_CLEAN;
}

static int is_noise(const oct_lint *l, const oct_lint_report *r)
{
    return l->h >= LEAST_NEIGHBOURS && l->w >= LEAST_NEIGHBOURS
           && r->correlation < noise_correlation;
}

/* The first layers saw something else in training: what? */
static void explain(oct_lint *l, oct_lint_report *r)
{
    lint_reading list[LINT_MAX_READINGS], best = { .kind = LINT_AFFINE };
    if (r->distance < half_departed * r->threshold && is_one_class(l, r)) {
        r->cause = OCT_LINT_ONE_CLASS;
        return;
    }
    const double d = nearest(l, list, oct_lint_readings(l, list), &best);
    const int restored = d <= r->threshold || d <= r->distance / 4;
    if (is_noise(l, r) && !(restored && best.kind == LINT_HWC)) r->cause = OCT_LINT_NOISE;
    else if (restored && d <= r->distance / 1.5) r->cause = best.cause, r->corrected = d;
    else r->cause = OCT_LINT_WRONG_DATASET;
}

/* No batch norm: the range that the recipe makes is all there is. */
static oct_lint_cause from_range(const oct_lint *l, const oct_lint_report *r)
{
    const double low = l->o.low, high = l->o.high, span = high - low;
    if (is_noise(l, r)) return OCT_LINT_NOISE;
    if (span > 0) {
        if (r->high - r->low > 16 * span) return OCT_LINT_SCALE_255;
        if (r->high - r->low < span / 16) return OCT_LINT_SCALE_1;
        if (low < -0.1 * span && r->low >= 0 && r->high <= 1) return OCT_LINT_NO_MEAN_STD;
    }
    return is_one_class(l, r) ? OCT_LINT_ONE_CLASS : OCT_LINT_CLEAN;
}

oct_status oct_lint_judge(oct_lint *l, oct_lint_report *r)
{
    if (l->n < 1) return oct_fail(OCT_ERR_SHAPE, "lint: no samples");
    describe(l, r);
    r->cause = from_samples(l, r);
    if (!r->cause && !l->n_bn) r->cause = from_range(l, r);
    if (!r->cause && l->n_bn && r->distance > r->threshold) explain(l, r);
    if (!r->cause && l->n_bn && is_one_class(l, r)) r->cause = OCT_LINT_ONE_CLASS;
    if (!r->cause && l->n_bn) OCT_TRY(try_colours(l, r));
    oct_lint_say(l, r);
    return OCT_OK;
}
