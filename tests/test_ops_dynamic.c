/* conv2d and linear with FP32 x and I8 weights: x is quantized at run time.  Against loops over the
 * definition, written here once more: every bit, on every ISA, for 1 to 3 threads, any batch. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "tests/run_op.h"
#include "tests/suite.h"

static test_op op;

static void open_op(void) { memset(&op, 0, sizeof op); }
static void close_op(void) { oct_arena_free(&op.arena); }

static void *room(size_t size)
{
    void *p = oct_arena_zalloc(&op.arena, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

typedef struct shape {
    int n, c, h, w, out, kh, kw;
    oct_conv2d_attr attr;
    int residual, bias;
} shape;

#define ATTR(sh, sw, ph, pw, dh, dw, groups, a) \
    { { sh, sw }, { ph, pw }, { dh, dw }, groups, .act = OCT_ACT_##a }
static const shape shapes[] = {
    { 5, 3, 16, 16, 32, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU), 0, 1 },
    { 2, 64, 9, 8, 96, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, NONE), 1, 1 },
    { 3, 130, 8, 8, 70, 3, 3, ATTR(2, 2, 1, 1, 1, 1, 1, RELU6), 1, 1 },
    { 2, 64, 7, 7, 200, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 1, 0 },
    { 4, 65, 9, 5, 33, 1, 1, ATTR(2, 2, 0, 0, 1, 1, 1, NONE), 0, 1 },
    { 2, 3, 37, 29, 64, 7, 7, ATTR(2, 2, 3, 3, 1, 1, 1, RELU), 0, 1 }, /* a ResNet's stem */
    { 4, 7, 11, 13, 9, 3, 5, ATTR(1, 2, 2, 0, 3, 2, 1, NONE), 0, 1 },
    { 4, 7, 11, 13, 9, 3, 5, ATTR(1, 2, 0, 3, 3, 2, 1, NONE), 0, 1 },
    { 2, 16, 9, 9, 16, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 16, RELU), 0, 1 }, /* depthwise */
    { 2, 150, 5, 5, 90, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 3, NONE), 1, 0 }, /* groups of 50 and 30 */
    { 5, 4, 1, 1, 5, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0, 1 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef struct conv {
    shape s;
    oct_tensor x, w, b, r, y;
    oct_args args;
    int q_zero[8];             /* of each sample */
    float q_scale[8];
    unsigned char *q;          /* x's bytes, in x's order */
    float *want;               /* y */
} conv;

/* What samples of a batch may look like: signed, after a ReLU, negative, all zero, tiny, huge, with
 * numbers that are none. */
enum { KINDS = 7 };

static float value(int kind, float v, size_t i)
{
    switch (kind) {
    case 0: return 3 * v;
    case 1: return v < 0 ? 0 : v;
    case 2: return -.25f - v * v;
    case 3: return i % 2 ? -0.f : 0;
    case 4: return v * 0x1p-140f;
    case 5: return v * 0x1p100f;
    default:
        return i % 7 == 0 ? (float[]){ NAN, INFINITY, -INFINITY }[i / 7 % 3] : v;
    }
}

/* Sample n of x: its range, scale, zero and bytes, by the text of ops/qparams.h and vec_u8.h. */
static void quantize(conv *t, int n)
{
    const size_t count = oct_tensor_sample_count(&t->x);
    const float *x = (float *)t->x.data + (size_t)n * count;
    double lo = 0, hi = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(x[i])) lo = fmin(lo, (double)x[i]), hi = fmax(hi, (double)x[i]);
    }
    float scale = hi > lo ? (float)fmax((hi - lo) / 255, 0x1p-64) : 1;
    const float inverse = 1 / scale;
    t->q_scale[n] = scale;
    t->q_zero[n] = (int)fmin(nearbyint(-lo / (double)scale), 255);
    for (size_t i = 0; i < count; i++) {
        const double steps = nearbyint((double)(x[i] * inverse)) + t->q_zero[n];
        t->q[(size_t)n * count + i] = (unsigned char)(isnan(x[i]) ? 0 : fmin(fmax(steps, 0), 255));
    }
}

/* Output o of sample n at oy, ox: padding is zero, so it is left out. */
static float output(const conv *t, int n, int oy, int ox, int o, float residual)
{
    const shape *s = &t->s;
    const oct_conv2d_attr *a = &s->attr;
    const int cg = s->c / a->groups, og = s->out / a->groups;
    const int8_t *w = (const int8_t *)t->w.data + (size_t)o * (size_t)(cg * s->kh * s->kw);
    int32_t sum = 0;
    for (int k = 0; k < cg * s->kh * s->kw; k++) {
        const int c = k / s->kh / s->kw, ky = k / s->kw % s->kh, kx = k % s->kw;
        const int yy = oy * a->stride[0] - a->pad[0] + ky * a->dilation[0];
        const int xx = ox * a->stride[1] - a->pad[1] + kx * a->dilation[1];
        if (yy < 0 || yy >= s->h || xx < 0 || xx >= s->w) continue;
        sum += (t->q[test_blocked(&t->x, n, yy, xx, o / og * cg + c)] - t->q_zero[n]) * w[k];
    }
    float y = (float)sum * t->w.scale[o];
    y = y * t->q_scale[n];
    y = y + (s->bias ? ((const float *)t->b.data)[o] : 0);
    if (s->residual) y = y + residual;
    if (a->act != OCT_ACT_NONE && y < 0) y = 0;
    return a->act == OCT_ACT_RELU6 && y > 6 ? 6 : y;
}

static void expect(conv *t)
{
    t->q = room(oct_tensor_count(&t->x));
    t->want = room(oct_tensor_size(&t->y));
    for (int n = 0; n < t->s.n; n++) {
        quantize(t, n);
        for (int p = 0; p < t->y.dim[1] * t->y.dim[2]; p++)
            for (int o = 0; o < t->s.out; o++) {
                const int oy = p / t->y.dim[2], ox = p % t->y.dim[2];
                const size_t at = test_blocked(&t->y, n, oy, ox, o);
                t->want[at] = output(t, n, oy, ox, o, ((float *)t->r.data)[at]);
            }
    }
}

static void build(conv *t, const shape *s, int first_kind)
{
    memset(t, 0, sizeof *t);
    t->s = *s;
    t->x = (oct_tensor){ .layout = OCT_BLOCKED, .rank = 4, .dim = { s->n, s->h, s->w, s->c } };
    test_op_fill(&op, &t->x);
    const size_t count = oct_tensor_sample_count(&t->x);
    for (size_t i = 0; i < oct_tensor_count(&t->x); i++) {
        float *x = (float *)t->x.data + i;
        *x = value((first_kind + (int)(i / count)) % KINDS, *x, i % count);
    }
    float *scale = room((size_t)s->out * sizeof *scale);
    t->w = (oct_tensor){ .dtype = OCT_S8, .rank = 4, .scale = scale,
                         .dim = { s->out, s->c / s->attr.groups, s->kh, s->kw } };
    t->w.data = room(oct_tensor_count(&t->w));
    test_fill_s8(t->w.data, oct_tensor_count(&t->w), FILL_RANDOM);
    for (int i = 0; i < 40 && (size_t)i < oct_tensor_count(&t->w); i++)
        ((int8_t *)t->w.data)[i] = i % 2 ? -128 : 127;
    t->b = (oct_tensor){ .rank = 1, .dim = { s->out } };
    test_op_fill(&op, &t->b);
    for (int o = 0; o < s->out; o++) scale[o] = .01f + .0001f * (float)o;
    t->args = (oct_args){ &t->s.attr, { &t->x, &t->w, s->bias ? &t->b : NULL }, &t->y };
    ck_assert_msg(oct_ops[OCT_OP_CONV2D]->infer(&t->args) == OCT_OK, "%s", oct_last_error());
    t->r = t->y;
    test_op_fill(&op, &t->r);
    if (s->residual) t->args.in[OCT_CONV2D_RESIDUAL] = &t->r;
}

/* Floats that differ in their bits; no NaN is expected but where infinities meet. */
static int differs(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return 1;
    return 0;
}

static void on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    op.cpu = cpu;
    for (op.threads = 1; op.threads <= 3; op.threads++)
        for (int n = t->s.n; n > 0; n -= 2) {
            test_op_run(&op, OCT_OP_CONV2D, &t->args, n);
            ck_assert_int_eq(t->y.dtype, OCT_F32);
            ck_assert_int_eq(op.how.type, OCT_S8);
            ck_assert_msg(!differs(t->y.data, t->want, oct_tensor_sample_count(&t->y) * (size_t)n),
                          "%s, %d of %d channels, %dx%d, %d threads, %d samples", op.how.kernel,
                          t->s.out, t->s.c, t->s.kh, t->s.kw, op.threads, n);
        }
}

START_TEST(conv2d_is_exact)
{
    for (int kind = 0; kind < KINDS; kind++) {
        conv t;
        open_op();
        build(&t, &shapes[_i], kind);
        expect(&t);
        test_each_isa(on_isa, &t);
        close_op();
    }
}
END_TEST

/* linear is a convolution over the whole image, be it of one pixel. */
static void linear_on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    const oct_linear_attr attr = { .act = t->s.attr.act };
    oct_tensor w = t->w, y = { .dtype = OCT_F32 }, r = t->r;
    w.rank = r.rank = 2;
    w.dim[1] = w.dim[1] * w.dim[2] * w.dim[3];
    r.layout = OCT_DENSE;
    r.dim[1] = t->s.out;
    float *rows = r.data = room(oct_tensor_size(&t->r)), *want = room(oct_tensor_size(&t->y));
    for (int i = 0; i < t->s.n * t->s.out; i++) {
        const size_t at = test_blocked(&t->y, i / t->s.out, 0, 0, i % t->s.out);
        rows[i] = ((float *)t->r.data)[at];
        want[i] = t->want[at];
    }
    oct_args args = { &attr, { &t->x, &w, t->args.in[OCT_CONV2D_BIAS],
                               t->s.residual ? &r : NULL }, &y };
    op.cpu = cpu;
    for (op.threads = 1; op.threads <= 3; op.threads++)
        for (int n = t->s.n; n > 0; n -= 3) {
            test_op_run(&op, OCT_OP_LINEAR, &args, n);
            ck_assert_int_eq(op.how.type, OCT_S8);
            ck_assert_msg(!differs(y.data, want, (size_t)n * (size_t)t->s.out),
                          "%s, %d of %d rows", op.how.kernel, n, t->s.n);
        }
}

START_TEST(linear_is_exact)
{
    static const shape linears[] = {
        { 1, 77, 1, 1, 131, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, RELU), 0, 1 },
        { 8, 77, 1, 1, 10, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0, 0 },
        { 5, 70, 2, 3, 50, 2, 3, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0, 1 },
        { 7, 6, 1, 1, 40, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, RELU6), 1, 1 },
        { 1, 900, 1, 1, 700, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 1, 1 }, /* shared out */
    };
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            conv t;
            open_op();
            build(&t, &linears[i], kind);
            expect(&t);
            test_each_isa(linear_on_isa, &t);
            close_op();
        }
}
END_TEST

/* More images than are padded at a time, ranges found in several parts: each as if alone. */
static void alone_on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    const size_t in = oct_tensor_sample_count(&t->x), out = oct_tensor_sample_count(&t->y);
    float *x = t->x.data, *r = t->r.data, *together;
    op.cpu = cpu;
    op.threads = 2;
    t->y.data = NULL;
    test_op_run(&op, OCT_OP_CONV2D, &t->args, t->s.n);
    together = t->y.data;
    t->y.data = NULL;
    for (int n = 0; n < t->s.n; n++) {
        t->x.data = x + (size_t)n * in;
        t->r.data = r + (size_t)n * out;
        t->x.dim[0] = t->r.dim[0] = 1;
        test_op_run(&op, OCT_OP_CONV2D, &t->args, 1);
        ck_assert_msg(!differs(t->y.data, together + (size_t)n * out, out), "%s, image %d",
                      op.how.kernel, n);
    }
    t->x.data = x;
    t->r.data = r;
    t->x.dim[0] = t->r.dim[0] = t->s.n;
}

START_TEST(images_do_not_meet)
{
    static const shape large[] = {
        { 5, 20, 200, 220, 3, 3, 3, ATTR(3, 3, 1, 1, 1, 1, 1, NONE), 1, 1 }, /* 0.9 MB: 2 */
        { 3, 70, 190, 200, 2, 1, 1, ATTR(5, 5, 0, 0, 1, 1, 1, NONE), 0, 1 }, /* 2.7 MB: 1 */
    };
    conv t;
    open_op();
    build(&t, &large[_i], 0);
    float *x = t.x.data; /* the largest is the last one, or the first */
    const size_t count = oct_tensor_sample_count(&t.x);
    x[count - 1] = 11;
    x[count] = -9;
    test_each_isa(alone_on_isa, &t);
    close_op();
}
END_TEST

/* The bytes stand for x: each value is at most half a step off, at the ends of the range too (there
 * it is the zero's rounding), and 255 2^-23 steps, for x / scale has two roundings.  So y is off by
 * half a step times sum |w|, and by FP32's rounding. */
START_TEST(near_to_real_numbers)
{
    static const shape s = { 4, 300, 1, 1, 20, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0, 1 };
    conv t;
    open_op();
    build(&t, &s, 0); /* signed, positive, negative, zero */
    expect(&t);
    test_op_run(&op, OCT_OP_CONV2D, &t.args, s.n);
    for (int i = 0; i < s.n * s.out; i++) {
        const int n = i / s.out, o = i % s.out;
        double real = (double)((float *)t.b.data)[o], weights = 0, size = fabs(real);
        for (int c = 0; c < s.c; c++) {
            const double w = ((int8_t *)t.w.data)[o * s.c + c] * (double)t.w.scale[o];
            const double x = (double)((float *)t.x.data)[test_blocked(&t.x, n, 0, 0, c)];
            real += w * x;
            weights += fabs(w);
            size += fabs(w * x);
        }
        const double got = (double)((float *)t.y.data)[test_blocked(&t.y, n, 0, 0, o)];
        ck_assert_msg(fabs(got - real) <= .5001 * (double)t.q_scale[n] * weights + size * 0x1p-20,
                      "sample %d, output %d: %g, not %g", n, o, got, real);
    }
    close_op();
}
END_TEST

static void refused(conv *t, const char *message)
{
    test_op_refused(&op, OCT_OP_CONV2D, &t->args, message);
}

START_TEST(odd_operands_are_refused)
{
    const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    conv t;
    open_op();
    build(&t, &shapes[3], 0);
    float *scale = (float *)(uintptr_t)t.w.scale;
    scale[5] = 0;
    refused(&t, "conv2d: row 5 has the scale 0, expected more than 0, below 2^64");
    scale[5] = NAN;
    refused(&t, "conv2d: row 5 has the scale nan, expected more than 0, below 2^64");
    scale[5] = 1;
    t.s.attr.quant = (oct_quant){ 1, 0, 255 };
    refused(&t, "conv2d: x is F32 and y U8");
    t.s.attr.quant.scale = 0;
    t.args.in[OCT_CONV2D_BIAS] = &t.b;
    t.b.dtype = OCT_S32; /* infers, for graphs whose x will be U8 */
    refused(&t, "conv2d: bias is I32 and x F32");
    t.w.scale = NULL;
    refused(&t, "conv2d: the weight is I8 without scales");
    t.w.dtype = OCT_S32;
    refused(&t, "conv2d: weight is I32, not a float");
    t.w.rank = 2;
    t.w.dim[1] = 64 * 49;
    oct_args linear = { &attr, { &t.x, &t.w }, &t.y };
    test_op_refused(&op, OCT_OP_LINEAR, &linear, "linear: weight is I32, not a float");
    close_op();
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { conv2d_is_exact, N_SHAPES }, { linear_is_exact, 1 }, { images_do_not_meet, 2 },
        { near_to_real_numbers, 1 }, { odd_operands_are_refused, 1 },
    };
    return suite_run_loops("ops_dynamic", loops, sizeof loops / sizeof *loops);
}
