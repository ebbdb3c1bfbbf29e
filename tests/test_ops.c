/* Operators against loops written from PyTorch's definitions: what they compute, what they refuse.
 * Where the result is a copy or a choice it must be exact; bounds are derived beside each test. */
#include "tests/suite.h"

#include "ops/common.h"
#include "tests/ops_fixture.h"

static const int channels[] = { 1, 3, 16, 20, 63, 64, 65, 130 };
enum { N_CHANNELS = sizeof channels / sizeof *channels };

static oct_tensor *out_tensor(void)
{
    oct_tensor *y = fixture_alloc(sizeof *y);
    *y = (oct_tensor){ 0 };
    return y;
}

static void reset(void)
{
    oct_arena_free(&fixture_arena);
    test_seed = 11;
}

/* ck_assert talks to the runner each time: one for a million elements would take minutes. */
static void expect(int holds, const char *what)
{
    if (!holds) ck_abort_msg("%s", what);
}

#define EACH_PIXEL(t, s, ch, y, x)                                        \
    for (int s = 0; s < (t)->dim[0]; s++)                                 \
        for (int ch = 0; ch < (t)->dim[3]; ch++)                          \
            for (int y = 0; y < (t)->dim[1]; y++)                         \
                for (int x = 0; x < (t)->dim[2]; x++)

/* However the units are cut, every row of every block is visited once and where it lies. */
START_TEST(rows_are_visited_once)
{
    reset();
    oct_tensor *t = fixture_image(3, 130, 5, 4);
    const size_t units = oct_rows_units(t, 3);
    ck_assert_uint_eq(units, 3 * 3 * 5);
    for (size_t cut = 1; cut <= units; cut++) {
        size_t next = 0;
        for (size_t from = 0; from < units; from += cut) {
            const size_t end = from + cut < units ? from + cut : units;
            for (size_t u = from; u < end;) {
                const oct_rows r = oct_rows_next(t, u, end);
                const float *p = fixture_at(t, (int)r.sample, 64 * r.block, r.row, 0);
                ck_assert_ptr_eq((float *)t->data + r.at, p);
                ck_assert_uint_eq((r.sample * 3 + (size_t)r.block) * 5 + (size_t)r.row, next);
                ck_assert_int_gt(r.count, 0);
                next += (size_t)r.count;
                u += (size_t)r.count;
            }
            ck_assert_uint_eq(next, end);
        }
    }
}
END_TEST

START_TEST(layout_and_flatten_are_inverse)
{
    for (int i = 0; i < N_CHANNELS; i++)
        for (int size = 1; size <= 40; size += 13) {
            reset();
            const int c = channels[i], h = size, w = size + 3, n = 3;
            oct_tensor *x = fixture_tensor(OCT_DENSE, n, c, h, w), *y = out_tensor();
            oct_tensor *z = out_tensor();
            const float *p = x->data;
            fixture_op(&oct_op_layout, &(oct_args){ .in = { x }, .out = y }, n);
            ck_assert_int_eq(y->layout, OCT_BLOCKED);
            EACH_PIXEL(y, s, ch, r, q)
                expect(*fixture_at(y, s, ch, r, q) == p[((s * c + ch) * h + r) * w + q], "layout");
            fixture_op(&oct_op_flatten, &(oct_args){ .in = { y }, .out = z }, n);
            ck_assert_int_eq(z->rank, 2);
            ck_assert_int_eq(z->dim[1], c * h * w);
            ck_assert_mem_eq(z->data, x->data, oct_tensor_size(x));
            fixture_op(&oct_op_flatten, &(oct_args){ .in = { x }, .out = z }, n - 1);
            ck_assert_mem_eq(z->data, x->data, oct_tensor_size(x) / 3 * 2);
        }
}
END_TEST

/* Output (oy, ox) from the taps of its window that lie in the image, PyTorch's loops. */
static void pool_one(const oct_pool_attr *a, const oct_tensor *x, const oct_tensor *y, int s,
                     int ch, int oy, int ox)
{
    const int h = x->dim[1], w = x->dim[2];
    double sum = 0, size = 0;
    float best = -INFINITY;
    int count = 0, y0, y1, x0, x1, dy = 1, dx = 1;
    if (a->kind == OCT_POOL_ADAPTIVE_AVG) {
        y0 = (int)floor((double)oy * h / y->dim[1]), y1 = (int)ceil((oy + 1.0) * h / y->dim[1]);
        x0 = (int)floor((double)ox * w / y->dim[2]), x1 = (int)ceil((ox + 1.0) * w / y->dim[2]);
    } else {
        if (a->kind == OCT_POOL_MAX) dy = a->dilation[0], dx = a->dilation[1];
        y0 = oy * a->stride[0] - a->pad[0], y1 = y0 + (a->kernel[0] - 1) * dy + 1;
        x0 = ox * a->stride[1] - a->pad[1], x1 = x0 + (a->kernel[1] - 1) * dx + 1;
    }
    for (int r = y0; r < y1; r += dy)
        for (int q = x0; q < x1; q += dx) {
            if (r < 0 || r >= h || q < 0 || q >= w) continue;
            const float v = *fixture_at(x, s, ch, r, q);
            if (v > best || isnan(v)) best = v;
            sum += (double)v;
            size += fabs((double)v);
            count++;
        }
    const float got = *fixture_at(y, s, ch, oy, ox);
    if (a->kind == OCT_POOL_MAX) {
        expect(fixture_same(&got, &best, 1), "maximum");
        return;
    }
    if (a->kind == OCT_POOL_AVG && a->count_include_pad) count = a->kernel[0] * a->kernel[1];
    /* taps - 1 additions that round, the reciprocal, the product */
    const double bound = (count + 2) * 0x1p-24 * size / count;
    expect(fabs((double)got - sum / count) <= bound, "average");
}

static void pool_case(const oct_pool_attr *a, int n, int c, int h, int w, int oh, int ow)
{
    oct_tensor *x = fixture_image(n, c, h, w), *y = out_tensor();
    if (a->kind == OCT_POOL_MAX) { /* NaN, infinities and zeros of both signs among the rest */
        float *p = x->data;
        static const float odd[] = { NAN, INFINITY, -INFINITY, 0.f, -0.f };
        for (size_t i = 0; i < oct_tensor_count(x); i += 1 + test_rand() % 40)
            p[i] = odd[test_rand() % 5];
    }
    fixture_op(&oct_op_pool, &(oct_args){ a, { x }, y }, n);
    ck_assert_int_eq(y->dim[1], oh);
    ck_assert_int_eq(y->dim[2], ow);
    ck_assert_int_eq(y->dim[3], c);
    EACH_PIXEL(y, s, ch, r, q) pool_one(a, x, y, s, ch, r, q);
}

/* The fifth steps over the whole image: no tap, so -infinity. */
START_TEST(pools_as_torch_does)
{
    static const struct { oct_pool_attr a; int h, w, oh, ow; } t[] = {
        { { OCT_POOL_MAX, { 2, 2 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, .out = { 0 } }, 24, 24, 12, 12 },
        { { OCT_POOL_MAX, { 2, 2 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, .out = { 0 } }, 7, 9, 3, 4 },
        { { OCT_POOL_MAX, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, .out = { 0 } }, 15, 11, 8, 6 },
        { { OCT_POOL_MAX, { 2, 3 }, { 1, 2 }, { 1, 1 }, { 2, 3 }, .out = { 0 } }, 9, 13, 9, 5 },
        { { OCT_POOL_MAX, { 2, 2 }, { 1, 1 }, { 1, 1 }, { 3, 3 }, .out = { 0 } }, 2, 2, 1, 1 },
        { { OCT_POOL_MAX, { 5, 1 }, { 3, 1 }, { 2, 0 }, { 1, 1 }, .out = { 0 } }, 5, 4, 2, 4 },
        { { OCT_POOL_AVG, { 2, 2 }, { 2, 2 }, .count_include_pad = 1 }, 8, 6, 4, 3 },
        { { OCT_POOL_AVG, { 3, 3 }, { 2, 1 }, { 1, 1 }, .count_include_pad = 1 }, 9, 7, 5, 7 },
        { { OCT_POOL_AVG, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 1 }, .out = { 0 } }, 9, 7, 5, 7 },
        { { OCT_POOL_AVG, { 4, 2 }, { 3, 5 }, { 2, 1 }, { 1, 1 }, .out = { 0 } }, 6, 6, 3, 2 },
        { { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 } }, 8, 8, 1, 1 },
        { { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 3, 4 } }, 7, 10, 3, 4 },
        { { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 5, 6 } }, 3, 2, 5, 6 },
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++)
        for (int i = 0; i < N_CHANNELS; i++) {
            reset();
            pool_case(&t[k].a, 2, channels[i], t[k].h, t[k].w, t[k].oh, t[k].ow);
        }
    reset(); /* large enough for the pool of threads */
    pool_case(&t[2].a, 3, 65, 40, 39, 20, 20);
    pool_case(&t[10].a, 3, 200, 20, 20, 1, 1);
}
END_TEST

/* scale is one rounding of a double, the difference another, fma a third:
 * |got - want| <= 2 eps |(x - mean) scale| + eps |want|, plus the rounding of the last. */
static void batchnorm_case(oct_tensor *x, int c, int with_affine)
{
    oct_tensor *p[4], *y = out_tensor();
    const oct_batchnorm_attr attr = { 1e-5f };
    for (int i = 0; i < 4; i++) p[i] = fixture_tensor(OCT_DENSE, c, 0, 0, 0);
    const float *gamma = p[0]->data, *beta = p[1]->data, *mean = p[2]->data;
    float *var = p[3]->data;
    for (int i = 0; i < c; i++) var[i] = fabsf(var[i]);
    oct_args args = { &attr, { x, p[0], p[1], p[2], p[3] }, y };
    if (!with_affine) args.in[OCT_BATCHNORM_GAMMA] = args.in[OCT_BATCHNORM_BETA] = NULL;
    fixture_op(&oct_op_batchnorm, &args, x->dim[0]);
    const size_t pixels = oct_tensor_count(x) / (size_t)x->dim[0] / (size_t)c;
    for (int s = 0; s < x->dim[0]; s++)
        for (int ch = 0; ch < c; ch++)
            for (size_t q = 0; q < pixels; q++) {
                const size_t at = x->layout == OCT_DENSE ? (size_t)s * (size_t)c + (size_t)ch :
                    (size_t)(fixture_at(x, s, ch, (int)q / x->dim[2], (int)q % x->dim[2]) -
                             (float *)x->data);
                const double d = (double)((float *)x->data)[at] - (double)mean[ch];
                const double product = d / sqrt((double)var[ch] + (double)attr.eps) *
                                       (with_affine ? (double)gamma[ch] : 1);
                const double want = product + (with_affine ? (double)beta[ch] : 0);
                const double bound = 0x1p-24 * (2.01 * fabs(product) + 1.01 * fabs(want));
                expect(fabs((double)((float *)y->data)[at] - want) <= bound, "batchnorm");
            }
}

START_TEST(batchnorm_normalizes)
{
    for (int i = 0; i < N_CHANNELS; i++) {
        reset();
        batchnorm_case(fixture_image(2, channels[i], 5, 7), channels[i], i % 2);
        batchnorm_case(fixture_tensor(OCT_DENSE, 5, channels[i], 0, 0), channels[i], !(i % 2));
    }
    batchnorm_case(fixture_image(3, 65, 30, 31), 65, 1);
}
END_TEST

static double curve(oct_act act, double x)
{
    switch (act) {
    case OCT_ACT_RELU:    return x < 0 ? 0 : x;
    case OCT_ACT_RELU6:   return x < 0 ? 0 : x > 6 ? 6 : x;
    case OCT_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case OCT_ACT_TANH:    return tanh(x);
    case OCT_ACT_GELU:    return 0.5 * x * erfc(-x / sqrt(2));
    default:              return x;
    }
}

START_TEST(activation_applies_its_function)
{
    for (int act = 0; act < OCT_ACT_COUNT; act++)
        for (int size = 1; size < 4; size++) {
            reset();
            const oct_activation_attr attr = { (oct_act)act };
            oct_tensor *x = size == 1 ? fixture_tensor(OCT_DENSE, 3, 33, 0, 0) :
                                        fixture_image(3, 65, 3 + size * size * size, 41);
            oct_tensor *y = out_tensor();
            for (size_t i = 0; i < oct_tensor_count(x); i++) ((float *)x->data)[i] *= 2;
            fixture_op(&oct_op_activation, &(oct_args){ &attr, { x }, y }, 3);
            ck_assert_int_eq(y->layout, x->layout);
            for (size_t i = 0; i < oct_tensor_count(x); i++) {
                const double want = curve((oct_act)act, (double)((float *)x->data)[i]);
                const double got = (double)((float *)y->data)[i]; /* 7 ulp: math_f32.h, gelu's */
                expect(fabs(got - want) <= (act <= OCT_ACT_RELU6 ? 0 : 7 * 0x1p-23 * fabs(want)),
                       "activation");
            }
        }
}
END_TEST

START_TEST(add_adds)
{
    for (int act = 0; act <= OCT_ACT_RELU6; act++)
        for (int i = 0; i < N_CHANNELS; i++) {
            reset();
            const oct_add_attr attr = { .act = (oct_act)act };
            const int side = i == N_CHANNELS - 1 ? 31 : 5;
            oct_tensor *a = fixture_image(3, channels[i], side, 6), *y = out_tensor();
            oct_tensor *b = fixture_image(3, channels[i], side, 6);
            fixture_op(&oct_op_add, &(oct_args){ &attr, { a, b }, y }, 2);
            for (size_t k = 0; k < oct_tensor_count(a) / 3 * 2; k++) { /* sums of these are exact */
                const double sum = (double)((float *)a->data)[k] + (double)((float *)b->data)[k];
                expect((double)((float *)y->data)[k] == curve((oct_act)act, sum), "add");
            }
        }
}
END_TEST

START_TEST(concat_puts_channels_side_by_side)
{
    for (int i = 0; i < N_CHANNELS; i++)
        for (int k = 0; k < N_CHANNELS; k++) {
            reset();
            oct_tensor *x[3] = { fixture_image(2, channels[i], 3, 5),
                                 fixture_image(2, channels[k], 3, 5), fixture_image(2, 7, 3, 5) };
            oct_tensor *y = out_tensor();
            fixture_op(&oct_op_concat, &(oct_args){ .in = { x[0], x[1], x[2] }, .out = y }, 2);
            ck_assert_int_eq(y->dim[3], channels[i] + channels[k] + 7);
            for (int p = 0, before = 0; p < 3; before += x[p++]->dim[3])
                EACH_PIXEL(x[p], s, ch, r, q)
                    expect(*fixture_at(x[p], s, ch, r, q) == *fixture_at(y, s, before + ch, r, q),
                           "concat");
        }
    oct_tensor *a = fixture_tensor(OCT_DENSE, 3, 70, 0, 0), *y = out_tensor();
    oct_tensor *b = fixture_tensor(OCT_DENSE, 3, 65, 0, 0);
    fixture_op(&oct_op_concat, &(oct_args){ .in = { a, b }, .out = y }, 3);
    for (int s = 0; s < 3; s++) {
        ck_assert_mem_eq((float *)y->data + s * 135, (float *)a->data + s * 70, 70 * sizeof(float));
        ck_assert_mem_eq((float *)y->data + s * 135 + 70, (float *)b->data + s * 65,
                         65 * sizeof(float));
    }
}
END_TEST

START_TEST(pad_is_option_a)
{
    static const oct_pad_attr t[] = {
        { { 2, 2 }, 8, 8 }, { { 2, 2 }, 0, 5 }, { { 1, 1 }, 60, 70 }, { { 3, 2 }, 1, 0 },
        { { 1, 1 }, 0, 0 },
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++)
        for (int i = 0; i < N_CHANNELS; i++) {
            reset();
            const int c = channels[i];
            oct_tensor *x = fixture_image(2, c, 9, 8), *y = out_tensor();
            fixture_op(&oct_op_pad, &(oct_args){ &t[k], { x }, y }, 2);
            ck_assert_int_eq(y->dim[1], (9 + t[k].stride[0] - 1) / t[k].stride[0]);
            ck_assert_int_eq(y->dim[2], (8 + t[k].stride[1] - 1) / t[k].stride[1]);
            ck_assert_int_eq(y->dim[3], t[k].before + c + t[k].after);
            EACH_PIXEL(y, s, ch, r, q) {
                const int from = ch - t[k].before;
                const float want = from < 0 || from >= c ? 0 :
                    *fixture_at(x, s, from, r * t[k].stride[0], q * t[k].stride[1]);
                expect(*fixture_at(y, s, ch, r, q) == want, "pad");
            }
        }
}
END_TEST

START_TEST(softmax_sums_to_one)
{
    static const int sizes[] = { 1, 2, 10, 15, 16, 17, 100, 1000, 30000 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        reset();
        const int n = sizes[k];
        oct_tensor *x = fixture_tensor(OCT_DENSE, 5, n, 0, 0), *y = out_tensor();
        fixture_op(&oct_op_softmax, &(oct_args){ .in = { x }, .out = y }, 5);
        for (int s = 0; s < 5; s++) {
            const float *p = (float *)x->data + s * n, *q = (float *)y->data + s * n;
            double sum = 0;
            for (int i = 0; i < n; i++) sum += exp((double)p[i]);
            /* exp twice (1.25 ulp, of 2 eps each), x - max exact here, n/16 + 4 sums, a quotient */
            const double bound = (n / 16 + 4 + 2 * 2.5 + 1) * 0x1p-24;
            for (int i = 0; i < n; i++) {
                const double want = exp((double)p[i]) / sum;
                expect(fabs((double)q[i] - want) <= bound * want, "softmax");
            }
        }
    }
}
END_TEST

static void refused(const oct_op *op, oct_args *args, oct_status status, const char *message)
{
    ck_assert_int_eq(op->infer(args), status);
    ck_assert_str_eq(oct_last_error(), message);
}

START_TEST(refuses_what_does_not_fit)
{
    reset();
    oct_tensor *x = fixture_image(1, 3, 4, 4), *d = fixture_tensor(OCT_DENSE, 2, 3, 0, 0);
    oct_tensor *s8 = fixture_image(1, 3, 4, 4), *empty = fixture_image(1, 3, 4, 4);
    oct_tensor *y = out_tensor();
    s8->dtype = OCT_S8;
    empty->dim[2] = 0;
    const oct_activation_attr relu = { OCT_ACT_RELU }, odd = { OCT_ACT_COUNT };
    const oct_add_attr none = { .act = OCT_ACT_NONE }, gelu = { .act = OCT_ACT_GELU };
    refused(&oct_op_layout, &(oct_args){ .in = { x }, .out = y }, OCT_ERR_SHAPE,
            "layout: blocked of rank 4, expected dense [n, c, h, w]");
    refused(&oct_op_layout, &(oct_args){ .in = { d }, .out = y }, OCT_ERR_SHAPE,
            "layout: dense of rank 2, expected dense [n, c, h, w]");
    refused(&oct_op_activation, &(oct_args){ &relu, { s8 }, y }, OCT_ERR_UNSUPPORTED,
            "activation: an operand is I8, only F32 is done");
    refused(&oct_op_activation, &(oct_args){ &relu, { empty }, y }, OCT_ERR_SHAPE,
            "activation: dimension 2 is 0, expected 1 or more");
    refused(&oct_op_activation, &(oct_args){ &relu, { NULL }, y }, OCT_ERR_SHAPE,
            "activation: an operand is missing");
    refused(&oct_op_activation, &(oct_args){ &odd, { x }, y }, OCT_ERR_UNSUPPORTED,
            "activation: function 6 is none of the 6 known");
    refused(&oct_op_add, &(oct_args){ &none, { x, d }, y }, OCT_ERR_SHAPE,
            "add: [1, 4, 4, 3] and [2, 3]");
    refused(&oct_op_add, &(oct_args){ &none, { x, NULL }, y }, OCT_ERR_SHAPE,
            "add: an operand is missing");
    refused(&oct_op_add, &(oct_args){ &gelu, { x, x }, y }, OCT_ERR_UNSUPPORTED,
            "add: activation 5, only none, relu and relu6 are fused");
    refused(&oct_op_softmax, &(oct_args){ .in = { x }, .out = y }, OCT_ERR_SHAPE,
            "softmax: blocked of rank 4, expected dense [m, k]");
    refused(&oct_op_concat, &(oct_args){ .in = { x, d }, .out = y }, OCT_ERR_SHAPE,
            "concat: operand 0 is blocked, operand 1 is not");
    refused(&oct_op_concat, &(oct_args){ .in = { x, fixture_image(1, 3, 5, 4) }, .out = y },
            OCT_ERR_SHAPE, "concat: [1, 4, 4, 3], and operand 1 is [1, 5, 4, 3]");
    refused(&oct_op_pad, &(oct_args){ &(oct_pad_attr){ { 0, 1 }, 0, 0 }, { x }, y },
            OCT_ERR_UNSUPPORTED, "pad: stride 0, 1");
    refused(&oct_op_pad, &(oct_args){ &(oct_pad_attr){ { 1, 1 }, 1, INT32_MAX }, { x }, y },
            OCT_ERR_UNSUPPORTED, "pad: 1 channels before and 2147483647 after 3");
    refused(&oct_op_pad, &(oct_args){ &(oct_pad_attr){ { 1, 1 }, 0, 1 }, { d }, y }, OCT_ERR_SHAPE,
            "pad: [2, 3] is not a blocked image");
    oct_tensor *wide = fixture_alloc(sizeof *wide);
    *wide = (oct_tensor){ .rank = 3, .dim = { 1, 1 << 16, 1 << 15 } };
    refused(&oct_op_flatten, &(oct_args){ .in = { wide }, .out = y }, OCT_ERR_SHAPE,
            "flatten: 2147483648 features, at most 2147483647");
}
END_TEST

START_TEST(pool_refuses_odd_windows)
{
    reset();
    oct_tensor *x = fixture_image(1, 3, 4, 4), *y = out_tensor();
    static const struct { oct_pool_attr a; oct_status status; const char *message; } t[] = {
        { { OCT_POOL_MAX, { 3, 3 }, { 1, 1 }, { 2, 0 }, { 1, 1 }, .out = { 0 } },
          OCT_ERR_UNSUPPORTED,
          "pool: padding 2 is more than half of kernel 3" },
        { { OCT_POOL_MAX, { 3, 3 }, { 1, 0 }, { 1, 1 }, { 1, 1 }, .out = { 0 } },
          OCT_ERR_UNSUPPORTED,
          "pool: kernel 3, stride 0, padding 1" },
        { { OCT_POOL_MAX, { 3, 3 }, { 1, 1 }, { 0, 0 }, { 2, 1 }, .out = { 0 } }, OCT_ERR_SHAPE,
          "pool: window of 5 in an image of 4, padding 0" },
        { { OCT_POOL_MAX, { 2, 2 }, { 1, 1 }, { 0, 0 }, { 1, 0 }, .out = { 0 } },
          OCT_ERR_UNSUPPORTED,
          "pool: dilation 0 of a maximum" },
        { { OCT_POOL_AVG, { 2, 2 }, { 1, 1 }, { 0, 0 }, { 2, 1 }, .out = { 0 } },
          OCT_ERR_UNSUPPORTED,
          "pool: dilation 2 of an average" },
        { { OCT_POOL_MAX, { INT32_MAX, 1 }, { 1, 1 }, { INT32_MAX / 2, 0 },
            { INT32_MAX, INT32_MAX }, .out = { 0 } }, OCT_ERR_SHAPE,
          "pool: window of 4611686011984936963 in an image of 4, padding 1073741823" },
        { { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 2, 0 } }, OCT_ERR_UNSUPPORTED,
          "pool: output size 0" },
        { { .kind = (oct_pool_kind)7 }, OCT_ERR_UNSUPPORTED, "pool: kind 7 is unknown" },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        refused(&oct_op_pool, &(oct_args){ &t[i].a, { x }, y }, t[i].status, t[i].message);
}
END_TEST

START_TEST(batchnorm_refuses_odd_parameters)
{
    reset();
    const oct_batchnorm_attr attr = { 1e-5f }, nan = { NAN };
    oct_tensor *x = fixture_image(1, 3, 4, 4), *y = out_tensor();
    oct_tensor *p = fixture_tensor(OCT_DENSE, 3, 0, 0, 0);
    oct_tensor *four = fixture_tensor(OCT_DENSE, 4, 0, 0, 0);
    oct_tensor *whole = fixture_tensor(OCT_DENSE, 3, 0, 0, 0);
    whole->dtype = OCT_S32;
    refused(&oct_op_batchnorm, &(oct_args){ &attr, { x, p, p, p, NULL }, y }, OCT_ERR_SHAPE,
            "batchnorm: var is missing");
    refused(&oct_op_batchnorm, &(oct_args){ &attr, { x, four, p, p, p }, y }, OCT_ERR_SHAPE,
            "batchnorm: gamma has rank 1 and 4 entries, x has 3 channels");
    refused(&oct_op_batchnorm, &(oct_args){ &attr, { x, p, whole, p, p }, y }, OCT_ERR_UNSUPPORTED,
            "batchnorm: beta is I32, expected a float");
    refused(&oct_op_batchnorm, &(oct_args){ &nan, { x, p, p, p, p }, y }, OCT_ERR_UNSUPPORTED,
            "batchnorm: eps is nan, expected 0 or more");
    ((float *)p->data)[0] = ((float *)p->data)[1] = 1;
    ((float *)p->data)[2] = -1;
    oct_args args = { &attr, { x, p, p, p, p }, y };
    oct_prepare how = { .threads = 1, .arena = &fixture_arena };
    void *state;
    ck_assert_int_eq(oct_op_batchnorm.infer(&args), OCT_OK);
    ck_assert_int_eq(oct_op_batchnorm.prepare(&args, &how, &state), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "batchnorm: variance 2 is -1, eps 1e-05");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rows_are_visited_once, layout_and_flatten_are_inverse, pools_as_torch_does,
        batchnorm_normalizes,
        activation_applies_its_function, add_adds, concat_puts_channels_side_by_side,
        pad_is_option_a, softmax_sums_to_one, refuses_what_does_not_fit, pool_refuses_odd_windows,
        batchnorm_refuses_odd_parameters,
    };
    return suite_run("ops", tests, sizeof tests / sizeof *tests);
}
