#include "quant/pass_quantize.h"

#include <string.h>

#include "graph/boundary.h"
#include "quant/layer.h"
#include "quant/smooth.h"
#include "quant/table.h"

typedef struct work {
    oct_graph *g;
    const oct_calibration *c;  /* NULL: a file is restored, the table has all */
    const oct_quantize_options *o;
    oct_quant_table table;     /* what was asked for so far */
    oct_quant_entry *entry;    /* its entries, while they are collected */
    unsigned char *quantized;  /* [n_nodes] conv2d, linear, add that become integers */
    unsigned char *wanted;     /* [n_nodes] something reads the node's value as U8 */
    int smoothed;              /* layers */
} work;

static int is_layer(const oct_node *node)
{
    return node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR;
}

static int is_maximum(const oct_node *node)
{
    return node->kind == OCT_OP_POOL &&
           ((const oct_pool_attr *)node->args.attr)->kind == OCT_POOL_MAX;
}

/* Does node hand on its operand's quantization? */
static int moves(const oct_node *node)
{
    return node->kind == OCT_OP_PAD || node->kind == OCT_OP_FLATTEN || is_maximum(node);
}

/* Can node read operand k as U8, and would it if it came so? */
static int would_read(const work *w, int i, int k)
{
    const oct_node *node = &w->g->node[i];
    switch (node->kind) {
    case OCT_OP_CONV2D:
    case OCT_OP_LINEAR:
        return w->quantized[i] && (k == OCT_CONV2D_X || w->wanted[i]);
    case OCT_OP_ADD: return w->quantized[i];
    case OCT_OP_POOL:
        return !is_maximum(node) || w->wanted[i];
    case OCT_OP_PAD:
    case OCT_OP_FLATTEN: return w->wanted[i];
    default: return 0;
    }
}

/* Does node apply an activation that the integer kernels do not have, so that its value is FP32? */
static int curved(const oct_node *node)
{
    return node->kind == OCT_OP_LINEAR &&
           ((const oct_linear_attr *)node->args.attr)->act > OCT_ACT_RELU6;
}

static int ends_in_gelu(const oct_node *node)
{
    return node->kind == OCT_OP_LINEAR &&
           ((const oct_linear_attr *)node->args.attr)->act == OCT_ACT_GELU;
}

/* Operands that are value and would be read as U8. */
static int count_readers(const work *w, const oct_tensor *value)
{
    const oct_graph *g = w->g;
    int n = 0;
    for (int j = 0; j < g->n_nodes; j++)
        for (int k = 0; k < OCT_MAX_IN && !g->node[j].dead; k++)
            n += g->node[j].args.in[k] == value && would_read(w, j, k);
    return n;
}

static int any_reader(const work *w, int i)
{
    const oct_graph *g = w->g;
    const oct_tensor *value = g->node[i].args.out;
    if (curved(&g->node[i])) return 0;
    for (int j = 0; j < g->n_outs; j++)
        if (g->out[j] == value) return 0;
    return count_readers(w, value) > 0;
}

static int can_quantize(const work *w, int i)
{
    const oct_node *node = &w->g->node[i];
    if (oct_keep_has((oct_keep){ w->o->keep, w->o->n_keep }, node->name)) return 0;
    if (node->kind == OCT_OP_ADD) return w->wanted[i];
    if (w->c) return oct_quantize_can(node);
    return is_layer(node) && node->args.in[OCT_CONV2D_W]->dtype == OCT_S8;
}

/* From the last node to the first: whether a value is wanted depends on who reads it. */
static void decide(work *w)
{
    for (int i = w->g->n_nodes - 1; i >= 0; i--) {
        if (w->g->node[i].dead) continue;
        w->wanted[i] = (unsigned char)any_reader(w, i);
        w->quantized[i] = (unsigned char)can_quantize(w, i);
    }
}

/* The node whose range counts for node's value: the last of the maxima that alone read it. */
static const oct_node *ranged(const work *w, const oct_node *node)
{
    for (;;) {
        const oct_node *user = oct_graph_sole_user(w->g, node->args.out);
        if (!user || !is_maximum(user)) return node;
        node = user;
    }
}

static const oct_quant_entry *find_entry(const work *w, const char *name)
{
    for (int i = 0; i < w->table.n; i++)
        if (strcmp(w->table.entry[i].name, name) == 0) return &w->table.entry[i];
    return NULL;
}

static const oct_quant_entry *add_entry(work *w, const char *name, oct_range range, oct_tensor *by)
{
    const oct_qparams p = oct_qparams_u8(range, w->o->qmax);
    oct_quant_entry *e = &w->entry[w->table.n++];
    *e = (oct_quant_entry){ name, { p.scale, p.zero, w->o->qmax }, by };
    return e;
}

static oct_status find_quant(work *w, const char *name, const oct_quant_entry **out)
{
    const oct_method_options options = { .qmax = w->o->qmax, .ppm = w->o->ppm };
    const oct_observed *seen = w->c ? oct_calibration_find(w->c, name) : NULL;
    oct_range range;
    *out = find_entry(w, name);
    if (*out) return OCT_OK;
    if (!seen)
        return oct_fail(OCT_ERR_FORMAT, w->c ? "quantize: %.80s was not calibrated"
                                             : "octet.quant: no scale for %.80s", name);
    OCT_TRY(oct_observer_range(seen->observer, w->o->method, &options, &range));
    *out = add_entry(w, name, range, NULL);
    return OCT_OK;
}

static const char *name_of(const oct_node *writer) { return writer ? writer->name : "input"; }

/* For values that stay FP32 where they are written: the caller's input, a kept layer's output. */
static oct_status ask(void *arg, const oct_tensor *t, oct_boundary_how *out)
{
    work *w = arg;
    const oct_quant_entry *e;
    OCT_TRY(find_quant(w, name_of(oct_graph_writer(w->g, t)), &e));
    *out = (oct_boundary_how){ e->quant, e->by };
    return OCT_OK;
}

static const struct { size_t size, quant; } places[OCT_OP_COUNT] = {
    [OCT_OP_CONV2D] = { sizeof(oct_conv2d_attr), offsetof(oct_conv2d_attr, quant) },
    [OCT_OP_LINEAR] = { sizeof(oct_linear_attr), offsetof(oct_linear_attr, quant) },
    [OCT_OP_POOL]   = { sizeof(oct_pool_attr), offsetof(oct_pool_attr, quant) },
    [OCT_OP_ADD]    = { sizeof(oct_add_attr), offsetof(oct_add_attr, quant) },
};

/* The node gets an attr of its own, with its output's quantization. */
static oct_status set_quant(work *w, oct_node *node)
{
    const oct_quant_entry *e;
    OCT_TRY(find_quant(w, ranged(w, node)->name, &e));
    if (e->by)
        return oct_fail(OCT_ERR_FORMAT, "octet.quant: %.80s is smoothed, and written in integers",
                        e->name);
    char *attr = oct_arena_alloc(w->g->arena, places[node->kind].size);
    if (!attr) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", node->name);
    memcpy(attr, node->args.attr, places[node->kind].size);
    memcpy(attr + places[node->kind].quant, &e->quant, sizeof e->quant);
    node->args.attr = attr;
    return OCT_OK;
}

/* Scale of node's x: of its writer if that is quantized, through what only moves or compares. */
static oct_status scale_of(work *w, const unsigned char *u8, const oct_tensor *t, float *out)
{
    oct_quant q;
    const oct_node *writer = oct_graph_writer(w->g, t);
    if (writer && moves(writer) && u8[writer - w->g->node])
        return scale_of(w, u8, writer->args.in[0], out);
    if (writer && u8[writer - w->g->node]) {
        memcpy(&q, (const char *)writer->args.attr + places[writer->kind].quant, sizeof q);
        *out = q.scale;
        return OCT_OK;
    }
    const oct_quant_entry *e;
    OCT_TRY(find_quant(w, name_of(writer), &e));
    *out = e->quant.scale;
    return OCT_OK;
}

/* The strength that smooth has for layer i: it ends in a GELU, or reads what does; 0: neither. */
static double strength_of(const work *w, int i)
{
    const oct_node *node = &w->g->node[i];
    const oct_node *writer = oct_graph_writer(w->g, node->args.in[OCT_LINEAR_X]);
    if (node->kind != OCT_OP_LINEAR) return 0;
    if (ends_in_gelu(node)) return w->o->smooth[0];
    return writer && ends_in_gelu(writer) ? w->o->smooth[1] : 0;
}

/* Layer i's x, if it is FP32 rows that nothing else reads as integers, exchanges factors with its
 * weights: *by, NULL where it does not. */
static oct_status smooth(work *w, const unsigned char *u8, int i, const float **by)
{
    oct_node *node = &w->g->node[i];
    oct_tensor *x = node->args.in[OCT_LINEAR_X], *weight = node->args.in[OCT_LINEAR_W], *factors;
    const oct_node *writer = oct_graph_writer(w->g, x);
    const double strength = strength_of(w, i);
    *by = NULL;
    if (!(strength > 0) || !writer || u8[writer - w->g->node] || count_readers(w, x) != 1)
        return OCT_OK;
    const oct_observed *seen = oct_calibration_find(w->c, writer->name);
    if (!seen || seen->extremes.channels != weight->dim[1]) return OCT_OK;
    OCT_TRY(oct_smooth_factors(&seen->extremes, weight, strength, w->g->arena, &factors));
    *by = factors->data;
    add_entry(w, writer->name, oct_smooth_range(&seen->extremes, *by), factors);
    w->smoothed++;
    return OCT_OK;
}

/* Is node's value U8, given those before it? */
static int becomes_u8(const work *w, const unsigned char *u8, int i)
{
    const oct_node *node = &w->g->node[i], *writer;
    if (is_layer(node) || node->kind == OCT_OP_ADD) return w->quantized[i] && w->wanted[i];
    if (node->kind != OCT_OP_POOL && node->kind != OCT_OP_PAD && node->kind != OCT_OP_FLATTEN)
        return 0;
    writer = oct_graph_writer(w->g, node->args.in[0]);
    if (!writer || !u8[writer - w->g->node]) return 0;
    return w->wanted[i] || moves(node);
}

/* A file has them already. */
static oct_status convert_tables(work *w, oct_node *node, int *changes)
{
    int changed = 0;
    if (!w->c || oct_keep_has((oct_keep){ w->o->keep, w->o->n_keep }, node->name)) return OCT_OK;
    const oct_status status = oct_quantize_tables(node, w->g->arena, &changed);
    *changes += changed;
    return status;
}

static oct_status convert(work *w, unsigned char *u8, int i, int *changes)
{
    oct_node *node = &w->g->node[i];
    if (node->dead) return OCT_OK;
    if (node->kind == OCT_OP_EMBEDDING) return convert_tables(w, node, changes);
    u8[i] = (unsigned char)becomes_u8(w, u8, i);
    if (u8[i] && !moves(node)) OCT_TRY(set_quant(w, node));
    if (!w->quantized[i] || !is_layer(node)) return OCT_OK;
    ++*changes;
    if (!w->c) return OCT_OK; /* its weights are integers */
    oct_quantize_layer layer = { .node = node, .arena = w->g->arena };
    OCT_TRY(smooth(w, u8, i, &layer.by));
    OCT_TRY(scale_of(w, u8, node->args.in[OCT_CONV2D_X], &layer.s_in));
    if (w->o->bias_correction) {
        const oct_node *writer = oct_graph_writer(w->g, node->args.in[OCT_CONV2D_X]);
        const oct_observed *x = oct_calibration_find(w->c, name_of(writer));
        layer.means = x ? &x->means : NULL;
    }
    return oct_quantize_layer_run(&layer);
}

static oct_status check(const work *w)
{
    if (w->c && w->o->qmax != 127 && w->o->qmax != 255)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: activations to %d, expected 127 or 255",
                        w->o->qmax);
    return oct_keep_check((oct_keep){ w->o->keep, w->o->n_keep }, w->g);
}

static oct_status run(work *w, int *changes)
{
    oct_graph *g = w->g;
    const size_t n = (size_t)g->n_nodes;
    int inserted = 0;
    OCT_TRY(check(w));
    unsigned char *flags = oct_arena_zalloc(g->arena, 3 * n);
    if (!flags) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    w->quantized = flags;
    w->wanted = flags + n;
    decide(w);
    for (int i = 0; i < g->n_nodes; i++) OCT_TRY(convert(w, flags + 2 * n, i, changes));
    if (!w->smoothed && (w->o->smooth[0] > 0 || w->o->smooth[1] > 0))
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: smooth: there is no quantized linear layer "
                        "before or after a GELU");
    OCT_TRY(oct_graph_boundary(g, ask, w, &inserted));
    return oct_graph_verify(g);
}

oct_status oct_pass_quantize(oct_graph *g, const oct_calibration *c,
                             const oct_quantize_options *options, oct_quant_table *table,
                             int *changes)
{
    work w = { .g = g, .c = c, .o = options };
    const size_t most = (size_t)g->n_nodes + 1; /* names: the nodes' and "input" */
    w.entry = oct_arena_alloc(g->arena, most * sizeof *w.entry);
    if (!w.entry) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    w.table.entry = w.entry;
    OCT_TRY(run(&w, changes));
    if (table) *table = w.table;
    return OCT_OK;
}

oct_status oct_pass_restore(oct_graph *g, const oct_quant_table *table, const char *const *keep,
                            int n_keep, int *changes)
{
    const oct_quantize_options options = { .keep = keep, .n_keep = n_keep };
    work w = { .g = g, .o = &options, .table = *table };
    return run(&w, changes);
}
