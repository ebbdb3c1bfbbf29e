#include "quant/repair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "quant/normal.h"
#include "quant/replay.h"
#include "quant/rows.h"
#include "quant/solve.h"

enum { DENSE = OCT_REPLAY_DENSE, PRUNED = OCT_REPLAY_PRUNED, X = OCT_CONV2D_X, W = OCT_CONV2D_W,
       BIAS = OCT_CONV2D_BIAS };
_Static_assert(X == (int)OCT_LINEAR_X && W == (int)OCT_LINEAR_W && BIAS == (int)OCT_LINEAR_BIAS &&
               X == (int)OCT_BATCHNORM_X, "operands of linear and batchnorm");

struct oct_repair {
    const oct_graph *graph[OCT_REPLAY_PLANS];
    oct_repair_options options;
    oct_plan_options plan;
    oct_replay replay;
    oct_repaired *node;        /* [n_nodes] */
    int differs;               /* some node so far */
};

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

static int is_layer(const oct_node *n)
{
    return n->kind == OCT_OP_CONV2D || n->kind == OCT_OP_LINEAR;
}

/* ---- layers ---- */

typedef struct layer {
    oct_rows size;
    oct_normal *group;         /* [size.groups] */
    double *power;             /* [groups * out]: of what the repaired one gives, about its mean */
    double square, before, after; /* sums over all outputs: of y, of what W x is off it */
} layer;

/* Rows of a sample, of all groups. */
static oct_status add_part(oct_repair *r, int step, layer *l, oct_rows_part part)
{
    const oct_step *x = &r->replay.plan[PRUNED]->step[step];
    const oct_tensor *y = r->replay.plan[DENSE]->step[step].args.out;
    const int *kept = r->options.kept ? r->options.kept[step] : NULL;
    const int m = oct_rows_count(part.positions), out = l->size.out;
    for (; part.first < m; part.first += part.count) {
        int column;
        oct_normal_room(l->group, m - part.first, &column, &part.count);
        for (int g = 0; g < l->size.groups; g++) {
            oct_normal *n = &l->group[g];
            float *of_y = n->z + (size_t)l->size.k * OCT_NORMAL_ROWS;
            oct_rows_x(x, g, &part, n->z, OCT_NORMAL_ROWS, column, r->options.pool);
            oct_rows_y(y, kept ? kept + g * out : NULL, g * out, out, &part, of_y,
                       OCT_NORMAL_ROWS, column, r->options.pool);
            OCT_TRY(oct_normal_add(n, part.count));
        }
    }
    return OCT_OK;
}

/* The samples of a batch one after the other, whatever the batch is. */
static oct_status add_rows(oct_repair *r, int step, const oct_replay_batch *b, layer *l)
{
    oct_plan *dense = r->replay.plan[DENSE];
    const oct_tensor *y = dense->step[step].args.out;
    const int32_t *starts = dense->starts ? dense->starts->data : NULL;
    const int image = dense->step[step].node->kind == OCT_OP_CONV2D;
    oct_plan_run_between(dense, r->options.pool, b->n, step, step + 1, NULL, NULL);
    for (int i = 0; i < b->n; i++) {
        oct_rows_part part = { .sample = i, .row = i, .positions = 1 };
        if (image) part = (oct_rows_part){ .sample = i, .positions = y->dim[1] * y->dim[2] };
        else if (starts && !dense->step[step].per_text)
            part = (oct_rows_part){ .row = starts[i], .positions = starts[i + 1] - starts[i] };
        OCT_TRY(add_part(r, step, l, part));
    }
    return OCT_OK;
}

/* Both plans come to the step, batch by batch. */
static oct_status walk(oct_repair *r, int step, layer *l)
{
    const int keep = oct_replay_fits(&r->replay, step);
    for (int b = 0; b < r->replay.n_batches; b++) {
        OCT_TRY(oct_replay_to(&r->replay, b, step, keep));
        OCT_TRY(add_rows(r, step, &r->replay.batch[b], l));
    }
    if (keep) oct_replay_kept(&r->replay, step);
    return OCT_OK;
}

/* Can t's dtype hold them? */
static int in_range(const oct_tensor *t, const float *x, size_t n)
{
    const float most = t->dtype == OCT_F16 ? 65504 : 3e38f;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= most)) return 0;
    return 1;
}

/* Solves for group g's rows of the weights; *ok: they are there, rounded as the file has them. */
static oct_status solve_group(oct_repair *r, const oct_node *node, layer *l, int g, int *ok)
{
    oct_arena arena = { 0 };
    oct_normal *n = &l->group[g];
    const oct_tensor *t = node->args.in[W];
    const size_t k = (size_t)n->k, count = (size_t)n->out * k, first = (size_t)g * count;
    oct_solve s = { .k = n->k, .out = n->out, .rows = n->rows, .gram = n->matrix,
                    .cross = n->matrix + k * k,
                    .square = n->square, .power = l->power + g * n->out };
    float *w = oct_arena_alloc(&arena, count * sizeof *w);
    if (!w) return out_of_memory();
    oct_tensor_read_f32(t, first, count, w);
    const oct_status status = oct_solve_run(&s, r->options.cpu, r->options.pool, w);
    *ok = status == OCT_OK && in_range(t, w, count);
    if (*ok) oct_tensor_write_f32(t, first, count, w);
    oct_arena_free(&arena);
    l->before += s.error_before;
    l->after += s.error_after;
    for (int o = 0; o < n->out; o++) l->square += n->square[o];
    return status;
}

/* mean y - W mean x of output o */
static double shift_of(const oct_node *node, const layer *l, int o)
{
    const oct_normal *n = &l->group[o / l->size.out];
    double shift = n->mean[n->k + o % l->size.out];
    for (int j = 0; j < n->k; j++) {
        float w;
        oct_tensor_read_f32(node->args.in[W], (size_t)o * (size_t)n->k + (size_t)j, 1, &w);
        shift -= (double)w * n->mean[j];
    }
    return shift;
}

/* The batch norm that alone reads the layer, or -1. */
static int norm_of(const oct_repair *r, int i)
{
    const oct_graph *g = r->graph[PRUNED];
    const oct_node *bn = oct_graph_sole_user(g, g->node[i].args.out);
    if (!bn || bn->kind != OCT_OP_BATCHNORM || bn->args.in[X] != g->node[i].args.out) return -1;
    return r->options.chosen[bn - g->node] ? (int)(bn - g->node) : -1;
}

/* What the layer gives has the dense one's mean again, by its bias or by its batch norm, whose
 * variance follows what is left of the layer's. */
static void correct_means(const oct_node *node, const oct_node *bn, const layer *l)
{
    const double most = 4;
    const oct_tensor *bias = node->args.in[BIAS];
    float *mean = bn ? bn->args.in[OCT_BATCHNORM_MEAN]->data : NULL;
    float *var = bn ? bn->args.in[OCT_BATCHNORM_VAR]->data : NULL;
    for (int o = 0; o < l->size.groups * l->size.out; o++) {
        const double shift = shift_of(node, l, o);
        const double was = l->group[o / l->size.out].square[o % l->size.out];
        const double ratio = was > 0 ? l->power[o] / was : 1;
        const double held = ratio < 1 / most ? 1 / most : ratio > most ? most : ratio;
        const float b = (float)shift;
        if (bias) oct_tensor_write_f32(bias, (size_t)o, 1, &b);
        else if (bn) mean[o] = (float)((double)mean[o] - shift);
        if (bn) var[o] = (float)((double)var[o] * held);
    }
}

static oct_status check_finite(const oct_node *node, const layer *l)
{
    for (int g = 0; g < l->size.groups; g++) {
        const oct_normal *n = &l->group[g];
        double sum = 0;
        for (int i = 0; i < n->k + n->out; i++) sum += n->mean[i];
        for (int i = 0; i < n->k; i++) sum += (double)n->matrix[(size_t)i * (size_t)(n->k + 1)];
        for (int o = 0; o < n->out; o++) sum += n->square[o];
        if (!isfinite(sum))
            return oct_fail(OCT_ERR_FORMAT, "repair: %.80s: values that are NaN, infinite or too "
                            "large", node->name);
    }
    return OCT_OK;
}

static oct_status finish_layer(oct_repair *r, int i, layer *l)
{
    const oct_graph *g = r->graph[PRUNED];
    const oct_node *node = &g->node[i];
    const int bn = norm_of(r, i);
    oct_repaired *done = &r->node[i];
    for (int k = 0; k < l->size.groups; k++) OCT_TRY(oct_normal_finish(&l->group[k]));
    OCT_TRY(check_finite(node, l));
    for (int k = 0; k < l->size.groups; k++) {
        int ok = 0;
        OCT_TRY(solve_group(r, node, l, k, &ok));
        if (!ok) done->left = "its weights would leave their range";
    }
    correct_means(node, bn < 0 ? NULL : &g->node[bn], l);
    done->before = l->square > 0 ? l->before / l->square : 0;
    done->after = l->square > 0 ? l->after / l->square : 0;
    OCT_TRY(oct_plan_prepare_again(r->replay.plan[PRUNED], &r->plan, i));
    if (bn < 0) return OCT_OK;
    r->node[bn].done = 1;
    return oct_plan_prepare_again(r->replay.plan[PRUNED], &r->plan, bn);
}

static oct_status repair_layer(oct_repair *r, int i)
{
    layer l = { .size = oct_rows_of(&r->graph[PRUNED]->node[i]) };
    if (l.size.k > OCT_REPAIR_MAX_K) {
        r->node[i].left = "it reads more than 8192 values";
        return OCT_OK;
    }
    l.group = calloc((size_t)l.size.groups, sizeof *l.group);
    l.power = calloc((size_t)l.size.groups * (size_t)l.size.out, sizeof *l.power);
    oct_status status = l.group && l.power ? OCT_OK : out_of_memory();
    for (int g = 0; g < l.size.groups && !status; g++)
        status = oct_normal_open(l.size.k, l.size.out, r->options.cpu, r->options.pool,
                                 &l.group[g]);
    if (status == OCT_OK) status = walk(r, i, &l);
    if (status == OCT_OK) status = finish_layer(r, i, &l);
    for (int g = 0; l.group && g < l.size.groups; g++) oct_normal_close(&l.group[g]);
    free(l.group);
    free(l.power);
    return status;
}

/* ---- all of them ---- */

/* The layer computes something else, of the outputs it has left. */
static int differs(const oct_repair *r, int i)
{
    const oct_node *a = &r->graph[DENSE]->node[i], *b = &r->graph[PRUNED]->node[i];
    const oct_tensor *x = a->args.in[W], *y = b->args.in[W];
    const int *kept = r->options.kept ? r->options.kept[i] : NULL;
    if (!is_layer(a)) return 0;
    const size_t row = oct_tensor_size(y) / (size_t)y->dim[0];
    if (oct_tensor_size(x) / (size_t)x->dim[0] != row) return 1;
    for (int o = 0; o < y->dim[0]; o++)
        if (memcmp((const char *)x->data + (size_t)(kept ? kept[o] : o) * row,
                   (const char *)y->data + (size_t)o * row, row) != 0) return 1;
    return 0;
}

static oct_status repair_node(oct_repair *r, int i)
{
    const oct_node *node = &r->graph[PRUNED]->node[i];
    r->differs |= differs(r, i);
    if (!r->options.chosen[i] || !r->differs || !is_layer(node)) return OCT_OK;
    r->node[i].done = 1;
    return repair_layer(r, i);
}

oct_status oct_repair_run(oct_repair *r, void (*progress)(void *arg, int done, int of), void *arg)
{
    const int n = r->graph[DENSE]->n_nodes;
    if (!r->replay.samples)
        return oct_fail(OCT_ERR_FORMAT, "repair: no samples: the layers' answers to some of your "
                        "own are needed");
    for (int i = 0; i < n; i++) {
        OCT_TRY(repair_node(r, i));
        if (progress) progress(arg, i + 1, n);
    }
    return OCT_OK;
}

/* ---- open, close ---- */

/* Node by node the same operators. */
static int alike(const oct_graph *a, const oct_graph *b)
{
    if (a->n_nodes != b->n_nodes) return 0;
    for (int i = 0; i < a->n_nodes; i++)
        if (a->node[i].kind != b->node[i].kind) return 0;
    return 1;
}

static oct_status open(oct_repair *r)
{
    if (!alike(r->graph[DENSE], r->graph[PRUNED]))
        return oct_fail(OCT_ERR_SHAPE, "repair: the networks have other layers");
    r->plan = (oct_plan_options){ .cpu = r->options.cpu, .threads = r->options.pool->threads,
                                  .whole = 1 };
    r->replay.pool = r->options.pool;
    r->node = calloc((size_t)r->graph[DENSE]->n_nodes + 1, sizeof *r->node);
    if (!r->node) return out_of_memory();
    for (int p = 0; p < OCT_REPLAY_PLANS; p++)
        OCT_TRY(oct_plan_build(r->graph[p], &r->plan, &r->replay.plan[p]));
    return OCT_OK;
}

oct_status oct_repair_open(const oct_graph *dense, const oct_graph *pruned,
                           const oct_repair_options *options, oct_repair **out)
{
    *out = NULL;
    oct_repair *r = calloc(1, sizeof *r);
    if (!r) return out_of_memory();
    r->graph[DENSE] = dense;
    r->graph[PRUNED] = pruned;
    r->options = *options;
    const oct_status status = open(r);
    if (status != OCT_OK) oct_repair_close(r);
    else *out = r;
    return status;
}

void oct_repair_close(oct_repair *r)
{
    if (!r) return;
    for (int p = 0; p < OCT_REPLAY_PLANS; p++) oct_plan_free(r->replay.plan[p]);
    oct_replay_close(&r->replay);
    free(r->node);
    free(r);
}

oct_tensor *oct_repair_input(oct_repair *r, int i)
{
    oct_plan *p = r->replay.plan[DENSE];
    return i >= 0 && i < p->n_ins ? &p->in[i] : NULL;
}

oct_status oct_repair_add(oct_repair *r, int n) { return oct_replay_add(&r->replay, n); }

const oct_repaired *oct_repair_at(const oct_repair *r, int node) { return &r->node[node]; }
