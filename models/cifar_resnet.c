/* cifar_resnet: the CIFAR ResNets of He et al., 2015, section 4.2: depth 6n + 2 = 20, 32, 44, 56,
 * 110, option-A shortcuts (no parameters).  Names as in akamaster/pytorch_resnet_cifar10.
 *
 *   tensors                              shape            value [n, h, w, c]
 *   conv1.weight, bn1                    [16, 3, 3, 3]    [n, 32, 32, 16]
 *   layer1.0 .. layer1.(n-1)  conv1, bn1, conv2, bn2      [n, 32, 32, 16]   conv1's: any width
 *   layer2.0 .. layer2.(n-1)  the first with stride 2     [n, 16, 16, 32]
 *   layer3.0 .. layer3.(n-1)  the first with stride 2     [n,  8,  8, 64]
 *   linear.weight, linear.bias           [classes, 64]    mean over h, w, then [n, classes]
 *
 *   block:  y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))
 *   shortcut: x, or with stride 2: x[:, :, ::2, ::2] with c/2 zero channels before and after */
#include <stdio.h>
#include <string.h>

#include "models/build.h"

enum { STAGES = 3, MAX_BLOCKS = 200, WIDTH = 16, SIDE = 32, LEAST = 4 };

/* ImageNet's mean and std, with which they were trained. */
static const char recipe[] = "{\"channels\":\"RGB\",\"mean\":[0.485,0.456,0.406],"
                             "\"scale\":0.00392156862745098,\"std\":[0.229,0.224,0.225],"
                             "\"type\":\"image\"}";

/* A 3x3 convolution of a channels; b 0: from any number. */
static int has(const oct_weights *w, const char *name, int a, int b)
{
    const oct_weights_entry *e = oct_weights_find(w, name);
    return e && e->rank == 4 && e->dim[0] == a && (!b || e->dim[1] == b) && e->dim[2] == 3 &&
           e->dim[3] == 3;
}

static int recognise(const oct_weights *w)
{
    const oct_weights_entry *linear = oct_weights_find(w, "linear.weight");
    for (int i = 0; i < oct_weights_count(w); i++) {
        const char *name = oct_weights_at(w, i)->name;
        if (strstr(name, "downsample") || strstr(name, "shortcut")) return 0;
    }
    return linear && linear->rank == 2 && linear->dim[1] == 4 * WIDTH &&
           has(w, "conv1.weight", WIDTH, 3) && has(w, "layer1.0.conv2.weight", WIDTH, 0) &&
           has(w, "layer3.0.conv2.weight", 4 * WIDTH, 0);
}

/* 3x3 convolution PREFIXconvI without bias, batch norm PREFIXbnI */
static oct_status conv_bn(oct_build *b, const char *prefix, int i, int stride, int c)
{
    char conv[40], bn[40];
    snprintf(conv, sizeof conv, "%sconv%d", prefix, i);
    snprintf(bn, sizeof bn, "%sbn%d", prefix, i);
    const oct_conv2d_attr attr = { .stride = { stride, stride }, .pad = { 1, 1 },
                                   .dilation = { 1, 1 }, .groups = 1 };
    return oct_build_conv_bn(b, conv, bn, &attr, c, 3);
}

static oct_status add_block(oct_build *b, int stage, int block)
{
    char prefix[32], name[48];
    const int c = WIDTH << stage, stride = stage > 0 && block == 0 ? 2 : 1;
    oct_tensor *shortcut = b->x;
    snprintf(prefix, sizeof prefix, "layer%d.%d.", stage + 1, block);

    OCT_TRY(conv_bn(b, prefix, 1, stride, -1));
    snprintf(name, sizeof name, "%srelu1", prefix);
    OCT_TRY(oct_build_relu(b, name));
    if (stride == 2) { /* before conv2, which takes it as its residual when the add is fused */
        const oct_pad_attr attr = { .stride = { 2, 2 }, .before = c / 4, .after = c / 4 };
        snprintf(name, sizeof name, "%sshortcut", prefix);
        OCT_TRY(oct_graph_add(&b->m->graph, OCT_OP_PAD, name, &attr, sizeof attr,
                              (oct_tensor *[OCT_MAX_IN]){ shortcut }, &shortcut));
    }
    OCT_TRY(conv_bn(b, prefix, 2, 1, c));
    OCT_TRY(oct_build_sum(b, prefix, shortcut));
    snprintf(name, sizeof name, "%srelu2", prefix);
    return oct_build_relu(b, name);
}

/* Blocks of each stage; they must be as many. */
static oct_status count_blocks(const oct_weights *w, int *blocks)
{
    int n[STAGES] = { 0 };
    for (int s = 0; s < STAGES; s++)
        for (char name[48]; n[s] <= MAX_BLOCKS; n[s]++) {
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", s + 1, n[s]);
            if (!oct_weights_find(w, name)) break;
        }
    for (int s = 0; s < STAGES; s++)
        if (n[s] != n[0] || n[s] < 1 || n[s] > MAX_BLOCKS)
            return oct_fail(OCT_ERR_FORMAT, "cifar_resnet: layer1 has %d blocks, layer%d has %d; "
                            "expected as many, 1 to %d", n[0], s + 1, n[s], MAX_BLOCKS);
    *blocks = n[0];
    return OCT_OK;
}

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    oct_build b = { .m = m };
    int blocks = 0;
    OCT_TRY(count_blocks(m->weights, &blocks));
    OCT_TRY(oct_build_input(&b, options, 3, SIDE, SIDE, LEAST));
    OCT_TRY(conv_bn(&b, "", 1, 1, WIDTH));
    OCT_TRY(oct_build_relu(&b, "relu"));
    for (int s = 0; s < STAGES; s++)
        for (int i = 0; i < blocks; i++) OCT_TRY(add_block(&b, s, i));
    OCT_TRY(oct_build_head(&b, "linear"));
    if (!m->recipe) {
        m->recipe = recipe;
        oct_build_doubt(m, "recipe: ImageNet's mean and std, as the published CIFAR ResNets have; "
                        "not in the file");
    }
    return oct_build_arch(&b, arch, "cifar_resnet", 6 * blocks + 2);
}

const oct_builder oct_builder_cifar_resnet = { "cifar_resnet", recognise, build, NULL, 0 };
