/* ops/kernels/vec_u8.h: every variant, ref included, against its definition in double. */
#include <math.h>
#include <string.h>

#include "ops/kernels/vec_u8.h"
#include "tensor/arena.h"
#include "tests/check_kernels.h"

enum { MAX_WIDTH = 70 }; /* four vectors of sixteen and some */

static const char *variant(int i, unsigned *needs)
{
    if (!oct_vec_u8_all[i]) return NULL;
    *needs = oct_vec_u8_all[i]->needs;
    return oct_vec_u8_all[i]->isa;
}

/* Operands end at the guarded page: these kernels read nothing past them. */
static float *floats(size_t n, check_fill fill)
{
    float *p = (float *)check_in(n * sizeof *p, sizeof *p) + OCT_TAIL / sizeof *p;
    check_fill_f32(p, n, fill);
    return p;
}

static uint8_t *bytes(size_t n)
{
    uint8_t *p = (uint8_t *)check_in(n, 1) + OCT_TAIL;
    for (size_t i = 0; i < n; i++) {
        const uint32_t r = check_rand() % 1024;
        p[i] = (uint8_t)(r % 8 == 0 ? 255 : r % 8 == 1 ? 0 : r / 4); /* ends more often */
    }
    return p;
}

/* One quantization out of many; a max of 127 or 255, any zero in it. */
static oct_quant any_quant(void)
{
    static const float scales[] = { 1, .0625f, .003f, 0x1p-64f, 0x1.fffffep63f, .1f, 1 / 127.f };
    const int max = check_rand() % 2 ? 127 : 255;
    const int zero = (int[]){ 0, max, (int)(check_rand() % 256) % (max + 1) }[check_rand() % 3];
    return (oct_quant){ scales[check_rand() % 7], zero, max };
}

/* v in steps, a float already: to an integer, ties to even, moved by zero, into lo .. hi. */
static uint8_t to_byte(float v, int zero, int lo, int hi)
{
    if (isnan(v)) return (uint8_t)lo;
    return (uint8_t)fmin(fmax(nearbyint((double)v) + zero, lo), hi);
}

static void compare_bytes(const char *what, const oct_vec_u8 *v, const uint8_t *want,
                          const uint8_t *got, size_t n)
{
    size_t at = 0;
    while (at < n && want[at] == got[at]) at++;
    CHECK(at == n, "%s %s n=%zu: [%zu] is %d, expected %d", what, v->name, n, at, got[at],
          want[at]);
    CHECK(check_intact(got), "%s %s n=%zu: wrote outside", what, v->name, n);
}

static void compare_floats(const char *what, const oct_vec_u8 *v, const float *want,
                           const float *got, size_t n)
{
    const size_t at = check_differ_f32(want, got, n);
    CHECK(at == n, "%s %s n=%zu: [%zu] is %a, expected %a", what, v->name, n, at, (double)got[at],
          (double)want[at]);
    CHECK(check_intact(got), "%s %s n=%zu: wrote outside", what, v->name, n);
}

static void check_quantize(const oct_vec_u8 *v, size_t n, check_fill fill)
{
    const oct_quant q = any_quant();
    const float inverse = 1 / q.scale;
    float *x = floats(n, fill);
    uint8_t *want = check_out(n, 1), *got = check_out(n, 1);
    for (size_t i = 0; i < n; i++) {
        if (fill == CHECK_RANDOM) x[i] *= q.scale * 200;
        if (i % 5 == 0) x[i] = ((float)(int)(check_rand() % 512) - 255.5f) * q.scale; /* ties */
        want[i] = to_byte(x[i] * inverse, q.zero, 0, q.max);
    }
    v->steps(n, x, inverse, q.zero, q.max, got);
    compare_bytes("steps", v, want, got, n);
    float *by = floats(n, fill);
    for (size_t i = 0; i < n; i++) {
        if (fill == CHECK_RANDOM) by[i] = ldexpf(inverse, (int)(check_rand() % 7) - 3);
        want[i] = to_byte(x[i] * by[i], q.zero, 0, q.max);
    }
    got = check_out(n, 1);
    v->steps_by(n, x, by, q.zero, q.max, got);
    compare_bytes("steps_by", v, want, got, n);
    check_reset();
}

static void check_dequantize(const oct_vec_u8 *v, size_t n)
{
    const oct_quant q = any_quant();
    const uint8_t *x = bytes(n);
    float *want = check_out(n * sizeof *want, sizeof *want);
    float *got = check_out(n * sizeof *got, sizeof *got);
    for (size_t i = 0; i < n; i++) want[i] = (float)((double)(x[i] - q.zero) * (double)q.scale);
    v->dequantize(n, x, &q, got);
    compare_floats("dequantize", v, want, got, n);
    check_reset();
}

static void check_range(const oct_vec_u8 *v, size_t n, check_fill fill)
{
    float *x = floats(n, fill), want[2] = { 0, 0 };
    if (n && check_rand() % 2) x[check_rand() % n] = check_rand() % 2 ? 2e30f : -2e30f;
    if (check_rand() % 2) /* of one sign */
        for (size_t i = 0; i < n; i++) x[i] = copysignf(x[i], 1.f);
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i])) {
            if (x[i] < want[0]) want[0] = x[i];
            if (x[i] > want[1]) want[1] = x[i];
        }
    const oct_range r = v->range(n, x);
    const float got[2] = { r.lo, r.hi };
    CHECK(check_differ_f32(want, got, 2) == 2, "range %s n=%zu fill=%s: %a .. %a, expected %a .. "
          "%a", v->name, n, check_fill_name(fill), (double)r.lo, (double)r.hi, (double)want[0],
          (double)want[1]);
    check_reset();
}

static oct_requant any_requant(void)
{
    const oct_quant q = any_quant();
    return (oct_requant){ .kind = OCT_REQUANT_U8, .zero = q.zero,
                          .lo = check_rand() % 2 ? q.zero : 0,
                          .hi = check_rand() % 2 ? q.max : (q.zero + q.max) / 2,
                          .residual_scale = .01f * (float)check_up_to(300),
                          .residual_zero = (int)(check_rand() % 256) };
}

static void check_add(const oct_vec_u8 *v, size_t n)
{
    const oct_requant out = any_requant();
    const int zero_a = (int)(check_rand() % 256);
    const float scale_a = .01f * (float)check_up_to(300);
    const uint8_t *a = bytes(n), *b = bytes(n);
    uint8_t *want = check_out(n, 1), *got = check_out(n, 1);
    for (size_t i = 0; i < n; i++) {
        const float y = (float)(a[i] - zero_a) * scale_a;
        want[i] = to_byte(fmaf((float)(b[i] - out.residual_zero), out.residual_scale, y), out.zero,
                          out.lo, out.hi);
    }
    v->add(n, a, zero_a, scale_a, b, &out, got);
    compare_bytes("add", v, want, got, n);
    memcpy(got, a, n);
    v->add(n, got, zero_a, scale_a, b, &out, got);
    compare_bytes("add to a", v, want, got, n);
    memcpy(got, b, n);
    v->add(n, a, zero_a, scale_a, got, &out, got);
    compare_bytes("add to b", v, want, got, n);
    check_reset();
}

static oct_vec_windows any_windows(int rows, int cols, int width)
{
    const size_t pixel = check_odd_stride((size_t)width);
    return (oct_vec_windows){ rows, cols, pixel * (size_t)(7 + check_up_to(5)),
                              pixel * (size_t)check_up_to(2), check_up_to(5), width,
                              pixel * (size_t)check_up_to(3) };
}

static void check_windows(const oct_vec_u8 *v, int rows, int cols, int width)
{
    const oct_vec_windows w = any_windows(rows, cols, width);
    const oct_requant u8 = any_requant(), f32 = { .kind = OCT_REQUANT_F32 };
    const size_t end = (size_t)(w.count - 1) * w.step + (size_t)(rows - 1) * w.row +
                       (size_t)(cols - 1) * w.col + (size_t)width;
    const size_t n = (size_t)w.count * (size_t)width;
    const int32_t bias = (int32_t)(check_rand() % 4001) - 2000;
    const float scale = .7f / (float)(rows * cols);
    const uint8_t *x = bytes(end);
    uint8_t *most = check_out(n, 1), *mean = check_out(n, 1);
    float *sum = check_out(n * sizeof *sum, sizeof *sum);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *tap = x + i / (size_t)width * w.step + i % (size_t)width;
        int s = bias, m = 0;
        for (int k = 0; k < rows * cols; k++) {
            const int t = tap[(size_t)(k / cols) * w.row + (size_t)(k % cols) * w.col];
            s += t;
            m = t > m ? t : m;
        }
        most[i] = (uint8_t)m;
        sum[i] = (float)((double)s * (double)scale);
        mean[i] = to_byte(sum[i], u8.zero, u8.lo, u8.hi);
    }
    uint8_t *got = check_out(n, 1);
    v->window_max(&w, x, got);
    compare_bytes("window_max", v, most, got, n);
    got = check_out(n, 1);
    v->window_sum(&w, x, bias, scale, &u8, got);
    compare_bytes("window_sum", v, mean, got, n);
    float *y = check_out(n * sizeof *y, sizeof *y);
    v->window_sum(&w, x, bias, scale, &f32, y);
    compare_floats("window_sum", v, sum, y, n);
    check_reset();
}

/* By hand: what is special about the ends of the line. */
static int check_table(const oct_vec_u8 *v)
{
    const float inf = INFINITY, odd[] = { -inf, -0.f, NAN, inf, -1, .5f, 1.5f, -.5f };
    const uint8_t want[] = { 0, 3, 0, 127, 2, 3, 5, 3 }; /* in steps of 1, zero 3 */
    uint8_t got[8];
    v->steps(8, odd, 1, 3, 127, got);
    CHECK(!memcmp(got, want, 8), "steps %s of odd numbers", v->name);
    const float by[] = { 0, 1, 1, 1, 2, 1, 1, .5f }, x[] = { inf, -0.f, NAN, inf, -.5f, .5f, 1.5f,
                                                             -1 };
    v->steps_by(8, x, by, 3, 127, got); /* the first is a NaN, too */
    CHECK(!memcmp(got, want, 8), "steps_by %s of odd numbers", v->name);
    const float none[] = { NAN, inf, -0.f, -inf };
    const oct_range r = v->range(4, none), e = v->range(0, none);
    CHECK(r.lo == 0 && r.hi == 0 && !signbit(r.lo) && !signbit(r.hi), "range %s of none", v->name);
    CHECK(e.lo == 0 && e.hi == 0, "range %s of nothing", v->name);
    return 4;
}

static int check(int i)
{
    const oct_vec_u8 *v = oct_vec_u8_all[i];
    int cases = check_table(v);
    for (size_t n = 1; n <= MAX_WIDTH && !check_failures(); n++) {
        for (int f = 0; f < CHECK_FILL_COUNT; f++, cases += 3) {
            check_quantize(v, n, (check_fill)f);
            check_range(v, n, (check_fill)f);
        }
        for (int r = 0; r < 6; r++, cases += 6) {
            check_dequantize(v, n);
            check_add(v, n);
            check_windows(v, check_up_to(4), check_up_to(4), (int)n);
        }
    }
    for (int r = 0; r < 40 && !check_failures(); r++, cases += 4) {
        check_range(v, (size_t)check_up_to(3000), check_any_fill());
        check_quantize(v, (size_t)check_up_to(3000), check_any_fill());
        check_windows(v, 7, 7, check_up_to(300));
    }
    return cases;
}

typedef struct job {
    const oct_vec_u8 *v;
    oct_vec_windows w;
    oct_requant out;
    float *x;
    uint8_t *q, *y;
} job;

enum { ROW = 4096 };
static const oct_quant row_quant = { .05f, 128, 255 };

static void run_range(void *arg) { job *j = arg; j->x[0] = j->v->range(ROW, j->x).lo; }
static void run_steps(void *arg) { job *j = arg; j->v->steps(ROW, j->x, 20, 128, 255, j->y); }
static void run_dequantize(void *arg)
{
    job *j = arg;
    j->v->dequantize(ROW, j->q, &row_quant, j->x);
}
static void run_add(void *arg) { job *j = arg; j->v->add(ROW, j->q, 3, .3f, j->y, &j->out, j->y); }
static void run_max(void *arg) { job *j = arg; j->v->window_max(&j->w, j->q, j->y); }
static void run_sum(void *arg)
{
    job *j = arg;
    j->v->window_sum(&j->w, j->q, 0, 1.f / 49, &j->out, j->y);
}

static void bench(int i)
{
    static float x[ROW];
    static uint8_t q[64 * 3136], y[64 * 3136];
    static const oct_vec_windows stem = { 3, 3, 112 * 64, 64, 55, 64, 128 };
    static const oct_vec_windows global = { 7, 7, 7 * 64, 64, 1, 64, 64 };
    const struct { const char *what; void (*run)(void *); oct_vec_windows w; double n; } t[] = {
        { "range 4096", run_range, { 0 }, ROW },
        { "steps 4096", run_steps, { 0 }, ROW },
        { "dequantize 4096", run_dequantize, { 0 }, ROW },
        { "add 4096", run_add, { 0 }, ROW },
        { "maxpool 3x3 c=64 row of 55", run_max, stem, 9 * 55 * 64 },
        { "avgpool 7x7 c=64", run_sum, global, 49 * 64 },
    };
    check_fill_f32(x, ROW, CHECK_RANDOM);
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        job j = { oct_vec_u8_all[i], t[k].w, { .kind = OCT_REQUANT_U8, .hi = 255 }, x, q, y };
        j.out.residual_scale = .5f;
        check_bench("vec_u8", j.v->isa, t[k].what, check_time(t[k].run, &j), t[k].n, "value");
    }
}

const check_family check_family_vec_u8 = { "vec_u8", variant, check, bench };
