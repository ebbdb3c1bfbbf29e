/* quant/qparams.c against tables made by hand; quant/observer*.c against plain loops over the
 * values and against what make_quant.py finds. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/observer.h"
#include "tensor/f16.h"
#include "tests/golden/quant.h"
#include "tests/suite.h"

enum { N = 20000, BINS = OCT_OBSERVER_BINS };

/* ---- qparams ---- */

START_TEST(scales_and_zeros_of_ranges)
{
    static const struct { float lo, hi; int qmax; float scale; int zero; } table[] = {
        { 0, 127, 127, 1, 0 },              { 0, 255, 255, 1, 0 },
        { 0, 6, 255, 6.f / 255, 0 },        { 1, 127, 127, 1, 0 },      /* widened to 0 */
        { -127, 0, 127, 1, 127 },           { -255, -3, 255, 1, 255 },
        { -1, 1, 255, 2.f / 255, 127 },     /* 127.4999: scale was rounded up */
        { -1, 1, 127, 2.f / 127, 64 },      /*  63.5000: scale was rounded down */
        { -1, 3, 4, 1, 1 },                 { -1.4f, 3, 4, 1.1f, 1 },
        { 0, 0, 127, 1, 0 },                { -0.f, 0, 255, 1, 0 },
        { 0, 0x1p-149f, 127, 0x1p-64f, 0 }, { -0x1p-149f, 0, 127, 0x1p-64f, 0 },
        { -FLT_MAX, FLT_MAX, 127, (float)(2 * (double)FLT_MAX / 127), 63 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const oct_range range = { table[i].lo, table[i].hi };
        const oct_qparams p = oct_qparams_u8(range, table[i].qmax);
        ck_assert_msg(p.scale == table[i].scale && p.zero == table[i].zero,
                      "row %zu: scale %a, zero %d", i, (double)p.scale, p.zero);
    }
}
END_TEST

/* Zero comes back as zero, everything in the range within a step, scales grow with the range. */
START_TEST(any_range_holds_zero_and_covers)
{
    for (int round = 0; round < 20000; round++) {
        const int qmax = round & 1 ? 127 : 255, e = (int)(test_rand() % 60) - 30;
        const float lo = -ldexpf((float)(test_rand() % 1000), e) * (round % 3 != 0);
        const float hi = ldexpf((float)(test_rand() % 1000), e);
        const oct_qparams p = oct_qparams_u8((oct_range){ lo, hi }, qmax);
        ck_assert(p.scale >= 0x1p-64f && isfinite(p.scale) && p.zero >= 0 && p.zero <= qmax);
        ck_assert_int_eq(oct_quantize_u8(0, p, qmax), p.zero);
        ck_assert(lo < 0 || p.zero == 0);
        for (int i = 0; i <= 8; i++) {
            const double x = (double)(float)((double)lo + ((double)hi - (double)lo) * i / 8);
            const int q = oct_quantize_u8((float)x, p, qmax);
            ck_assert_msg(fabs((q - p.zero) * (double)p.scale - x) <= 1.001 * (double)p.scale,
                          "%g in %g..%g", x, (double)lo, (double)hi);
        }
        const oct_qparams wider = oct_qparams_u8((oct_range){ lo * 1.5f, hi * 1.5f }, qmax);
        ck_assert(wider.scale >= p.scale);
    }
}
END_TEST

START_TEST(activations_round_to_even_and_clamp)
{
    static const struct { float x; int q; } table[] = {
        { 0, 10 }, { -0.f, 10 }, { .25f, 10 }, { .75f, 12 }, { 1.25f, 12 }, { 1.26f, 13 },
        { -.25f, 10 }, { -.75f, 8 }, { -5, 0 }, { -5.3f, 0 }, { -1e30f, 0 }, { 58.5f, 127 },
        { 58.8f, 127 }, { 1e30f, 127 }, { INFINITY, 127 }, { -INFINITY, 0 }, { NAN, 0 },
    };
    const oct_qparams p = { .5f, 10 };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(oct_quantize_u8(table[i].x, p, 127) == table[i].q, "row %zu", i);
}
END_TEST

START_TEST(weight_rows)
{
    static const float w[] = { 0, 1, -2, .5f, 2, -.0078f }, none[3], tiny[] = { 0x1p-149f };
    int8_t q[6];
    const float s = oct_weight_scale(w, 6, 0, 1);
    ck_assert(s == 2.f / 127);
    oct_weight_quantize(w, 6, s, q);
    static const int8_t want[] = { 0, 64, -127, 32, 127, 0 }; /* 63.5 and 31.75 */
    ck_assert_int_eq(memcmp(q, want, 6), 0);
    ck_assert(oct_weight_scale(none, 3, 0, 1) == 1);
    ck_assert(oct_weight_scale(none, 0, 0, 1) == 1);
    ck_assert(oct_weight_scale(none, 3, 5, 0x1p-20f) == 1); /* 5 * 2^20 / 2^29 < 1 */
    ck_assert(oct_weight_scale(tiny, 1, 0, 1) == 0x1p-60f);
    ck_assert(oct_weight_scale(w, 6, 3, 0x1p-29f) == 3);    /* the bias decides */
    ck_assert(oct_weight_scale(w, 6, -3, 0x1p-29f) == 3);
}
END_TEST

START_TEST(a_bias_takes_at_most_29_bits)
{
    ck_assert_int_eq(oct_bias_quantize(1, .5f, .25f), 8);
    ck_assert_int_eq(oct_bias_quantize(-.3125f, .5f, .25f), -2);  /* -2.5 to even */
    ck_assert_int_eq(oct_bias_quantize(1e30f, 1, 1), 1 << 29);
    ck_assert_int_eq(oct_bias_quantize(-1e30f, 1, 1), -(1 << 29));
    for (int round = 0; round < 20000; round++) {
        const float w = (float)(test_rand() % 100) / 1000;
        const float b = (float)((int)(test_rand() % 2001) - 1000) * .037f;
        const float s_in = ldexpf(1 + (float)(test_rand() % 100) / 100, -(int)(test_rand() % 40));
        const float s = oct_weight_scale(&w, 1, b, s_in);
        const double steps = (double)b / ((double)s_in * (double)s);
        ck_assert_msg(fabs(steps) <= 1 << 29, "%g", steps);
        ck_assert(fabs(oct_bias_quantize(b, s_in, s) - steps) <= .5);
        ck_assert((double)s >= (double)w / 127.00001);
    }
}
END_TEST

/* ---- observers ---- */

static oct_observer *observe(const float *x, size_t n)
{
    oct_observer *o = oct_observer_new();
    ck_assert(o);
    oct_observer_add(o, x, n);
    return o;
}

/* The data of make_quant.py. */
static double word(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)(z >> 32);
}

static float value(const char *data, double b, double w)
{
    if (!strcmp(data, "flat")) return (float)(w / 0x1p32);
    if (!strcmp(data, "heavy")) return (float)(b * b * b);
    if (!strcmp(data, "heavy_relu")) return (float)(b < 0 ? 0 : b * b * b);
    if (!strcmp(data, "skewed")) return (float)(b < 0 ? b * .125 : b * b);
    if (!strcmp(data, "negative")) return (float)((b < 0 ? b : 0) * 1e-3);
    if (!strcmp(data, "bell")) return (float)b;
    return (float)(b < 0 ? 0 : b); /* relu, outlier */
}

static float *make(const char *data)
{
    float *x = malloc(N * sizeof *x);
    ck_assert(x);
    uint64_t bell = 1, flat = 2;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < 8; k++) sum += word(&bell);
        x[i] = value(data, (sum / 0x1p32 - 4) * 1.25, word(&flat));
    }
    if (!strcmp(data, "outlier")) x[N / 2] = 300;
    return x;
}

static double square_error(const float *x, size_t n, oct_range range, int qmax)
{
    const oct_qparams p = oct_qparams_u8(range, qmax);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double q = nearbyint((double)x[i] / (double)p.scale) + p.zero;
        q = fmin(fmax(q, 0), qmax) - p.zero;
        sum += ((double)x[i] - q * (double)p.scale) * ((double)x[i] - q * (double)p.scale);
    }
    return sum / (double)n;
}

/* The picks are make_quant.py's to the last bin, whatever way the sums were made.  And the mean
 * square error that mse's pick really has is near the least of all candidates', and near what the
 * bins say.  A mean of squares of n errors spread over a step has a relative standard deviation of
 * 0.9 / sqrt(n): 0.9 % for the n >= 10,000 that are not 0.  The bins smooth that out, the values
 * have it: 4 of them. */
START_TEST(picks_are_those_of_the_definition)
{
    const double limit = 4 * .009;
    for (size_t i = 0; i < sizeof quant_goldens / sizeof *quant_goldens; i++) {
        const struct quant_golden *g = &quant_goldens[i];
        float *x = make(g->data);
        oct_observer *o = observe(x, N);
        const oct_range all = oct_observer_minmax(o);
        oct_range kl, mse;
        ck_assert_int_eq(oct_observer_kl(o, g->qmax, &kl), OCT_OK);
        ck_assert_int_eq(oct_observer_mse(o, g->qmax, &mse), OCT_OK);
        const double most = fmax((double)all.hi, -(double)all.lo);
        const float clip = (float)(most * g->kl / 2048);
        ck_assert_msg(kl.hi == fminf(all.hi, clip) && kl.lo == fmaxf(all.lo, -clip),
                      "%s %d: kl %g..%g", g->data, g->qmax, (double)kl.lo, (double)kl.hi);
        ck_assert_msg((double)mse.lo == g->lo && (double)mse.hi == g->hi, "%s %d: mse %a..%a",
                      g->data, g->qmax, (double)mse.lo, (double)mse.hi);
        const double error = square_error(x, N, mse, g->qmax);
        ck_assert_msg(error <= g->least * (1 + limit), "%s %d: %g, least %g", g->data,
                      g->qmax, error, g->least);
        const double told = oct_observer_error(o, mse, g->qmax);
        ck_assert_msg(fabs(told - error) <= error * limit, "%s %d: %g for %g", g->data, g->qmax,
                      told, error);
        free(o);
        free(x);
    }
}
END_TEST

/* Most pixels of a digit are its background: what kl makes of the rest must not be to clip it. */
START_TEST(kl_keeps_what_lies_beyond_a_repeated_value)
{
    const oct_method_options options = { .qmax = 127 };
    float *x = make("flat");
    for (int i = 0; i < N; i++) x[i] = i % 5 ? -0.42f : -0.42f + 3.2f * x[i];
    oct_observer *o = observe(x, N);
    oct_range r;
    ck_assert_int_eq(oct_observer_range(o, OCT_METHOD_KL, &options, &r), OCT_OK);
    ck_assert_msg(oct_observer_outside(o, r) <= N / 50, "%g..%g", (double)r.lo, (double)r.hi);
    free(o);
    free(x);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double beyond(double end) { return end * (1 + 1.0 / 512); }

/* At most the tail lies outside, and the cut is at most a bin past the sample itself. */
START_TEST(percentiles_of_sorted_values)
{
    static const char *const data[] = { "bell", "relu", "heavy", "skewed", "outlier", "negative" };
    static const int ppm[] = { 1000000, 999999, 999900, 999000, 990000, 900000, 500000 };
    for (size_t d = 0; d < sizeof data / sizeof *data; d++) {
        float *x = make(data[d]);
        oct_observer *o = observe(x, N);
        qsort(x, N, sizeof *x, by_value);
        const int two = x[0] < 0 && x[N - 1] > 0;
        oct_range before = oct_observer_minmax(o);
        for (size_t p = 0; p < sizeof ppm / sizeof *ppm; p++) {
            const int tail = (int)((int64_t)N * (1000000 - ppm[p]) / 1000000) / (two ? 2 : 1);
            const oct_range r = oct_observer_percentile(o, ppm[p]);
            const double hi = fmax((double)x[N - 1 - tail], 0), lo = fmin((double)x[tail], 0);
            ck_assert_msg((double)r.hi >= hi && (double)r.hi <= beyond(hi) && (double)r.lo <= lo &&
                          (double)r.lo >= beyond(lo), "%s %d: %g..%g, %g..%g", data[d], ppm[p],
                          (double)r.lo, (double)r.hi, lo, hi);
            ck_assert(r.hi <= before.hi && r.lo >= before.lo);
            ck_assert_uint_le(oct_observer_outside(o, r), (unsigned)tail * (two ? 2u : 1u));
            before = r;
        }
        const oct_range full = oct_observer_percentile(o, 1000000), all = oct_observer_minmax(o);
        ck_assert(full.hi == all.hi && full.lo == all.lo);
        ck_assert(oct_observer_percentile(o, 0).hi == oct_observer_percentile(o, 999300).hi);
        free(o);
        free(x);
    }
}
END_TEST

/* A number of any size, sign and kind. */
static float anything(void)
{
    switch (test_rand() % 16) {
    case 0: return test_rand() & 1 ? 0.f : -0.f;
    case 1: return oct_f32_of_bits(test_rand()); /* NaN and infinities among them */
    case 2: return ldexpf(1, (int)(test_rand() % 300) - 150);
    case 3: return test_rand() % 50 ? 1 : test_rand() & 1 ? NAN : -INFINITY;
    default: return (float)((int)(test_rand() % 20001) - 10000) * 1e-3f;
    }
}

static int plain_bin(float x)
{
    const float a = fabsf(x);
    if (a < 0x1p-32f) return 0;
    if (a >= 0x1p32f) return BINS - 1;
    int e;
    const float m = frexpf(a, &e); /* a = m 2^e, 1/2 <= m < 1 */
    return (e - 1 + 32) * 512 + (int)((m * 2 - 1) * 512);
}

START_TEST(counts_are_those_of_a_plain_loop)
{
    static float x[5000];
    for (int round = 0; round < 60; round++) {
        const size_t n = test_rand() % 5001;
        oct_observer *want = oct_observer_new();
        ck_assert(want);
        float least = INFINITY, hi = 0, lo = 0;
        for (size_t i = 0; i < n; i++) {
            const float v = x[i] = round % 2 ? anything() : (float)(test_rand() % 64) - 20;
            want->nans += v != v;
            want->infinities += isinf(v) != 0;
            if (!isfinite(v)) continue;
            want->total++;
            want->zeros += v == 0;
            hi = fmaxf(hi, v);
            lo = fminf(lo, v);
            if (v == 0) continue;
            want->count[plain_bin(v) + (v < 0 ? BINS : 0)]++;
            least = fminf(least, fabsf(v));
        }
        if (least < INFINITY) want->least = (int64_t)oct_bits_of_f32(least) - 1;
        want->most[0] = (int32_t)oct_bits_of_f32(hi);
        want->most[1] = (int32_t)oct_bits_of_f32(fabsf(lo));
        oct_observer *o = observe(x, n);
        ck_assert_msg(memcmp(o, want, sizeof *o) == 0, "round %d, %zu values", round, n);
        ck_assert(oct_observer_minmax(o).lo == lo && oct_observer_minmax(o).hi == hi);
        free(o);
        free(want);
    }
}
END_TEST

START_TEST(order_and_pieces_and_merges_do_not_matter)
{
    static float x[9000];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 9000; i++) x[i] = round ? anything() : (float)i;
        oct_observer *want = observe(x, 9000), *sum = oct_observer_new();
        oct_observer *part[3] = { oct_observer_new(), oct_observer_new(), oct_observer_new() };
        ck_assert(sum && part[0] && part[1] && part[2]);
        for (int i = 8999; i > 0; i--) {
            const int k = (int)(test_rand() % (unsigned)(i + 1));
            const float v = x[i];
            x[i] = x[k];
            x[k] = v;
        }
        for (size_t i = 0, n; i < 9000; i += n) {
            n = test_rand() % 3 ? test_rand() % 1500 : 1;
            if (n > 9000 - i) n = 9000 - i;
            const int p = (int)(test_rand() % 3);
            oct_observer_add(part[p], x + i, n);
            if (test_rand() % 4) continue;
            oct_observer_merge(sum, part[p]); /* and start again, as calibrate does */
            oct_observer_clear(part[p]);
        }
        oct_observer *empty = oct_observer_new();
        ck_assert(empty);
        for (int p = 0; p < 3; p++) {
            oct_observer_merge(sum, part[2 - p]);
            oct_observer_clear(part[2 - p]);
            ck_assert_int_eq(memcmp(part[2 - p], empty, sizeof *empty), 0);
            free(part[2 - p]);
        }
        ck_assert_int_eq(memcmp(sum, want, sizeof *sum), 0);
        oct_observer_merge(sum, empty);
        ck_assert_int_eq(memcmp(sum, want, sizeof *sum), 0);
        free(sum);
        free(want);
        free(empty);
    }
}
END_TEST

/* Every method on data that have no width, or too much: finite, ordered, holding 0, inside
 * min..max; a range of positive width where there is a value but 0 that is not denormal. */
START_TEST(extremes_have_ranges)
{
    static const float sets[][4] = {
        { 0, -0.f, 0, 0 }, { NAN, INFINITY, -INFINITY, 0 }, { 3, 3, 3, 3 }, { -3, -3, -3, -3 },
        { 0x1p-149f, 0, 0, 0 }, { -0x1p-149f, 0x1p-140f, 0, 0 }, { FLT_MAX, -FLT_MAX, 1, 0 },
        { 1e-30f, 1e30f, 0, 0 }, { 1, NAN, 0, 0 }, { 0x1p-32f, 0x1p32f, -0x1p-33f, -0x1p33f },
        { 1, 2, 4, 8 }, { -1, 1, -1, 1 }, { FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX },
        { 1e-20f, 2e-20f, 3e-20f, -1e-20f },
    };
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        oct_observer *o = observe(sets[s], 4), *none = oct_observer_new();
        const oct_range all = oct_observer_minmax(o);
        for (int m = 0; m < 2 * OCT_METHOD_COUNT; m++) {
            const oct_method_options options = { .qmax = m & 1 ? 127 : 255 };
            oct_range r = { NAN, NAN };
            ck_assert_int_eq(oct_observer_range(o, (oct_method)(m / 2), &options, &r), OCT_OK);
            ck_assert_msg(r.lo <= 0 && r.hi >= 0 && r.lo >= all.lo && r.hi <= all.hi &&
                          isfinite(r.lo) && isfinite(r.hi), "set %zu, %s: %g..%g", s,
                          oct_method_name((oct_method)(m / 2)), (double)r.lo, (double)r.hi);
            ck_assert((all.lo == 0 && all.hi == 0) || r.lo < 0 || r.hi > 0);
            const oct_qparams p = oct_qparams_u8(r, options.qmax);
            ck_assert(isfinite(p.scale) && p.scale > 0);
            ck_assert_int_eq(oct_observer_range(none, (oct_method)(m / 2), &options, &r), OCT_OK);
            ck_assert(r.lo == 0 && r.hi == 0);
        }
        free(o);
        free(none);
    }
}
END_TEST

/* Powers of two change nothing but the scale, mirrored data mirror the range. */
START_TEST(ranges_follow_the_data)
{
    float *x = make("skewed"), *y = malloc(N * sizeof *y);
    ck_assert(y);
    for (int m = 0; m < OCT_METHOD_COUNT; m++) {
        const oct_method_options options = { .qmax = 255 };
        oct_range r, s;
        oct_observer *o = observe(x, N);
        ck_assert_int_eq(oct_observer_range(o, (oct_method)m, &options, &r), OCT_OK);
        free(o);
        for (int i = 0; i < N; i++) y[i] = x[i] * 0x1p-9f;
        o = observe(y, N);
        ck_assert_int_eq(oct_observer_range(o, (oct_method)m, &options, &s), OCT_OK);
        free(o);
        ck_assert_msg(s.lo == r.lo * 0x1p-9f && s.hi == r.hi * 0x1p-9f, "%s",
                      oct_method_name((oct_method)m));
        if (m == OCT_METHOD_MSE) continue; /* tries the lower end first; -x.5 rounds to even */
        for (int i = 0; i < N; i++) y[i] = -x[i];
        o = observe(y, N);
        ck_assert_int_eq(oct_observer_range(o, (oct_method)m, &options, &s), OCT_OK);
        free(o);
        ck_assert_msg(s.lo == -r.hi && s.hi == -r.lo, "%s", oct_method_name((oct_method)m));
    }
    free(x);
    free(y);
}
END_TEST

START_TEST(what_lies_outside)
{
    static const float x[] = { -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, NAN };
    oct_observer *o = observe(x, 11);
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ -4, 5 }), 0);
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ -9, 9 }), 0);
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ -3.5f, 3.5f }), 3);
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ 0, 9 }), 4);
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ -4, 2 }), 4); /* the edge's own too */
    ck_assert_uint_eq(oct_observer_outside(o, (oct_range){ 0, 0 }), 9);
    free(o);
}
END_TEST

START_TEST(methods_have_names)
{
    oct_method m;
    for (int i = 0; i < OCT_METHOD_COUNT; i++) {
        ck_assert_int_eq(oct_method_find(oct_method_name((oct_method)i), &m), OCT_OK);
        ck_assert_int_eq(m, i);
    }
    ck_assert_int_eq(oct_method_find("entropy", &m), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(),
                     "method 'entropy' is none of minmax, percentile, kl, mse");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        scales_and_zeros_of_ranges, any_range_holds_zero_and_covers,
        activations_round_to_even_and_clamp, weight_rows, a_bias_takes_at_most_29_bits,
        picks_are_those_of_the_definition, kl_keeps_what_lies_beyond_a_repeated_value,
        percentiles_of_sorted_values,
        counts_are_those_of_a_plain_loop, order_and_pieces_and_merges_do_not_matter,
        extremes_have_ranges, ranges_follow_the_data, what_lies_outside, methods_have_names,
    };
    return suite_run("quant", tests, sizeof tests / sizeof *tests);
}
