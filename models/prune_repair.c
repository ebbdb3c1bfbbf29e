#include "models/prune_repair.h"

#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "quant/repair.h"
#include "weights/sha256.h"

struct oct_prune_repair {
    oct_pruned *p;
    oct_model *dense, *pruned;
    oct_pool *pool;
    int own_pool;
    unsigned char *chosen;     /* [n_nodes] */
    const int **kept;          /* [n_nodes] as quant/repair.h has it, in arena */
    oct_arena arena;
    oct_repair *repair;
    oct_repair_options how;
    oct_sha256 samples;        /* of all so far */
    int n_samples;
};

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

/* ---- between the file's tensors and the graph's constants ---- */

static const oct_tensor *tensor_of(const oct_pruned *p, const char *name)
{
    for (int i = 0; i < p->n_tensors; i++)
        if (strcmp(oct_weights_at(p->model->weights, i)->name, name) == 0) return &p->tensor[i];
    return NULL;
}

/* Elements of a constant that are one tensor of the file, back into it. */
static oct_status copy_back(const oct_pruned *p, const oct_named_constant *c)
{
    const oct_tensor *file = tensor_of(p, c->name);
    const size_t row = c->tensor->rank ? oct_tensor_sample_count(c->tensor) : 1;
    const size_t count = oct_tensor_count(file), first = (size_t)c->first * row;
    if (count != (size_t)(c->tensor->rank ? c->rows : 1) * row)
        return oct_fail(OCT_ERR_UNSUPPORTED, "repair: %.80s has another shape now", c->name);
    float *x = malloc(count * sizeof *x + 1);
    if (!x) return out_of_memory();
    oct_tensor_read_f32(c->tensor, first, count, x);
    oct_tensor_write_f32(file, 0, count, x);
    free(x);
    return OCT_OK;
}

static int reads(const oct_node *node, const oct_tensor *t)
{
    for (int k = 0; k < OCT_MAX_IN; k++)
        if (node->args.in[k] == t) return 1;
    return 0;
}

/* ---- which nodes ---- */

static int is_shared(const oct_model *m, const char *name)
{
    int n = 0;
    for (int i = 0; i < m->n_constants; i++) n += strcmp(m->constant[i].name, name) == 0;
    return n > 1;
}

static oct_pruned_layer *layer_of(const oct_pruned *p, const char *name)
{
    for (int i = 0; i < p->n_layers; i++)
        if (strcmp(p->layer[i].name, name) == 0) return &p->layer[i];
    return NULL;
}

/* It was to be pruned, or what it reads or gives got smaller. */
static int is_pruned(const oct_pruned_layer *l)
{
    return l && (l->chosen || l->left != l->weights);
}

/* A layer of which all tensors were pruned, or a batch norm; none of them elsewhere, too.  *why it
 * is not, of a layer. */
static int choose(const oct_prune_repair *r, const oct_node *node, const char **why)
{
    const oct_model *m = r->pruned;
    const int is_layer = node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR;
    *why = NULL;
    if (!is_layer && node->kind != OCT_OP_BATCHNORM) return 0;
    for (int i = 0; i < m->n_constants && !*why; i++) {
        const oct_named_constant *c = &m->constant[i];
        if (!reads(node, c->tensor)) continue;
        const oct_pruned_layer *l = layer_of(r->p, c->name);
        if (is_shared(m, c->name)) *why = "the network uses it twice";
        else if (c->tensor == node->args.in[OCT_CONV2D_W] && is_layer && !is_pruned(l))
            *why = "it is read as one with layers that were not chosen";
    }
    return !*why;
}

/* chosen[], and of the layers that were pruned and cannot be repaired the reason. */
static void choose_all(oct_prune_repair *r)
{
    const oct_model *m = r->pruned;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        const char *why;
        r->chosen[i] = (unsigned char)choose(r, &m->graph.node[i], &why);
        for (int k = 0; k < m->n_constants && why; k++) {
            oct_pruned_layer *l = layer_of(r->p, m->constant[k].name);
            if (is_pruned(l) && reads(&m->graph.node[i], m->constant[k].tensor))
                l->why_not = why;
        }
    }
}

/* ---- which outputs ---- */

/* A weight's rows, of one tensor or of several, each of which may have lost some. */
static oct_status find_kept(oct_prune_repair *r, const oct_tensor *weight, const int **out)
{
    const oct_model *m = r->pruned;
    int *kept = oct_arena_alloc(&r->arena, (size_t)weight->dim[0] * sizeof *kept);
    int n = 0, lost = 0;
    if (!kept) return out_of_memory();
    for (int i = 0, before = 0; i < m->n_constants; i++) {
        if (m->constant[i].tensor != weight) continue;
        const oct_pruned_layer *l = layer_of(r->p, m->constant[i].name);
        for (int o = 0; o < l->out; o++) kept[n++] = before + (l->kept ? l->kept[o] : o);
        before += l->out_before;
        lost |= l->kept != NULL;
    }
    if (lost) *out = kept;
    return OCT_OK;
}

static oct_status find_all_kept(oct_prune_repair *r)
{
    const oct_graph *g = &r->pruned->graph;
    r->kept = oct_arena_zalloc(&r->arena, ((size_t)g->n_nodes + 1) * sizeof *r->kept);
    if (!r->kept) return out_of_memory();
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].kind == OCT_OP_CONV2D || g->node[i].kind == OCT_OP_LINEAR)
            OCT_TRY(find_kept(r, g->node[i].args.in[OCT_CONV2D_W], &r->kept[i]));
    return OCT_OK;
}

/* ---- open, close ---- */

static oct_status open(oct_prune_repair *r, const char *path, const char *pruned,
                       const oct_options *options)
{
    oct_options o = *options;
    o.passes = NULL;
    o.precision = NULL;
    OCT_TRY(oct_model_describe(path, &o, &r->dense));
    OCT_TRY(oct_model_describe(pruned, &o, &r->pruned));
    const oct_graph *g = &r->pruned->graph;
    r->chosen = oct_arena_zalloc(&r->arena, (size_t)g->n_nodes + 1);
    if (!r->chosen) return out_of_memory();
    choose_all(r);
    OCT_TRY(find_all_kept(r));
    r->pool = o.pool;
    r->own_pool = !o.pool;
    if (!o.pool)
        OCT_TRY(oct_pool_open(o.threads ? o.threads : oct_threads_default(), &r->pool));
    oct_sha256_init(&r->samples);
    r->how = (oct_repair_options){ .chosen = r->chosen, .kept = r->kept, .cpu = r->pruned->cpu,
                                    .pool = r->pool };
    return oct_repair_open(&r->dense->graph, g, &r->how, &r->repair);
}

oct_status oct_prune_repair_open(oct_pruned *p, const char *path, const char *pruned,
                                 const oct_options *options, oct_prune_repair **out)
{
    *out = NULL;
    oct_prune_repair *r = calloc(1, sizeof *r);
    if (!r) return out_of_memory();
    r->p = p;
    const oct_status status = open(r, path, pruned, options);
    if (status != OCT_OK) oct_prune_repair_close(r);
    else *out = r;
    return status;
}

void oct_prune_repair_close(oct_prune_repair *r)
{
    if (!r) return;
    oct_repair_close(r->repair);
    oct_model_free(r->dense);
    oct_model_free(r->pruned);
    if (r->own_pool) oct_pool_close(r->pool);
    oct_arena_free(&r->arena);
    free(r);
}

/* ---- samples ---- */

const oct_model *oct_prune_repair_model(const oct_prune_repair *r) { return r->dense; }

oct_tensor *oct_prune_repair_input(oct_prune_repair *r, int i)
{
    return oct_repair_input(r->repair, i);
}

/* Sample by sample, so that batches do not matter; of a text its length, its ids, its types. */
static void hash(oct_prune_repair *r, int n)
{
    const oct_graph *g = &r->dense->graph;
    const oct_tensor *in = oct_repair_input(r->repair, 0);
    if (!g->starts) {
        oct_sha256_add(&r->samples, in->data,
                       (size_t)n * oct_tensor_sample_count(in) * sizeof(float));
        return;
    }
    const int32_t *starts = NULL;
    for (int i = 0; i < g->n_ins; i++)
        if (g->in[i] == g->starts) starts = oct_repair_input(r->repair, i)->data;
    for (int t = 0; t < n; t++) {
        const int32_t length = starts[t + 1] - starts[t];
        oct_sha256_add(&r->samples, &length, sizeof length);
        for (int i = 0; i < g->n_ins; i++)
            if (g->in[i] != g->starts)
                oct_sha256_add(&r->samples,
                               (const int32_t *)oct_repair_input(r->repair, i)->data + starts[t],
                               (size_t)length * sizeof(int32_t));
    }
}

oct_status oct_prune_repair_add(oct_prune_repair *r, int n)
{
    hash(r, n);
    r->n_samples += n;
    return oct_repair_add(r->repair, n);
}

/* ---- the result ---- */

static oct_status take(oct_prune_repair *r, const oct_node *node, const oct_repaired *done)
{
    for (int i = 0; i < r->pruned->n_constants; i++) {
        const oct_named_constant *c = &r->pruned->constant[i];
        if (!reads(node, c->tensor)) continue;
        OCT_TRY(copy_back(r->p, c));
        oct_pruned_layer *l = layer_of(r->p, c->name);
        if (!l) continue;
        l->repaired = !done->left;
        l->why_not = done->left;
        l->error_before = done->before;
        l->error_after = done->after;
    }
    return OCT_OK;
}

oct_status oct_prune_repair_run(oct_prune_repair *r,
                                void (*progress)(void *arg, int done, int of), void *arg)
{
    const oct_graph *g = &r->pruned->graph;
    OCT_TRY(oct_repair_run(r->repair, progress, arg));
    for (int i = 0; i < g->n_nodes; i++) {
        const oct_repaired *done = oct_repair_at(r->repair, i);
        if (done->done) OCT_TRY(take(r, &g->node[i], done));
    }
    r->p->repair.samples = r->n_samples;
    oct_sha256_hex(&r->samples, r->p->repair.sha256);
    oct_pruned_count(r->p);
    return OCT_OK;
}
