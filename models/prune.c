#include "models/prune.h"

#include <fnmatch.h>
#include <string.h>

#include "models/metadata.h"
#include "models/vocab_tensor.h"
#include "ops/attr.h"

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "prune: out of memory"); }

static oct_status check_model(const oct_model *m)
{
    if (m->isa)
        return oct_fail(OCT_ERR_UNSUPPORTED, "compiled, without plain weights: prune the model it "
                        "was made from");
    if (strcmp(m->precision, "int8") == 0 || oct_weights_meta(m->weights, "octet.quant"))
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantized already: prune the model it was made from, "
                        "then quantize");
    return OCT_OK;
}

/* ---- the layers ---- */

/* "conv1.weight" or "conv1" fits the pattern. */
static int fits(const char *pattern, const char *name)
{
    static const char suffix[] = ".weight";
    enum { SUFFIX = sizeof suffix - 1, MOST = 256 };
    char module[MOST];
    const size_t size = strlen(name);
    if (fnmatch(pattern, name, 0) == 0) return 1;
    if (size < SUFFIX || size - SUFFIX >= MOST || strcmp(name + size - SUFFIX, suffix) != 0)
        return 0;
    memcpy(module, name, size - SUFFIX);
    module[size - SUFFIX] = 0;
    return fnmatch(pattern, module, 0) == 0;
}

static oct_status choose(oct_pruned *p)
{
    for (int k = 0; k < p->how.n_only; k++) {
        int found = 0;
        for (int i = 0; i < p->n_layers; i++)
            if (fits(p->how.only[k], p->layer[i].name)) p->layer[i].chosen = found = 1;
        if (found) continue;
        p->unknown = p->how.only[k];
        return oct_fail(OCT_ERR_UNSUPPORTED, "there is no layer '%.80s'", p->unknown);
    }
    for (int i = 0; i < p->n_layers && p->how.n_only == 0; i++) p->layer[i].chosen = 1;
    return OCT_OK;
}

static int has_layer(const oct_pruned *p, const char *name)
{
    for (int i = 0; i < p->n_layers; i++)
        if (strcmp(p->layer[i].name, name) == 0) return 1;
    return 0;
}

/* The tensors of the file that conv2d and linear multiply with; one may have several. */
static oct_status find_layers(oct_pruned *p)
{
    const oct_model *m = p->model;
    p->layer = oct_arena_zalloc(&p->arena, ((size_t)m->n_constants + 1) * sizeof *p->layer);
    if (!p->layer) return out_of_memory();
    for (int i = 0; i < m->graph.n_nodes; i++) {
        const oct_node *node = &m->graph.node[i];
        if (node->kind != OCT_OP_CONV2D && node->kind != OCT_OP_LINEAR) continue;
        for (int k = 0; k < m->n_constants; k++) {
            const oct_named_constant *c = &m->constant[k];
            if (c->tensor != node->args.in[OCT_CONV2D_W] || has_layer(p, c->name)) continue;
            p->layer[p->n_layers++] =
                (oct_pruned_layer){ .name = c->name, .op = oct_ops[node->kind]->name };
        }
    }
    return OCT_OK;
}
_Static_assert((int)OCT_CONV2D_W == (int)OCT_LINEAR_W, "find_layers reads both");

/* ---- their weights ---- */

/* Every tensor of the file; the copies that describe made go back first. */
static oct_status read_tensors(oct_pruned *p)
{
    oct_weights *w = p->model->weights;
    for (int i = 0; i < p->model->n_constants; i++)
        oct_weights_let_go(w, p->model->constant[i].tensor);
    p->n_tensors = oct_weights_count(w);
    p->tensor = oct_arena_alloc(&p->arena, ((size_t)p->n_tensors + 1) * sizeof *p->tensor);
    if (!p->tensor) return out_of_memory();
    for (int i = 0; i < p->n_tensors; i++) {
        const char *name = oct_weights_at(w, i)->name;
        OCT_TRY(oct_weights_require(w, name, -1, NULL, &p->tensor[i]));
        for (int k = 0; k < p->n_layers; k++)
            if (strcmp(p->layer[k].name, name) == 0) p->layer[k].tensor = i;
    }
    return OCT_OK;
}

static size_t count_zeros(const float *w, size_t n)
{
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++) zeros += w[i] == 0;
    return zeros;
}

/* *mask is of the layer's weights, in FP32 in arena if they are not; how much is 0 already. */
static oct_status measure(const oct_pruned *p, oct_pruned_layer *layer, oct_arena *arena,
                          oct_mask_layer *mask)
{
    const oct_tensor *t = &p->tensor[layer->tensor];
    const float *w = t->data;
    layer->weights = oct_tensor_count(t);
    if (t->dtype != OCT_F32) {
        float *wide = oct_arena_alloc(arena, layer->weights * sizeof *wide);
        if (!wide) return out_of_memory();
        oct_tensor_read_f32(t, 0, layer->weights, wide);
        w = wide;
    }
    *mask = (oct_mask_layer){ w, t->dim[0], t->dim[1], 1 };
    for (int i = 2; i < t->rank; i++) mask->taps *= t->dim[i];
    layer->zeros = layer->zeros_before = count_zeros(w, layer->weights);
    return OCT_OK;
}

/* ---- pruning ---- */

/* The chosen layers' masks, and room for the largest one's mask of bytes. */
typedef struct masks {
    oct_mask_layer *layer;     /* [n] */
    int *index;                /* [n] in p->layer */
    int n;
    unsigned char *keep;
} masks;

static oct_status find_masks(oct_pruned *p, oct_arena *arena, masks *out)
{
    size_t most = 0;
    oct_mask_layer mask;
    out->layer = oct_arena_alloc(arena, ((size_t)p->n_layers + 1) * sizeof *out->layer);
    out->index = oct_arena_alloc(arena, ((size_t)p->n_layers + 1) * sizeof *out->index);
    if (!out->layer || !out->index) return out_of_memory();
    for (int i = 0; i < p->n_layers; i++) {
        OCT_TRY(measure(p, &p->layer[i], arena, &mask));
        if (!p->layer[i].chosen) continue;
        out->layer[out->n] = mask;
        out->index[out->n++] = i;
        if (p->layer[i].weights > most) most = p->layer[i].weights;
    }
    out->keep = oct_arena_alloc(arena, most + 1);
    return out->keep ? OCT_OK : out_of_memory();
}

/* What the mask does not keep becomes 0. */
static void apply(const oct_pruned *p, oct_pruned_layer *layer, const masks *m, int k)
{
    const oct_tensor *t = &p->tensor[layer->tensor];
    const size_t size = oct_dtype_size(t->dtype);
    for (size_t i = 0; i < layer->weights; i++) {
        if (m->keep[i]) continue;
        layer->zeros += m->layer[k].w[i] != 0;
        memset((char *)t->data + i * size, 0, size); /* it may be w[i] itself */
    }
}

static oct_status prune(oct_pruned *p, oct_arena *arena)
{
    const oct_prune_options *how = &p->how;
    masks m = { .n = 0 };
    oct_mask_cut cut;
    OCT_TRY(find_masks(p, arena, &m));
    for (int k = 0; k < m.n; k++) {
        if (k == 0 || how->per_layer)
            OCT_TRY(oct_mask_cut_find(how->structure, how->amount, &m.layer[k],
                                      how->per_layer ? 1 : m.n, &cut));
        oct_mask_fill(how->structure, &m.layer[k], &cut, m.keep);
        apply(p, &p->layer[m.index[k]], &m, k);
    }
    return OCT_OK;
}

static oct_status prune_all(oct_pruned *p)
{
    oct_arena arena = { 0 };
    OCT_TRY(check_model(p->model));
    OCT_TRY(find_layers(p));
    OCT_TRY(choose(p));
    OCT_TRY(read_tensors(p));
    const oct_status status = prune(p, &arena);
    oct_arena_free(&arena);
    return status;
}

oct_status oct_prune(const char *path, const oct_options *options, const oct_prune_options *how,
                     oct_pruned *out)
{
    oct_options o = *options;
    *out = (oct_pruned){ .how = *how };
    o.passes = NULL;
    o.precision = NULL;
    OCT_TRY(oct_model_describe(path, &o, &out->model));
    return prune_all(out);
}

void oct_pruned_free(oct_pruned *p)
{
    oct_model_free(p->model);
    oct_arena_free(&p->arena);
    *p = (oct_pruned){ .model = NULL };
}

void oct_pruned_let_go(oct_pruned *p)
{
    for (int i = 0; i < p->n_tensors; i++) oct_weights_let_go(p->model->weights, &p->tensor[i]);
    p->n_tensors = 0;
}

/* ---- the file ---- */

static json_t *json_of_prune(const oct_pruned *p)
{
    json_t *density = json_object(), *o = json_object();
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        const double share = (double)(l->weights - l->zeros) / (double)l->weights;
        density = oct_json_put(density, l->name, json_real(share));
    }
    o = oct_json_put(o, "amount", json_real(p->how.amount));
    o = oct_json_put(o, "density", density);
    o = oct_json_put(o, "per_layer", json_boolean(p->how.per_layer));
    return oct_json_put(o, "structure", json_string(oct_mask_name(p->how.structure)));
}

static oct_status save(const oct_pruned *p, const char *path, const oct_save_info *info,
                       const char *measured, oct_arena *arena)
{
    enum { PRUNE, MEASURED, COMPRESSED, N_OWN };
    oct_save_meta own[N_OWN] = { [PRUNE] = { "octet.prune", NULL },
                                 [MEASURED] = { "octet.measured", measured } }, *meta;
    oct_save_tensor *small;
    oct_tensor vocab;
    int n = 0, n_small, n_meta;
    oct_save_tensor *list = oct_arena_alloc(arena, ((size_t)p->n_tensors + 1) * sizeof *list);
    if (!list) return out_of_memory();
    for (int i = 0; i < p->n_tensors; i++) {
        const char *name = oct_weights_at(p->model->weights, i)->name;
        if (info->vocab && strcmp(name, OCT_MODEL_VOCAB) == 0) continue;
        list[n++] = (oct_save_tensor){ name, &p->tensor[i] };
    }
    if (info->vocab) {
        OCT_TRY(oct_vocab_tensor_make(info->vocab, info->vocab_size, &vocab));
        list[n++] = (oct_save_tensor){ OCT_MODEL_VOCAB, &vocab };
    }
    OCT_TRY(oct_weights_compress(list, n, arena, &small, &n_small, &own[COMPRESSED]));
    OCT_TRY(oct_json_write(json_of_prune(p), arena, &own[PRUNE].value));
    OCT_TRY(oct_save_meta_make(p->model, info, own, N_OWN, arena, &meta, &n_meta));
    return oct_weights_save(path, small, n_small, meta, n_meta);
}

oct_status oct_pruned_save(const oct_pruned *p, const char *path, const oct_save_info *info,
                           const char *measured)
{
    oct_arena arena = { 0 };
    const oct_status status = save(p, path, info, measured, &arena);
    oct_arena_free(&arena);
    return status;
}
