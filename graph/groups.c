#include "graph/groups.h"

#include <limits.h>

#include "ops/attr.h"

/* Channels of a value: those of its last dimension's entry p are those of output
 * first + p / repeat.  Outputs 0, 1, ... are the rows of all layers, in the order they run; 0 is no
 * layer's and stays. */
typedef struct view {
    int first, repeat;
} view;

static const view fixed = { 0, INT_MAX };

/* parent[] of outputs and layers: the one that both were tied to, itself: none; always smaller. */
typedef struct finder {
    const oct_graph *g;
    view *value;            /* [n_nodes] what each node writes */
    int *output, *layer;    /* parents */
    int *layer_of;          /* [n_outputs] */
    oct_group_kind *kind;   /* of layers, of their group at its root */
    int n_outputs, n_layers;
    oct_groups *out;
} finder;

/* ---- ties ---- */

static int root(int *parent, int i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void tie(finder *f, int a, int b)
{
    const int x = root(f->output, a), y = root(f->output, b);
    const int p = root(f->layer, f->layer_of[a]), q = root(f->layer, f->layer_of[b]);
    f->output[x < y ? y : x] = x < y ? x : y;
    if (f->kind[p] < f->kind[q]) f->kind[p] = f->kind[q];
    if (f->kind[q] < f->kind[p]) f->kind[q] = f->kind[p];
    f->layer[p < q ? q : p] = p < q ? p : q;
}

static int at(view v, int p) { return v.first + p / v.repeat; }

/* n entries of a and b are the same. */
static void tie_all(finder *f, view a, view b, int n)
{
    if (a.first == b.first && a.repeat == b.repeat) return;
    for (int p = 0; p < n; p++) tie(f, at(a, p), at(b, p));
}

static view view_of(const finder *f, const oct_tensor *value)
{
    const oct_node *node = oct_graph_writer(f->g, value);
    return node ? f->value[node - f->g->node] : fixed;
}

static int width(const oct_tensor *t) { return t->dim[t->rank - 1]; }

/* The value as a row: an image's pixels are the inner part of its features. */
static view flat(view v, const oct_tensor *t)
{
    if (t->rank == 4 && v.repeat != INT_MAX) v.repeat *= t->dim[1] * t->dim[2];
    return v;
}

/* ---- operators ---- */

static void add_axis(finder *f, const oct_tensor *constant, int dim, view v)
{
    if (constant && v.repeat != INT_MAX)
        f->out->axis[f->out->n_axes++] = (oct_group_axis){ constant, dim, v.first, v.repeat };
}

static int is_grouped(const oct_node *node)
{
    return node->kind == OCT_OP_CONV2D && ((const oct_conv2d_attr *)node->args.attr)->groups > 1;
}

static int is_layer(const oct_node *node)
{
    return !node->dead && (node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR);
}

/* conv2d and linear have their operands in the same places. */
static view add_layer(finder *f, const oct_node *node, int layer)
{
    oct_tensor *const *in = node->args.in;
    const oct_tensor *x = in[OCT_CONV2D_X], *w = in[OCT_CONV2D_W];
    const view from = view_of(f, x), y = { f->n_outputs, 1 };
    f->kind[layer] = node->kind == OCT_OP_CONV2D ? OCT_GROUP_CHANNEL : OCT_GROUP_NEURON;
    for (int o = 0; o < w->dim[0]; o++, f->n_outputs++) {
        f->output[f->n_outputs] = f->n_outputs;
        f->layer_of[f->n_outputs] = layer;
    }
    add_axis(f, w, 0, y);
    add_axis(f, w, 1, node->kind == OCT_OP_LINEAR ? flat(from, x) : from);
    add_axis(f, in[OCT_CONV2D_BIAS], 0, y);
    if (is_grouped(node)) {
        tie_all(f, from, fixed, width(x));
        tie_all(f, y, fixed, w->dim[0]);
    }
    if (in[OCT_CONV2D_RESIDUAL])
        tie_all(f, y, view_of(f, in[OCT_CONV2D_RESIDUAL]), w->dim[0]);
    return y;
}
_Static_assert((int)OCT_CONV2D_X == (int)OCT_LINEAR_X && (int)OCT_CONV2D_W == (int)OCT_LINEAR_W &&
               (int)OCT_CONV2D_BIAS == (int)OCT_LINEAR_BIAS &&
               (int)OCT_CONV2D_RESIDUAL == (int)OCT_LINEAR_RESIDUAL, "add_layer reads both");

static view add_batchnorm(finder *f, const oct_node *node)
{
    const view x = view_of(f, node->args.in[OCT_BATCHNORM_X]);
    for (int k = OCT_BATCHNORM_GAMMA; k <= OCT_BATCHNORM_VAR; k++)
        add_axis(f, node->args.in[k], 0, x);
    return x;
}

static view add_sum(finder *f, const oct_node *node)
{
    const view a = view_of(f, node->args.in[OCT_ADD_A]), b = view_of(f, node->args.in[OCT_ADD_B]);
    tie_all(f, a, b, width(node->args.out));
    return a;
}

/* x is q, k, v or, with q apart, k, v; a head is the same columns of each. */
static view add_attention(finder *f, const oct_node *node)
{
    const oct_tensor *x = node->args.in[OCT_ATTENTION_X], *q = node->args.in[OCT_ATTENTION_Q];
    const view from = view_of(f, x), query = q ? view_of(f, q) : from;
    const oct_attention_attr *attr = node->args.attr;
    const int d = width(node->args.out), size = d / attr->heads; /* columns of a head */
    for (int p = 0; p < width(x); p++) tie(f, at(from, p), at(from, p % d / size * size));
    for (int p = 0; q && p < d; p++) tie(f, at(query, p), at(from, p));
    f->kind[root(f->layer, f->layer_of[from.first])] = OCT_GROUP_HEAD;
    return from;
}

/* Of what is not known here every channel stays. */
static view add_other(finder *f, const oct_node *node)
{
    for (int k = 0; k < OCT_MAX_IN; k++)
        if (node->args.in[k] && node->args.in[k]->rank > 0)
            tie_all(f, view_of(f, node->args.in[k]), fixed, width(node->args.in[k]));
    return fixed;
}

static view add_node(finder *f, const oct_node *node)
{
    const oct_tensor *x = node->args.in[0];
    switch (node->kind) {
    case OCT_OP_CONV2D:
    case OCT_OP_LINEAR:     return add_layer(f, node, f->n_layers++);
    case OCT_OP_BATCHNORM:  return add_batchnorm(f, node);
    case OCT_OP_ADD:        return add_sum(f, node);
    case OCT_OP_ATTENTION:  return add_attention(f, node);
    case OCT_OP_FLATTEN:    return flat(view_of(f, x), x);
    case OCT_OP_ACTIVATION:
    case OCT_OP_POOL:
    case OCT_OP_FIRST:      return view_of(f, x);
    default:                return add_other(f, node);
    }
}

/* ---- the numbers ---- */

/* Roots become 0, 1, ... in their order; parent[i] becomes the number of i's root. */
static int number(int *parent, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) parent[i] = parent[i] == i ? count++ : parent[parent[i]];
    return count;
}

static void finish(finder *f)
{
    oct_groups *o = f->out;
    for (int i = 0; i < f->n_outputs; i++)
        if (root(f->layer, f->layer_of[i]) == 0) tie(f, i, 0);
    for (int i = 0; i < f->n_outputs; i++) f->output[i] = root(f->output, i);
    for (int i = 0; i < f->n_layers; i++) f->layer[i] = root(f->layer, i);
    f->kind[0] = OCT_GROUP_FIXED;
    for (int i = 0; i < f->n_layers; i++)
        if (f->layer[i] == i) o->kind[o->n_groups++] = f->kind[i];
    number(f->layer, f->n_layers);
    for (int i = 0; i < f->n_outputs; i++)
        if (f->output[i] == i) o->group[o->n_channels++] = f->layer[f->layer_of[i]];
    number(f->output, f->n_outputs);
    o->channel = f->output;
    o->n_outputs = f->n_outputs;
}

static oct_status allocate(finder *f, oct_arena *arena)
{
    const oct_graph *g = f->g;
    size_t outputs = 1, layers = 1;
    for (int i = 0; i < g->n_nodes; i++)
        if (is_layer(&g->node[i])) {
            outputs += (size_t)g->node[i].args.in[OCT_CONV2D_W]->dim[0];
            layers++;
        }
    const size_t axes = (size_t)OCT_MAX_IN * ((size_t)g->n_nodes + 1);
    f->value = oct_arena_alloc(arena, ((size_t)g->n_nodes + 1) * sizeof *f->value);
    f->output = oct_arena_zalloc(arena, outputs * sizeof *f->output);
    f->layer_of = oct_arena_zalloc(arena, outputs * sizeof *f->layer_of);
    f->layer = oct_arena_zalloc(arena, layers * sizeof *f->layer);
    f->kind = oct_arena_zalloc(arena, layers * sizeof *f->kind);
    f->out->kind = oct_arena_zalloc(arena, layers * sizeof *f->out->kind);
    f->out->group = oct_arena_zalloc(arena, outputs * sizeof *f->out->group);
    f->out->axis = oct_arena_alloc(arena, axes * sizeof *f->out->axis);
    if (outputs > INT_MAX || !f->value || !f->output || !f->layer_of || !f->layer || !f->kind ||
        !f->out->kind || !f->out->group || !f->out->axis)
        return oct_fail(OCT_ERR_MEMORY, "channels: out of memory");
    for (size_t i = 0; i < layers; i++) f->layer[i] = (int)i;
    return OCT_OK;
}

oct_status oct_groups_find(const oct_graph *g, oct_arena *arena, oct_groups *out)
{
    finder f = { .g = g, .out = out, .n_outputs = 1, .n_layers = 1 };
    *out = (oct_groups){ .n_groups = 0 };
    OCT_TRY(allocate(&f, arena));
    for (int i = 0; i < g->n_nodes; i++)
        f.value[i] = g->node[i].dead ? fixed : add_node(&f, &g->node[i]);
    for (int i = 0; i < g->n_outs; i++)
        tie_all(&f, view_of(&f, g->out[i]), fixed, width(g->out[i]));
    finish(&f);
    return OCT_OK;
}
