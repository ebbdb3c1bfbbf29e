#include "models/sparse.h"

#include <string.h>

#include "ops/attr.h"
#include "ops/conv2d_sparse_s8.h"
#include "ops/linear_sparse_s8.h"
#include "ops/quantized.h"
#include "tensor/cpu.h"

static const char key[] = "octet.sparse";

static const char *const isas[] = { "avx512", "avxvnni", "avx2", "neoni8mm", "neondot", "neon" };
enum { N_ISAS = sizeof isas / sizeof *isas };

/* The flag of an ISA's name; 0: unknown, or none that has sparse kernels. */
static int flag_of(const char *name)
{
    unsigned flags;
    return oct_cpu_isa_any(name, &flags) == OCT_OK ? oct_sparse_isa(flags) : 0;
}

static int can_be_sparse(const oct_node *node)
{
    return !node->dead && (node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR);
}
_Static_assert((int)OCT_CONV2D_W == (int)OCT_LINEAR_W, "one name for both");

/* ---- writing ---- */

/* The weights of a layer as they are written: one tensor, or several, rows of one matrix. */
typedef struct layer {
    const oct_node *node;
    int out, in;
    double blocks, all;
} layer;

static void add_weight(layer *l, const oct_tensor *w)
{
    l->out += w->dim[0];
    l->in = w->dim[1];
    l->all += (double)(oct_tensor_count(w) / 4);
    if (w->dim[1] % 4 == 0) l->blocks += (double)oct_sparse_blocks(w);
}

static void find_weights(layer *l, const oct_model *m, const oct_save_tensor *tensors, int n)
{
    const oct_tensor *w = l->node->args.in[OCT_CONV2D_W];
    if (w->dtype == OCT_S8) add_weight(l, w);
    for (int i = 0; i < m->n_constants && w->dtype != OCT_S8; i++)
        for (int k = 0; k < n && m->constant[i].tensor == w; k++)
            if (strcmp(tensors[k].name, m->constant[i].name) == 0) add_weight(l, tensors[k].tensor);
}

/* The density below which sparse blocks are faster on this ISA; 0: never. */
static double limit_of(const layer *l, int isa)
{
    const oct_node *node = l->node;
    const oct_tensor *x = node->args.in[OCT_CONV2D_X], *w = node->args.in[OCT_CONV2D_W];
    if (node->kind == OCT_OP_CONV2D) {
        oct_conv2d_shape c = oct_conv2d_shape_of(&node->args);
        c.out = l->out;
        c.c = l->in * c.groups;
        if (x->dtype == OCT_U8 && w->dtype == OCT_S8)
            return oct_conv2d_sparse_s8_limit(&c, isa, x->max);
    } else if (w->dtype == OCT_S8 && oct_linear_sparse_s8_can(x, w)) {
        const int x_max = x->dtype == OCT_U8 ? x->max : OCT_DYNAMIC_MAX;
        return oct_linear_sparse_s8_limit(l->out, l->in, isa, x_max);
    }
    return 0;
}

/* NULL: memory; an empty list: always dense. */
static json_t *isas_of(const layer *l)
{
    json_t *list = json_array();
    for (int i = 0; i < N_ISAS; i++)
        if (l->blocks < l->all * limit_of(l, flag_of(isas[i])))
            list = oct_json_append(list, json_string(isas[i]));
    return list;
}

oct_status oct_sparse_decide(const oct_model *m, const oct_save_tensor *tensors, int n,
                             oct_arena *arena, const char **out)
{
    json_t *layers = json_object();
    *out = NULL;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        layer l = { .node = &m->graph.node[i] };
        if (!can_be_sparse(l.node)) continue;
        find_weights(&l, m, tensors, n);
        json_t *list = isas_of(&l);
        if (list && json_array_size(list) == 0) json_decref(list);
        else layers = oct_json_put(layers, l.node->name, list);
    }
    if (layers && json_object_size(layers) == 0) {
        json_decref(layers);
        return OCT_OK;
    }
    return oct_json_write(layers, arena, out);
}

/* ---- reading ---- */

static oct_status read_isas(const char *name, const json_t *list, int *flags)
{
    *flags = 0;
    if (!json_is_array(list))
        return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' is not an array", key, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *isa = json_string_value(json_array_get(list, i));
        const int flag = isa ? flag_of(isa) : 0;
        if (!flag)
            return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' names no instruction set that has sparse "
                            "kernels", key, name);
        *flags |= flag;
    }
    return OCT_OK;
}

static oct_status set(oct_model *m, const char *name, int flags)
{
    for (int i = 0; i < m->graph.n_nodes; i++) {
        oct_node *node = &m->graph.node[i];
        if (!can_be_sparse(node) || strcmp(node->name, name) != 0) continue;
        const int conv = node->kind == OCT_OP_CONV2D;
        const size_t size = conv ? sizeof(oct_conv2d_attr) : sizeof(oct_linear_attr);
        void *attr = oct_arena_alloc(&m->arena, size);
        if (!attr) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", key);
        memcpy(attr, node->args.attr, size);
        *(conv ? &((oct_conv2d_attr *)attr)->sparse : &((oct_linear_attr *)attr)->sparse) = flags;
        node->args.attr = attr;
    }
    return OCT_OK;
}

static oct_status restore(oct_model *m, json_t *layers)
{
    const char *name;
    json_t *list;
    int flags;
    json_object_foreach(layers, name, list) {
        OCT_TRY(read_isas(name, list, &flags));
        OCT_TRY(set(m, name, flags));
    }
    return OCT_OK;
}

oct_status oct_sparse_restore(oct_model *m)
{
    const char *text = oct_weights_meta(m->weights, key);
    json_t *layers;
    const int floats = oct_weights_meta(m->weights, "octet.quant") == NULL;
    if (!text || (floats && strcmp(m->precision, "fp32") != 0)) return OCT_OK;
    OCT_TRY(oct_json_parse(key, text, JSON_OBJECT, &layers));
    const oct_status status = restore(m, layers);
    json_decref(layers);
    return status;
}
