/* Insert quantize and dequantize where dtypes meet.
 *
 *   conv2d, linear   x is U8 where w is S8 (if nobody says how to quantize it, it may stay FP32:
 *                    the layer does it at run time), the residual where the output is
 *   add              both U8 where the output is
 *   pool, pad, flatten, dequantize   as they come
 *   all others       FP32
 *
 * Nodes are walked in order: operands are made right, then the node is inferred, so that what reads
 * it sees its dtype. */
#include "graph/boundary.h"

#include <stdio.h>
#include <string.h>

#include "graph/pass.h"

enum taken { FP32, U8, ANY };

/* value as FP32 or U8 besides what it is: what the inserted node writes */
typedef struct twin {
    const oct_tensor *value;
    oct_tensor *other;
} twin;

typedef struct work {
    oct_graph *g;          /* its nodes are those made so far */
    oct_boundary_ask *ask;
    void *arg;
    twin *twin;
    int n_twins;
    int *changes;
} work;

static const oct_quant *quant_of(const oct_node *node)
{
    switch (node->kind) {
    case OCT_OP_CONV2D: return &((const oct_conv2d_attr *)node->args.attr)->quant;
    case OCT_OP_LINEAR: return &((const oct_linear_attr *)node->args.attr)->quant;
    case OCT_OP_ADD:    return &((const oct_add_attr *)node->args.attr)->quant;
    default:            return NULL;
    }
}

_Static_assert((int)OCT_CONV2D_W == (int)OCT_LINEAR_W, "one place for both");

static int is_weighted_x(const oct_node *node, int k)
{
    return (node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR) && k == OCT_CONV2D_X;
}

static enum taken takes(const oct_node *node, int k)
{
    const oct_quant *q = quant_of(node);
    switch (node->kind) {
    case OCT_OP_CONV2D:
    case OCT_OP_LINEAR:
        if (is_weighted_x(node, k)) return node->args.in[OCT_CONV2D_W]->dtype == OCT_S8 ? U8 : FP32;
        return q->scale != 0 ? U8 : FP32;
    case OCT_OP_ADD: return q->scale != 0 ? U8 : FP32;
    case OCT_OP_POOL:
    case OCT_OP_PAD:
    case OCT_OP_FLATTEN:
    case OCT_OP_DEQUANTIZE: return ANY;
    default: return FP32;
    }
}

int oct_boundary_takes_u8(const oct_node *node, int k) { return takes(node, k) == U8; }

/* value in its other dtype; the node that makes it is put before the one that asks. */
static oct_status convert(work *w, const char *name, oct_tensor *value, oct_tensor **out)
{
    const int to_u8 = value->dtype == OCT_F32;
    for (int i = 0; i < w->n_twins; i++)
        if (w->twin[i].value == value) {
            *out = w->twin[i].other;
            return OCT_OK;
        }
    char text[120];
    oct_boundary_how how = { .by = NULL };
    const oct_node *writer = oct_graph_writer(w->g, value);
    snprintf(text, sizeof text, "%.80s:%s", writer ? writer->name : "input",
             to_u8 ? "quantize" : "dequantize");
    if (to_u8 && !w->ask)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: an operand is F32, expected U8", name);
    if (to_u8) OCT_TRY(w->ask(w->arg, value, &how));
    const oct_quantize_attr attr = { .quant = how.quant };
    OCT_TRY(oct_graph_add(w->g, to_u8 ? OCT_OP_QUANTIZE : OCT_OP_DEQUANTIZE, text,
                          to_u8 ? &attr : NULL, sizeof attr,
                          (oct_tensor *[OCT_MAX_IN]){ value, how.by }, out));
    w->twin[w->n_twins++] = (twin){ value, *out };
    ++*w->changes;
    return OCT_OK;
}

static oct_status place(work *w, oct_node node)
{
    for (int k = 0; k < OCT_MAX_IN; k++) {
        oct_tensor *t = node.args.in[k];
        if (!t || t->data) continue;
        const enum taken want = takes(&node, k);
        if (want == U8 && t->dtype != OCT_U8 && !w->ask && is_weighted_x(&node, k)) continue;
        if ((want == U8 && t->dtype != OCT_U8) || (want == FP32 && t->dtype == OCT_U8))
            OCT_TRY(convert(w, node.name, t, &node.args.in[k]));
    }
    const oct_status status = oct_ops[node.kind]->infer(&node.args);
    if (status != OCT_OK) return oct_graph_fail(status, node.name);
    w->g->node[w->g->n_nodes++] = node; /* there is room: see below */
    return OCT_OK;
}

static oct_status place_all(work *w, const oct_node *node, int n)
{
    for (int i = 0; i < n; i++)
        if (!node[i].dead) OCT_TRY(place(w, node[i]));
    for (int i = 0; i < w->g->n_outs; i++)
        if (w->g->out[i]->dtype == OCT_U8)
            OCT_TRY(convert(w, "output", w->g->out[i], &w->g->out[i]));
    return OCT_OK;
}

oct_status oct_graph_boundary(oct_graph *g, oct_boundary_ask *ask, void *arg, int *changes)
{
    /* each value gets one twin at most, so twice the nodes and the inputs are enough */
    const int most = 2 * g->n_nodes + g->n_ins, n = g->n_nodes;
    oct_node *const old = g->node;
    work w = { .g = g, .ask = ask, .arg = arg, .changes = changes };
    oct_node *node = oct_arena_alloc(g->arena, (size_t)most * sizeof *node);
    w.twin = oct_arena_alloc(g->arena, (size_t)most * sizeof *w.twin);
    if (!node || !w.twin) return oct_fail(OCT_ERR_MEMORY, "boundary: out of memory");
    g->node = node;
    g->n_nodes = 0;
    g->max_nodes = most;
    return place_all(&w, old, n);
}

oct_status oct_pass_boundary(oct_graph *g, int *changes)
{
    return oct_graph_boundary(g, NULL, NULL, changes);
}
