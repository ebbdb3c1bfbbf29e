/* quant/calibrate.c, means.c, bias.c: what is counted is what a run computes, whatever the batch,
 * the threads and the order of the samples; and nothing is allocated on the way. */
#include <math.h>
#include <string.h>

#include "input/input.h"
#include "models/model.h"
#include "quant/bias.h"
#include "quant/calibrate.h"
#include "tests/fail_alloc.h"
#include "tests/graph_case.h"
#include "tests/suite.h"

enum { IMAGES = 70, SAMPLE = 28 * 28 };

static const char *at_source(const char *path)
{
    static char full[512];
    const char *folder = getenv("srcdir");
    snprintf(full, sizeof full, "%s/%s", folder ? folder : ".", path);
    return full;
}

static float *digits(void) /* [IMAGES, 1, 28, 28] */
{
    oct_source *s;
    oct_recipe r;
    float *x = malloc(IMAGES * SAMPLE * sizeof *x);
    ck_assert(x);
    ck_assert_int_eq(oct_recipe_parse("{\"type\":\"image\",\"channels\":\"L\",\"scale\":0.0039,"
                                      "\"mean\":[0.13],\"std\":[0.31]}", &r), OCT_OK);
    ck_assert_int_eq(oct_source_open(at_source("tests/data/mnist/t10k-images-idx3-ubyte.gz"), &s),
                     OCT_OK);
    for (int i = 0; i < IMAGES; i++)
        ck_assert_int_eq(oct_source_read(s, i, &r, 28, 28, x + i * SAMPLE), OCT_OK);
    oct_source_close(s);
    return x;
}

static oct_model *mnist(int batch, int threads)
{
    oct_model *m;
    const oct_options options = { .batch = batch, .threads = threads };
    ck_assert_msg(oct_model_load(at_source("weights/pretrained/mnist_cnn.safetensors"), &options,
                                 &m) == OCT_OK, "%s", oct_last_error());
    return m;
}

/* Gives the samples of x one batch after the other, from the end if backwards. */
typedef struct feed {
    const float *x;
    int next, n, backwards, sample;
} feed;

static oct_status fill(void *arg, oct_tensor *in, int batch, int *n)
{
    feed *f = arg;
    const size_t size = (size_t)f->sample;
    float *to = in->data;
    for (*n = 0; *n < batch && f->next < f->n; ++*n, f->next++) {
        const size_t i = (size_t)(f->backwards ? f->n - 1 - f->next : f->next);
        memcpy(to + (size_t)*n * size, f->x + i * size, size * sizeof *to);
    }
    return OCT_OK;
}

static oct_calibration *calibrate(oct_model *m, const float *x, int n, int backwards)
{
    feed f = { x, 0, n, backwards, SAMPLE };
    const oct_calibrate_options options = { .means = 1 };
    oct_calibration *c;
    ck_assert_msg(oct_calibrate(m->plan, m->pool, &options, fill, &f, &c) == OCT_OK, "%s",
                  oct_last_error());
    return c;
}

static void check_equal(const oct_calibration *a, const oct_calibration *b)
{
    ck_assert_int_eq(oct_calibration_count(a), oct_calibration_count(b));
    ck_assert_int_eq(oct_calibration_samples(a), oct_calibration_samples(b));
    for (int i = 0; i < oct_calibration_count(a); i++) {
        const oct_observed *x = oct_calibration_at(a, i), *y = oct_calibration_at(b, i);
        ck_assert_str_eq(x->name, y->name);
        ck_assert_msg(memcmp(x->observer, y->observer, sizeof *x->observer) == 0, "%s", x->name);
        ck_assert_int_eq(x->means.channels, y->means.channels);
        ck_assert_int_eq(x->means.samples, y->means.samples);
        const size_t size = 2 * (size_t)x->means.channels * sizeof *x->means.whole;
        ck_assert_msg(!size || memcmp(x->means.whole, y->means.whole, size) == 0, "%s", x->name);
    }
}

START_TEST(batch_and_threads_and_order_do_not_matter)
{
    static const struct { int batch, threads, backwards; } how[] = {
        { 1, 1, 0 }, { 7, 1, 0 }, { 64, 1, 1 }, { 1, 3, 1 }, { 7, 3, 0 }, { 64, 3, 0 },
    };
    float *x = digits();
    oct_calibration *first = NULL;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        oct_model *m = mnist(how[i].batch, how[i].threads);
        oct_calibration *c = calibrate(m, x, IMAGES, how[i].backwards);
        if (first) check_equal(first, c);
        if (first) oct_calibration_close(c);
        else first = c;
        oct_model_free(m);
    }
    oct_calibration_close(first);
    free(x);
}
END_TEST

/* Extremes, counts and sums of each step's output, by plain loops. */
typedef struct plain {
    float lo[64], hi[64];
    uint64_t count[64], zeros[64];
    double sum[64];
} plain;

static void look(void *arg, const oct_plan *plan, int step, int n)
{
    plain *p = arg;
    const oct_tensor *t = plan->step[step].args.out;
    const float *x = t->data;
    for (size_t i = 0; i < (size_t)n * oct_tensor_sample_count(t); i++) {
        p->lo[step] = fminf(p->lo[step], x[i]);
        p->hi[step] = fmaxf(p->hi[step], x[i]);
        p->count[step]++;
        p->zeros[step] += x[i] == 0;
        p->sum[step] += (double)x[i];
    }
}

START_TEST(ranges_are_those_of_all_values)
{
    static plain p;
    float *x = digits();
    oct_model *m = mnist(16, 2);
    oct_calibration *c = calibrate(m, x, IMAGES, 0);
    feed f = { x, 0, IMAGES, 0, SAMPLE };
    for (int n = 1; n;) {
        ck_assert_int_eq(fill(&f, m->plan->in, 16, &n), OCT_OK);
        if (n) oct_plan_run(m->plan, m->pool, n, look, &p);
    }
    ck_assert_int_ge(m->plan->n_steps, 5);
    for (int i = 0; i < m->plan->n_steps; i++) {
        const oct_observed *v = oct_calibration_step(c, i);
        const oct_range r = oct_observer_minmax(v->observer);
        ck_assert_ptr_eq(oct_calibration_find(c, m->plan->step[i].node->name), v);
        ck_assert_msg(r.lo == p.lo[i] && r.hi == p.hi[i], "%s", v->name);
        ck_assert_uint_eq(v->observer->total, p.count[i]);
        ck_assert_uint_eq(v->observer->zeros, p.zeros[i]);
        double mean = 0;
        for (int k = 0; k < v->means.channels; k++) mean += oct_means_get(&v->means, k);
        const double want = p.sum[i] / (double)p.count[i];
        ck_assert_msg(fabs(mean / v->means.channels - want) < 1e-9, "%s: %g", v->name, want);
    }
    ck_assert_ptr_eq(oct_calibration_find(c, "input"), oct_calibration_at(c, 0));
    ck_assert_ptr_eq(oct_calibration_step(c, 0), oct_calibration_at(c, 0)); /* layout moves */
    ck_assert_ptr_null(oct_calibration_find(c, "conv9"));
    ck_assert_int_eq(oct_calibration_samples(c), IMAGES);
    oct_calibration_close(c);
    oct_model_free(m);
    free(x);
}
END_TEST

static net t;

/* Values of more than a piece, more than a block of channels, and a flatten that stays. */
static void open_net(int batch)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, batch, 3, 24, 25);
    x = net_act(&t, "relu", net_conv(&t, "conv", x, 70, 3, 1, 1, 1), OCT_ACT_RELU);
    net_output(&t, net_linear(&t, "fc", net_flatten(&t, "flat", net_maxpool(&t, "pool", x, 4)), 9));
}

static void set_input(const oct_plan *p, float v)
{
    float *x = p->in[0].data;
    for (size_t i = 0; i < oct_tensor_count(&p->in[0]); i++) x[i] = v * (float)(i % 97);
}

START_TEST(threads_share_large_values)
{
    oct_pool *pool;
    oct_calibration *c[2];
    const oct_calibrate_options options = { .means = 1 };
    ck_assert_int_eq(oct_pool_open(3, &pool), OCT_OK);
    open_net(4);
    const oct_plan_options how = { .threads = 3 };
    oct_plan *p;
    ck_assert_int_eq(oct_plan_build(&t.g, &how, &p), OCT_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(oct_calibration_open(p, pool, &options, &c[i]), OCT_OK);
        for (int round = 1; round <= 2; round++) {
            set_input(p, (float)round);
            oct_calibration_run(c[i], p, i ? pool : net_pool(), 4);
        }
    }
    check_equal(c[0], c[1]);
    const oct_observed *relu = oct_calibration_find(c[0], "relu");
    ck_assert_uint_eq(relu->observer->total, 2 * 4 * 70 * 24 * 25);
    ck_assert(oct_observer_minmax(relu->observer).lo == 0 && relu->observer->zeros > 0);
    ck_assert_int_eq(relu->means.channels, 70);
    ck_assert_int_eq(oct_calibration_find(c[0], "flat")->means.channels, 70); /* the pool's */
    ck_assert_int_eq(oct_calibration_find(c[0], "input")->means.channels, 3);
    for (int k = 0; k < 70; k++) { /* the last run's share of channel k, by a plain loop */
        const oct_means *m = &relu->means;
        ck_assert(oct_means_get(m, k) >= 0 && m->part[k] >= 0);
    }
    oct_calibration_close(c[0]);
    oct_calibration_close(c[1]);
    oct_plan_free(p);
    oct_pool_close(pool);
    net_close(&t);
}
END_TEST

START_TEST(means_of_channels)
{
    enum { C = 70, ROWS = 6, SAMPLES = 3 };
    static float blocked[SAMPLES * ROWS * C];
    double want[C] = { 0 }, scratch[SAMPLES * C];
    for (int s = 0; s < SAMPLES; s++)
        for (int r = 0; r < ROWS; r++)
            for (int k = 0; k < C; k++) {
                const int b = k / 64, width = b ? C - 64 : 64;
                const float v = (float)(s * 100 + r * k) - 33.25f;
                blocked[s * ROWS * C + b * 64 * ROWS + r * width + k % 64] = v;
                want[k] += (double)v / (ROWS * SAMPLES);
            }
    const oct_tensor x = { .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4,
                           .dim = { SAMPLES, 2, 3, C }, .data = blocked };
    oct_means m;
    ck_assert_int_eq(oct_means_open(C, &m), OCT_OK);
    ck_assert(oct_means_get(&m, 0) == 0);
    oct_means_add(&m, &x, NULL, SAMPLES, net_pool(), scratch);
    for (int k = 0; k < C; k++) ck_assert(fabs(oct_means_get(&m, k) - want[k]) < 1e-11);
    oct_means_close(&m);

    /* beyond the fixed point, and not a number: counted, harmless */
    float odd[] = { NAN, INFINITY, -INFINITY, -0x1p-60f };
    const oct_tensor y = { .dtype = OCT_F32, .rank = 2, .dim = { 1, 4 }, .data = odd };
    ck_assert_int_eq(oct_means_open(4, &m), OCT_OK);
    oct_means_add(&m, &y, NULL, 1, net_pool(), scratch);
    ck_assert(oct_means_get(&m, 0) == 0 && oct_means_get(&m, 1) == 0x1p38 &&
              oct_means_get(&m, 2) == -0x1p38 && oct_means_get(&m, 3) == 0);
    oct_means_close(&m);
}
END_TEST

/* Two groups, 3x3 taps, padding, no square: the corrected bias brings the mean output of rounded
 * weights to that of the exact ones, for an input that is E[x] everywhere, borders included. */
START_TEST(a_corrected_bias_restores_the_mean)
{
    enum { IN = 4, OUT = 6, TAPS = 9, H = 5, W = 8, ROWS = 3, COLS = 8, PLACES = ROWS * COLS };
    static const oct_bias_window window = { .in = { H, W }, .out = { ROWS, COLS },
        .kernel = { 3, 3 }, .stride = { 2, 1 }, .pad = { 1, 2 }, .dilation = { 1, 2 } };
    float mean[IN] = { .5f, -2, 3, .25f }, w[OUT][IN / 2 * TAPS], scale[OUT], bias[OUT] = { 0 };
    double inside[TAPS], scratch[IN];
    int8_t q[OUT][IN / 2 * TAPS];
    oct_means m;
    const oct_tensor x = { .dtype = OCT_F32, .rank = 2, .dim = { 1, IN }, .data = mean };
    ck_assert_int_eq(oct_means_open(IN, &m), OCT_OK);
    oct_means_add(&m, &x, NULL, 1, net_pool(), scratch);
    oct_bias_inside(&window, inside);
    for (int o = 0; o < OUT; o++) {
        for (int i = 0; i < IN / 2 * TAPS; i++) w[o][i] = (float)(test_rand() % 1000) / 500 - 1;
        scale[o] = .125f; /* coarse: errors to be seen */
        oct_weight_quantize(w[o], IN / 2 * TAPS, scale[o], q[o]);
    }
    const oct_bias_layer layer = { OUT, IN, 2, TAPS, w[0], q[0], scale, inside, NULL };
    oct_bias_correct(&layer, &m, bias);
    for (int o = 0; o < OUT; o++) {
        double error = 0;
        for (int p = 0; p < PLACES; p++)
            for (int i = 0; i < IN / 2 * TAPS; i++) {
                const int tap = i % TAPS, c = i / TAPS + o / (OUT / 2) * (IN / 2);
                const int row = p / COLS * 2 - 1 + tap / 3;
                const int col = p % COLS - 2 + tap % 3 * 2;
                if (row < 0 || row >= H || col < 0 || col >= W) continue;
                error += ((double)w[o][i] - (double)scale[o] * q[o][i]) * (double)mean[c];
            }
        ck_assert(fabs(error) > .01);
        ck_assert_msg(fabs(error / PLACES - (double)bias[o]) < 1e-6, "%g, %g",
                      error / PLACES, (double)bias[o]);
    }
    oct_means_close(&m);
}
END_TEST

START_TEST(bad_data_is_refused_by_name)
{
    feed f = { NULL, 0, 0, 0, 0 };
    open_net(1);
    oct_plan *p = net_plan(&t, 0);
    oct_calibration *c;
    ck_assert_int_eq(oct_calibrate(p, net_pool(), NULL, fill, &f, &c), OCT_ERR_FORMAT);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(oct_last_error(), "calibrate: there are no samples");
    ck_assert_int_eq(oct_calibration_open(p, net_pool(), NULL, &c), OCT_OK);
    set_input(p, 1);
    oct_calibration_run(c, p, net_pool(), 1);
    ck_assert_int_eq(oct_calibration_check(c), OCT_OK);
    ((float *)p->in[0].data)[5] = NAN;
    ((float *)p->in[0].data)[6] = INFINITY;
    oct_calibration_run(c, p, net_pool(), 1);
    ck_assert_int_eq(oct_calibration_check(c), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "calibrate: input: 2 of 3600 values are NaN or infinite");
    oct_calibration_close(c);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

static oct_status too_many(void *arg, oct_tensor *in, int batch, int *n)
{
    (void)arg, (void)in;
    *n = batch + 1;
    return OCT_OK;
}

START_TEST(callbacks_are_checked)
{
    open_net(2);
    oct_plan *p = net_plan(&t, 0);
    oct_calibration *c;
    ck_assert_int_eq(oct_calibrate(p, net_pool(), NULL, too_many, NULL, &c), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "calibrate: 3 samples, the plan is made for 1 to 2");
    ck_assert_ptr_null(c);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

START_TEST(no_memory_is_an_answer_and_runs_need_none)
{
    const oct_calibrate_options options = { .means = 1 };
    if (!fail_alloc_works()) return;
    open_net(2);
    oct_plan *p = net_plan(&t, 0);
    set_input(p, 1);
    for (long n = 1;; n++) {
        oct_calibration *c;
        const long before = fail_alloc_live();
        fail_alloc_begin(n, 0);
        const oct_status status = oct_calibration_open(p, net_pool(), &options, &c);
        const long used = fail_alloc_end();
        if (status != OCT_OK) {
            ck_assert_int_eq(status, OCT_ERR_MEMORY);
            ck_assert_int_eq(fail_alloc_live(), before);
            continue;
        }
        ck_assert_msg(used < n && n > 5, "%ld allocations", n);
        fail_alloc_begin(0, 0);
        for (int i = 0; i < 50; i++) oct_calibration_run(c, p, net_pool(), 1 + i % 2);
        ck_assert_int_eq(fail_alloc_end(), 0);
        oct_calibration_close(c);
        ck_assert_int_eq(fail_alloc_live(), before);
        break;
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        batch_and_threads_and_order_do_not_matter, ranges_are_those_of_all_values,
        threads_share_large_values, means_of_channels, a_corrected_bias_restores_the_mean,
        bad_data_is_refused_by_name, callbacks_are_checked,
        no_memory_is_an_answer_and_runs_need_none,
    };
    return suite_run("calibrate", tests, sizeof tests / sizeof *tests);
}
