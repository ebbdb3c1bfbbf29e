/* cifar_resnet: the CIFAR ResNets of He et al., 2015, section 4.2: depth 6n + 2 = 20, 32, 44, 56,
 * 110, option-A shortcuts (no parameters).  Names as in akamaster/pytorch_resnet_cifar10.
 *
 *   tensors                              shape            value [n, h, w, c]
 *   conv1.weight, bn1                    [16, 3, 3, 3]    [n, 32, 32, 16]
 *   layer1.0 .. layer1.(n-1)  conv1, bn1, conv2, bn2      [n, 32, 32, 16]
 *   layer2.0 .. layer2.(n-1)  the first with stride 2     [n, 16, 16, 32]
 *   layer3.0 .. layer3.(n-1)  the first with stride 2     [n,  8,  8, 64]
 *   linear.weight, linear.bias           [classes, 64]    mean over h, w, then [n, classes]
 *
 *   block:  y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))
 *   shortcut: x, or with stride 2: x[:, :, ::2, ::2] with c/2 zero channels before and after */
#include <stdio.h>
#include <string.h>

#include "models/metadata.h"
#include "ops/attr.h"

typedef struct net {
    oct_model *m;
    oct_tensor *x;
} net;

enum { STAGES = 3, MAX_BLOCKS = 200, WIDTH = 16, SIDE = 32 };

static const float eps = 1e-5f; /* torch.nn.BatchNorm2d's */

/* ImageNet's mean and std, with which they were trained. */
static const char recipe[] = "{\"channels\":\"RGB\",\"mean\":[0.485,0.456,0.406],"
                             "\"scale\":0.00392156862745098,\"std\":[0.229,0.224,0.225],"
                             "\"type\":\"image\"}";

static int has(const oct_weights *w, const char *name, int a, int b, int k)
{
    const oct_weights_entry *e = oct_weights_find(w, name);
    return e && e->rank == 4 && e->dim[0] == a && e->dim[1] == b && e->dim[2] == k &&
           e->dim[3] == k;
}

static int recognise(const oct_weights *w)
{
    const oct_weights_entry *linear = oct_weights_find(w, "linear.weight");
    for (int i = 0; i < oct_weights_count(w); i++) {
        const char *name = oct_weights_at(w, i)->name;
        if (strstr(name, "downsample") || strstr(name, "shortcut")) return 0;
    }
    return linear && linear->rank == 2 && linear->dim[1] == 4 * WIDTH &&
           has(w, "conv1.weight", WIDTH, 3, 3) &&
           has(w, "layer1.0.conv1.weight", WIDTH, WIDTH, 3) &&
           has(w, "layer3.0.conv1.weight", 4 * WIDTH, 2 * WIDTH, 3);
}

static oct_status add(net *b, oct_op_kind kind, const char *name, const void *attr,
                      size_t attr_size, oct_tensor *const in[OCT_MAX_IN])
{
    return oct_graph_add(&b->m->graph, kind, name, attr, attr_size, in, &b->x);
}

static oct_status add_relu(net *b, const char *name)
{
    const oct_activation_attr attr = { .act = OCT_ACT_RELU };
    return add(b, OCT_OP_ACTIVATION, name, &attr, sizeof attr,
               (oct_tensor *[OCT_MAX_IN]){ b->x });
}

static oct_status constant(net *b, const char *module, const char *tensor, int rank,
                           const int *dim, oct_tensor **out)
{
    char name[80];
    snprintf(name, sizeof name, "%s.%s", module, tensor);
    return oct_model_constant(b->m, name, rank, dim, out);
}

/* 3x3 convolution PREFIXconvI without bias, batch norm PREFIXbnI */
static oct_status add_conv_bn(net *b, const char *prefix, int i, int stride, int c)
{
    char conv[40], bn[40];
    oct_tensor *w, *p[4];
    static const char *const parts[4] = { "weight", "bias", "running_mean", "running_var" };
    snprintf(conv, sizeof conv, "%sconv%d", prefix, i);
    snprintf(bn, sizeof bn, "%sbn%d", prefix, i);
    OCT_TRY(constant(b, conv, "weight", 4, (int[]){ c, b->x->dim[3], 3, 3 }, &w));
    for (int k = 0; k < 4; k++) OCT_TRY(constant(b, bn, parts[k], 1, &c, &p[k]));
    const oct_conv2d_attr attr = {
        .stride = { stride, stride }, .pad = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1,
    };
    const oct_batchnorm_attr bn_attr = { .eps = eps };
    OCT_TRY(add(b, OCT_OP_CONV2D, conv, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ b->x, w }));
    return add(b, OCT_OP_BATCHNORM, bn, &bn_attr, sizeof bn_attr,
               (oct_tensor *[OCT_MAX_IN]){ b->x, p[0], p[1], p[2], p[3] });
}

static oct_status add_block(net *b, int stage, int block)
{
    char prefix[32], name[48];
    const int c = WIDTH << stage, stride = stage > 0 && block == 0 ? 2 : 1;
    oct_tensor *shortcut = b->x;
    snprintf(prefix, sizeof prefix, "layer%d.%d.", stage + 1, block);

    OCT_TRY(add_conv_bn(b, prefix, 1, stride, c));
    snprintf(name, sizeof name, "%srelu1", prefix);
    OCT_TRY(add_relu(b, name));
    if (stride == 2) { /* before conv2, which takes it as its residual when the add is fused */
        const oct_pad_attr attr = { .stride = { 2, 2 }, .before = c / 4, .after = c / 4 };
        snprintf(name, sizeof name, "%sshortcut", prefix);
        OCT_TRY(oct_graph_add(&b->m->graph, OCT_OP_PAD, name, &attr, sizeof attr,
                              (oct_tensor *[OCT_MAX_IN]){ shortcut }, &shortcut));
    }
    OCT_TRY(add_conv_bn(b, prefix, 2, 1, c));
    const oct_add_attr attr = { .act = OCT_ACT_NONE };
    snprintf(name, sizeof name, "%sadd", prefix);
    OCT_TRY(add(b, OCT_OP_ADD, name, &attr, sizeof attr,
                (oct_tensor *[OCT_MAX_IN]){ b->x, shortcut }));
    snprintf(name, sizeof name, "%srelu2", prefix);
    return add_relu(b, name);
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

/* What the file says of itself must be what its tensors say. */
static oct_status check_arch(const char *arch, int depth, int classes)
{
    static const char *const known[] = { "classes", "depth", "kind", NULL };
    json_t *object;
    int said_depth = depth, said_classes = classes;
    if (!arch) return OCT_OK;
    OCT_TRY(oct_json_parse("octet.arch", arch, JSON_OBJECT, &object));
    oct_status s = oct_json_known("octet.arch", object, known);
    if (!s) s = oct_json_int("octet.arch", object, "depth", 1, INT32_MAX, &said_depth);
    if (!s) s = oct_json_int("octet.arch", object, "classes", 1, INT32_MAX, &said_classes);
    json_decref(object);
    OCT_TRY(s);
    if (said_depth != depth || said_classes != classes)
        return oct_fail(OCT_ERR_SHAPE, "octet.arch: depth %d, %d classes, the tensors are of depth "
                        "%d, %d classes", said_depth, said_classes, depth, classes);
    return OCT_OK;
}

static oct_status add_input(net *b, const oct_options *o)
{
    const int batch = o->batch ? o->batch : 1;
    const int h = o->height ? o->height : SIDE, w = o->width ? o->width : SIDE;
    if (h < 4 || w < 4 || h > 1 << 13 || w > 1 << 13)
        return oct_fail(OCT_ERR_SHAPE, "input of height %d and width %d, each from 4 to %d", h, w,
                        1 << 13);
    const oct_tensor shape = { .dtype = OCT_F32, .rank = 4, .dim = { batch, 3, h, w } };
    OCT_TRY(oct_graph_input(&b->m->graph, &shape, &b->x));
    return add(b, OCT_OP_LAYOUT, "input", NULL, 0, (oct_tensor *[OCT_MAX_IN]){ b->x });
}

static oct_status add_head(net *b)
{
    const oct_pool_attr pool = { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 } };
    const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    oct_tensor *w, *bias;
    OCT_TRY(constant(b, "linear", "weight", 2, (int[]){ -1, b->x->dim[3] }, &w));
    OCT_TRY(constant(b, "linear", "bias", 1, w->dim, &bias));
    OCT_TRY(add(b, OCT_OP_POOL, "avgpool", &pool, sizeof pool,
                (oct_tensor *[OCT_MAX_IN]){ b->x }));
    OCT_TRY(add(b, OCT_OP_FLATTEN, "flatten", NULL, 0, (oct_tensor *[OCT_MAX_IN]){ b->x }));
    OCT_TRY(add(b, OCT_OP_LINEAR, "linear", &attr, sizeof attr,
                (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias }));
    b->m->classes = w->dim[0];
    return oct_graph_output(&b->m->graph, b->x);
}

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    net b = { .m = m };
    int blocks = 0;
    OCT_TRY(count_blocks(m->weights, &blocks));
    OCT_TRY(add_input(&b, options));
    OCT_TRY(add_conv_bn(&b, "", 1, 1, WIDTH));
    OCT_TRY(add_relu(&b, "relu"));
    for (int s = 0; s < STAGES; s++)
        for (int i = 0; i < blocks; i++) OCT_TRY(add_block(&b, s, i));
    OCT_TRY(add_head(&b));
    OCT_TRY(check_arch(arch, 6 * blocks + 2, m->classes));
    if (!m->recipe) m->recipe = recipe;
    return oct_json_write(json_pack("{s:s, s:i, s:i}", "kind", "cifar_resnet", "depth",
                                    6 * blocks + 2, "classes", m->classes), &m->arena, &m->arch);
}

const oct_builder oct_builder_cifar_resnet = { "cifar_resnet", recognise, build };
