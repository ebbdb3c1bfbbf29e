/* Operators against numbers that PyTorch computed (tests/golden/make_ops.py), where ours may differ
 * from its FP32 only by the roundings named beside each bound. */
#include "tests/suite.h"

#include "tests/golden/ops.h"
#include "tests/ops_fixture.h"

enum { C = 3 };

static oct_tensor *out_tensor(void)
{
    oct_tensor *y = fixture_alloc(sizeof *y);
    *y = (oct_tensor){ 0 };
    return y;
}

/* A blocked image of 3 channels from PyTorch's order. */
static oct_tensor *image(const float *p, int h, int w)
{
    oct_tensor *t = fixture_image(1, C, h, w);
    for (int ch = 0; ch < C; ch++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) *fixture_at(t, 0, ch, y, x) = p[(ch * h + y) * w + x];
    return t;
}

static oct_tensor *dense(const float *p, int m, int k)
{
    oct_tensor *t = fixture_tensor(OCT_DENSE, m, k, 0, 0);
    memcpy(t->data, p, oct_tensor_size(t));
    return t;
}

static void expect_near(float got, float want, double bound, const char *what, int i)
{
    if (isnan(want) ? isnan(got) : isinf(want) ? got == want :
        fabs((double)got - (double)want) <= bound)
        return;
    ck_abort_msg("%s %d: %a, PyTorch has %a", what, i, (double)got, (double)want);
}

/* Maxima are choices: exact, the sign of a zero included.  Averages: both sum at most 42 taps of
 * less than 4; PyTorch divides, we multiply by the reciprocal. */
START_TEST(pools_equal_torch)
{
    for (size_t k = 0; k < sizeof pools / sizeof *pools; k++) {
        oct_tensor *x = image(pools[k].x, 7, 6), *y = out_tensor();
        const int oh = pools[k].oh, ow = pools[k].ow;
        fixture_op(&oct_op_pool, &(oct_args){ &pools[k].attr, { x }, y }, 1);
        ck_assert_int_eq(y->dim[1], oh);
        ck_assert_int_eq(y->dim[2], ow);
        for (int i = 0; i < C * oh * ow; i++) {
            const float got = *fixture_at(y, 0, i / (oh * ow), i / ow % oh, i % ow);
            if (pools[k].attr.kind == OCT_POOL_MAX)
                ck_assert_msg(fixture_same(&got, &pools[k].y[i], 1), "maximum %zu, %d: %a not %a",
                              k, i, (double)got, (double)pools[k].y[i]);
            else
                expect_near(got, pools[k].y[i], 2 * 44 * 0x1p-24 * 4, "average", i);
        }
    }
}
END_TEST

/* PyTorch computes x alpha + (beta - mean alpha), which cancels: its error is some eps of those. */
START_TEST(batchnorm_equals_torch)
{
    oct_tensor *x = image(bn_x, 4, 5), *y = out_tensor(), p[4];
    const float *data[4] = { bn_gamma, bn_beta, bn_mean, bn_var };
    const oct_batchnorm_attr attr = { 1e-5f };
    for (int i = 0; i < 4; i++) {
        p[i] = (oct_tensor){ .rank = 1, .dim = { C }, .data = fixture_alloc(C * sizeof(float)) };
        memcpy(p[i].data, data[i], C * sizeof(float));
    }
    fixture_op(&oct_op_batchnorm, &(oct_args){ &attr, { x, &p[0], &p[1], &p[2], &p[3] }, y }, 1);
    for (int i = 0; i < C * 20; i++) {
        const int ch = i / 20;
        const double alpha = fabs((double)bn_gamma[ch]) / sqrt((double)bn_var[ch] + 1e-5);
        const double size = alpha * (fabs((double)bn_x[i]) + fabs((double)bn_mean[ch])) +
                            fabs((double)bn_beta[ch]);
        expect_near(*fixture_at(y, 0, ch, i / 5 % 4, i % 5), bn_y[i], 6 * 0x1p-24 * size,
                    "batchnorm", i);
    }
}
END_TEST

/* Two exps of 2.5 eps, a sum of 7, a quotient, on either side. */
START_TEST(softmax_equals_torch)
{
    const int n = sizeof softmax_y / sizeof *softmax_y;
    oct_tensor *x = dense(softmax_x, n / 7, 7), *y = out_tensor();
    fixture_op(&oct_op_softmax, &(oct_args){ .in = { x }, .out = y }, n / 7);
    for (int i = 0; i < n; i++) /* a denormal's neighbour is 2^-149 away */
        expect_near(((float *)y->data)[i], softmax_y[i],
                    2 * 13 * 0x1p-24 * (double)softmax_y[i] + 0x1p-149, "softmax", i);
}
END_TEST

/* 8 ulp; GELU of PyTorch is x (1 + erf) / 2, where 1 + erf has an error of eps: 4 eps |x|.  Its
 * GELU of infinity is NaN in this version, infinity in others; ours is the limit. */
START_TEST(activations_equal_torch)
{
    static const struct { oct_act act; const char *name; const float *y; } t[] = {
        { OCT_ACT_RELU, "relu", act_relu },          { OCT_ACT_RELU6, "relu6", act_relu6 },
        { OCT_ACT_SIGMOID, "sigmoid", act_sigmoid }, { OCT_ACT_TANH, "tanh", act_tanh },
        { OCT_ACT_GELU, "gelu", act_gelu },
    };
    const int n = sizeof act_x / sizeof *act_x;
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        const oct_activation_attr attr = { t[k].act };
        oct_tensor *y = out_tensor();
        fixture_op(&oct_op_activation, &(oct_args){ &attr, { dense(act_x, 1, n) }, y }, 1);
        for (int i = 0; i < n; i++) {
            const double want = (double)t[k].y[i], x = (double)act_x[i];
            if (t[k].act == OCT_ACT_GELU && isinf(act_x[i])) continue;
            double bound = t[k].act <= OCT_ACT_RELU6 ? 0 : 8 * 0x1p-23 * fabs(want) + 0x1p-149;
            if (t[k].act == OCT_ACT_GELU) bound += 4 * 0x1p-24 * fabs(x);
            expect_near(((float *)y->data)[i], t[k].y[i], bound, t[k].name, i);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pools_equal_torch, batchnorm_equals_torch, softmax_equals_torch, activations_equal_torch,
    };
    return suite_run("ops against PyTorch", tests, sizeof tests / sizeof *tests);
}
