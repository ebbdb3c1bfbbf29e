#include "models/sparse.h"

#include <string.h>

#include "ops/attr.h"
#include "ops/conv2d_sparse_s8.h"
#include "ops/linear_sparse_s8.h"
#include "ops/sparse_f32.h"
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
    double weights;
    oct_sparse_forms blocks;   /* of S8 */
    oct_sparse_f32_count count; /* of floats */
} layer;

static oct_status add_weight(layer *l, const oct_tensor *w)
{
    l->out += w->dim[0];
    l->in = w->dim[1];
    l->weights += (double)oct_tensor_count(w);
    if (w->dtype != OCT_S8) return oct_sparse_f32_add(w, &l->count);
    if (w->dim[1] % 4) return OCT_OK;
    const oct_sparse_forms n = oct_sparse_blocks(w);
    l->blocks = (oct_sparse_forms){ l->blocks.across + n.across, l->blocks.down + n.down,
                                    n.halved && (l->blocks.halved || l->out == w->dim[0]) };
    return OCT_OK;
}

static oct_status find_weights(layer *l, const oct_model *m, const oct_save_tensor *tensors, int n)
{
    const oct_tensor *w = l->node->args.in[OCT_CONV2D_W];
    if (w->dtype == OCT_S8) return add_weight(l, w);
    for (int i = 0; i < m->n_constants; i++)
        for (int k = 0; k < n && m->constant[i].tensor == w; k++)
            if (strcmp(tensors[k].name, m->constant[i].name) == 0)
                OCT_TRY(add_weight(l, tensors[k].tensor));
    return OCT_OK;
}

static oct_conv2d_shape shape_of(const layer *l)
{
    oct_conv2d_shape c = oct_conv2d_shape_of(&l->node->args);
    c.out = l->out;
    c.c = l->in * c.groups;
    return c;
}

/* Of S8 the density below which sparse blocks are faster on this ISA; 0: never. */
static oct_sparse_forms limit_of(const layer *l, int isa)
{
    const oct_tensor *x = l->node->args.in[OCT_CONV2D_X], *w = l->node->args.in[OCT_CONV2D_W];
    const int conv = l->node->kind == OCT_OP_CONV2D;
    if (conv && x->dtype == OCT_U8) {
        const oct_conv2d_shape c = shape_of(l);
        return oct_conv2d_sparse_s8_limit(&c, isa, x->max);
    }
    if (!conv && oct_linear_sparse_s8_can(x, w)) return oct_linear_sparse_s8_limit(isa);
    return (oct_sparse_forms){ 0, 0, 0 };
}

static int pays(const layer *l, int isa)
{
    if (l->node->args.in[OCT_CONV2D_W]->dtype == OCT_S8)
        return oct_sparse_pays(l->blocks, limit_of(l, isa), l->weights);
    if (l->node->kind == OCT_OP_LINEAR)
        return oct_sparse_f32_pays(oct_linear_sparse_f32_limit(isa), &l->count, l->weights);
    const oct_conv2d_shape c = shape_of(l);
    return oct_sparse_f32_pays(oct_conv2d_sparse_f32_limit(&c, isa), &l->count, l->weights);
}

/* NULL: memory; an empty list: always dense. */
static json_t *isas_of(const layer *l)
{
    json_t *list = json_array();
    for (int i = 0; i < N_ISAS; i++)
        if (pays(l, flag_of(isas[i])))
            list = oct_json_append(list, json_string(isas[i]));
    return list;
}

static oct_status decide(const oct_model *m, const oct_save_tensor *tensors, int n,
                         json_t **layers)
{
    for (int i = 0; i < m->graph.n_nodes; i++) {
        layer l = { .node = &m->graph.node[i] };
        if (!can_be_sparse(l.node)) continue;
        OCT_TRY(find_weights(&l, m, tensors, n));
        json_t *list = isas_of(&l);
        if (list && json_array_size(list) == 0) json_decref(list);
        else *layers = oct_json_put(*layers, l.node->name, list);
    }
    return OCT_OK;
}

oct_status oct_sparse_decide(const oct_model *m, const oct_save_tensor *tensors, int n,
                             oct_arena *arena, const char **out)
{
    json_t *layers = json_object();
    *out = NULL;
    const oct_status status = decide(m, tensors, n, &layers);
    if (status) {
        json_decref(layers);
        return status;
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
    if (!text || m->dense || (floats && strcmp(m->precision, "fp32") != 0)) return OCT_OK;
    OCT_TRY(oct_json_parse(key, text, JSON_OBJECT, &layers));
    const oct_status status = restore(m, layers);
    json_decref(layers);
    return status;
}
