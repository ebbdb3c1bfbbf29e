#include "models/prune.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "models/metadata.h"
#include "models/prune_channels.h"
#include "models/sparse.h"
#include "models/vocab_tensor.h"
#include "ops/attr.h"

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "prune: out of memory"); }

static const struct { const char *name; oct_group_kind kind; } wholes[] = {
    { "channel", OCT_GROUP_CHANNEL }, { "neuron", OCT_GROUP_NEURON }, { "head", OCT_GROUP_HEAD },
};
enum { N_WHOLES = sizeof wholes / sizeof *wholes };

oct_status oct_prune_find(const char *name, oct_prune_options *out)
{
    out->whole = OCT_GROUP_FIXED;
    for (int i = 0; i < N_WHOLES; i++)
        if (strcmp(wholes[i].name, name) == 0) out->whole = wholes[i].kind;
    if (out->whole || oct_mask_find(name, &out->structure) == OCT_OK) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "structure '%.80s': unknown; unstructured, 2:4, 1x4, 4x1, "
                    "channel, neuron or head expected", name);
}

const char *oct_prune_name(const oct_prune_options *how)
{
    for (int i = 0; i < N_WHOLES; i++)
        if (wholes[i].kind == how->whole) return wholes[i].name;
    return oct_mask_name(how->structure);
}

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

static double places(const oct_node *node)
{
    const oct_tensor *y = node->args.out;
    return node->kind == OCT_OP_CONV2D ? (double)y->dim[1] * y->dim[2] : 1;
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
            p->layer[p->n_layers++] = (oct_pruned_layer){
                .name = c->name, .op = oct_ops[node->kind]->name, .places = places(node) };
        }
    }
    return OCT_OK;
}
_Static_assert((int)OCT_CONV2D_W == (int)OCT_LINEAR_W, "find_layers reads both");

/* ---- their weights ---- */

/* Every tensor of the file, as `from` has it. */
static oct_status read_tensors(oct_pruned *p, oct_weights *from)
{
    const oct_weights *w = p->model->weights;
    for (p->n_tensors = 0; p->n_tensors < oct_weights_count(w); p->n_tensors++)
        OCT_TRY(oct_weights_require(from, oct_weights_at(w, p->n_tensors)->name, -1, NULL,
                                    &p->tensor[p->n_tensors]));
    return OCT_OK;
}

/* The copies that describe made go back first. */
static oct_status open_tensors(oct_pruned *p)
{
    oct_weights *w = p->model->weights;
    const int n = oct_weights_count(w);
    for (int i = 0; i < p->model->n_constants; i++)
        oct_weights_let_go(w, p->model->constant[i].tensor);
    p->tensor = oct_arena_alloc(&p->arena, ((size_t)n + 1) * sizeof *p->tensor);
    if (!p->tensor) return out_of_memory();
    for (int i = 0; i < n; i++)
        for (int k = 0; k < p->n_layers; k++)
            if (strcmp(p->layer[k].name, oct_weights_at(w, i)->name) == 0) p->layer[k].tensor = i;
    return read_tensors(p, w);
}

static size_t count_zeros(const oct_tensor *t)
{
    enum { PIECE = 256 };
    const size_t n = oct_tensor_count(t);
    float x[PIECE];
    size_t zeros = 0;
    for (size_t i = 0; i < n; i += PIECE) {
        const size_t here = n - i < PIECE ? n - i : PIECE;
        oct_tensor_read_f32(t, i, here, x);
        for (size_t k = 0; k < here; k++) zeros += x[k] == 0;
    }
    return zeros;
}

static void measure(const oct_pruned *p, oct_pruned_layer *layer)
{
    const oct_tensor *t = &p->tensor[layer->tensor];
    layer->left = oct_tensor_count(t);
    layer->zeros = count_zeros(t);
    layer->out = t->dim[0];
    layer->in = t->dim[1];
}

/* *mask is of the layer's weights, in FP32 in arena if they are not. */
static oct_status mask_of(const oct_pruned *p, const oct_pruned_layer *layer, oct_arena *arena,
                          oct_mask_layer *mask)
{
    const oct_tensor *t = &p->tensor[layer->tensor];
    const float *w = t->data;
    if (t->dtype != OCT_F32) {
        float *wide = oct_arena_alloc(arena, layer->weights * sizeof *wide);
        if (!wide) return out_of_memory();
        oct_tensor_read_f32(t, 0, layer->weights, wide);
        w = wide;
    }
    *mask = (oct_mask_layer){ w, t->dim[0], t->dim[1], 1 };
    for (int i = 2; i < t->rank; i++) mask->taps *= t->dim[i];
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
        if (!p->layer[i].chosen) continue;
        OCT_TRY(mask_of(p, &p->layer[i], arena, &mask));
        out->layer[out->n] = mask;
        out->index[out->n++] = i;
        if (p->layer[i].weights > most) most = p->layer[i].weights;
    }
    out->keep = oct_arena_alloc(arena, most + 1);
    return out->keep ? OCT_OK : out_of_memory();
}

/* What the mask does not keep becomes 0. */
static void apply(const oct_pruned *p, const oct_pruned_layer *layer, const masks *m)
{
    const oct_tensor *t = &p->tensor[layer->tensor];
    const size_t size = oct_dtype_size(t->dtype);
    for (size_t i = 0; i < layer->weights; i++)
        if (!m->keep[i]) memset((char *)t->data + i * size, 0, size);
}

static oct_status zero(oct_pruned *p, oct_arena *arena)
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
        apply(p, &p->layer[m.index[k]], &m);
    }
    return OCT_OK;
}

static oct_status prune_all(oct_pruned *p)
{
    oct_arena arena = { 0 };
    OCT_TRY(check_model(p->model));
    OCT_TRY(find_layers(p));
    OCT_TRY(choose(p));
    OCT_TRY(open_tensors(p));
    for (int i = 0; i < p->n_layers; i++) {
        oct_pruned_layer *l = &p->layer[i];
        measure(p, l);
        l->weights = l->left;
        l->zeros_before = l->zeros;
        l->out_before = l->out;
        l->in_before = l->in;
    }
    const oct_status status = p->how.whole ? oct_prune_channels(p, &arena) : zero(p, &arena);
    oct_arena_free(&arena);
    oct_pruned_count(p);
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
    oct_weights_close(p->from);
    oct_model_free(p->model);
    oct_arena_free(&p->arena);
    *p = (oct_pruned){ .model = NULL };
}

void oct_pruned_let_go(oct_pruned *p)
{
    for (int i = 0; i < p->n_tensors; i++)
        oct_weights_let_go(p->from ? p->from : p->model->weights, &p->tensor[i]);
    p->n_tensors = 0;
}

/* ---- repaired ---- */

void oct_pruned_count(oct_pruned *p)
{
    for (int i = 0; i < p->n_layers; i++) measure(p, &p->layer[i]);
}

oct_status oct_pruned_read_back(oct_pruned *p, const char *path)
{
    oct_weights_close(p->from);
    OCT_TRY(oct_weights_open(path, &p->from));
    return read_tensors(p, p->from);
}

/* ---- the file ---- */

double oct_pruned_density(const oct_pruned_layer *l)
{
    return (double)(l->left - l->zeros) / (double)l->weights;
}

static json_t *json_of_shapes(const oct_pruned *p)
{
    json_t *shapes = json_object();
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        if (l->left != l->weights)
            shapes = oct_json_put(shapes, l->name, json_pack(
                "[[i, i], [i, i]]", l->out_before, l->in_before, l->out, l->in));
    }
    return shapes;
}

static json_t *json_of_prune(const oct_pruned *p)
{
    json_t *density = json_object(), *o = json_object();
    for (int i = 0; i < p->n_layers; i++)
        density = oct_json_put(density, p->layer[i].name,
                               json_real(oct_pruned_density(&p->layer[i])));
    o = oct_json_put(o, "amount", json_real(p->how.amount));
    o = oct_json_put(o, "density", density);
    o = oct_json_put(o, "per_layer", json_boolean(p->how.per_layer));
    if (p->how.whole) {
        o = oct_json_put(o, "multiple", json_integer(p->how.multiple));
        o = oct_json_put(o, "shapes", json_of_shapes(p));
    }
    if (p->repair.samples)
        o = oct_json_put(o, "repair", json_pack("{s:s*, s:i, s:s}", "forced", p->repair.forced,
                                                "samples", p->repair.samples, "sha256",
                                                p->repair.sha256));
    return oct_json_put(o, "structure", json_string(oct_prune_name(&p->how)));
}

static oct_status save(const oct_pruned *p, const char *path, const oct_save_info *info,
                       const char *measured, oct_arena *arena)
{
    enum { PRUNE, MEASURED, SPARSE, COMPRESSED, N_OWN };
    oct_save_meta own[N_OWN] = { [PRUNE] = { "octet.prune", NULL },
                                 [MEASURED] = { "octet.measured", measured },
                                 [SPARSE] = { "octet.sparse", NULL } }, *meta;
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
    OCT_TRY(oct_sparse_decide(p->model, list, n, arena, &own[SPARSE].value));
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
