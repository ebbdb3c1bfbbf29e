#include "graph/graph.h"

#include <string.h>

enum { FIRST_NODES = 64 };

oct_status oct_graph_fail(oct_status status, const char *name)
{
    char why[200]; /* oct_fail may not read its own buffer */
    snprintf(why, sizeof why, "%s", oct_last_error());
    return oct_fail(status, "%.80s: %s", name, why);
}

static oct_status out_of_memory(const char *name)
{
    return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", name);
}

/* A list of n tensors in the arena, one longer; the old one stays where it was. */
static oct_status append(oct_arena *arena, oct_tensor ***list, int *n, oct_tensor *value)
{
    oct_tensor **longer = oct_arena_alloc(arena, ((size_t)*n + 1) * sizeof *longer);
    if (!longer) return out_of_memory("graph");
    if (*n) memcpy(longer, *list, (size_t)*n * sizeof *longer);
    longer[*n] = value;
    *list = longer;
    ++*n;
    return OCT_OK;
}

oct_status oct_graph_input(oct_graph *g, const oct_tensor *shape, oct_tensor **out)
{
    OCT_TRY(oct_tensor_check(shape));
    oct_tensor *value = oct_arena_alloc(g->arena, sizeof *value);
    if (!value) return out_of_memory("input");
    *value = *shape;
    value->data = NULL;
    *out = value;
    return append(g->arena, &g->in, &g->n_ins, value);
}

static oct_status make_room(oct_graph *g)
{
    if (g->n_nodes < g->max_nodes) return OCT_OK;
    const int max = g->max_nodes ? 2 * g->max_nodes : FIRST_NODES;
    oct_node *node = oct_arena_alloc(g->arena, (size_t)max * sizeof *node);
    if (!node) return out_of_memory("graph");
    if (g->n_nodes) memcpy(node, g->node, (size_t)g->n_nodes * sizeof *node);
    g->node = node;
    g->max_nodes = max;
    return OCT_OK;
}

oct_status oct_graph_add(oct_graph *g, oct_op_kind kind, const char *name, const void *attr,
                         size_t attr_size, oct_tensor *const in[OCT_MAX_IN], oct_tensor **out)
{
    OCT_TRY(make_room(g));
    oct_node node = { .kind = kind, .name = oct_arena_strdup(g->arena, name) };
    void *copy = attr ? oct_arena_alloc(g->arena, attr_size) : NULL;
    oct_tensor *value = oct_arena_zalloc(g->arena, sizeof *value);
    if (!node.name || !value || (attr && !copy)) return out_of_memory(name);
    if (copy) memcpy(copy, attr, attr_size);
    node.args.attr = copy;
    memcpy(node.args.in, in, sizeof node.args.in);
    node.args.out = value;
    oct_status status = oct_ops[kind]->infer(&node.args);
    if (status == OCT_OK) status = oct_tensor_check(value);
    if (status != OCT_OK) return oct_graph_fail(status, name);
    g->node[g->n_nodes++] = node;
    *out = value;
    return OCT_OK;
}

oct_status oct_graph_output(oct_graph *g, oct_tensor *value)
{
    return append(g->arena, &g->out, &g->n_outs, value);
}

/* Is value there before node `before` runs?  Searched backwards: it is mostly the last one. */
static int available(const oct_graph *g, const oct_tensor *value, int before)
{
    if (value->data) return 1;
    for (int i = before - 1; i >= 0; i--)
        if (!g->node[i].dead && g->node[i].args.out == value) return 1;
    for (int i = 0; i < g->n_ins; i++)
        if (g->in[i] == value) return 1;
    return 0;
}

static int same_shape(const oct_tensor *a, const oct_tensor *b)
{
    return a->dtype == b->dtype && a->layout == b->layout && a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

static oct_status verify_node(const oct_graph *g, int i)
{
    const oct_node *node = &g->node[i];
    for (int k = 0; k < OCT_MAX_IN; k++)
        if (node->args.in[k] && !available(g, node->args.in[k], i))
            return oct_fail(OCT_ERR_SHAPE, "%.80s: operand %d is not there when it is read",
                            node->name, k);
    if (available(g, node->args.out, i))
        return oct_fail(OCT_ERR_SHAPE, "%.80s: writes a value that is there already", node->name);
    oct_tensor out = *node->args.out;
    oct_args args = node->args;
    args.out = &out;
    const oct_status status = oct_ops[node->kind]->infer(&args);
    if (status != OCT_OK) return oct_graph_fail(status, node->name);
    if (!same_shape(&out, node->args.out)) {
        char want[96], got[96];
        return oct_fail(OCT_ERR_SHAPE, "%.80s: shape %s, expected %s", node->name,
                        oct_tensor_shape(node->args.out, got, sizeof got),
                        oct_tensor_shape(&out, want, sizeof want));
    }
    return OCT_OK;
}

oct_status oct_graph_verify(const oct_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead) OCT_TRY(verify_node(g, i));
    for (int i = 0; i < g->n_outs; i++)
        if (!available(g, g->out[i], g->n_nodes))
            return oct_fail(OCT_ERR_SHAPE, "graph: nobody writes output %d", i);
    return OCT_OK;
}

oct_node *oct_graph_sole_user(const oct_graph *g, const oct_tensor *value)
{
    oct_node *found = NULL;
    for (int i = 0; i < g->n_outs; i++)
        if (g->out[i] == value) return NULL;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < OCT_MAX_IN && !g->node[i].dead; k++)
            if (g->node[i].args.in[k] == value) {
                if (found) return NULL;
                found = &g->node[i];
            }
    return found;
}

oct_node *oct_graph_writer(const oct_graph *g, const oct_tensor *value)
{
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (!g->node[i].dead && g->node[i].args.out == value) return &g->node[i];
    return NULL;
}

void oct_graph_bypass(oct_graph *g, oct_node *node, int operand)
{
    oct_tensor *const to = node->args.in[operand], *const from = node->args.out;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < OCT_MAX_IN; k++)
            if (g->node[i].args.in[k] == from) g->node[i].args.in[k] = to;
    for (int i = 0; i < g->n_outs; i++)
        if (g->out[i] == from) g->out[i] = to;
    node->dead = 1;
}
