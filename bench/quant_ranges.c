/* The range each method chooses for each value of a model, on real data; and what it costs.
 *     quant_ranges MODEL DATA [--samples=N] [--qmax=127|255] [--batch=N] [--threads=N]
 *
 * One line a value: min..max, then for each method the range as a share of min..max (of the wider
 * side), values outside in parts per million, and SQNR in dB: what quantizing to it does to the
 * value's power. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "input/input.h"
#include "models/model.h"
#include "quant/calibrate.h"

typedef struct settings {
    const char *model, *data;
    int samples, qmax, batch, threads;
} settings;

static int refuse(const char *what)
{
    fprintf(stderr, "quant_ranges: %s: %s\n", what, oct_last_error());
    return 2;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct feed {
    oct_loader *loader;
    size_t sample;
} feed;

static oct_status fill(void *arg, oct_tensor *in, int batch, int *n)
{
    feed *f = arg;
    oct_batch b;
    (void)batch;
    oct_loader_next(f->loader, &b);
    for (int i = 0; i < b.n; i++)
        if (b.item[i].status) return oct_fail(b.item[i].status, "%s", b.item[i].error);
    memcpy(in->data, b.data, (size_t)b.n * f->sample * sizeof *b.data);
    *n = b.n;
    return OCT_OK;
}

static double wider(oct_range r) { return fmax((double)r.hi, -(double)r.lo); }

/* Mean square of what was counted, by the middle of each bin. */
static double power(const oct_observer *o)
{
    double sum = 0;
    for (int i = 0; i < 2 * OCT_OBSERVER_BINS; i++) {
        const int k = i % OCT_OBSERVER_BINS;
        const double v = (oct_observer_edge(k) + oct_observer_edge(k + 1)) / 2;
        if (o->count[i]) sum += (double)o->count[i] * v * v;
    }
    return o->total ? sum / (double)o->total : 0;
}

static int print(const oct_observed *v, const settings *s)
{
    const oct_method_options options = { .qmax = s->qmax };
    const oct_range all = oct_observer_minmax(v->observer);
    printf("%-24s %9.4g %9.4g ", v->name, (double)all.lo, (double)all.hi);
    for (int m = 0; m < OCT_METHOD_COUNT; m++) {
        oct_range r;
        if (oct_observer_range(v->observer, (oct_method)m, &options, &r)) return refuse(v->name);
        const double total = (double)v->observer->total;
        const double error = oct_observer_error(v->observer, r, s->qmax);
        if (m)
            printf(" | %5.3f %6.0f", wider(all) > 0 ? wider(r) / wider(all) : 1,
                   (double)oct_observer_outside(v->observer, r) / total * 1e6);
        printf(" %5.1f", 10 * log10(power(v->observer) / error));
    }
    printf("\n");
    return 0;
}

static int report(const oct_calibration *c, const settings *s, double seconds)
{
    printf("%-24s %9s %9s %6s", "value", "min", "max", "dB");
    for (int m = 1; m < OCT_METHOD_COUNT; m++)
        printf(" | %-10s ppm  dB", oct_method_name((oct_method)m));
    printf("\n");
    const double start = now();
    for (int i = 0; i < oct_calibration_count(c); i++)
        if (print(oct_calibration_at(c, i), s)) return 2;
    printf("%lld samples in %.2f s, ranges in %.2f s\n", (long long)oct_calibration_samples(c),
           seconds, now() - start);
    return 0;
}

static int calibrate(oct_model *m, const oct_source *source, const settings *s)
{
    oct_recipe recipe;
    const oct_tensor *in = oct_model_input(m, 0);
    if (in->rank != 4 || oct_recipe_parse(m->recipe, &recipe)) return refuse(s->model);
    const int count = oct_source_count(source), n = s->samples ? s->samples : count;
    int *order = malloc((size_t)n * sizeof *order);
    if (!order) return 3;
    for (int i = 0; i < n; i++) order[i] = (int)((long long)i * count / n); /* evenly */
    const oct_loader_options options = { .source = source, .recipe = &recipe,
                                         .channels = in->dim[1], .height = in->dim[2],
                                         .width = in->dim[3], .batch = s->batch,
                                         .threads = s->threads, .order = order, .n = n };
    feed f = { .sample = oct_tensor_sample_count(in) };
    oct_calibration *c = NULL;
    oct_status status = oct_loader_open(&options, &f.loader);
    const double start = now();
    if (!status) status = oct_calibrate(m->plan, m->pool, NULL, fill, &f, &c);
    const double seconds = now() - start;
    if (!status) oct_loader_close(f.loader);
    free(order);
    const int code = status ? refuse(s->data) : report(c, s, seconds);
    oct_calibration_close(c);
    return code;
}

int main(int argc, char **argv)
{
    settings s = { .qmax = 127, .batch = 8 };
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--samples=%d", &s.samples) == 1) continue;
        if (sscanf(argv[i], "--qmax=%d", &s.qmax) == 1) continue;
        if (sscanf(argv[i], "--batch=%d", &s.batch) == 1) continue;
        if (sscanf(argv[i], "--threads=%d", &s.threads) == 1) continue;
        *(s.model ? &s.data : &s.model) = argv[i];
    }
    if (!s.data || s.samples < 0 || s.batch < 1 || s.qmax < 3 || s.qmax > 255) {
        fprintf(stderr, "Usage: quant_ranges MODEL DATA [--samples=N] [--qmax=127|255] "
                        "[--batch=N] [--threads=N]\n");
        return 1;
    }
    const oct_options options = { .batch = s.batch, .threads = s.threads };
    oct_model *m;
    oct_source *source;
    if (oct_model_load(s.model, &options, &m)) return refuse(s.model);
    if (oct_source_open(s.data, &source)) return refuse(s.data);
    const int code = calibrate(m, source, &s);
    oct_source_close(source);
    oct_model_free(m);
    return code;
}
