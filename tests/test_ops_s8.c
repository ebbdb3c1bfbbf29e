/* Operators on quantized values against loops over their definition: exact, so every byte, on every
 * ISA, for 1 to 3 threads.  The rounding is written here once more, in double. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "tests/run_op.h"
#include "tests/suite.h"

static test_op op;
static float scales[4];
static int n_scales;

static void open_op(void)
{
    memset(&op, 0, sizeof op);
    n_scales = 0;
}

static void close_op(void) { oct_arena_free(&op.arena); }
static void *room(size_t size)
{
    void *p = oct_arena_zalloc(&op.arena, size);
    ck_assert_ptr_nonnull(p);
    return p;
}
/* Data of a U8 tensor with bytes of every kind up to max, ends more often. */
static void fill_u8(oct_tensor *t, float scale, int zero, int max)
{
    uint8_t *p = t->data = room(oct_tensor_count(t));
    scales[n_scales] = scale;
    t->dtype = OCT_U8, t->scale = &scales[n_scales++], t->zero = zero, t->max = max;
    for (size_t i = 0; i < oct_tensor_count(t); i++) {
        const int r = (int)(test_rand() % 4096);
        p[i] = (uint8_t)(r % 8 == 0 ? max : r % 8 == 1 ? 0 : r / 8 % (max + 1));
    }
}

static int q(const oct_tensor *t, size_t i) { return ((const uint8_t *)t->data)[i]; }

/* clamp(round_half_even(y), ...) + zero, by the text of requant.h; y was rounded to float */
static int rounded(float y, const oct_quant *to, oct_act act)
{
    const double r = nearbyint((double)y) + to->zero;
    double lo = act != OCT_ACT_NONE ? to->zero : 0, hi = to->max;
    if (act == OCT_ACT_RELU6) hi = fmin(hi, to->zero + nearbyint((double)(6 / to->scale)));
    return (int)(r < lo ? lo : r > hi ? hi : r);
}

typedef struct shape {
    int n, c, h, w, out, kh, kw;
    oct_conv2d_attr attr;
    int residual;
} shape;

#define ATTR(sh, sw, ph, pw, dh, dw, groups, a) \
    { { sh, sw }, { ph, pw }, { dh, dw }, groups, .act = OCT_ACT_##a }
static const shape shapes[] = {
    { 2, 1, 12, 12, 20, 5, 5, ATTR(1, 1, 0, 0, 1, 1, 1, RELU), 0 },
    { 1, 3, 16, 16, 32, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU), 0 },
    { 1, 64, 9, 8, 96, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU), 1 },
    { 3, 130, 8, 8, 70, 3, 3, ATTR(2, 2, 1, 1, 1, 1, 1, RELU6), 1 },
    { 1, 64, 7, 7, 200, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 1 },
    { 1, 65, 9, 5, 33, 1, 1, ATTR(2, 2, 0, 0, 1, 1, 1, NONE), 0 },
    { 2, 3, 37, 29, 64, 7, 7, ATTR(2, 2, 3, 3, 1, 1, 1, RELU), 0 }, /* a ResNet's stem */
    { 1, 7, 11, 13, 9, 3, 5, ATTR(1, 2, 2, 1, 3, 2, 1, NONE), 0 },
    { 1, 16, 9, 9, 16, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 16, RELU), 0 }, /* depthwise */
    { 1, 150, 5, 5, 90, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 3, NONE), 1 }, /* groups of 50 and 30 */
    { 1, 200, 4, 4, 66, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 2, NONE), 0 },
    { 1, 35, 16, 15, 72, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, NONE), 0 }, /* F(4x4), odd channels */
    { 3, 64, 8, 11, 66, 3, 3, ATTR(1, 1, 2, 0, 1, 1, 1, RELU), 1 },
    { 2, 129, 9, 17, 64, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU6), 1 },
    { 1, 4, 1, 1, 5, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef struct conv {
    shape s;
    oct_tensor x, w, b, r, y;
    oct_args args;
    int32_t *sum;
    unsigned char *want;       /* y's bytes */
} conv;

/* Naive: the raw int32 sum of each output, bias included, padding skipped. */
static void sums(conv *t)
{
    const shape *s = &t->s;
    const oct_conv2d_attr *a = &s->attr;
    const int cg = s->c / a->groups, og = s->out / a->groups;
    const int8_t *w = t->w.data;
    t->sum = room(oct_tensor_count(&t->y) * sizeof *t->sum);
    for (int i = 0; i < s->n * t->y.dim[1] * t->y.dim[2] * s->out; i++) {
        const int o = i % s->out, ox = i / s->out % t->y.dim[2];
        const int oy = i / s->out / t->y.dim[2] % t->y.dim[1];
        const int n = i / s->out / t->y.dim[2] / t->y.dim[1];
        int32_t sum = t->b.dtype == OCT_S32 ? ((int32_t *)t->b.data)[o] : 0;
        for (int k = 0; k < cg * s->kh * s->kw; k++) {
            const int c = k / s->kh / s->kw, ky = k / s->kw % s->kh, kx = k % s->kw;
            const int yy = oy * a->stride[0] - a->pad[0] + ky * a->dilation[0];
            const int xx = ox * a->stride[1] - a->pad[1] + kx * a->dilation[1];
            if (yy < 0 || yy >= s->h || xx < 0 || xx >= s->w) continue;
            const size_t at = test_blocked(&t->x, n, yy, xx, o / og * cg + c);
            sum += (q(&t->x, at) - t->x.zero) * w[o * cg * s->kh * s->kw + k];
        }
        t->sum[test_blocked(&t->y, n, oy, ox, o)] = sum;
    }
}

static void want_u8(conv *t, int o, size_t at)
{
    const oct_quant *to = &t->s.attr.quant;
    const float unit = *t->x.scale * t->w.scale[o];
    float y = (float)t->sum[at];
    if (t->b.dtype == OCT_F32) y = y + ((float *)t->b.data)[o] / unit;
    y = y * (unit / to->scale);
    if (t->s.residual)
        y = fmaf((float)(q(&t->r, at) - t->r.zero), *t->r.scale / to->scale, y);
    t->want[at] = (unsigned char)rounded(y, to, t->s.attr.act);
}

static void want_f32(conv *t, int o, size_t at)
{
    float y = (float)t->sum[at] * (*t->x.scale * t->w.scale[o]);
    y = y + (t->b.dtype == OCT_F32 ? ((float *)t->b.data)[o] : 0);
    if (t->s.residual) y = y + ((float *)t->r.data)[at];
    if (t->s.attr.act != OCT_ACT_NONE && y < 0) y = 0;
    if (t->s.attr.act == OCT_ACT_RELU6 && y > 6) y = 6;
    ((float *)(void *)t->want)[at] = y;
}

static void expect(conv *t)
{
    sums(t);
    t->want = room(oct_tensor_size(&t->y));
    for (int n = 0; n < t->s.n; n++)
        for (int p = 0; p < t->y.dim[1] * t->y.dim[2]; p++)
            for (int o = 0; o < t->s.out; o++) {
                const size_t at = test_blocked(&t->y, n, p / t->y.dim[2], p % t->y.dim[2], o);
                if (t->y.dtype == OCT_U8) want_u8(t, o, at);
                else want_f32(t, o, at);
            }
}

/* What is given and what comes out: bias S32, y U8;  both FP32;  bias FP32, y U8. */
enum { TO_U8, TO_F32, F32_TO_U8, KINDS };

static void constants(conv *t, int kind)
{
    const shape *s = &t->s;
    float *scale = room((size_t)s->out * sizeof *scale);
    t->w = (oct_tensor){ .dtype = OCT_S8, .rank = 4, .scale = scale,
                         .dim = { s->out, s->c / s->attr.groups, s->kh, s->kw } };
    int8_t *w = t->w.data = room(oct_tensor_count(&t->w));
    test_fill_s8(w, oct_tensor_count(&t->w), FILL_RANDOM);
    for (int i = 0; i < 40 && (size_t)i < oct_tensor_count(&t->w); i++) w[i] = i % 2 ? -128 : 127;
    t->b = (oct_tensor){ .dtype = kind == TO_U8 ? OCT_S32 : OCT_F32, .rank = 1,
                         .dim = { s->out } };
    t->b.data = room((size_t)s->out * 4);
    for (int o = 0; o < s->out; o++) {
        const int bias = (int)(test_rand() % 20001) - 10000;
        scale[o] = .01f + .0001f * (float)o;
        if (kind == TO_U8) ((int32_t *)t->b.data)[o] = bias;
        else ((float *)t->b.data)[o] = (float)bias / (kind == TO_F32 ? 100 : 3333);
    }
}

static void build(conv *t, const shape *s, int max, int kind)
{
    memset(t, 0, sizeof *t);
    t->s = *s;
    /* sums are about 100 sqrt(k) * 127 / 2: most do not clamp */
    const float size = 40 * sqrtf((float)(s->c / s->attr.groups * s->kh * s->kw));
    if (kind != TO_F32) t->s.attr.quant = (oct_quant){ size * .03f * .01f * 2, max / 3, max };
    t->x = (oct_tensor){ .layout = OCT_BLOCKED, .rank = 4, .dim = { s->n, s->h, s->w, s->c } };
    fill_u8(&t->x, .03f, s->attr.act == OCT_ACT_RELU ? 0 : 57, max);
    constants(t, kind);
    t->args = (oct_args){ &t->s.attr, { &t->x, &t->w, &t->b }, &t->y };
    ck_assert_msg(oct_ops[OCT_OP_CONV2D]->infer(&t->args) == OCT_OK, "%s", oct_last_error());
    t->r = t->y;
    if (kind == TO_F32) test_op_fill(&op, &t->r);
    else fill_u8(&t->r, .02f * size * .03f, 90, max);
    if (s->residual) t->args.in[OCT_CONV2D_RESIDUAL] = &t->r;
}

static void on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    op.cpu = cpu;
    for (op.threads = 1; op.threads <= 3; op.threads++) {
        test_op_run(&op, OCT_OP_CONV2D, &t->args, t->s.n);
        ck_assert_msg(memcmp(t->y.data, t->want, oct_tensor_size(&t->y)) == 0,
                      "%s, %d of %d channels, %dx%d, %d threads", op.how.kernel, t->s.out, t->s.c,
                      t->s.kh, t->s.kw, op.threads);
    }
}

START_TEST(conv2d_is_exact)
{
    for (int max = 127; max <= 255; max += 128)
        for (int kind = 0; kind < KINDS; kind++) {
            conv t;
            open_op();
            build(&t, &shapes[_i], max, kind);
            expect(&t);
            int inside = 0;
            for (size_t i = 0; kind != TO_F32 && i < oct_tensor_count(&t.y); i++)
                inside += t.want[i] > 0 && t.want[i] < max && t.want[i] != t.s.attr.quant.zero;
            ck_assert(kind == TO_F32 || _i == N_SHAPES - 1 ||
                      inside * 8 > (int)oct_tensor_count(&t.y));
            test_each_isa(on_isa, &t);
            close_op();
        }
}
END_TEST

/* linear is a convolution of 1x1 over an image of one pixel; of an image, one of its whole size. */
static void linear_on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    const oct_linear_attr attr = { .act = t->s.attr.act, .quant = t->s.attr.quant };
    oct_tensor w = t->w, y = { .dtype = OCT_F32 }, r = t->r;
    w.rank = 2;
    w.dim[1] = w.dim[1] * w.dim[2] * w.dim[3];
    r.layout = OCT_DENSE;
    r.rank = 2;
    r.dim[1] = t->s.out;
    oct_args args = { &attr, { &t->x, &w, &t->b, t->s.residual ? &r : NULL }, &y };
    op.cpu = cpu;
    op.threads = 3;
    test_op_run(&op, OCT_OP_LINEAR, &args, t->s.n);
    const size_t size = oct_dtype_size(t->y.dtype), row = (size_t)t->s.out * size;
    for (int n = 0; n < t->s.n; n++)
        for (int o = 0; o < t->s.out; o++)
            ck_assert_msg(memcmp((char *)y.data + (size_t)n * row + (size_t)o * size,
                                 t->want + test_blocked(&t->y, n, 0, 0, o) * size, size) == 0,
                          "%s: row %d, %d", op.how.kernel, n, o);
}

START_TEST(linear_is_exact)
{
    static const shape linears[] = {
        { 1, 77, 1, 1, 131, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, RELU), 0 },
        { 29, 77, 1, 1, 10, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0 },
        { 5, 70, 2, 3, 50, 2, 3, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0 },
        { 64, 6, 1, 1, 40, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, RELU6), 1 },
    };
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        for (int k = 0; k < 2 * KINDS; k++) {
            conv t;
            open_op();
            build(&t, &linears[i], k & 1 ? 127 : 255, k >> 1);
            expect(&t);
            test_each_isa(linear_on_isa, &t);
            close_op();
        }
}
END_TEST

/* ---- operators that are one loop ---- */

START_TEST(add_is_exact)
{
    for (int count = 1; count < 40; count++)
        for (oct_act act = OCT_ACT_NONE; act <= OCT_ACT_RELU6; act++) {
            open_op();
            const oct_add_attr attr = { .act = act, .quant = { .07f, 40, 127 } };
            oct_tensor a = { .rank = 2, .dim = { 1, count } }, b = a, y = { .rank = 2 };
            fill_u8(&a, .05f, 30, 127);
            fill_u8(&b, .03f, 100, 255);
            unsigned char *want = room((size_t)count);
            for (int i = 0; i < count; i++) {
                const float v = (float)(q(&a, (size_t)i) - 30) * (.05f / .07f);
                want[i] = (unsigned char)rounded(fmaf((float)(q(&b, (size_t)i) - 100), .03f / .07f,
                                                      v), &attr.quant, act);
            }
            oct_args args = { &attr, { &a, &b }, &y };
            test_op_is(&op, OCT_OP_ADD, &args, 1, want);
            close_op();
        }
}
END_TEST

/* ReLU and ReLU6 of bytes: 40 is the real zero, 40 + 12 the real 6. */
START_TEST(activations_clamp_bytes)
{
    for (int count = 1; count < 3000; count += 117)
        for (oct_act act = OCT_ACT_NONE; act <= OCT_ACT_RELU6; act++) {
            open_op();
            const oct_activation_attr attr = { .act = act };
            oct_tensor x = { .rank = 2, .dim = { 1, count } }, y = { .rank = 2 };
            fill_u8(&x, .5f, 40, 255);
            unsigned char *want = room((size_t)count);
            for (int i = 0; i < count; i++) {
                int v = q(&x, (size_t)i);
                if (act != OCT_ACT_NONE && v < 40) v = 40;
                if (act == OCT_ACT_RELU6 && v > 52) v = 52;
                want[i] = (unsigned char)v;
            }
            oct_args args = { &attr, { &x }, &y };
            test_op_is(&op, OCT_OP_ACTIVATION, &args, 1, want);
            ck_assert(y.scale == x.scale && y.zero == 40 && y.max == 255);
            const oct_activation_attr tanh = { .act = OCT_ACT_TANH };
            args.attr = &tanh;
            ck_assert_int_eq(oct_ops[OCT_OP_ACTIVATION]->infer(&args), OCT_ERR_UNSUPPORTED);
            ck_assert_str_eq(oct_last_error(), "activation: tanh of a quantized value");
            close_op();
        }
}
END_TEST

/* An average in x's own quantization multiplies by 1 / count and nothing else: 18 / 36 of a step is
 * a tie. */
START_TEST(averages_keep_ties)
{
    for (float scale = .01f; scale < .3f; scale *= 1.07f) {
        open_op();
        const oct_pool_attr attr = { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 },
                                     .quant = { scale, 0, 255 } };
        oct_tensor x = { .layout = OCT_BLOCKED, .rank = 4, .dim = { 1, 6, 6, 20 } }, y = x;
        fill_u8(&x, scale, 0, 255);
        for (int i = 0; i < 36 * 20; i++) ((uint8_t *)x.data)[i] = (uint8_t)(i % 20 + i / 20 % 2);
        unsigned char want[20];
        for (int c = 0; c < 20; c++)
            want[c] = (unsigned char)lrintf((float)(36 * c + 18) * (1.f / 36));
        oct_args args = { &attr, { &x }, &y };
        test_op_is(&op, OCT_OP_POOL, &args, 1, want);
        close_op();
    }
}
END_TEST

/* Maximum, average to U8, to FP32, adaptive: 3x3, stride 2, padding 1 of an image 9x8. */
static void pool_case(int c, int kind, int fp32)
{
    open_op();
    oct_pool_attr attr = { .kind = kind == 0 ? OCT_POOL_MAX : OCT_POOL_AVG, .kernel = { 3, 3 },
                           .stride = { 2, 2 }, .pad = { 1, 1 }, .dilation = { 1, 1 } };
    if (kind == 2) attr = (oct_pool_attr){ .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 } };
    if (kind && !fp32) attr.quant = (oct_quant){ .02f, 11, 127 };
    oct_tensor x = { .layout = OCT_BLOCKED, .rank = 4, .dim = { 2, 9, 8, c } };
    oct_tensor y = { .rank = 4, .layout = OCT_BLOCKED,
                     .dim = { 2, kind == 2 ? 1 : 5, kind == 2 ? 1 : 4, c } };
    fill_u8(&x, .03f, 25, 255);
    unsigned char *want = room(oct_tensor_count(&y) * 4);
    for (int i = 0; i < 2 * y.dim[1] * y.dim[2] * c; i++) {
        const int ch = i % c, ox = i / c % y.dim[2], oy = i / c / y.dim[2] % y.dim[1];
        const int n = i / c / y.dim[2] / y.dim[1];
        int sum = 0, most = 0, taps = 0;
        for (int p = 0; p < 72; p++) {
            const int dy = p / 8 - (oy * 2 - 1), dx = p % 8 - (ox * 2 - 1);
            if (kind < 2 && (dy < 0 || dy > 2 || dx < 0 || dx > 2)) continue;
            const int v = q(&x, test_blocked(&x, n, p / 8, p % 8, ch));
            sum += v - 25, taps++, most = v > most ? v : most;
        }
        const size_t at = test_blocked(&y, n, oy, ox, ch);
        const float scale = (fp32 ? .03f : .03f / .02f) * (1.f / (float)taps);
        if (!kind) want[at] = (unsigned char)most;
        else if (fp32) ((float *)(void *)want)[at] = (float)sum * scale;
        else want[at] = (unsigned char)rounded((float)sum * scale, &attr.quant, OCT_ACT_NONE);
    }
    y = (oct_tensor){ .rank = 0 };
    oct_args args = { &attr, { &x }, &y };
    test_op_is(&op, OCT_OP_POOL, &args, 2, want);
    ck_assert(kind || (y.scale == x.scale && y.zero == 25 && y.max == 255));
    close_op();
}

START_TEST(pools_are_exact)
{
    static const int channels[] = { 1, 3, 15, 16, 17, 33, 64, 70 };
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (int kind = 0; kind < 3; kind++)
            for (int fp32 = 0; fp32 <= (kind > 0); fp32++) pool_case(channels[i], kind, fp32);
}
END_TEST

START_TEST(pad_and_flatten_move_bytes)
{
    open_op();
    const oct_pad_attr attr = { .stride = { 2, 2 }, .before = 30, .after = 7 };
    oct_tensor x = { .layout = OCT_BLOCKED, .rank = 4, .dim = { 2, 5, 4, 70 } };
    oct_tensor y = { .layout = OCT_BLOCKED, .rank = 4, .dim = { 2, 3, 2, 107 } }, z = { .rank = 2 };
    fill_u8(&x, .5f, 77, 127);
    unsigned char *pad = room(2 * 6 * 107), *flat = room(2 * 20 * 70);
    for (int n = 0; n < 2; n++) {
        for (int p = 0; p < 6; p++)
            for (int c = 0; c < 107; c++)
                pad[test_blocked(&y, n, p / 2, p % 2, c)] = (unsigned char)(c < 30 || c >= 100
                    ? 77 : q(&x, test_blocked(&x, n, p / 2 * 2, p % 2 * 2, c - 30)));
        for (int k = 0; k < 70 * 20; k++)
            flat[n * 1400 + k] = (unsigned char)q(&x, test_blocked(&x, n, k / 4 % 5, k % 4,
                                                                   k / 20));
    }
    oct_args args = { &attr, { &x }, &y };
    test_op_is(&op, OCT_OP_PAD, &args, 2, pad);
    oct_args back_args = { NULL, { &x }, &z };
    test_op_is(&op, OCT_OP_FLATTEN, &back_args, 2, flat);
    ck_assert(y.scale == x.scale && y.zero == 77 && z.scale == x.scale && z.max == 127);
    close_op();
}
END_TEST

static void refused(conv *t, const char *message)
{
    test_op_refused(&op, OCT_OP_CONV2D, &t->args, message);
}

START_TEST(odd_quantizations_are_refused)
{
    conv t;
    open_op();
    build(&t, &shapes[4], 127, TO_U8);
    scales[0] = 0;
    refused(&t, "conv2d: a scale of 0, expected 2^-64 to 2^64");
    scales[0] = NAN;
    refused(&t, "conv2d: a scale of nan, expected 2^-64 to 2^64");
    scales[0] = .03f;
    t.x.zero = 128;
    refused(&t, "conv2d: zero point 128 of 0 to 127, expected 0 to 127 or 255");
    t.x.zero = 0;
    t.x.scale = NULL;
    refused(&t, "conv2d: an operand is U8 without a scale");
    t.x.scale = scales;
    t.w.dtype = OCT_F32;
    refused(&t, "conv2d: x is U8 and the weight F32, expected I8");
    t.w.dtype = OCT_S8;
    t.b.dtype = OCT_F16;
    refused(&t, "conv2d: the bias is F16, expected I32 or F32");
    t.b.dtype = OCT_F32;
    memset(t.b.data, 0, oct_tensor_size(&t.b));
    ((float *)t.b.data)[3] = INFINITY;
    refused(&t, "conv2d: bias 3 is inf, in units of 0.000309");
    t.b.dtype = OCT_S32;
    ((int32_t *)t.b.data)[3] = INT32_MIN;
    refused(&t, "conv2d: bias 3 is -2147483648, at most 1073741823");
    ((int32_t *)t.b.data)[3] = 0;
    ((float *)(uintptr_t)t.w.scale)[2] = INFINITY;
    refused(&t, "conv2d: row 2 has the scale inf, expected more than 0, below 2^64");
    close_op();
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { conv2d_is_exact, N_SHAPES }, { linear_is_exact, 1 },
        { add_is_exact, 1 }, { activations_clamp_bytes, 1 }, { averages_keep_ties, 1 },
        { pools_are_exact, 1 }, { pad_and_flatten_move_bytes, 1 },
        { odd_quantizations_are_refused, 1 },
    };
    return suite_run_loops("ops_s8", loops, sizeof loops / sizeof *loops);
}
