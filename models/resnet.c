/* resnet: torchvision's ResNet-18, 34, 50, 101, 152 and their kin (Wide ResNet, ResNeXt, other
 * counts of blocks), He et al. 2015, "v1.5": of a bottleneck the 3x3 convolution has the stride.
 *
 *   tensors                                  shape                 value [n, h, w, c], 224 x 224
 *   conv1.weight, bn1                        [64, 3, 7, 7] s2 p3   [n, 112, 112, 64]
 *   maxpool 3x3 s2 p1                                              [n,  56,  56, 64]
 *   layer1.0 .. layer1.(k-1)                                       [n,  56,  56, 256]
 *   layer2.0 ..    the first with stride 2                         [n,  28,  28, 512]
 *   layer3.0 ..    the first with stride 2                         [n,  14,  14, 1024]
 *   layer4.0 ..    the first with stride 2                         [n,   7,   7, 2048]
 *   fc.weight, fc.bias                       [classes, 2048]       mean over h, w, [n, classes]
 *
 *   basic block        relu(bn2(conv2 3x3(relu(bn1(conv1 3x3 s(x))))) + shortcut)
 *   bottleneck         relu(bn3(conv3 1x1(relu(bn2(conv2 3x3 s(relu(bn1(conv1 1x1(x))))))))
 *                           + shortcut)
 *   shortcut           x, or downsample.1(downsample.0 1x1 s(x)) where the file has it
 *
 * Depth, widths, groups and classes are read from the tensors. */
#include <stdio.h>
#include <string.h>

#include "models/build.h"
#include "models/metadata.h"

enum { STAGES = 4, MAX_BLOCKS = 200, SIDE = 224 };

/* ImageNet's, torchvision.transforms with the weights' defaults before 2022. */
static const char recipe[] =
    "{\"antialias\":true,\"channels\":\"RGB\",\"crop\":224,\"filter\":\"bilinear\","
    "\"mean\":[0.485,0.456,0.406],\"resize\":256,\"scale\":0.00392156862745098,"
    "\"std\":[0.229,0.224,0.225],\"type\":\"image\"}";

/* One block: its name with a dot, and whether it is a bottleneck. */
typedef struct block {
    char prefix[32];
    int bottleneck, stride;
} block;

static const oct_weights_entry *find(const oct_weights *w, const char *prefix, const char *name)
{
    char full[80];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    return oct_weights_find(w, full);
}

static int recognise(const oct_weights *w)
{
    const oct_weights_entry *stem = find(w, "", "conv1"), *fc = find(w, "", "fc");
    return stem && stem->rank == 4 && stem->dim[1] == 3 && stem->dim[2] == 7 && fc &&
           fc->rank == 2 && find(w, "layer1.0.", "conv1") && find(w, "layer4.0.", "conv1");
}

/* NAME of a block: conv NAME, batch norm BN, `out` channels as the weight has. */
static oct_status conv_bn(oct_build *b, const block *k, const char *conv, const char *bn,
                          int kernel, int stride, int groups)
{
    char conv_name[64], bn_name[64];
    snprintf(conv_name, sizeof conv_name, "%s%s", k->prefix, conv);
    snprintf(bn_name, sizeof bn_name, "%s%s", k->prefix, bn);
    const int pad = kernel / 2;
    const oct_conv2d_attr attr = { .stride = { stride, stride }, .pad = { pad, pad },
                                   .dilation = { 1, 1 }, .groups = groups };
    return oct_build_conv_bn(b, conv_name, bn_name, &attr, -1, kernel);
}

static oct_status relu(oct_build *b, const block *k, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", k->prefix, name);
    return oct_build_relu(b, full);
}

static oct_status add_block(oct_build *b, const block *k)
{
    oct_tensor *shortcut = b->x;
    if (find(b->m->weights, k->prefix, "downsample.0")) {
        oct_build side = { b->m, b->x }; /* before the last convolution, which adds it up */
        OCT_TRY(conv_bn(&side, k, "downsample.0", "downsample.1", 1, k->stride, 1));
        shortcut = side.x;
    }
    if (k->bottleneck) {
        OCT_TRY(conv_bn(b, k, "conv1", "bn1", 1, 1, 1));
        OCT_TRY(relu(b, k, "relu1"));
        OCT_TRY(conv_bn(b, k, "conv2", "bn2", 3, k->stride, 0));
        OCT_TRY(relu(b, k, "relu2"));
        OCT_TRY(conv_bn(b, k, "conv3", "bn3", 1, 1, 1));
    } else {
        OCT_TRY(conv_bn(b, k, "conv1", "bn1", 3, k->stride, 1));
        OCT_TRY(relu(b, k, "relu1"));
        OCT_TRY(conv_bn(b, k, "conv2", "bn2", 3, 1, 1));
    }
    OCT_TRY(oct_build_sum(b, k->prefix, shortcut));
    return relu(b, k, k->bottleneck ? "relu3" : "relu2");
}

static oct_status add_stage(oct_build *b, int stage, int bottleneck, int *blocks)
{
    block k = { .bottleneck = bottleneck };
    for (int i = 0; ; i++, ++*blocks) {
        snprintf(k.prefix, sizeof k.prefix, "layer%d.%d.", stage + 1, i);
        k.stride = stage > 0 && i == 0 ? 2 : 1;
        if (!find(b->m->weights, k.prefix, "conv1")) {
            if (i > 0) return OCT_OK;
            return oct_fail(OCT_ERR_FORMAT, "%sconv1.weight: missing", k.prefix);
        }
        if (i == MAX_BLOCKS)
            return oct_fail(OCT_ERR_UNSUPPORTED, "layer%d: more than %d blocks", stage + 1,
                            MAX_BLOCKS);
        OCT_TRY(add_block(b, &k));
    }
}

/* Height and width of the input: what the file's recipe crops to, else resizes to exactly. */
static oct_status input_size(const oct_model *m, int *h, int *w)
{
    json_t *object;
    *h = *w = SIDE;
    if (!m->recipe) return OCT_OK;
    OCT_TRY(oct_json_parse("octet.input", m->recipe, JSON_OBJECT, &object));
    const json_t *crop = json_object_get(object, "crop");
    const json_t *resize = json_object_get(object, "resize");
    const json_t *size = crop ? crop : json_is_array(resize) ? resize : NULL;
    const json_t *one = json_is_array(size) ? json_array_get(size, 0) : size;
    const json_t *two = json_is_array(size) ? json_array_get(size, 1) : size;
    if (json_is_integer(one) && json_is_integer(two)) { /* others: for the recipe's reader */
        const json_int_t high = json_integer_value(one), wide = json_integer_value(two);
        if (high > 0 && wide > 0 && high <= INT32_MAX && wide <= INT32_MAX)
            *h = (int)high, *w = (int)wide;
    }
    json_decref(object);
    return OCT_OK;
}

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    static const oct_conv2d_attr stem = { .stride = { 2, 2 }, .pad = { 3, 3 },
                                          .dilation = { 1, 1 }, .groups = 1 };
    static const oct_pool_attr pool = { .kind = OCT_POOL_MAX, .kernel = { 3, 3 },
                                        .stride = { 2, 2 }, .pad = { 1, 1 }, .dilation = { 1, 1 } };
    oct_build b = { .m = m };
    const int bottleneck = find(m->weights, "layer1.0.", "conv3") != NULL;
    int h, w, blocks = 0;
    OCT_TRY(input_size(m, &h, &w));
    OCT_TRY(oct_build_input(&b, options, 3, h, w, 1));
    OCT_TRY(oct_build_conv_bn(&b, "conv1", "bn1", &stem, -1, 7));
    OCT_TRY(oct_build_relu(&b, "relu"));
    OCT_TRY(oct_build_add(&b, OCT_OP_POOL, "maxpool", &pool, sizeof pool,
                          (oct_tensor *[OCT_MAX_IN]){ b.x }));
    for (int s = 0; s < STAGES; s++) OCT_TRY(add_stage(&b, s, bottleneck, &blocks));
    OCT_TRY(oct_build_head(&b, "fc"));
    if (!m->recipe) {
        m->recipe = recipe;
        oct_build_doubt(m, "recipe: torchvision's convention for ResNets, not in the file "
                        "(its IMAGENET1K_V2 weights: --resize 232)");
    }
    if (!arch && bottleneck)
        oct_build_doubt(m, "stride: in the 3x3 convolutions, as torchvision has it (v1.5); "
                        "tensors do not tell");
    return oct_build_arch(&b, arch, "resnet", blocks * (bottleneck ? 3 : 2) + 2);
}

const oct_builder oct_builder_resnet = { "resnet", recognise, build, NULL, 0 };
