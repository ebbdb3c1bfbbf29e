/* graph/groups.c: what is tied to what in small graphs. */
#include <string.h>

#include "graph/groups.h"
#include "tests/graph_case.h"
#include "tests/suite.h"

static void find(net *t, oct_groups *o)
{
    ck_assert_int_eq(oct_groups_find(&t->g, &t->arena, o), OCT_OK);
    ck_assert_int_eq(o->kind[0], OCT_GROUP_FIXED);
    ck_assert_int_eq(o->group[0], 0);
    ck_assert_int_eq(o->channel[0], 0);
}

static const oct_tensor *operand(const net *t, const char *node, int k)
{
    return net_node(t, node)->args.in[k];
}

/* The group of the outputs of a layer, all of it its own or not. */
static int group_of(const net *t, const oct_groups *o, const char *node)
{
    for (int i = 0; i < o->n_axes; i++)
        if (o->axis[i].constant == operand(t, node, OCT_CONV2D_W) && o->axis[i].dim == 0)
            return o->group[o->channel[o->axis[i].first]];
    return 0;
}

static int channels_of(const oct_groups *o, int group)
{
    int n = 0;
    for (int c = 0; c < o->n_channels; c++) n += o->group[c] == group;
    return n;
}

static const oct_group_axis *axis(const oct_groups *o, const oct_tensor *constant, int dim)
{
    for (int i = 0; i < o->n_axes; i++)
        if (o->axis[i].constant == constant && o->axis[i].dim == dim) return &o->axis[i];
    ck_abort_msg("no axis");
    return NULL;
}

static void chain(net *t)
{
    oct_tensor *x = net_image(t, 1, 3, 8, 4);
    x = net_conv(t, "conv1", x, 4, 3, 1, 1, 0);
    x = net_bn(t, "bn1", x);
    x = net_act(t, "relu1", x, OCT_ACT_RELU);
    x = net_maxpool(t, "pool", x, 2);
    x = net_conv(t, "conv2", x, 6, 3, 1, 1, 1);
    x = net_flatten(t, "flatten", x);
    x = net_linear(t, "fc1", x, 5);
    x = net_act(t, "gelu", x, OCT_ACT_GELU);
    net_output(t, net_linear(t, "fc2", x, 3));
}

START_TEST(layers_one_behind_the_other)
{
    enum { PIXELS = 8 };
    net t;
    oct_groups o;
    net_open(&t);
    chain(&t);
    find(&t, &o);
    ck_assert_int_eq(o.n_groups, 4);
    const int conv1 = group_of(&t, &o, "conv1"), conv2 = group_of(&t, &o, "conv2");
    const int fc1 = group_of(&t, &o, "fc1");
    ck_assert(conv1 == 1 && conv2 == 2 && fc1 == 3 && group_of(&t, &o, "fc2") == 0);
    ck_assert(channels_of(&o, 1) == 4 && channels_of(&o, 2) == 6 && channels_of(&o, 3) == 5);
    ck_assert(o.kind[1] == OCT_GROUP_CHANNEL && o.kind[2] == OCT_GROUP_CHANNEL &&
              o.kind[3] == OCT_GROUP_NEURON);
    for (int k = OCT_BATCHNORM_GAMMA; k <= OCT_BATCHNORM_VAR; k++)
        ck_assert_int_eq(axis(&o, operand(&t, "bn1", k), 0)->first,
                         axis(&o, operand(&t, "conv1", OCT_CONV2D_W), 0)->first);
    ck_assert_int_eq(axis(&o, operand(&t, "conv2", OCT_CONV2D_W), 1)->first,
                     axis(&o, operand(&t, "conv1", OCT_CONV2D_W), 0)->first);
    const oct_group_axis *columns = axis(&o, operand(&t, "fc1", OCT_LINEAR_W), 1);
    ck_assert_int_eq(columns->repeat, PIXELS);
    ck_assert_int_eq(columns->first, axis(&o, operand(&t, "conv2", OCT_CONV2D_BIAS), 0)->first);
    net_close(&t);
}
END_TEST

/* Two additions, one of them with a convolution beside it; conv3 is inside a block. */
static void residual(net *t)
{
    oct_tensor *x = net_conv(t, "conv1", net_image(t, 1, 3, 4, 4), 4, 3, 1, 1, 1);
    oct_tensor *side = net_conv(t, "side", x, 8, 1, 1, 1, 1);
    x = net_conv(t, "conv2", x, 8, 3, 1, 1, 1);
    x = net_act(t, "relu2", net_add(t, "add2", x, side), OCT_ACT_RELU);
    oct_tensor *y = net_conv(t, "conv3", x, 5, 3, 1, 1, 1);
    y = net_conv(t, "conv4", y, 8, 3, 1, 1, 1);
    x = net_add(t, "add4", y, x);
    net_output(t, net_linear(t, "fc", net_flatten(t, "flatten", x), 2));
}

START_TEST(additions_tie_layers)
{
    net t;
    oct_groups o, fused;
    net_open(&t);
    residual(&t);
    find(&t, &o);
    ck_assert_int_eq(o.n_groups, 4);
    const int stage = group_of(&t, &o, "side");
    ck_assert_int_eq(group_of(&t, &o, "conv2"), stage);
    ck_assert_int_eq(group_of(&t, &o, "conv4"), stage);
    ck_assert_int_eq(channels_of(&o, stage), 8);
    ck_assert_int_eq(channels_of(&o, group_of(&t, &o, "conv3")), 5);
    ck_assert_int_ne(group_of(&t, &o, "conv1"), stage);
    ck_assert_int_gt(net_pass(&t, oct_pass_fuse), 0);
    ck_assert_ptr_null(net_node(&t, "flatten"));
    find(&t, &fused);
    ck_assert_int_eq(fused.n_channels, o.n_channels);
    ck_assert_int_eq(fused.n_outputs, o.n_outputs);
    ck_assert_mem_eq(fused.channel, o.channel, (size_t)o.n_outputs * sizeof *o.channel);
    ck_assert_mem_eq(fused.group, o.group, (size_t)o.n_channels * sizeof *o.group);
    ck_assert_int_eq(axis(&fused, operand(&t, "fc", OCT_LINEAR_W), 1)->repeat, 16);
    net_close(&t);
}
END_TEST

/* Channels added to the input's, read in groups, padded, returned. */
START_TEST(what_stays)
{
    const oct_pad_attr pad = { .stride = { 2, 2 }, .before = 2, .after = 2 };
    net t;
    oct_groups o;
    oct_tensor *y;
    net_open(&t);
    oct_tensor *x = net_image(&t, 1, 4, 4, 4);
    x = net_add(&t, "add", net_conv(&t, "conv1", x, 4, 3, 1, 1, 1), x);
    x = net_conv(&t, "conv2", x, 6, 3, 1, 1, 1);
    x = net_conv(&t, "grouped", x, 4, 3, 1, 2, 1);
    x = net_conv(&t, "free", x, 7, 1, 1, 1, 1);
    x = net_conv(&t, "conv3", x, 4, 1, 1, 1, 1);
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_PAD, "pad", &pad, sizeof pad,
                                   (oct_tensor *[OCT_MAX_IN]){ x }, &y), OCT_OK);
    x = net_conv(&t, "conv4", x, 8, 3, 2, 1, 1);
    net_output(&t, net_flatten(&t, "flatten", net_add(&t, "add4", x, y)));
    find(&t, &o);
    ck_assert_int_eq(o.n_groups, 2);
    ck_assert_int_eq(group_of(&t, &o, "free"), 1);
    ck_assert_int_eq(o.n_channels, 8);
    net_close(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        layers_one_behind_the_other, additions_tie_layers, what_stays,
    };
    return suite_run("groups", tests, sizeof tests / sizeof *tests);
}
