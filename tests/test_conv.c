/* conv2d and linear against loops written from PyTorch's definition, in double. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/kernels/gemm_bf16.h"
#include "tensor/f16.h"
#include "tests/run_op.h"
#include "tests/suite.h"

typedef struct shape {
    int n, c, h, w, out, kh, kw;
    oct_conv2d_attr attr;
    int bias, residual;
} shape;

#define ATTR(sh, sw, ph, pw, dh, dw, groups, a) \
    { { sh, sw }, { ph, pw }, { dh, dw }, groups, .act = OCT_ACT_##a }
static const shape shapes[] = {
    { 2, 1, 28, 28, 20, 5, 5, ATTR(1, 1, 0, 0, 1, 1, 1, RELU), 1, 0 },  /* mnist_cnn conv1 */
    { 1, 20, 12, 12, 50, 5, 5, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 1, 0 },
    { 1, 3, 32, 32, 32, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU), 1, 0 },  /* cifar_cnn conv1 */
    { 1, 64, 16, 16, 128, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 1, RELU), 1, 1 },
    { 2, 130, 8, 8, 70, 3, 3, ATTR(2, 2, 1, 1, 1, 1, 1, RELU6), 1, 1 },
    { 1, 64, 7, 7, 256, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 0, 1 },
    { 1, 65, 9, 5, 33, 1, 1, ATTR(2, 2, 0, 0, 1, 1, 1, NONE), 1, 0 },
    { 1, 3, 37, 29, 64, 7, 7, ATTR(2, 2, 3, 3, 1, 1, 1, RELU), 1, 0 },  /* a ResNet's stem */
    { 1, 7, 11, 13, 9, 3, 5, ATTR(1, 2, 2, 1, 3, 2, 1, NONE), 1, 0 },   /* all sides differ */
    { 1, 16, 9, 9, 16, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 16, RELU), 1, 0 },  /* depthwise */
    { 1, 128, 6, 6, 128, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 32, NONE), 1, 0 },
    { 1, 150, 5, 5, 90, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 3, NONE), 1, 1 },  /* groups of 50 and 30 */
    { 1, 200, 4, 4, 66, 3, 3, ATTR(1, 1, 1, 1, 1, 1, 2, NONE), 0, 0 },
    { 1, 4, 1, 1, 5, 1, 1, ATTR(1, 1, 0, 0, 1, 1, 1, NONE), 1, 0 },
    { 1, 2, 1, 9, 3, 1, 9, ATTR(1, 1, 0, 4, 1, 1, 1, NONE), 1, 0 },
    { 3, 24, 10, 10, 40, 2, 2, ATTR(2, 2, 0, 0, 1, 1, 1, RELU), 1, 0 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef struct conv {
    const shape *s;
    oct_tensor x, w, b, r, y;
    oct_args args;
    test_op op;
    oct_dtype type;        /* of the weights, expected */
    double *bound;         /* of each element of y, and its right value */
    double *want;
    float *first;          /* the bytes of the first ISA */
} conv;

static float at(const oct_tensor *x, size_t i) { return ((const float *)x->data)[i]; }

/* What a layer of this type makes of an element of x, and of w. */
static double x_of(oct_dtype type, float x)
{
    return (double)(type == OCT_BF16 ? oct_f32_of_bf16(oct_gemm_bf16_of_f32(x)) : x);
}

static double w_of(oct_dtype type, float w)
{
    return type == OCT_F16 ? (double)oct_f32_of_f16(oct_f16_of_f32(w)) : x_of(type, w);
}

static void clamp_want(oct_act act, double *v)
{
    if (act != OCT_ACT_NONE && *v < 0) *v = 0;
    if (act == OCT_ACT_RELU6 && *v > 6) *v = 6;
}

/* One output: its value and the sum of the sizes of its terms. */
static double one(const conv *t, int n, int oy, int ox, int o, double *size)
{
    const shape *s = t->s;
    const oct_conv2d_attr *a = &s->attr;
    const int cg = s->c / a->groups, group = o / (s->out / a->groups);
    double sum = 0;
    *size = 0;
    for (int c = 0; c < cg; c++)
        for (int ky = 0; ky < s->kh; ky++)
            for (int kx = 0; kx < s->kw; kx++) {
                const int y = oy * a->stride[0] - a->pad[0] + ky * a->dilation[0];
                const int x = ox * a->stride[1] - a->pad[1] + kx * a->dilation[1];
                if (y < 0 || y >= s->h || x < 0 || x >= s->w) continue;
                const size_t wi = (((size_t)o * (size_t)cg + (size_t)c) * (size_t)s->kh +
                                   (size_t)ky) * (size_t)s->kw + (size_t)kx;
                const size_t xi = test_blocked(&t->x, n, y, x, group * cg + c);
                const double p = x_of(t->type, at(&t->x, xi)) * w_of(t->type, at(&t->w, wi));
                sum += p;
                *size += fabs(p);
            }
    return sum;
}

/* Of the operands as they are rounded: |got - want| <= (K + 3) u S, u = 2^-24 (Higham 3.1, see
 * gemm_f32.h). */
static void reference(conv *t)
{
    const shape *s = t->s;
    const size_t count = oct_tensor_count(&t->y);
    t->want = calloc(count, sizeof *t->want);
    t->bound = calloc(count, sizeof *t->bound);
    for (int n = 0; n < s->n; n++)
        for (int y = 0; y < t->y.dim[1]; y++)
            for (int x = 0; x < t->y.dim[2]; x++)
                for (int o = 0; o < s->out; o++) {
                    const size_t i = test_blocked(&t->y, n, y, x, o);
                    double size, v = one(t, n, y, x, o, &size);
                    if (s->bias) v += (double)at(&t->b, (size_t)o);
                    if (s->residual) v += (double)at(&t->r, i);
                    clamp_want(s->attr.act, &v);
                    t->want[i] = v;
                    t->bound[i] = (s->c / s->attr.groups * s->kh * s->kw + 3) * 0x1p-24 *
                                  (size + 2);
                }
}

static void build(conv *t, const shape *s)
{
    memset(t, 0, sizeof *t);
    t->s = s;
    t->x = (oct_tensor){ .layout = OCT_BLOCKED, .rank = 4, .dim = { s->n, s->h, s->w, s->c } };
    t->w = (oct_tensor){ .rank = 4, .dim = { s->out, s->c / s->attr.groups, s->kh, s->kw } };
    t->b = (oct_tensor){ .rank = 1, .dim = { s->out } };
    t->args = (oct_args){ &s->attr, { &t->x, &t->w, s->bias ? &t->b : NULL }, &t->y };
    ck_assert_msg(oct_ops[OCT_OP_CONV2D]->infer(&t->args) == OCT_OK, "%s", oct_last_error());
    t->r = t->y;
    test_op_fill(&t->op, &t->x);
    test_op_fill(&t->op, &t->w);
    test_op_fill(&t->op, &t->b);
    test_op_fill(&t->op, &t->r);
    if (s->residual) t->args.in[OCT_CONV2D_RESIDUAL] = &t->r;
}

static void compare(conv *t, const char *what)
{
    const float *got = t->y.data;
    const size_t count = oct_tensor_count(&t->y);
    const int winograd = !strncmp(what, "winograd", 8); /* has its own bound in test_winograd.c */
    for (size_t i = 0; i < count && !winograd; i++)
        ck_assert_msg(fabs((double)got[i] - t->want[i]) <= t->bound[i],
                      "%s, shape %td, element %zu: got %g, want %g", what, t->s - shapes, i,
                      (double)got[i], t->want[i]);
    if (!t->first) {
        t->first = malloc(count * sizeof *got);
        memcpy(t->first, got, count * sizeof *got);
    }
    ck_assert_int_eq((int)t->op.how.type, (int)(winograd && t->op.precision ? OCT_F16 : t->type));
    ck_assert_msg(t->op.sgemm || !memcmp(t->first, got, count * sizeof *got),
                  "%s, shape %td: other bytes than ref", what, t->s - shapes);
}

static void on_isa(unsigned cpu, void *arg)
{
    conv *t = arg;
    t->op.cpu = cpu;
    for (int threads = 1; threads <= 3; threads++) {
        t->op.threads = threads;
        test_op_run(&t->op, OCT_OP_CONV2D, &t->args, t->s->n);
        compare(t, t->op.how.kernel);
    }
}

static void done(conv *t)
{
    free(t->want);
    free(t->bound);
    free(t->first);
    oct_arena_free(&t->op.arena);
}

/* The only one of more than three million multiply-adds. */
static int left_out(int i) { return test_brief() && shapes[i].c == 64 && shapes[i].out == 128; }

START_TEST(computes_what_torch_computes)
{
    conv t;
    if (left_out(_i)) return;
    build(&t, &shapes[_i]);
    reference(&t);
    test_each_isa(on_isa, &t);
    done(&t);
}
END_TEST

/* Weights in half, then both operands in bfloat16; groups of odd size cannot be paired.  The order
 * of the chain is the contract's, so all ISAs agree. */
START_TEST(computes_with_smaller_operands)
{
    static const oct_dtype types[] = { OCT_F16, OCT_BF16 };
    for (int i = 0; i < 2 && !left_out(_i); i++) {
        const shape *s = &shapes[_i];
        conv t;
        build(&t, s);
        t.op.precision = t.type = types[i];
        if (types[i] == OCT_BF16 && s->attr.groups > 1 && s->c / s->attr.groups % 2)
            t.type = OCT_F32;
        reference(&t);
        test_each_isa(on_isa, &t);
        done(&t);
    }
}
END_TEST

/* A layer whose weights half cannot hold stays as it is, and nothing becomes infinite. */
START_TEST(keeps_weights_that_do_not_fit)
{
    static const struct { float scale; oct_dtype want, type; } cases[] = {
        { 1, OCT_F16, OCT_F16 },           { 65504, OCT_F16, OCT_F16 },
        { 65536, OCT_F16, OCT_F32 },       { 0x1p-14f, OCT_F16, OCT_F16 },
        { 0x1p-15f, OCT_F16, OCT_F32 },    { INFINITY, OCT_F16, OCT_F32 },
        { NAN, OCT_F16, OCT_F32 },         { 1, OCT_BF16, OCT_BF16 },
        { 0x1p126f, OCT_BF16, OCT_BF16 },  { 0x1.8p127f, OCT_BF16, OCT_F32 },
        { 0x1p-65f, OCT_BF16, OCT_F32 },   { 1, OCT_F32, OCT_F32 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int winograd = 0; winograd < 2; winograd++) {
            conv t;
            build(&t, &shapes[winograd ? 3 : 5]);
            t.op.precision = cases[i].want;
            float *w = t.w.data;
            memset(w, 0, oct_tensor_size(&t.w));
            w[7] = cases[i].scale;
            oct_dtype type = cases[i].type;
            if (winograd && type == OCT_BF16) type = cases[i].scale > 1 ? OCT_F32 : OCT_F16;
            if (winograd && cases[i].scale == 65504) type = OCT_F32; /* U would be up to 2.25 w */
            test_op_run(&t.op, OCT_OP_CONV2D, &t.args, 1);
            ck_assert_msg(t.op.how.type == type, "case %zu, %s: %s, not %s", i, t.op.how.kernel,
                          oct_dtype_name(t.op.how.type), oct_dtype_name(type));
            for (size_t k = 0; cases[i].scale < 1e30f && k < oct_tensor_count(&t.y); k++)
                ck_assert(isfinite(at(&t.y, k)));
            done(&t);
        }
}
END_TEST

static void naive_sgemm(int m, int n, int k, const float *a, const float *b, float *c)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int p = 0; p < k; p++) sum += (double)a[i * k + p] * (double)b[j * k + p];
            c[i * n + j] = (float)sum;
        }
}

START_TEST(another_provider_gives_the_same_answers)
{
    conv t;
    if (left_out(_i)) return;
    build(&t, &shapes[_i]);
    t.op.sgemm = naive_sgemm;
    reference(&t);
    test_op_run(&t.op, OCT_OP_CONV2D, &t.args, t.s->n);
    compare(&t, "im2col");
    done(&t);
}
END_TEST

/* A run of fewer samples than planned leaves the others alone. */
START_TEST(runs_fewer_samples_than_planned)
{
    conv t;
    build(&t, &shapes[0]);
    test_op_run(&t.op, OCT_OP_CONV2D, &t.args, 1);
    const unsigned char *rest = (unsigned char *)t.y.data + oct_tensor_size(&t.y) / 2;
    for (size_t i = 0; i < oct_tensor_size(&t.y) / 2; i++) ck_assert_int_eq(rest[i], 0xff);
    done(&t);
}
END_TEST

typedef struct dense {
    int rows, n, k, image;     /* image: x is BLOCKED [rows, 2, 3, k / 6] */
    oct_tensor x, w, b, r, y;
    oct_args args;
    test_op op;
    float *first;
} dense;

static const oct_linear_attr relu = { .act = OCT_ACT_RELU };

/* x in PyTorch's order of features. */
static float feature(const dense *t, int row, int k)
{
    if (!t->image) return at(&t->x, (size_t)row * (size_t)t->k + (size_t)k);
    return at(&t->x, test_blocked(&t->x, row, k / 3 % 2, k % 3, k / 6));
}

static void dense_on_isa(unsigned cpu, void *arg)
{
    dense *t = arg;
    const size_t count = (size_t)t->rows * (size_t)t->n;
    t->op.cpu = cpu;
    t->op.threads = 3;
    test_op_run(&t->op, OCT_OP_LINEAR, &t->args, t->rows);
    for (int i = 0; i < t->rows; i++)
        for (int j = 0; j < t->n; j++) {
            double sum = 0, size = 2;
            for (int k = 0; k < t->k; k++) {
                const float w = at(&t->w, (size_t)j * (size_t)t->k + (size_t)k);
                const double p = x_of(t->op.precision, feature(t, i, k)) *
                                 w_of(t->op.precision, w);
                sum += p, size += fabs(p);
            }
            const size_t o = (size_t)i * (size_t)t->n + (size_t)j;
            sum += (double)at(&t->b, (size_t)j) + (double)at(&t->r, o);
            clamp_want(OCT_ACT_RELU, &sum);
            ck_assert_double_le(fabs(sum - (double)at(&t->y, o)), (t->k + 3) * 0x1p-24 * size);
        }
    if (!t->first) {
        t->first = malloc(count * sizeof *t->first);
        memcpy(t->first, t->y.data, count * sizeof *t->first);
    }
    ck_assert_mem_eq(t->first, t->y.data, t->op.sgemm ? 0 : count * sizeof *t->first);
}

START_TEST(linear_computes_what_torch_computes)
{
    static const int rows[] = { 1, 2, 3, 5, 14, 15, 64 };
    const int image = _i % 3 == 2;
    dense t = { .rows = rows[_i % 7], .n = _i % 2 ? 10 : 131, .k = image ? 6 * 70 : 77,
                .image = image };
    t.x = (oct_tensor){ .rank = 2, .dim = { t.rows, t.k } };
    if (image)
        t.x = (oct_tensor){ .layout = OCT_BLOCKED, .rank = 4, .dim = { t.rows, 2, 3, t.k / 6 } };
    t.w = (oct_tensor){ .rank = 2, .dim = { t.n, t.k } };
    t.b = (oct_tensor){ .rank = 1, .dim = { t.n } };
    t.r = (oct_tensor){ .rank = 2, .dim = { t.rows, t.n } };
    test_op_fill(&t.op, &t.x);
    test_op_fill(&t.op, &t.w);
    test_op_fill(&t.op, &t.b);
    test_op_fill(&t.op, &t.r);
    t.args = (oct_args){ &relu, { &t.x, &t.w, &t.b, &t.r }, &t.y };
    test_each_isa(dense_on_isa, &t);
    for (int narrow = 0; narrow < 2; narrow++) {
        free(t.first);
        t.first = NULL;
        t.op.precision = narrow ? OCT_BF16 : OCT_F16;
        test_each_isa(dense_on_isa, &t);
        ck_assert_int_eq((int)t.op.how.type, (int)t.op.precision);
    }
    t.op.precision = OCT_F32;
    t.op.sgemm = naive_sgemm;
    dense_on_isa(0, &t);
    free(t.first);
    oct_arena_free(&t.op.arena);
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
    conv t;
    oct_conv2d_attr a = shapes[3].attr;
    build(&t, &shapes[3]);
    const oct_op *op = oct_ops[OCT_OP_CONV2D];
    t.args.attr = &a;
    t.w.dim[1] = 63;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "conv2d: x has 64 channels, weight takes 63");
    t.w.dim[1] = 64;
    t.b.dim[0] = 31;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    t.b.dim[0] = 128;
    a.groups = 3;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    a.groups = 1;
    a.stride[0] = 0;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    a.stride[0] = 1;
    a.dilation[1] = 9;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "conv2d: the kernel covers 19, the padded image has 18");
    a.dilation[1] = 1;
    a.pad[0] = 2000000000;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    a.pad[0] = 1;
    t.r.dim[1] = 15;
    ck_assert_int_eq(op->infer(&t.args), OCT_ERR_SHAPE);
    t.r.dim[1] = 16;
    ck_assert_int_eq(op->infer(&t.args), OCT_OK);
    done(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv");
    TCase *tc = tcase_create("conv");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, computes_what_torch_computes, 0, N_SHAPES);
    tcase_add_loop_test(tc, computes_with_smaller_operands, 0, N_SHAPES);
    tcase_add_test(tc, keeps_weights_that_do_not_fit);
    tcase_add_loop_test(tc, another_provider_gives_the_same_answers, 0, N_SHAPES);
    tcase_add_loop_test(tc, linear_computes_what_torch_computes, 0, 21);
    tcase_add_test(tc, runs_fewer_samples_than_planned);
    tcase_add_test(tc, refuses_what_does_not_fit);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? TEST_FAIL : TEST_PASS;
}
