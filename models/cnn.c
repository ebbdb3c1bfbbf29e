/* cnn: any chain of modules and operations, written as a layer line (SPEC.md, section 3).
 *
 *   word                   tensors                                      node
 *   conv1:p1s2d1g1         conv1.weight [out, in/g, kh, kw] (bias [out])  conv2d
 *   fc1                    fc1.weight [out, in] (bias [out])             linear
 *   bn1                    bn1.running_mean, running_var [c] (weight, bias [c])   batchnorm
 *   relu relu6 gelu sigmoid tanh softmax flatten dropout identity        the operation
 *   maxpool:3s2p1d1 avgpool:3s2p1 globalavgpool                          pool
 *
 *   quant                  quant.scale, quant.zero_point                quantize, what follows is U8
 *   dequant                                                             dequantize
 *
 * A word that is the name of a module with tensors is that module, whatever it is called.  Nodes
 * of modules have the module's name, others word and position: "maxpool:2@3". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/cnn_input.h"
#include "models/layers.h"
#include "models/metadata.h"
#include "models/eager.h"
#include "models/save_meta.h"

typedef struct net {
    oct_model *m;
    const oct_layer *layer;    /* the word at hand */
    oct_tensor *x;             /* the value so far */
    int quantized;             /* a quantizer has been applied */
} net;

static const float eps = 1e-5f; /* torch.nn.BatchNorm2d's; state dicts do not hold it */

static oct_status refuse(const net *b, const char *why)
{
    char shape[64];
    return oct_fail(OCT_ERR_SHAPE, "layers: word %d '%.80s' %s, the value before it is %s",
                    b->layer->position, b->layer->word, why,
                    oct_tensor_shape(b->x, shape, sizeof shape));
}

/* "conv1.weight" of module conv1, or NULL */
static const oct_weights_entry *part(const oct_model *m, const char *module, const char *tensor)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", module, tensor);
    return oct_weights_find(m->weights, name);
}

static oct_status constant(net *b, const char *tensor, int rank, const int *dim, oct_tensor **out)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", b->layer->name, tensor);
    return oct_model_constant(b->m, name, rank, dim, out);
}

/* A vector of n entries, NULL if the file has none of that name. */
static oct_status vector(net *b, const char *tensor, int n, oct_tensor **out)
{
    *out = NULL;
    return part(b->m, b->layer->name, tensor) ? constant(b, tensor, 1, &n, out) : OCT_OK;
}

static oct_status add(net *b, oct_op_kind kind, const void *attr, size_t attr_size,
                      oct_tensor *const in[OCT_MAX_IN])
{
    char name[256];
    const int module = kind == OCT_OP_CONV2D || kind == OCT_OP_LINEAR || kind == OCT_OP_BATCHNORM;
    if (module) snprintf(name, sizeof name, "%s", b->layer->name);
    else snprintf(name, sizeof name, "%s@%d", b->layer->word, b->layer->position);
    OCT_TRY(oct_graph_add(&b->m->graph, kind, name, attr, attr_size, in, &b->x));
    if (oct_tensor_sample_count(b->x) <= OCT_MAX_SAMPLE) return OCT_OK;
    return oct_fail(OCT_ERR_SHAPE, "layers: word %d '%.80s' makes %zu elements, at most %d",
                    b->layer->position, b->layer->word, oct_tensor_sample_count(b->x),
                    OCT_MAX_SAMPLE);
}

/* x as FP32. */
static oct_status leave(net *b)
{
    char name[256];
    if (b->x->dtype != OCT_U8) return OCT_OK;
    snprintf(name, sizeof name, "dequant@%d", b->layer->position);
    return oct_eager_leave(b->m, name, &b->x);
}

/* x and bias as the module with this weight reads them, and how its output is quantized (scale 0:
 * it is not).
 * Where a statically quantized module meets floats, PyTorch's model had a quantizer in front of it:
 * `quant`, if the line has none. */
static oct_status meet(net *b, const oct_tensor *w, oct_tensor **bias, oct_quant *quant)
{
    int is_static;
    if (w->dtype != OCT_S8) return leave(b);
    OCT_TRY(oct_eager_is_static(b->m, b->layer->name, &is_static));
    if (is_static && b->x->dtype != OCT_U8) {
        if (b->quantized || !oct_eager_has(b->m, "quant"))
            return refuse(b, "is quantized and needs a quantizer before it");
        OCT_TRY(oct_eager_enter(b->m, "quant", &b->x));
        b->quantized = 1;
    }
    if (b->x->dtype != OCT_U8) return OCT_OK;
    OCT_TRY(oct_eager_bias(b->m, b->x, w, bias));
    return oct_eager_output(b->m, b->layer->name, quant);
}

static oct_status add_quantizer(net *b)
{
    OCT_TRY(oct_layer_takes(b->layer, ""));
    if (b->x->dtype == OCT_U8)
        return refuse(b, "is a quantizer, or a quantized operation that octet does not have");
    b->quantized = 1;
    return oct_eager_enter(b->m, b->layer->name, &b->x);
}

static oct_status add_conv2d(net *b)
{
    const oct_layer *l = b->layer;
    OCT_TRY(oct_layer_takes(l, "spdg"));
    if (b->x->layout != OCT_BLOCKED) return refuse(b, "is a convolution and needs an image");
    const int s = oct_layer_get(l, OCT_LAYER_STRIDE, 1), p = oct_layer_get(l, OCT_LAYER_PAD, 0);
    const int d = oct_layer_get(l, OCT_LAYER_DILATION, 1), c = b->x->dim[3];
    const int g = oct_layer_get(l, OCT_LAYER_GROUPS, 1);
    if (c % g) return refuse(b, "has groups that do not divide the channels");
    oct_tensor *w, *bias;
    OCT_TRY(constant(b, "weight", 4, (int[]){ -1, c / g, -1, -1 }, &w));
    OCT_TRY(vector(b, "bias", w->dim[0], &bias));
    oct_conv2d_attr attr = {
        .stride = { s, s }, .pad = { p, p }, .dilation = { d, d }, .groups = g,
    };
    OCT_TRY(meet(b, w, &bias, &attr.quant));
    return add(b, OCT_OP_CONV2D, &attr, sizeof attr,
               (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias });
}

/* After globalavgpool an image is a row of features already. */
static oct_status add_linear(net *b)
{
    OCT_TRY(oct_layer_takes(b->layer, ""));
    const oct_tensor *x = b->x;
    const int pixel = x->rank == 4 && x->dim[1] == 1 && x->dim[2] == 1;
    if (x->rank != 2 && !pixel) return refuse(b, "is a linear layer and needs 'flatten' before it");
    oct_tensor *w, *bias;
    OCT_TRY(constant(b, "weight", 2, (int[]){ -1, x->dim[x->rank - 1] }, &w));
    OCT_TRY(vector(b, "bias", w->dim[0], &bias));
    oct_linear_attr attr = { .act = OCT_ACT_NONE };
    OCT_TRY(meet(b, w, &bias, &attr.quant));
    return add(b, OCT_OP_LINEAR, &attr, sizeof attr,
               (oct_tensor *[OCT_MAX_IN]){ b->x, w, bias });
}

static oct_status add_batchnorm(net *b)
{
    OCT_TRY(oct_layer_takes(b->layer, ""));
    if (oct_eager_has(b->m, b->layer->name))
        return refuse(b, "is a batch norm that was not fused before it was quantized");
    OCT_TRY(leave(b));
    const int c = b->x->dim[b->x->rank - 1];
    oct_tensor *gamma, *beta, *mean, *var;
    OCT_TRY(vector(b, "weight", c, &gamma));
    OCT_TRY(vector(b, "bias", c, &beta));
    OCT_TRY(constant(b, "running_mean", 1, &c, &mean));
    OCT_TRY(constant(b, "running_var", 1, &c, &var));
    const oct_batchnorm_attr attr = { .eps = eps };
    return add(b, OCT_OP_BATCHNORM, &attr, sizeof attr,
               (oct_tensor *[OCT_MAX_IN]){ b->x, gamma, beta, mean, var });
}

static oct_status add_pool(net *b, int kind)
{
    const oct_layer *l = b->layer;
    const int k = oct_layer_get(l, OCT_LAYER_KERNEL, 0), s = oct_layer_get(l, OCT_LAYER_STRIDE, k);
    const int p = oct_layer_get(l, OCT_LAYER_PAD, 0), d = oct_layer_get(l, OCT_LAYER_DILATION, 1);
    if (b->x->layout != OCT_BLOCKED) return refuse(b, "is a pool and needs an image");
    if (kind != OCT_POOL_ADAPTIVE_AVG && !k) return refuse(b, "needs a kernel size (maxpool:2)");
    oct_pool_attr attr = {
        .kind = (oct_pool_kind)kind, .kernel = { k, k }, .stride = { s, s }, .pad = { p, p },
        .dilation = { d, d }, .count_include_pad = 1, .out = { 1, 1 },
    };
    if (b->x->dtype == OCT_U8) attr.quant = oct_eager_of(b->x); /* averages keep it */
    return add(b, OCT_OP_POOL, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ b->x });
}

static oct_status add_activation(net *b, int act)
{
    const oct_activation_attr attr = { .act = (oct_act)act };
    if (act > OCT_ACT_RELU6) OCT_TRY(leave(b));
    return add(b, OCT_OP_ACTIVATION, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ b->x });
}

static oct_status add_plain(net *b, int kind)
{
    if (kind != OCT_OP_FLATTEN) OCT_TRY(leave(b));
    return add(b, (oct_op_kind)kind, NULL, 0, (oct_tensor *[OCT_MAX_IN]){ b->x });
}

static oct_status add_dequantizer(net *b, int unused)
{
    (void)unused;
    return leave(b);
}

static oct_status add_nothing(net *b, int unused)
{
    (void)b, (void)unused;
    return OCT_OK;
}

static const struct {
    const char *name, *takes;
    oct_status (*add)(net *b, int which);
    int which;
} operations[] = {
    { "relu",          "",     add_activation, OCT_ACT_RELU },
    { "relu6",         "",     add_activation, OCT_ACT_RELU6 },
    { "gelu",          "",     add_activation, OCT_ACT_GELU },
    { "sigmoid",       "",     add_activation, OCT_ACT_SIGMOID },
    { "tanh",          "",     add_activation, OCT_ACT_TANH },
    { "softmax",       "",     add_plain,      OCT_OP_SOFTMAX },
    { "flatten",       "",     add_plain,      OCT_OP_FLATTEN },
    { "globalavgpool", "",     add_pool,       OCT_POOL_ADAPTIVE_AVG },
    { "maxpool",       "kspd", add_pool,       OCT_POOL_MAX },
    { "avgpool",       "ksp",  add_pool,       OCT_POOL_AVG },
    { "dropout",       "",     add_nothing,    0 }, /* the identity, once trained */
    { "identity",      "",     add_nothing,    0 }, /* where a folded batch norm was */
    { "dequant",       "",     add_dequantizer, 0 },
};

static oct_status add_operation(net *b)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].name, b->layer->name) == 0) {
            OCT_TRY(oct_layer_takes(b->layer, operations[i].takes));
            return operations[i].add(b, operations[i].which);
        }
    return oct_fail(OCT_ERR_FORMAT, "layers: word %d '%.80s' is neither a module of the file nor "
                    "an operation", b->layer->position, b->layer->word);
}

/* Each use of a module packs its weights again, so a short line over a large file could ask for any
 * amount of memory: a module stands once, as it does in a chain written by hand. */
static oct_status check_first_use(const net *b, const oct_layer *first)
{
    for (const oct_layer *l = first; l < b->layer; l++)
        if (strcmp(l->name, b->layer->name) == 0)
            return oct_fail(OCT_ERR_UNSUPPORTED, "layers: word %d '%.80s' is a module that stands "
                            "in the line already, as word %d", b->layer->position, b->layer->word,
                            l->position);
    return OCT_OK;
}

/* The kind of a module is told by its tensors. */
static oct_status add_layer(net *b, const oct_layer *first)
{
    const char *name = b->layer->name;
    const oct_weights_entry *weight = part(b->m, name, "weight");
    const int batchnorm = part(b->m, name, "running_mean") != NULL;
    const int quantizer = !weight && !batchnorm && oct_eager_has(b->m, name);
    if (!weight && !batchnorm && !quantizer) return add_operation(b);
    OCT_TRY(check_first_use(b, first));
    if (quantizer) return add_quantizer(b);
    if (batchnorm) return add_batchnorm(b);
    if (weight->rank == 4) return add_conv2d(b);
    if (weight->rank == 2) return add_linear(b);
    return oct_fail(OCT_ERR_UNSUPPORTED, "layers: word %d '%.80s': a weight of rank %d is neither "
                    "a convolution's (4) nor a linear layer's (2)", b->layer->position,
                    b->layer->word, weight->rank);
}

static oct_status add_input(net *b, const int *dim, int rank, int batch)
{
    oct_tensor shape = { .dtype = OCT_F32, .rank = rank + 1, .dim = { batch } };
    memcpy(shape.dim + 1, dim, (size_t)rank * sizeof *dim);
    OCT_TRY(oct_graph_input(&b->m->graph, &shape, &b->x));
    if (rank == 1) return OCT_OK;
    return oct_graph_add(&b->m->graph, OCT_OP_LAYOUT, "input", NULL, 0,
                         (oct_tensor *[OCT_MAX_IN]){ b->x }, &b->x);
}

static oct_status finish(net *b)
{
    char shape[64];
    OCT_TRY(leave(b));
    if (b->x->rank != 2)
        return oct_fail(OCT_ERR_SHAPE, "layers: the last value is %s, expected [batch, classes]: "
                        "a linear layer, or flatten, is missing",
                        oct_tensor_shape(b->x, shape, sizeof shape));
    b->m->classes = b->x->dim[1];
    return oct_graph_output(&b->m->graph, b->x);
}

/* As read, with the input's shape: what loads this model again. */
static oct_status write_arch(oct_model *m, const char *layers, const int *dim, int rank)
{
    json_t *input = json_array();
    for (int i = 0; i < rank; i++) input = oct_json_append(input, json_integer(dim[i]));
    return oct_json_write(json_pack("{s:s, s:o, s:s}", "kind", "cnn", "input", input, "layers",
                                    layers), &m->arena, &m->arch);
}

static oct_status build_chain(oct_model *m, json_t *arch, const oct_options *options)
{
    static const char *const known[] = { "classes", "input", "kind", "layers", NULL };
    const char *line;
    oct_layer *layer;
    int n, dim[3] = { 0 }, rank, classes = 0;
    OCT_TRY(oct_json_known("octet.arch", arch, known));
    OCT_TRY(oct_json_string("octet.arch", arch, "layers", &line));
    if (!line) return oct_fail(OCT_ERR_FORMAT, "octet.arch: 'layers' is missing");
    OCT_TRY(oct_json_int("octet.arch", arch, "classes", 1, OCT_MAX_SAMPLE, &classes));
    OCT_TRY(oct_layers_parse(line, &m->arena, &layer, &n));
    OCT_TRY(oct_cnn_input(m, arch, layer, n, options, dim, &rank));

    net b = { .m = m };
    OCT_TRY(add_input(&b, dim, rank, options->batch ? options->batch : 1));
    for (int i = 0; i < n; i++) {
        b.layer = &layer[i];
        OCT_TRY(add_layer(&b, layer));
    }
    OCT_TRY(finish(&b));
    if (classes && classes != m->classes)
        return oct_fail(OCT_ERR_SHAPE, "octet.arch: %d classes, the layers give %d", classes,
                        m->classes);
    return write_arch(m, line, dim, rank);
}

/* 1: `word` is a batch norm of the file that a pass took away. */
static int is_folded(const oct_model *m, const char *word, size_t length)
{
    char name[200];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    if (length >= sizeof name || !part(m, name, "running_mean")) return 0;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        const oct_node *node = &m->graph.node[i];
        if (!node->dead && node->kind == OCT_OP_BATCHNORM && strcmp(node->name, name) == 0)
            return 0;
    }
    return 1;
}

/* Words of batch norms that are folded become "identity": positions, and with them the names of
 * the other nodes, stay. */
static json_t *fold_line(const oct_model *m, const char *line)
{
    static const char blanks[] = " \t\r\n", identity[] = "identity";
    char *text = malloc(strlen(line) * sizeof identity + 1), *to = text;
    if (!text) return NULL;
    while (*(line += strspn(line, blanks))) {
        const size_t length = strcspn(line, blanks);
        const int folded = is_folded(m, line, length);
        const size_t put = folded ? sizeof identity - 1 : length;
        if (to > text) *to++ = ' ';
        memcpy(to, folded ? identity : line, put);
        to += put;
        line += length;
    }
    json_t *value = json_stringn(text, (size_t)(to - text));
    free(text);
    return value;
}

static oct_status fold_arch(oct_model *m)
{
    json_t *arch;
    const char *line;
    OCT_TRY(oct_json_parse("octet.arch", m->arch, JSON_OBJECT, &arch));
    const oct_status status = oct_json_string("octet.arch", arch, "layers", &line);
    if (status == OCT_OK && line && json_object_set_new(arch, "layers", fold_line(m, line)) == 0)
        return oct_json_write(arch, &m->arena, &m->arch);
    json_decref(arch);
    return status ? status : oct_fail(OCT_ERR_MEMORY, "octet.arch: out of memory");
}

static int recognise(const oct_weights *w)
{
    (void)w;
    return 0; /* the order of the layers is not in the tensors */
}

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    json_t *object;
    if (!arch) return oct_fail(OCT_ERR_FORMAT, "octet.arch: a cnn needs a layer line");
    OCT_TRY(oct_json_parse("octet.arch", arch, JSON_OBJECT, &object));
    const oct_status status = build_chain(m, object, options);
    json_decref(object);
    return status;
}

const oct_builder oct_builder_cnn = { "cnn", recognise, build, fold_arch, 0 };
