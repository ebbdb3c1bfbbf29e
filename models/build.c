#include "models/build.h"

#include <stdio.h>

#include "models/metadata.h"
#include "models/eager.h"

static const float eps = 1e-5f; /* torch.nn.BatchNorm2d's */

oct_status oct_build_add(oct_build *b, oct_op_kind kind, const char *name, const void *attr,
                         size_t attr_size, oct_tensor *const in[OCT_MAX_IN])
{
    return oct_graph_add(&b->m->graph, kind, name, attr, attr_size, in, &b->x);
}

oct_status oct_build_constant(oct_build *b, const char *module, const char *tensor, int rank,
                              const int *dim, oct_tensor **out)
{
    char name[120];
    snprintf(name, sizeof name, "%s.%s", module, tensor);
    return oct_model_constant(b->m, name, rank, dim, out);
}

static int has(const oct_build *b, const char *module, const char *tensor)
{
    char name[120];
    snprintf(name, sizeof name, "%s.%s", module, tensor);
    return oct_weights_find(b->m->weights, name) != NULL;
}

oct_status oct_build_input(oct_build *b, const oct_options *o, int c, int h, int w, int least)
{
    enum { MOST = 1 << 13 };
    if (o->height) h = o->height;
    if (o->width) w = o->width;
    if (h < least || w < least || h > MOST || w > MOST)
        return oct_fail(OCT_ERR_SHAPE, "input of height %d and width %d, each from %d to %d", h, w,
                        least, MOST);
    const oct_tensor shape = { .dtype = OCT_F32, .rank = 4,
                               .dim = { o->batch ? o->batch : 1, c, h, w } };
    OCT_TRY(oct_graph_input(&b->m->graph, &shape, &b->x));
    OCT_TRY(oct_build_add(b, OCT_OP_LAYOUT, "input", NULL, 0, (oct_tensor *[OCT_MAX_IN]){ b->x }));
    return oct_eager_has(b->m, "quant") ? oct_eager_enter(b->m, "quant", &b->x) : OCT_OK;
}

/* conv2d on quantized x, with its bias if it has one. */
static oct_status add_quantized(oct_build *b, const char *conv, const char *bn, oct_conv2d_attr *a,
                                oct_tensor *w)
{
    char name[120];
    oct_tensor *bias = NULL;
    if (b->x->dtype != OCT_U8)
        return oct_fail(OCT_ERR_FORMAT, "%.80s.weight: I8, and the file has no quantizer 'quant'",
                        conv);
    snprintf(name, sizeof name, "%s.running_mean", bn);
    if (oct_weights_find(b->m->weights, name))
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: a batch norm that was not fused into %.80s "
                        "before it was quantized", bn, conv);
    snprintf(name, sizeof name, "%s.bias", conv);
    if (oct_weights_find(b->m->weights, name))
        OCT_TRY(oct_model_constant(b->m, name, 1, w->dim, &bias));
    OCT_TRY(oct_eager_bias(b->m, b->x, w, &bias));
    OCT_TRY(oct_eager_output(b->m, conv, &a->quant));
    return oct_build_add(b, OCT_OP_CONV2D, conv, a, sizeof *a,
                         (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias });
}

oct_status oct_build_conv_bn(oct_build *b, const char *conv, const char *bn,
                             const oct_conv2d_attr *attr, int out, int kernel)
{
    static const char *const parts[4] = { "weight", "bias", "running_mean", "running_var" };
    const oct_batchnorm_attr bn_attr = { .eps = eps };
    const int c = b->x->dim[3];
    oct_conv2d_attr a = *attr;
    oct_tensor *w, *bias = NULL, *p[4];
    OCT_TRY(oct_build_constant(b, conv, "weight", 4,
                               (int[]){ out, a.groups ? c / a.groups : -1, kernel, kernel }, &w));
    if (!a.groups && (w->dim[1] < 1 || c % w->dim[1] != 0))
        return oct_fail(OCT_ERR_SHAPE, "%.80s.weight: %d input channels do not divide %d", conv,
                        w->dim[1], c);
    if (!a.groups) a.groups = c / w->dim[1];
    if (b->x->dtype == OCT_U8 || (w->dtype == OCT_S8 && oct_eager_has(b->m, conv)))
        return add_quantized(b, conv, bn, &a, w);
    if (has(b, conv, "bias")) OCT_TRY(oct_build_constant(b, conv, "bias", 1, w->dim, &bias));
    OCT_TRY(oct_build_add(b, OCT_OP_CONV2D, conv, &a, sizeof a,
                          (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias }));
    if (bias && !has(b, bn, "running_mean")) return OCT_OK; /* folded in */
    for (int k = 0; k < 4; k++) OCT_TRY(oct_build_constant(b, bn, parts[k], 1, w->dim, &p[k]));
    return oct_build_add(b, OCT_OP_BATCHNORM, bn, &bn_attr, sizeof bn_attr,
                         (oct_tensor *[OCT_MAX_IN]){ b->x, p[0], p[1], p[2], p[3] });
}

oct_status oct_build_relu(oct_build *b, const char *name)
{
    const oct_activation_attr attr = { .act = OCT_ACT_RELU };
    return oct_build_add(b, OCT_OP_ACTIVATION, name, &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ b->x });
}

/* The FloatFunctional behind prefix: as torchvision names it, and two more. */
static oct_status find_addition(oct_build *b, const char *prefix, oct_quant *out)
{
    static const char *const known[] = { "add_relu", "skip_add_relu", "skip_add", "add" };
    char name[120];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, known[i]);
        if (oct_eager_has(b->m, name)) return oct_eager_output(b->m, name, out);
    }
    return oct_fail(OCT_ERR_UNSUPPORTED, "%.80sadd_relu: no scale and zero_point of the addition, "
                    "nor of skip_add_relu, skip_add or add", prefix);
}

oct_status oct_build_sum(oct_build *b, const char *prefix, oct_tensor *other)
{
    char name[80];
    oct_add_attr attr = { .act = OCT_ACT_NONE };
    snprintf(name, sizeof name, "%sadd", prefix);
    if (b->x->dtype == OCT_U8) OCT_TRY(find_addition(b, prefix, &attr.quant));
    return oct_build_add(b, OCT_OP_ADD, name, &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ b->x, other });
}

oct_status oct_build_head(oct_build *b, const char *module)
{
    oct_pool_attr pool = { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 } };
    oct_linear_attr attr = { .act = OCT_ACT_NONE };
    oct_tensor *w, *bias;
    OCT_TRY(oct_build_constant(b, module, "weight", 2, (int[]){ -1, b->x->dim[3] }, &w));
    OCT_TRY(oct_build_constant(b, module, "bias", 1, w->dim, &bias));
    if (b->x->dtype == OCT_U8) {
        pool.quant = oct_eager_of(b->x); /* PyTorch's average keeps it */
        OCT_TRY(oct_eager_bias(b->m, b->x, w, &bias));
        OCT_TRY(oct_eager_output(b->m, module, &attr.quant));
    }
    OCT_TRY(oct_build_add(b, OCT_OP_POOL, "avgpool", &pool, sizeof pool,
                          (oct_tensor *[OCT_MAX_IN]){ b->x }));
    OCT_TRY(oct_build_add(b, OCT_OP_FLATTEN, "flatten", NULL, 0,
                          (oct_tensor *[OCT_MAX_IN]){ b->x }));
    OCT_TRY(oct_build_add(b, OCT_OP_LINEAR, module, &attr, sizeof attr,
                          (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias }));
    b->m->classes = w->dim[0];
    if (b->x->dtype == OCT_U8) OCT_TRY(oct_eager_leave(b->m, "dequant", &b->x));
    return oct_graph_output(&b->m->graph, b->x);
}

void oct_build_doubt(oct_model *m, const char *sentence)
{
    if (m->n_doubts < OCT_MODEL_MAX_DOUBTS) m->in_doubt[m->n_doubts++] = sentence;
}

static oct_status check_arch(const char *arch, int depth, int classes)
{
    static const char *const known[] = { "classes", "depth", "kind", NULL };
    json_t *object;
    int said_depth = depth, said_classes = classes;
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

oct_status oct_build_arch(oct_build *b, const char *arch, const char *kind, int depth)
{
    if (arch) OCT_TRY(check_arch(arch, depth, b->m->classes));
    return oct_json_write(json_pack("{s:s, s:i, s:i}", "kind", kind, "depth", depth, "classes",
                                    b->m->classes), &b->m->arena, &b->m->arch);
}
