#include "models/sparse.h"

#include <string.h>

#include "ops/attr.h"
#include "ops/conv2d_sparse_s8.h"
#include "tensor/cpu.h"

static const char key[] = "octet.sparse";

static const char *const isas[] = { "avx512", "avxvnni", "avx2", "neoni8mm", "neondot", "neon" };
enum { N_ISAS = sizeof isas / sizeof *isas };

/* The flag of an ISA's name; 0: unknown, or none that has sparse kernels. */
static int flag_of(const char *name)
{
    unsigned flags;
    return oct_cpu_isa_any(name, &flags) == OCT_OK ? oct_conv2d_sparse_s8_isa(flags) : 0;
}

/* ---- writing ---- */

/* NULL: memory; an empty list: always dense. */
static json_t *isas_of(const oct_node *node)
{
    const oct_tensor *x = node->args.in[OCT_CONV2D_X], *w = node->args.in[OCT_CONV2D_W];
    const oct_conv2d_shape c = oct_conv2d_shape_of(&node->args);
    json_t *list = json_array();
    if (x->dtype != OCT_U8 || w->dtype != OCT_S8 || !oct_conv2d_sparse_s8_can(&c)) return list;
    const double density = oct_conv2d_sparse_s8_density(w);
    for (int i = 0; i < N_ISAS; i++)
        if (oct_conv2d_sparse_s8_pays(&c, flag_of(isas[i]), x->max, density))
            list = oct_json_append(list, json_string(isas[i]));
    return list;
}

oct_status oct_sparse_decide(const oct_model *m, oct_arena *arena, const char **out)
{
    json_t *layers = json_object();
    *out = NULL;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        const oct_node *node = &m->graph.node[i];
        if (node->dead || node->kind != OCT_OP_CONV2D) continue;
        json_t *list = isas_of(node);
        if (list && json_array_size(list) == 0) json_decref(list);
        else layers = oct_json_put(layers, node->name, list);
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
        if (node->dead || node->kind != OCT_OP_CONV2D || strcmp(node->name, name) != 0) continue;
        oct_conv2d_attr *attr = oct_arena_alloc(&m->arena, sizeof *attr);
        if (!attr) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", key);
        *attr = *(const oct_conv2d_attr *)node->args.attr;
        attr->sparse = flags;
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
    if (!text || m->dense) return OCT_OK;
    OCT_TRY(oct_json_parse(key, text, JSON_OBJECT, &layers));
    const oct_status status = restore(m, layers);
    json_decref(layers);
    return status;
}
