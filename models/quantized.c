#include "models/quantized.h"

#include <stdio.h>
#include <string.h>

#include "models/sparse.h"
#include "models/vocab_tensor.h"
#include "ops/attr.h"
#include "quant/smooth.h"

static const char smooth_end[] = ".smooth";

static oct_status out_of_memory(void)
{
    return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
}

/* ---- reading ---- */

static oct_status names_of_kept(const oct_quant_info *info, oct_arena *arena,
                                const char *const **out)
{
    const char **name = oct_arena_alloc(arena, ((size_t)info->n_kept + 1) * sizeof *name);
    if (!name) return oct_fail(OCT_ERR_MEMORY, "octet.quant: out of memory");
    for (int i = 0; i < info->n_kept; i++) name[i] = info->kept[i].layer;
    *out = name;
    return OCT_OK;
}

/* NODE.smooth of what is smoothed, within the bounds of quant/smooth.h. */
static oct_status read_factors(oct_model *m, const oct_quant_entry *e)
{
    const size_t size = strlen(e->name) + sizeof smooth_end;
    char *name = oct_arena_alloc(&m->arena, size);
    oct_tensor *t;
    if (!name) return out_of_memory();
    snprintf(name, size, "%s%s", e->name, smooth_end);
    OCT_TRY(oct_model_constant(m, name, 1, (int[]){ -1 }, &t));
    if (t->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %s, expected F32", name,
                        oct_dtype_name(t->dtype));
    const float most = 1 << OCT_SMOOTH_MOST, *by = t->data;
    for (int c = 0; c < t->dim[0]; c++)
        if (!(by[c] >= 1 / most && by[c] <= most))
            return oct_fail(OCT_ERR_FORMAT, "%.80s: entry %d is %g, expected 2^-%d to 2^%d", name,
                            c, (double)by[c], OCT_SMOOTH_MOST, OCT_SMOOTH_MOST);
    *e->by = *t;
    return OCT_OK;
}

oct_status oct_quantized_restore(oct_model *m)
{
    const char *text = oct_weights_meta(m->weights, "octet.quant");
    const char *const *kept = NULL;
    oct_quant_info info;
    int changes = 0;
    if (!text) return OCT_OK;
    OCT_TRY(oct_quant_info_parse(text, &m->arena, &info));
    if (strcmp(info.method, "dynamic") == 0) return OCT_OK; /* the graph is as it shall be */
    OCT_TRY(names_of_kept(&info, &m->arena, &kept));
    for (int i = 0; i < info.table.n; i++)
        if (info.table.entry[i].by) OCT_TRY(read_factors(m, &info.table.entry[i]));
    return oct_pass_restore(&m->graph, &info.table, kept, info.n_kept, &changes);
}

/* ---- writing ---- */

typedef struct list {
    const oct_model *m;
    oct_save_tensor *tensor;
    int n;
    oct_arena *arena;
} list;

/* The name of what a pass made: it belongs to its node. */
static const char *name_of(const list *l, const oct_node *node, int k)
{
    const char *part = k == OCT_CONV2D_BIAS ? ".bias" : ".weight"; /* linear's, too */
    const size_t size = strlen(node->name) + sizeof ".weight";
    char *name = oct_arena_alloc(l->arena, size);
    if (name) snprintf(name, size, "%s%s", node->name, part);
    return name;
}

static oct_status put(list *l, const char *name, const oct_tensor *tensor)
{
    if (!name || !tensor) return out_of_memory();
    l->tensor[l->n++] = (oct_save_tensor){ name, tensor };
    return OCT_OK;
}

static oct_tensor *copy_of(const list *l, const oct_tensor *t)
{
    oct_tensor *copy = oct_arena_alloc(l->arena, sizeof *copy);
    if (copy) *copy = *t;
    return copy;
}

/* t as F32, row by row times its scale. */
static const oct_tensor *widen(const list *l, const oct_tensor *t)
{
    oct_tensor *wide = copy_of(l, t);
    if (!wide) return NULL;
    wide->dtype = OCT_F32;
    wide->scale = NULL;
    wide->data = oct_arena_alloc(l->arena, oct_tensor_size(wide));
    if (wide->data) oct_tensor_read_f32(t, 0, oct_tensor_count(t), wide->data);
    return wide->data ? wide : NULL;
}

/* n rows of t. */
static const oct_tensor *rows_of(const list *l, const oct_tensor *t, int first, int n)
{
    if (n == t->dim[0]) return t;
    oct_tensor *rows = copy_of(l, t);
    if (!rows) return NULL;
    const size_t row = oct_tensor_sample_count(t) * oct_dtype_size(t->dtype);
    rows->dim[0] = n;
    rows->data = (char *)t->data + (size_t)first * row;
    if (t->scale) rows->scale = t->scale + first;
    return rows;
}

/* As NAME and end. */
static oct_status put_beside(list *l, const char *name, const char *end, const oct_tensor *t)
{
    const size_t size = strlen(name) + strlen(end) + 1;
    char *full = oct_arena_alloc(l->arena, size);
    if (full) snprintf(full, size, "%s%s", name, end);
    return put(l, full, t);
}

static oct_status put_scale(list *l, const char *name, const oct_tensor *w)
{
    oct_tensor *t = oct_arena_alloc(l->arena, sizeof *t);
    if (!t) return out_of_memory();
    *t = (oct_tensor){ .dtype = OCT_F32, .rank = 1, .dim = { w->dim[0] },
                       .data = (void *)(uintptr_t)w->scale };
    return put_beside(l, name, ".scale", t);
}

static oct_status put_weight(list *l, const oct_node *node, const char *name, const oct_tensor *t)
{
    if (!name || !t) return out_of_memory();
    if (t->dtype == OCT_S8) {
        OCT_TRY(put(l, name, t));
        return put_scale(l, name, t);
    }
    const int layer = node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR;
    if (t->scale || (layer && t->dtype != OCT_F32 && t->dtype != OCT_S32)) t = widen(l, t);
    return put(l, name, t);
}

/* As the tensors it came from. */
static oct_status put_constant(list *l, const oct_node *node, int k)
{
    const oct_model *m = l->m;
    const oct_tensor *t = node->args.in[k];
    int found = 0;
    for (int i = 0; i < m->n_constants; i++) {
        const oct_named_constant *c = &m->constant[i];
        if (c->tensor != t) continue;
        found = 1;
        OCT_TRY(put_weight(l, node, c->name, rows_of(l, t, c->first, c->rows)));
    }
    return found ? OCT_OK : put_weight(l, node, name_of(l, node, k), t);
}

static oct_status put_factors(list *l, const oct_quant_table *table)
{
    for (int i = 0; i < table->n; i++) {
        const oct_quant_entry *e = &table->entry[i];
        if (e->by) OCT_TRY(put_beside(l, e->name, smooth_end, e->by));
    }
    return OCT_OK;
}

/* Another node before this one, or an operand before this, is the same constant. */
static int is_put(const oct_graph *g, int node, int k)
{
    const oct_tensor *t = g->node[node].args.in[k];
    for (int i = 0; i <= node; i++)
        for (int j = 0; j < (i < node ? OCT_MAX_IN : k) && !g->node[i].dead; j++)
            if (g->node[i].args.in[j] == t) return 1;
    return 0;
}

static oct_status put_vocab(list *l, const oct_save_info *info)
{
    oct_tensor *t = oct_arena_alloc(l->arena, sizeof *t);
    if (!t) return out_of_memory();
    OCT_TRY(oct_vocab_tensor_make(info->vocab, info->vocab_size, t));
    return put(l, OCT_MODEL_VOCAB, t);
}

static oct_status put_all(list *l, const oct_save_info *info, const oct_quant_table *table)
{
    const oct_graph *g = &l->m->graph;
    const size_t constants = (size_t)l->m->n_constants + OCT_MAX_IN * (size_t)g->n_nodes;
    l->tensor = oct_arena_alloc(l->arena, (2 * constants + 1) * sizeof *l->tensor);
    if (!l->tensor) return out_of_memory();
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < OCT_MAX_IN && !g->node[i].dead; k++) {
            const oct_tensor *t = g->node[i].args.in[k];
            if (g->node[i].kind != OCT_OP_QUANTIZE && t && t->data && !is_put(g, i, k))
                OCT_TRY(put_constant(l, &g->node[i], k));
        }
    OCT_TRY(put_factors(l, table));
    return info->vocab ? put_vocab(l, info) : OCT_OK;
}

static oct_status save(list *l, const char *path, const oct_save_info *info,
                       const oct_quant_info *quant, const char *measured)
{
    enum { QUANT, MEASURED, SPARSE, COMPRESSED, N_OWN };
    oct_save_meta own[N_OWN] = { [QUANT] = { "octet.quant", NULL },
                                 [MEASURED] = { "octet.measured", measured },
                                 [SPARSE] = { "octet.sparse", NULL } }, *meta;
    oct_save_tensor *small;
    int n_meta, n;
    OCT_TRY(put_all(l, info, &quant->table));
    OCT_TRY(oct_weights_compress(l->tensor, l->n, l->arena, &small, &n, &own[COMPRESSED]));
    OCT_TRY(oct_quant_info_write(quant, l->arena, &own[QUANT].value));
    OCT_TRY(oct_sparse_decide(l->m, l->tensor, l->n, l->arena, &own[SPARSE].value));
    OCT_TRY(oct_save_meta_make(l->m, info, own, N_OWN, l->arena, &meta, &n_meta));
    return oct_weights_save(path, small, n, meta, n_meta);
}

oct_status oct_quantized_save(const oct_model *m, const char *path, const oct_save_info *info,
                              const oct_quant_info *quant, const char *measured)
{
    oct_arena arena = { 0 };
    list l = { .m = m, .arena = &arena };
    const oct_status status = save(&l, path, info, quant, measured);
    oct_arena_free(&arena);
    return status;
}
