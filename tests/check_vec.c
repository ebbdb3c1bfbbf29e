/* ops/kernels/vec.h: every variant against ref, ref against double and hand-written tables. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/kernels/math_f32.h"
#include "ops/kernels/vec.h"
#include "tensor/arena.h"
#include "tests/check_kernels.h"

enum { LANES = 16, MAX_WIDTH = 70 }; /* sizes run to 2 * LANES + 1 and round 64 */

static const char *const names[OCT_ACT_COUNT] = {
    "none", "relu", "relu6", "sigmoid", "tanh", "gelu",
};

static const char *variant(int i, unsigned *needs)
{
    if (!oct_vec_all[i]) return NULL;
    *needs = oct_vec_all[i]->needs;
    return oct_vec_all[i]->isa;
}

/* n floats that end at the guarded page: these kernels read nothing past their operands. */
static float *operand(size_t n, check_fill fill)
{
    float *p = (float *)check_in(n * sizeof *p, sizeof *p) + OCT_TAIL / sizeof *p;
    check_fill_f32(p, n, fill);
    return p;
}

static float *result(size_t n) { return check_out(n * sizeof(float), sizeof(float)); }

static void compare(const char *what, const oct_vec *v, const float *want, const float *got,
                    size_t n, check_fill fill)
{
    const size_t at = check_differ_f32(want, got, n);
    CHECK(at == n, "%s %s n=%zu fill=%s: [%zu] is %a, ref has %a", what, v->name, n,
          check_fill_name(fill), at, (double)got[at], (double)want[at]);
    CHECK(check_intact(got), "%s %s n=%zu: wrote outside", what, v->name, n);
    check_reset();
}

static void check_act(const oct_vec *v, oct_act act, size_t n, check_fill fill)
{
    float *x = operand(n, fill), *want = result(n), *got = result(n);
    for (size_t i = 0; fill == CHECK_RANDOM && i < n; i++) x[i] *= 12; /* where curves bend */
    oct_vec_ref.act(act, n, x, want);
    v->act(act, n, x, got);
    const size_t at = check_differ_f32(want, got, n);
    CHECK(at == n, "act %d of %a", (int)act, (double)x[at]);
    memcpy(got, x, n * sizeof *got);
    v->act(act, n, got, got);
    compare(names[act], v, want, got, n, fill);
}

static void check_add(const oct_vec *v, oct_act act, size_t n, check_fill fill)
{
    float *a = operand(n, fill), *b = operand(n, check_rand() & 1 ? fill : CHECK_RANDOM);
    float *want = result(n), *got = result(n);
    oct_vec_ref.add(act, n, a, b, want);
    v->add(act, n, a, b, got);
    CHECK(check_differ_f32(want, got, n) == n, "add %d n=%zu", (int)act, n);
    memcpy(got, b, n * sizeof *got);
    v->add(act, n, a, got, got);
    compare("add", v, want, got, n, fill);
}

static void check_scale_bias(const oct_vec *v, size_t count, int width, check_fill fill)
{
    const size_t w = (size_t)width, n = count * w;
    float *x = operand(n, fill), *mean = operand(w, check_any_fill());
    float *scale = operand(w, check_any_fill()), *bias = operand(w, fill);
    float *want = result(n), *got = result(n);
    oct_vec_ref.scale_bias(count, width, x, mean, scale, bias, want);
    v->scale_bias(count, width, x, mean, scale, bias, got);
    compare("scale_bias", v, want, got, n, fill);
}

static size_t extent(const oct_vec_windows *w)
{
    return (size_t)(w->count - 1) * w->step + (size_t)(w->rows - 1) * w->row +
           (size_t)(w->cols - 1) * w->col + (size_t)w->width;
}

static void check_windows(const oct_vec *v, int rows, int cols, int width, check_fill fill)
{
    const size_t pixel = check_odd_stride((size_t)width);
    const oct_vec_windows w = {
        rows, cols, pixel * (size_t)(7 + check_up_to(5)), pixel * (size_t)check_up_to(2),
        check_up_to(5), width, pixel * (size_t)check_up_to(3),
    };
    const size_t n = (size_t)w.count * (size_t)width;
    const float scale = 1.0f / (float)(rows * cols);
    float *x = operand(extent(&w), fill), *want = result(n), *got = result(n);
    oct_vec_ref.window_max(&w, x, want);
    v->window_max(&w, x, got);
    const size_t at = check_differ_f32(want, got, n);
    CHECK(at == n, "window_max %s %dx%d width=%d fill=%s [%zu]: %a, ref has %a", v->name, rows,
          cols, width, check_fill_name(fill), at, (double)got[at], (double)want[at]);
    oct_vec_ref.window_sum(&w, x, scale, want);
    v->window_sum(&w, x, scale, got);
    compare("window_sum", v, want, got, n, fill);
}

static void check_softmax(const oct_vec *v, size_t n, check_fill fill)
{
    float *x = operand(n, fill), *want = result(n), *got = result(n), top[2], sum[2];
    for (size_t i = 0; fill == CHECK_RANDOM && i < n; i++) x[i] *= 90;
    top[0] = oct_vec_ref.max(n, x);
    top[1] = v->max(n, x);
    CHECK(check_differ_f32(&top[0], &top[1], 1) == 1, "max n=%zu fill=%s: %a, ref has %a", n,
          check_fill_name(fill), (double)top[1], (double)top[0]);
    sum[0] = oct_vec_ref.exp_sum(n, x, top[0], want);
    memcpy(got, x, n * sizeof *got);
    sum[1] = v->exp_sum(n, got, top[0], got);
    CHECK(check_differ_f32(&sum[0], &sum[1], 1) == 1, "exp_sum n=%zu fill=%s: %a, ref has %a", n,
          check_fill_name(fill), (double)sum[1], (double)sum[0]);
    CHECK(check_differ_f32(want, got, n) == n, "exp_sum n=%zu fill=%s", n, check_fill_name(fill));
    oct_vec_ref.divide(n, x, sum[0], want);
    v->divide(n, x, sum[0], got);
    compare("divide", v, want, got, n, fill);
}

static void check_norm(const oct_vec *v, size_t n, check_fill fill)
{
    float *x = operand(n, fill), *gamma = operand(n, check_any_fill());
    float *beta = operand(n, CHECK_RANDOM), *want = result(n), *got = result(n);
    const float eps = check_rand() % 2 ? 1e-12f : 1e-5f;
    oct_vec_ref.norm(n, x, gamma, beta, eps, want);
    v->norm(n, x, gamma, beta, eps, got);
    CHECK(check_differ_f32(want, got, n) == n, "norm n=%zu fill=%s", n, check_fill_name(fill));
    memcpy(got, x, n * sizeof *got);
    v->norm(n, got, gamma, beta, eps, got);
    compare("norm in place", v, want, got, n, fill);
}

/* By its definition, not by ref: a transpose is easier to say than to do. */
static void check_transpose(const oct_vec *v, size_t rows, size_t cols)
{
    const size_t ldx = check_odd_stride(cols), ldy = check_odd_stride(rows);
    const size_t n = (cols - 1) * ldy + rows;
    float *x = operand((rows - 1) * ldx + cols, CHECK_WIDE), *want = result(n), *got = result(n);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) want[j * ldy + i] = x[i * ldx + j];
    v->transpose(rows, cols, x, ldx, got, ldy);
    CHECK(check_differ_f32(want, got, n) == n, "transpose %zux%zu", rows, cols);
    compare("transpose", v, want, got, n, CHECK_WIDE);
}

static int check_sizes(const oct_vec *v)
{
    int cases = 0;
    for (int f = 0; f < CHECK_FILL_COUNT; f++)
        for (size_t n = 1; n <= MAX_WIDTH && !check_failures(); n++, cases += OCT_ACT_COUNT + 7) {
            const check_fill fill = (check_fill)f;
            for (int act = 0; act < OCT_ACT_COUNT; act++) check_act(v, (oct_act)act, n, fill);
            for (int act = 0; act <= OCT_ACT_RELU6; act++) check_add(v, (oct_act)act, n, fill);
            check_softmax(v, n, fill);
            check_norm(v, n, fill);
            check_scale_bias(v, (size_t)check_up_to(5), (int)n, fill);
            check_windows(v, 2, 2, (int)n, fill);
            check_windows(v, check_up_to(4), check_up_to(4), (int)n, fill);
        }
    for (size_t rows = 1; rows <= MAX_WIDTH && !check_failures(); rows++, cases++)
        for (size_t cols = 1; cols <= 2 * LANES + 1; cols++) check_transpose(v, rows, cols);
    for (int r = 0; r < 20 && !check_failures(); r++, cases += 3) {
        check_norm(v, (size_t)check_up_to(1100), check_any_fill());
        check_softmax(v, (size_t)check_up_to(3000), check_any_fill());
        check_scale_bias(v, (size_t)check_up_to(3), check_up_to(700), check_any_fill());
    }
    return cases;
}

/* Bit patterns far apart from each other, all exponents: no curve has a bend nobody looked at. */
static int check_curves(const oct_vec *v)
{
    enum { ROW = 1 << 12, ROWS = 64 };
    for (int act = OCT_ACT_SIGMOID; act < OCT_ACT_COUNT; act++)
        for (int r = 0; r < ROWS && !check_failures(); r++) {
            float *x = check_in(ROW * sizeof *x, sizeof *x);
            float *want = result(ROW), *got = result(ROW);
            const uint32_t first = check_rand() % 65536;
            for (uint32_t i = 0; i < ROW; i++) /* ROW * ROWS steps of 16384 cover 32 bits */
                x[i] = oct_f32_of_bits(((uint32_t)r * ROW + i) * 16384u + first % 16384u);
            oct_vec_ref.act((oct_act)act, ROW, x, want);
            v->act((oct_act)act, ROW, x, got);
            const size_t at = check_differ_f32(want, got, ROW);
            CHECK(at == ROW, "%s(%a) is %a, ref has %a", names[act], (double)x[at],
                  (double)got[at], (double)want[at]);
            check_reset();
        }
    return 4 * ROWS;
}

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

/* math_f32.h against double libm.  The bounds are what was measured over every 97th pattern, plus
 * some: a changed coefficient costs more than that. */
static int check_accuracy(void)
{
    static const struct {
        const char *name;
        float (*got)(float);
        double (*want)(double);
        double bound; /* units in the last place */
    } t[] = {
        { "exp", oct_exp_f32, exp, 1.25 },          { "sigmoid", oct_sigmoid_f32, sigmoid, 2.5 },
        { "tanh", oct_tanh_f32, tanh, 2.75 },       { "gelu", oct_gelu_f32, gelu, 7 },
    };
    const uint32_t step = 9973, first = check_rand() % step;
    for (size_t f = 0; f < sizeof t / sizeof *t; f++) {
        double worst = 0;
        float at = 0;
        for (uint64_t u = first; u <= UINT32_MAX; u += step) {
            const float x = oct_f32_of_bits((uint32_t)u);
            if (isinf(x)) continue;
            const double ulps = check_ulps(t[f].got(x), t[f].want((double)x));
            if (ulps > worst) worst = ulps, at = x;
        }
        CHECK(worst <= t[f].bound, "%s: %.3f ulp at %a", t[f].name, worst, (double)at);
    }
    return (int)(sizeof t / sizeof *t);
}

/* By hand: what the curves and the comparisons do at the ends of the line. */
static int check_table(void)
{
    const float inf = INFINITY, nan = NAN, tiny = 0x1p-149f;
    const struct { oct_act act; float x, want; } t[] = {
        { OCT_ACT_RELU, -1, 0 },        { OCT_ACT_RELU, -0.f, -0.f },  { OCT_ACT_RELU, nan, nan },
        { OCT_ACT_RELU, -inf, 0 },      { OCT_ACT_RELU, -tiny, 0 },    { OCT_ACT_RELU, tiny, tiny },
        { OCT_ACT_RELU6, 7, 6 },        { OCT_ACT_RELU6, nan, nan },   { OCT_ACT_RELU6, inf, 6 },
        { OCT_ACT_RELU6, -0.f, -0.f },  { OCT_ACT_RELU6, 6, 6 },       { OCT_ACT_RELU6, -inf, 0 },
        { OCT_ACT_SIGMOID, 0, 0.5f },   { OCT_ACT_SIGMOID, inf, 1 },   { OCT_ACT_SIGMOID, -inf, 0 },
        { OCT_ACT_SIGMOID, -103, 37 * tiny / 32 }, { OCT_ACT_SIGMOID, nan, nan },
        { OCT_ACT_TANH, -0.f, -0.f },   { OCT_ACT_TANH, inf, 1 },      { OCT_ACT_TANH, -inf, -1 },
        { OCT_ACT_TANH, tiny, tiny },   { OCT_ACT_TANH, nan, nan },    { OCT_ACT_TANH, -20, -1 },
        { OCT_ACT_GELU, -0.f, -0.f },   { OCT_ACT_GELU, inf, inf },    { OCT_ACT_GELU, -inf, 0 },
        { OCT_ACT_GELU, nan, nan },     { OCT_ACT_GELU, 100, 100 },    { OCT_ACT_GELU, -100, 0 },
        { OCT_ACT_NONE, -0.f, -0.f },   { OCT_ACT_NONE, nan, nan },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        float got;
        oct_vec_ref.act(t[i].act, 1, &t[i].x, &got);
        CHECK(check_differ_f32(&t[i].want, &got, 1) == 1, "%s(%a) is %a, not %a",
              names[t[i].act], (double)t[i].x, (double)got, (double)t[i].want);
    }
    CHECK(oct_exp_f32(0) == 1 && oct_exp_f32(-0.f) == 1, "exp(0)");
    CHECK(isinf(oct_exp_f32(88.73f)) && oct_exp_f32(88.72f) < FLT_MAX, "exp overflows at 88.7228");
    CHECK(oct_exp_f32(-103.9f) == tiny && oct_exp_f32(-104) == 0, "exp underflows at -103.97");
    return (int)(sizeof t / sizeof *t);
}

/* ref's maximum of a window as a statement about its taps: none is larger, it is one of them, no
 * equal one comes before it (zeros have signs), NaN if there is one. */
static void check_window_max_ref(int rows, int cols, check_fill fill)
{
    const oct_vec_windows w = { rows, cols, 11, 2, 1, 1, 1 };
    float *x = operand(extent(&w), fill), y;
    oct_vec_ref.window_max(&w, x, &y);
    int has_nan = 0, first = 0, larger = 0;
    float best = -INFINITY;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            const float tap = x[11 * i + 2 * j];
            has_nan |= isnan(tap);
            larger |= tap > y;
            if (!first && tap == y) first = 1, best = tap;
        }
    CHECK(has_nan ? isnan(y) : !larger && check_differ_f32(&best, &y, 1) == 1,
          "window_max/ref %dx%d fill=%s: %a", rows, cols, check_fill_name(fill), (double)y);
    check_reset();
}

/* |got - want| <= (taps + 1) eps sum |tap| scale: a rounding an addition, one the product; and half
 * of the smallest denormal, which is what rounding to one costs. */
static void check_window_sum_ref(int rows, int cols, check_fill fill)
{
    const oct_vec_windows w = { rows, cols, 11, 2, 1, 1, 1 };
    float *x = operand(extent(&w), fill), y;
    oct_vec_ref.window_sum(&w, x, 0.3f, &y);
    double want = 0, size = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            want += (double)x[11 * i + 2 * j];
            size += fabs((double)x[11 * i + 2 * j]);
        }
    const double bound = (rows * cols + 1) * 0x1p-24 * size * (double)0.3f + 0x1p-150;
    CHECK(fabs((double)y - want * (double)0.3f) <= bound, "window_sum/ref %dx%d fill=%s: %a", rows,
          cols, check_fill_name(fill), (double)y);
    check_reset();
}

/* exp_sum against double, relative: exp's own 1.25 ulp, n/16 + 4 additions, x - max. */
static void check_softmax_ref(size_t n)
{
    float *x = operand(n, CHECK_RANDOM), *y = result(n);
    const float top = oct_vec_ref.max(n, x), sum = oct_vec_ref.exp_sum(n, x, top, y);
    double want = 0, most = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        want += exp((double)x[i] - (double)top);
        most = fmax(most, (double)x[i]);
    }
    CHECK((double)top == most, "max/ref n=%zu: %a", n, (double)top);
    CHECK(fabs((double)sum - want) <= ((double)n / 16 + 4 + 2.5 + 2) * 0x1p-24 * want,
          "exp_sum/ref n=%zu: %a, double has %a", n, (double)sum, want);
    check_reset();
}

/* norm against double, to first order, u = 2^-24: the mean is off by (n/16 + 5) u mean |x|, so v by
 * e = that + u |v|; q by 2 e sqrt(q) + (n/16 + 6) u q, r = 1/sqrt by half of that, relative, + 2 u;
 * then two roundings. */
static void check_norm_ref(size_t n, float offset)
{
    float *x = operand(n, CHECK_RANDOM), *gamma = operand(n, CHECK_RANDOM), *y = result(n);
    float *beta = operand(n, CHECK_RANDOM);
    double mean = 0, size = 0, q = 0;
    for (size_t i = 0; i < n; i++) x[i] += offset;
    for (size_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) size += fabs((double)x[i]) / (double)n;
    for (size_t i = 0; i < n; i++) q += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    oct_vec_ref.norm(n, x, gamma, beta, 1e-5f, y);
    const double u = 0x1p-24, s = sqrt(q + (double)1e-5f), adds = (double)n / 16 + 5;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i] - mean, scaled = v / s * (double)gamma[i];
        const double e = adds * u * size + u * fabs(v);
        const double r = (adds * u * size + 2 * u * s) / s + (adds + 1) * u / 2 + 2 * u;
        const double bound = fabs((double)gamma[i]) * e / s + fabs(scaled) * (r + 2 * u) +
                             u * fabs(scaled + (double)beta[i]);
        const double error = fabs((double)y[i] - (scaled + (double)beta[i]));
        CHECK(error <= 1.01 * bound, "norm/ref n=%zu: %g off, %g allowed", n, error, bound);
    }
    check_reset();
}

/* The order of the sixteen lanes, written out: every variant ends with the same function. */
static void check_lanes(void)
{
    float l[LANES], copy[LANES];
    check_fill_f32(l, LANES, CHECK_RANDOM);
    memcpy(copy, l, sizeof l);
    const float even = ((l[0] + l[8]) + (l[4] + l[12])) + ((l[2] + l[10]) + (l[6] + l[14]));
    const float odd = ((l[1] + l[9]) + (l[5] + l[13])) + ((l[3] + l[11]) + (l[7] + l[15]));
    const float got = oct_lanes_f32(copy), want = even + odd;
    CHECK(check_differ_f32(&want, &got, 1) == 1, "lanes: %a, not %a", (double)got, (double)want);
}

static int check_ref(void)
{
    int cases = check_accuracy() + check_table();
    for (int r = 0; r < 50; r++, cases++) check_lanes();
    const float odd[5] = { NAN, -INFINITY, -0.f, NAN, -3 };
    CHECK(oct_vec_ref.max(5, odd) == 0 && !signbit(oct_vec_ref.max(5, odd)), "max skips NaN, +0");
    CHECK(oct_vec_ref.max(2, odd) == -INFINITY && oct_vec_ref.max(0, odd) == -INFINITY, "no max");
    for (int rows = 1; rows <= 4; rows++)
        for (int cols = 1; cols <= 4; cols++)
            for (int f = 0; f < CHECK_FILL_COUNT; f++, cases++) {
                check_window_max_ref(rows, cols, (check_fill)f);
                if (f != CHECK_INFINITE && f != CHECK_NAN && f != CHECK_HUGE && f != CHECK_WIDE)
                    check_window_sum_ref(rows, cols, (check_fill)f);
            }
    for (size_t n = 1; n < 300; n += (size_t)check_up_to(7), cases += 2) {
        check_softmax_ref(n);
        check_norm_ref(n, (float)(n % 5));
    }
    return cases;
}

static int check(int i)
{
    const oct_vec *v = oct_vec_all[i];
    return check_sizes(v) + check_curves(v) + (v == &oct_vec_ref ? check_ref() : 0);
}

/* Shapes from our networks. */
typedef struct job {
    const oct_vec *v;
    oct_act act;
    size_t n;
    oct_vec_windows w;
    float *x, *y;
} job;

static void run_act(void *arg) { job *j = arg; j->v->act(j->act, j->n, j->x, j->y); }
static void run_add(void *arg) { job *j = arg; j->v->add(j->act, j->n, j->x, j->y, j->y); }
static void run_max(void *arg) { job *j = arg; j->v->window_max(&j->w, j->x, j->y); }
static void run_sum(void *arg) { job *j = arg; j->v->window_sum(&j->w, j->x, 1.f / 49, j->y); }
static void run_exp(void *arg) { job *j = arg; j->v->exp_sum(j->n, j->x, 1, j->y); }

static void run_norm(void *arg) { job *j = arg; j->v->norm(j->n, j->x, j->x, j->x, 1, j->y); }

static void run_transpose(void *arg)
{
    job *j = arg;
    j->v->transpose((size_t)j->w.width, j->n, j->x, j->n, j->y, (size_t)j->w.width);
}

static void bench(int i)
{
    static _Alignas(64) float x[64 * 3136], y[64 * 3136];
    static const oct_vec_windows mnist1 = { 2, 2, 24 * 20, 20, 12, 20, 40 };
    static const oct_vec_windows mnist2 = { 2, 2, 8 * 50, 50, 4, 50, 100 };
    static const oct_vec_windows stem = { 3, 3, 112 * 64, 64, 55, 64, 128 };
    static const oct_vec_windows global = { 7, 7, 7 * 64, 64, 1, 64, 64 };
    const struct { const char *what; void (*run)(void *); oct_act act; size_t n; oct_vec_windows w;
                   double floats; } t[] = {
        { "relu 4096", run_act, OCT_ACT_RELU, 4096, { 0 }, 4096 },
        { "sigmoid 4096", run_act, OCT_ACT_SIGMOID, 4096, { 0 }, 4096 },
        { "tanh 4096", run_act, OCT_ACT_TANH, 4096, { 0 }, 4096 },
        { "gelu 4096", run_act, OCT_ACT_GELU, 4096, { 0 }, 4096 },
        { "add relu 4096", run_add, OCT_ACT_RELU, 4096, { 0 }, 4096 },
        { "exp_sum 512", run_exp, OCT_ACT_NONE, 512, { 0 }, 512 },
        { "norm 768", run_norm, OCT_ACT_NONE, 768, { 0 }, 768 },
        { "maxpool 2x2 c=20 row of 12", run_max, OCT_ACT_NONE, 0, mnist1, 4 * 12 * 20 },
        { "maxpool 2x2 c=50 row of 4", run_max, OCT_ACT_NONE, 0, mnist2, 4 * 4 * 50 },
        { "maxpool 3x3 c=64 row of 55", run_max, OCT_ACT_NONE, 0, stem, 9 * 55 * 64 },
        { "avgpool 7x7 c=64", run_sum, OCT_ACT_NONE, 0, global, 49 * 64 },
        { "layout c=3 hw=1024", run_transpose, OCT_ACT_NONE, 1024, { .width = 3 }, 3 * 1024 },
        { "layout c=20 hw=144", run_transpose, OCT_ACT_NONE, 144, { .width = 20 }, 20 * 144 },
        { "layout c=64 hw=3136", run_transpose, OCT_ACT_NONE, 3136, { .width = 64 }, 64 * 3136 },
    };
    check_fill_f32(x, sizeof x / sizeof *x, CHECK_RANDOM);
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        job j = { oct_vec_all[i], t[k].act, t[k].n, t[k].w, x, y };
        memset(y, 0, sizeof y);
        check_bench("vec", j.v->isa, t[k].what, check_time(t[k].run, &j), t[k].floats, "float");
    }
}

const check_family check_family_vec = { "vec", variant, check, bench };
