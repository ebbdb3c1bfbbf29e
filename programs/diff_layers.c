#include "programs/diff_layers.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/attr.h"

/* What a node has drawn in, in the order in which it is applied.  Weights in integers have drawn in
 * a batch norm if there was one, and do not tell. */
typedef enum has_bn { NO, YES, MAYBE } has_bn;

typedef struct extent {
    has_bn bn;
    int residual;
    oct_act act;
} extent;

static has_bn folded(const oct_tensor *weight)
{
    return weight->dtype == OCT_S8 ? MAYBE : weight->scale ? YES : NO;
}

static extent extent_of(const oct_node *node)
{
    const void *attr = node->args.attr;
    oct_tensor *const *in = node->args.in;
    switch (node->kind) {
    case OCT_OP_CONV2D: /* a folded batch norm is a scale on the weights */
        return (extent){ folded(in[OCT_CONV2D_W]), in[OCT_CONV2D_RESIDUAL] != NULL,
                         ((const oct_conv2d_attr *)attr)->act };
    case OCT_OP_LINEAR:
        return (extent){ folded(in[OCT_LINEAR_W]), in[OCT_LINEAR_RESIDUAL] != NULL,
                         ((const oct_linear_attr *)attr)->act };
    case OCT_OP_ADD: return (extent){ NO, 1, ((const oct_add_attr *)attr)->act };
    default:         return (extent){ NO, 0, OCT_ACT_NONE };
    }
}

/* The first node from node on after which all of want has been applied; NULL: there is none. */
static const oct_node *advance(const oct_graph *g, const oct_node *node, extent want)
{
    extent have = extent_of(node);
    if (want.bn && !have.bn) {
        const oct_node *next = have.residual || have.act
                               ? NULL : oct_graph_sole_user(g, node->args.out);
        if (next && next->kind == OCT_OP_BATCHNORM) node = next;
        else if (want.bn == YES) return NULL;
    }
    if (want.residual && !have.residual) {
        if (have.act) return NULL;
        node = oct_graph_sole_user(g, node->args.out);
        if (!node || node->kind != OCT_OP_ADD) return NULL;
        have.act = extent_of(node).act;
    }
    if (want.act && !have.act) {
        node = oct_graph_sole_user(g, node->args.out);
        if (!node || node->kind != OCT_OP_ACTIVATION) return NULL;
        have.act = ((const oct_activation_attr *)node->args.attr)->act;
    }
    return have.act == want.act ? node : NULL;
}

static const oct_node *find(const oct_graph *g, const oct_node *like)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const oct_node *node = &g->node[i];
        if (!node->dead && node->kind == like->kind && !strcmp(node->name, like->name)) return node;
    }
    return NULL;
}

/* Whose step keeps what node writes. */
static const oct_step *step_of(const oct_model *m, const oct_node *node)
{
    for (int i = 0; node && i < m->plan->n_steps; i++)
        if (m->plan->step[i].node == node) return &m->plan->step[i];
    return NULL;
}

static int is_value(const oct_tensor *t) { return t->dtype == OCT_F32 || t->dtype == OCT_U8; }

/* Samples of the same shape; plans for texts may differ in how many tokens they have room for. */
static int same_rows(const oct_model *m, const oct_tensor *a, const oct_model *n,
                     const oct_tensor *b)
{
    const int from = m->plan->starts && n->plan->starts ? 1 : 0;
    return a->rank == b->rank && a->layout == b->layout && is_value(a) && is_value(b)
           && !memcmp(a->dim + from, b->dim + from, (size_t)(a->rank - from) * sizeof *a->dim);
}

/* Partners of a's node: 1 if both values are there and can be compared. */
static int pair(const oct_model *a, const oct_model *b, const oct_node *node, diff_layer *out)
{
    const oct_node *other = find(&b->graph, node);
    if (!other) return 0;
    extent want = extent_of(node);
    const extent has = extent_of(other);
    if (has.act && want.act && has.act != want.act) return 0;
    if (!want.bn || has.bn == YES) want.bn = has.bn;
    want.residual |= has.residual;
    if (!want.act) want.act = has.act;
    const oct_step *x = step_of(a, advance(&a->graph, node, want));
    const oct_step *y = step_of(b, advance(&b->graph, other, want));
    if (!x || !y || x->per_text != y->per_text || !same_rows(a, x->args.out, b, y->args.out))
        return 0;
    *out = (diff_layer){ .name = node->name, .op = oct_ops[node->kind]->name, .a = x->args.out,
                         .b = y->args.out, .per_text = x->per_text, .dump.fd = -1 };
    return 1;
}

/* Room for a's nodes and the output, and for one batch of the largest value; of texts all tokens of
 * a value that has their first ones only, for dumps have them all. */
static oct_status make_room(const oct_model *a, diff_set *out)
{
    const size_t rows = (size_t)a->plan->in[0].dim[0];
    size_t most = oct_tensor_sample_count(&a->plan->out[0]);
    *out = (diff_set){ .logits = &a->plan->out[0],
                       .starts = a->plan->starts ? a->plan->starts->data : NULL };
    for (int i = 0; i < a->plan->n_steps; i++) {
        const size_t count = oct_tensor_sample_count(a->plan->step[i].args.out);
        if (count > most) most = count;
    }
    most *= rows;
    out->layer = calloc((size_t)a->graph.n_nodes + 1, sizeof *out->layer);
    out->x = calloc(most, sizeof *out->x);
    out->y = calloc(most, sizeof *out->y);
    if (out->layer && out->x && out->y) return OCT_OK;
    diff_free(out);
    return oct_fail(OCT_ERR_MEMORY, "out of memory");
}

static int is_compared(const oct_node *node) /* layout only moves the input */
{
    return !node->dead && node->kind != OCT_OP_LAYOUT;
}

oct_status diff_pair_models(const oct_model *a, const oct_model *b, diff_set *out)
{
    const oct_tensor *x = &a->plan->out[0], *y = &b->plan->out[0];
    char one[64], two[64];
    if (!same_rows(a, x, b, y))
        return oct_fail(OCT_ERR_SHAPE, "gives %s, the other gives %s",
                        oct_tensor_shape(y, one, sizeof one), oct_tensor_shape(x, two, sizeof two));
    OCT_TRY(make_room(a, out));
    for (int i = 0; i < a->graph.n_nodes; i++) {
        if (!is_compared(&a->graph.node[i])) continue;
        if (pair(a, b, &a->graph.node[i], &out->layer[out->n])) out->n++;
        else out->skipped++;
    }
    out->layer[out->n++] = (diff_layer){ .name = "logits", .op = "output", .a = x, .b = y,
                                         .per_text = 1, .dump.fd = -1 };
    return OCT_OK;
}

/* Texts' dumps: a row for each text, or rows for its tokens, as many as the longest has. */
static int fits_texts(const oct_model *m, const diff_layer *layer)
{
    const npy_reader *d = &layer->dump;
    const int k = layer->a->dim[1];
    return (d->rank == 2 && d->dim[1] == k && layer->per_text)
           || (d->rank == 3 && d->dim[2] == k && d->dim[1] <= m->max_length);
}

static int fits(const oct_model *m, const diff_layer *layer)
{
    const npy_reader *d = &layer->dump;
    const oct_tensor *a = layer->a;
    if (m->plan->starts) return fits_texts(m, layer);
    if (d->row != oct_tensor_sample_count(a)) return 0;
    return d->rank != 4 || a->layout != OCT_BLOCKED
           || (d->dim[1] == a->dim[3] && d->dim[2] == a->dim[1] && d->dim[3] == a->dim[2]);
}

/* 1 if FOLDER/NAME.npy was opened into layer; 0 if there is none; else *status says why not. */
static int open_dump(const oct_model *m, const char *folder, diff_layer *layer, diff_set *s,
                     oct_status *status)
{
    char path[4096], shape[64];
    const int length = snprintf(path, sizeof path, "%s/%s.npy", folder, layer->name);
    if (strchr(layer->name, '/') || length >= (int)sizeof path || access(path, F_OK)) return 0;
    if ((*status = npy_open(path, &layer->dump))) {
        char why[200];
        snprintf(why, sizeof why, "%s", oct_last_error());
        *status = oct_fail(*status, "%.80s.npy: %s", layer->name, why);
        return 0;
    }
    const npy_reader *d = &layer->dump;
    const oct_tensor *a = layer->a;
    if (!fits(m, layer))
        *status = oct_fail(OCT_ERR_SHAPE, "%.80s.npy: %zu numbers a sample, the layer is %s "
                           "(n, %s)", layer->name, d->row, oct_tensor_shape(a, shape, sizeof shape),
                           a->layout == OCT_BLOCKED ? "h, w, c"
                           : m->plan->starts && !layer->per_text ? "tokens, k" : "k");
    else if (s->samples && d->dim[0] != s->samples)
        *status = oct_fail(OCT_ERR_SHAPE, "%.80s.npy: %d samples, the others have %d", layer->name,
                           d->dim[0], s->samples);
    else s->samples = d->dim[0];
    if (*status) npy_close(&layer->dump);
    return !*status;
}

oct_status diff_pair_dumps(const oct_model *a, const char *folder, diff_set *out)
{
    oct_status status = OCT_OK;
    OCT_TRY(make_room(a, out));
    for (int i = 0; i <= a->graph.n_nodes && !status; i++) {
        const oct_node *node = i < a->graph.n_nodes ? &a->graph.node[i] : NULL;
        diff_layer *layer = &out->layer[out->n];
        if (node && !is_compared(node)) continue;
        const oct_step *step = step_of(a, node);
        *layer = (diff_layer){ .name = node ? node->name : "logits",
                               .op = node ? oct_ops[node->kind]->name : "output",
                               .a = !node ? &a->plan->out[0] : step ? step->args.out : NULL,
                               .per_text = !node || (step && step->per_text), .dump.fd = -1 };
        if (layer->a && open_dump(a, folder, layer, out, &status)) out->n++;
        else out->skipped += node != NULL;
    }
    if (!status && !out->n)
        status = oct_fail(OCT_ERR_FORMAT, "holds neither a model nor NAME.npy of a layer");
    if (status) diff_free(out);
    return status;
}

static float value_at(const oct_tensor *t, size_t i)
{
    if (t->dtype == OCT_F32) return ((const float *)t->data)[i];
    return *t->scale * (float)(((const uint8_t *)t->data)[i] - t->zero);
}

/* The first n samples of t in PyTorch's order. */
static const float *in_order(const oct_tensor *t, int n, float *out)
{
    const size_t count = oct_tensor_sample_count(t) * (size_t)n;
    if (t->layout != OCT_BLOCKED && t->dtype == OCT_F32) return t->data;
    if (t->layout != OCT_BLOCKED) {
        for (size_t i = 0; i < count; i++) out[i] = value_at(t, i);
        return out;
    }
    const size_t c = (size_t)t->dim[3], pixels = (size_t)t->dim[1] * (size_t)t->dim[2];
    for (size_t s = 0; s < (size_t)n; s++)
        for (int b = 0; b < oct_block_count((int)c); b++) {
            const size_t width = (size_t)oct_block_width((int)c, b), first = (size_t)b * OCT_BLOCK;
            const size_t block = s * pixels * c + first * pixels;
            for (size_t ch = 0; ch < width; ch++)
                for (size_t p = 0; p < pixels; p++)
                    out[(s * c + first + ch) * pixels + p] = value_at(t, block + p * width + ch);
        }
    return out;
}

/* Samples first .. first + n of the dump, of texts without their padding, to s->y. */
static oct_status read_dump(const diff_set *s, const diff_layer *layer, int first, int n)
{
    const npy_reader *d = &layer->dump;
    const size_t k = oct_tensor_sample_count(layer->a);
    if (!s->starts || d->rank == 2) return npy_read(d, first, n, s->y);
    for (int i = 0; i < n; i++) {
        const int length = s->starts[i + 1] - s->starts[i];
        if (length > d->dim[1])
            return oct_fail(OCT_ERR_SHAPE, "%.80s.npy: %d tokens, text %d has %d", layer->name,
                            d->dim[1], first + i, length);
        const int row = layer->per_text ? i : s->starts[i]; /* the next comes over the padding */
        OCT_TRY(npy_read(d, first + i, 1, s->y + (size_t)row * k));
    }
    return OCT_OK;
}

static void add_values(diff_layer *layer, const float *x, const float *y, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const double a = (double)x[k], b = (double)y[k], d = fabs(a - b);
        if (fabs(a) > layer->largest) layer->largest = fabs(a);
        if (d > layer->difference) layer->difference = d;
        layer->signal += a * a;
        layer->noise += d * d;
        if (isnan(d) && !(isnan(a) && isnan(b)) && a != b) layer->difference = INFINITY;
    }
}

oct_status diff_add(diff_set *s, int first, int n)
{
    for (int i = 0; i < s->n; i++) {
        diff_layer *layer = &s->layer[i];
        const int rows = s->starts && !layer->per_text ? s->starts[n] : n;
        const float *x = in_order(layer->a, rows, s->x), *y = s->y;
        if (layer->b) y = in_order(layer->b, rows, s->y);
        else OCT_TRY(read_dump(s, layer, first, n));
        add_values(layer, x, y, oct_tensor_sample_count(layer->a) * (size_t)rows);
    }
    return OCT_OK;
}

double diff_relative(const diff_layer *layer)
{
    if (layer->difference == 0) return 0;
    return layer->largest > 0 ? layer->difference / layer->largest : INFINITY;
}

double diff_sqnr(const diff_layer *layer)
{
    return layer->noise == 0 ? INFINITY : 10 * log10(layer->signal / layer->noise);
}

void diff_free(diff_set *s)
{
    for (int i = 0; i < s->n; i++) npy_close(&s->layer[i].dump);
    free(s->layer);
    free(s->x);
    free(s->y);
    *s = (diff_set){ .n = 0 };
}
