/* The passes: each on a graph it changes, run before and after; and on graphs it must leave. */
#include <math.h>
#include <string.h>

#include "tests/graph_case.h"
#include "tests/suite.h"

static net t;

enum { N = 3 }; /* samples */

static const double u = 0x1p-24; /* half an ulp of 1: the error of one rounding */

/* Runs, applies the pass, runs again; the largest difference of any output. */
static double change(oct_pass_fn *pass, int expected)
{
    float *before = net_run(&t, N, 0);
    const size_t size = net_run_size(&t, N);
    ck_assert_int_eq(net_pass(&t, pass), expected);
    float *after = net_run(&t, N, 0);
    ck_assert_uint_eq(net_run_size(&t, N), size);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < size; i++) {
        const double d = fabs((double)after[i] - (double)before[i]);
        worst = d > worst || d != d ? d : worst;
        largest = fabs((double)before[i]) > largest ? fabs((double)before[i]) : largest;
    }
    ck_assert_msg(largest > 1e-3, "nothing was computed");
    free(before);
    free(after);
    return worst;
}

static void unchanged(oct_pass_fn *pass) { ck_assert_int_eq(net_pass(&t, pass), 0); }

/* fold_bn with K products, |x|, |w|, |b|, |mean|, |beta| <= 1 and gain |g| <= 1 / sqrt(1/2):
 * unfolded   K roundings in the chain, one of + b, a few of the batch norm
 * folded     K in the chain, two in each weight (scale, product), one in the bias, one of + bias
 * each of at most u times S = |g| (sum |w x| + |b| + |mean|) + |beta| <= 1.5 (K + 2) + 1. */
static double fold_bound(int k) { return (2 * k + 12) * u * (1.5 * (k + 2) + 1); }

START_TEST(fold_bn_conv)
{
    for (int groups = 1; groups <= 2; groups++)
        for (int bias = 0; bias <= 1; bias++) {
            net_open(&t);
            oct_tensor *x = net_image(&t, N, 4, 7, 6);
            x = net_conv(&t, "conv", x, 6, 3, 1, groups, bias);
            net_output(&t, net_act(&t, "act", net_bn(&t, "bn", x), OCT_ACT_RELU));
            const oct_tensor *w = t.g.node[1].args.in[OCT_CONV2D_W];
            const float first = *(float *)w->data;
            ck_assert(change(oct_pass_fold_bn, 1) <= fold_bound(4 / groups * 9));
            ck_assert(!net_node(&t, "bn") && net_node(&t, "act"));
            const oct_tensor *w2 = net_node(&t, "conv")->args.in[OCT_CONV2D_W];
            ck_assert_msg(w2 != w && w2->data == w->data && !w->scale && w2->scale,
                          "weights are described anew, not copied");
            ck_assert(*(float *)w->data == first);
            net_close(&t);
        }
}
END_TEST

START_TEST(fold_bn_linear_and_the_last_node)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, N, 20);
    net_output(&t, net_bn(&t, "bn", net_linear(&t, "fc", x, 7)));
    ck_assert(change(oct_pass_fold_bn, 1) <= fold_bound(20));
    ck_assert_msg(t.g.out[0] == net_node(&t, "fc")->args.out, "the caller reads what is gone");
    net_close(&t);
}
END_TEST

/* The second is folded into the scale of the first; gains multiply, so the bound does too. */
START_TEST(fold_bn_twice)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, N, 2, 5, 5);
    x = net_bn(&t, "bn1", net_conv(&t, "conv", x, 70, 3, 1, 1, 1));
    net_output(&t, net_bn(&t, "bn2", x));
    ck_assert(change(oct_pass_fold_bn, 2) <= 3 * fold_bound(18));
    net_close(&t);
}
END_TEST

START_TEST(fold_bn_leaves)
{
    net_open(&t); /* two readers of the convolution */
    oct_tensor *c = net_conv(&t, "conv", net_image(&t, 1, 2, 4, 4), 3, 3, 1, 1, 1);
    net_output(&t, net_add(&t, "add", net_bn(&t, "bn", c), c));
    unchanged(oct_pass_fold_bn);
    net_close(&t);

    net_open(&t); /* the caller reads it */
    c = net_conv(&t, "conv", net_image(&t, 1, 2, 4, 4), 3, 3, 1, 1, 1);
    net_output(&t, net_bn(&t, "bn", c));
    net_output(&t, c);
    unchanged(oct_pass_fold_bn);
    net_close(&t);

    net_open(&t); /* an activation between, as a node and fused */
    c = net_conv(&t, "conv", net_image(&t, 1, 2, 4, 4), 3, 3, 1, 1, 1);
    net_output(&t, net_bn(&t, "bn", net_act(&t, "act", c, OCT_ACT_RELU)));
    unchanged(oct_pass_fold_bn);
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 1);
    unchanged(oct_pass_fold_bn);
    net_close(&t);

    net_open(&t); /* a residual between */
    oct_tensor *x = net_image(&t, 1, 3, 4, 4);
    c = net_conv(&t, "conv", x, 3, 3, 1, 1, 1);
    net_output(&t, net_bn(&t, "bn", net_add(&t, "add", c, x)));
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 1);
    unchanged(oct_pass_fold_bn);
    net_close(&t);

    net_open(&t); /* nothing to fold into */
    net_output(&t, net_bn(&t, "bn", net_maxpool(&t, "pool", net_image(&t, 1, 2, 4, 4), 2)));
    unchanged(oct_pass_fold_bn);
    net_close(&t);
}
END_TEST

START_TEST(fold_bn_refuses_a_variance_without_a_root)
{
    const float bad[] = { -1, NAN, -1e-5f };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int changes = 0;
        net_open(&t);
        oct_tensor *x = net_bn(&t, "bn7", net_linear(&t, "fc", net_rows(&t, 1, 4), 3));
        net_output(&t, x);
        ((float *)t.g.node[1].args.in[OCT_BATCHNORM_VAR]->data)[2] = bad[i];
        ck_assert_int_eq(oct_pass_fold_bn(&t.g, &changes), OCT_ERR_FORMAT);
        ck_assert_msg(strstr(oct_last_error(), "bn7: variance 2 is ") != NULL, "%s",
                      oct_last_error());
        net_close(&t);
    }
}
END_TEST

/* Fused activations and residuals give the same bits. */
START_TEST(fuse_activations)
{
    for (int last = 0; last <= 1; last++)
        for (oct_act act = OCT_ACT_RELU; act <= OCT_ACT_RELU6; act++) {
            net_open(&t);
            oct_tensor *x = net_image(&t, N, 3, 6, 5);
            x = net_act(&t, "a1", net_conv(&t, "conv", x, 5, 3, 1, 1, 1), act);
            x = net_act(&t, "a2", net_add(&t, "add", x, net_maxpool(&t, "pool", x, 1)), act);
            x = net_linear(&t, "fc", net_flatten(&t, "flat", x), 9);
            net_output(&t, last ? net_act(&t, "a3", x, act) : x);
            const double d = change(oct_pass_fuse, 3 + last);
            ck_assert_msg(d <= 2 * (150 + 2) * u * 150 * 70, "%g", d); /* flatten: below */
            const oct_conv2d_attr *conv = net_node(&t, "conv")->args.attr;
            const oct_add_attr *add = net_node(&t, "add")->args.attr;
            const oct_linear_attr *fc = net_node(&t, "fc")->args.attr;
            ck_assert(conv->act == act && add->act == act);
            ck_assert(fc->act == (last ? act : OCT_ACT_NONE));
            net_close(&t);
        }
}
END_TEST

/* The same operation on the same values, only earlier. */
START_TEST(fuse_curves_into_linear)
{
    for (oct_act act = OCT_ACT_SIGMOID; act < OCT_ACT_COUNT; act++) {
        net_open(&t);
        oct_tensor *x = net_linear(&t, "fc", net_rows(&t, N, 4), 35);
        net_output(&t, net_act(&t, "act", x, act));
        ck_assert(change(oct_pass_fuse, 1) == 0);
        ck_assert(!net_node(&t, "act"));
        net_close(&t);
    }
}
END_TEST

START_TEST(fuse_leaves_activations)
{
    for (oct_act act = OCT_ACT_SIGMOID; act < OCT_ACT_COUNT; act++) {
        net_open(&t);
        oct_tensor *a = net_rows(&t, 2, 4);
        net_output(&t, net_act(&t, "act", net_add(&t, "add", a, a), act));
        unchanged(oct_pass_fuse);
        net_close(&t);
    }
    net_open(&t); /* the second of two stays */
    oct_tensor *x = net_linear(&t, "fc", net_rows(&t, N, 4), 30);
    x = net_act(&t, "relu6", net_act(&t, "relu", x, OCT_ACT_RELU), OCT_ACT_RELU6);
    net_output(&t, x);
    ck_assert(change(oct_pass_fuse, 1) == 0);
    ck_assert(net_node(&t, "relu6") && !net_node(&t, "relu"));
    net_close(&t);

    net_open(&t); /* two readers */
    oct_tensor *c = net_linear(&t, "fc", net_rows(&t, 1, 4), 3);
    x = net_act(&t, "relu", c, OCT_ACT_RELU);
    net_output(&t, net_linear(&t, "fc2", net_add(&t, "add", x, c), 2));
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* the caller is one */
    c = net_linear(&t, "fc", net_rows(&t, 1, 4), 3);
    net_output(&t, c);
    net_output(&t, net_act(&t, "relu", c, OCT_ACT_RELU));
    unchanged(oct_pass_fuse);
    net_close(&t);
}
END_TEST

/* The block of a ResNet of c channels and side pixels, with its shortcut a convolution or the
 * block's input; the add's operands in both orders. */
static void check_block(int c, int side, int shortcut, int turned)
{
    net_open(&t);
    oct_tensor *x = net_act(&t, "r0", net_image(&t, N, c, side, side), OCT_ACT_RELU);
    oct_tensor *y = net_conv(&t, "conv1", x, c, 3, 1, 1, 1);
    y = net_conv(&t, "conv2", net_act(&t, "r1", y, OCT_ACT_RELU), c, 3, 1, 1, 0);
    if (shortcut) x = net_conv(&t, "down", x, c, 1, 1, 1, 0);
    y = turned ? net_add(&t, "add", x, y) : net_add(&t, "add", y, x);
    net_output(&t, net_act(&t, "r2", y, OCT_ACT_RELU));
    ck_assert(change(oct_pass_fuse, 3) == 0);
    const oct_node *late = net_node(&t, shortcut ? "down" : "conv2");
    ck_assert_msg(late->args.in[OCT_CONV2D_RESIDUAL] != NULL, "the later one adds");
    ck_assert(((const oct_conv2d_attr *)late->args.attr)->act == OCT_ACT_RELU);
    ck_assert_ptr_eq(t.g.out[0], late->args.out);
    net_close(&t);
}

START_TEST(fuse_residual)
{
    for (int i = 0; i < 4; i++) {
        check_block(6, 5, i & 1, i >> 1);
        check_block(70, 9, i & 1, i >> 1); /* Winograd, two blocks of channels */
    }
    net_open(&t);
    oct_tensor *x = net_act(&t, "relu", net_rows(&t, N, 8), OCT_ACT_RELU);
    net_output(&t, net_add(&t, "add", x, net_linear(&t, "fc", x, 8)));
    ck_assert(change(oct_pass_fuse, 1) == 0);
    net_close(&t);
}
END_TEST

START_TEST(fuse_an_add_with_its_own_activation)
{
    const oct_add_attr attr = { .act = OCT_ACT_RELU6 };
    net_open(&t);
    oct_tensor *x = net_image(&t, N, 3, 4, 4), *y = net_conv(&t, "conv", x, 3, 3, 1, 1, 1);
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_ADD, "add", &attr, sizeof attr,
                                   (oct_tensor *[OCT_MAX_IN]){ y, x }, &y), OCT_OK);
    net_output(&t, y);
    ck_assert(change(oct_pass_fuse, 1) == 0);
    net_close(&t);
}
END_TEST

START_TEST(fuse_leaves_adds)
{
    net_open(&t); /* x + x: one reader with two operands */
    oct_tensor *x = net_conv(&t, "conv", net_image(&t, 1, 3, 4, 4), 3, 3, 1, 1, 1);
    net_output(&t, net_add(&t, "add", x, x));
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* an activation between, fused or not */
    oct_tensor *in = net_image(&t, N, 3, 4, 4);
    x = net_act(&t, "relu", net_conv(&t, "conv", in, 3, 3, 1, 1, 1), OCT_ACT_RELU);
    net_output(&t, net_add(&t, "add", x, in));
    ck_assert(change(oct_pass_fuse, 1) == 0);
    ck_assert(net_node(&t, "add") != NULL);
    net_close(&t);

    net_open(&t); /* the other operand is computed later, by something that cannot add */
    in = net_image(&t, 1, 3, 4, 4);
    x = net_conv(&t, "conv", in, 3, 3, 1, 1, 1);
    net_output(&t, net_add(&t, "add", x, net_maxpool(&t, "pool", in, 1)));
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* a convolution has one residual: the second add stays */
    in = net_image(&t, N, 3, 4, 4);
    x = net_add(&t, "add1", net_conv(&t, "conv", in, 3, 3, 1, 1, 1), in);
    net_output(&t, net_add(&t, "add2", x, in));
    ck_assert(change(oct_pass_fuse, 1) == 0);
    ck_assert(net_node(&t, "add2") != NULL && !net_node(&t, "add1"));
    net_close(&t);

    net_open(&t); /* the sum before its activation is read too */
    in = net_image(&t, N, 3, 4, 4);
    x = net_add(&t, "add", net_conv(&t, "conv", in, 3, 3, 1, 1, 1), in);
    net_output(&t, net_act(&t, "relu", x, OCT_ACT_RELU));
    net_output(&t, x);
    ck_assert(change(oct_pass_fuse, 1) == 0);
    ck_assert(net_node(&t, "relu") != NULL);
    net_close(&t);
}
END_TEST

/* The chain of K products is added in another order: twice its error, K u sum |w x|. */
START_TEST(fuse_flatten)
{
    const int channels[] = { 1, 5, 64, 70 };
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        net_open(&t);
        const int k = channels[i] * 12;
        oct_tensor *x = net_flatten(&t, "flat", net_image(&t, N, channels[i], 3, 4));
        net_output(&t, net_linear(&t, "fc", x, 11));
        const double d = change(oct_pass_fuse, 1);
        ck_assert_msg(d <= 2 * (k + 2) * u * (k + 1), "%g", d);
        ck_assert(!net_node(&t, "flat"));
        net_close(&t);
    }
}
END_TEST

START_TEST(fuse_leaves_flatten)
{
    net_open(&t); /* two readers */
    oct_tensor *x = net_flatten(&t, "flat", net_image(&t, 1, 2, 3, 4));
    net_output(&t, net_linear(&t, "fc1", x, 11));
    net_output(&t, net_linear(&t, "fc2", x, 11));
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* the caller is one */
    x = net_flatten(&t, "flat", net_image(&t, 1, 2, 3, 4));
    net_output(&t, net_linear(&t, "fc", x, 11));
    net_output(&t, x);
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* rows are flat already */
    x = net_flatten(&t, "flat", net_rows(&t, 1, 6));
    net_output(&t, net_linear(&t, "fc", x, 11));
    unchanged(oct_pass_fuse);
    net_close(&t);

    net_open(&t); /* its reader takes no images */
    x = net_flatten(&t, "flat", net_image(&t, 1, 2, 3, 4));
    net_output(&t, net_act(&t, "act", x, OCT_ACT_RELU));
    unchanged(oct_pass_fuse);
    net_close(&t);
}
END_TEST

START_TEST(dce_sweeps_what_nobody_reads)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, N, 6), *a = net_linear(&t, "a", x, 5);
    net_act(&t, "left2", net_act(&t, "left1", a, OCT_ACT_RELU), OCT_ACT_RELU);
    oct_tensor *b = net_linear(&t, "b", net_act(&t, "relu", a, OCT_ACT_RELU), 4);
    net_output(&t, b);
    net_linear(&t, "left3", b, 4);
    ck_assert(change(oct_pass_dce, 3) == 0);
    ck_assert_int_eq(t.g.n_nodes, 3);
    ck_assert_str_eq(t.g.node[0].name, "a");
    ck_assert_str_eq(t.g.node[1].name, "relu");
    ck_assert_str_eq(t.g.node[2].name, "b");
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 1);
    ck_assert(change(oct_pass_dce, 1) == 0); /* what fuse left, in the middle */
    unchanged(oct_pass_dce);
    net_close(&t);
}
END_TEST

static oct_status broken(oct_graph *g, int *changes)
{
    ++*changes;
    g->node[0].args.out->dim[1] = 99;
    return OCT_OK;
}

START_TEST(run_verifies_after_each)
{
    int changes[3] = { -1, -1, -1 };
    const oct_pass list[] = { { "fuse", oct_pass_fuse }, { "broken", broken },
                              { "dce", oct_pass_dce } };
    net_open(&t);
    net_output(&t, net_act(&t, "relu", net_linear(&t, "fc", net_rows(&t, 1, 4), 3), OCT_ACT_RELU));
    ck_assert_int_eq(oct_passes_run(&t.g, list, 3, changes), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "pass broken: fc: shape [1, 99], expected [1, 3]");
    ck_assert(changes[0] == 1 && changes[2] == -1);
    net_close(&t);
}
END_TEST

START_TEST(select_keeps_the_order_of_the_passes)
{
    const oct_pass all[] = { { "fold_bn", oct_pass_fold_bn }, { "fuse", oct_pass_fuse },
                             { "dce", oct_pass_dce } };
    oct_pass list[3];
    int kept;
    memcpy(list, all, sizeof list);
    ck_assert(oct_passes_select(NULL, list, 3, &kept) == OCT_OK && kept == 3);
    ck_assert(oct_passes_select("none", list, 3, &kept) == OCT_OK && kept == 0);
    ck_assert(oct_passes_select("dce,fold_bn", list, 3, &kept) == OCT_OK && kept == 2);
    ck_assert_str_eq(list[0].name, "fold_bn");
    ck_assert_str_eq(list[1].name, "dce");
    const char *const bad[] = { "fold", "fuse,", "", "fuse,none", "fuse dce" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(list, all, sizeof list);
        ck_assert_int_eq(oct_passes_select(bad[i], list, 3, &kept), OCT_ERR_UNSUPPORTED);
    }
    ck_assert_str_eq(oct_last_error(), "pass 'fuse dce' is none of: none, fold_bn, fuse, dce");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        fold_bn_conv, fold_bn_linear_and_the_last_node, fold_bn_twice, fold_bn_leaves,
        fold_bn_refuses_a_variance_without_a_root, fuse_activations,
        fuse_curves_into_linear, fuse_leaves_activations,
        fuse_residual, fuse_an_add_with_its_own_activation, fuse_leaves_adds, fuse_flatten,
        fuse_leaves_flatten,
        dce_sweeps_what_nobody_reads, run_verifies_after_each,
        select_keeps_the_order_of_the_passes,
    };
    return suite_run("passes", tests, sizeof tests / sizeof *tests);
}
