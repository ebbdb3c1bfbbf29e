/* From what a pickle built to named tensors.
 *
 *   {"conv1.weight": tensor, ...}                      a state dict
 *   {"state_dict": {...}, "optimizer": ..., ...}       a checkpoint: the state dict in it
 *   module object                                      TorchScript: attributes are the names */
#include "weights/pth.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_WRAPPERS = 3,
    MAX_DEPTH = 64,       /* modules in modules */
    MAX_VISITS = 1 << 20, /* attributes looked at: shared modules are seen once for each name */
    MAX_NAME = 512
};

typedef oct_pickle_value value;

static const char *const wrappers[] = { "state_dict", "model_state_dict", "model_state", "model",
                                        "net", "network", "weights", "params" };
enum { N_WRAPPERS = sizeof wrappers / sizeof *wrappers };

void oct_pth_budget(const oct_weights *w, oct_slab *slab)
{
    *slab = (oct_slab){ .budget = (size_t)w->size + (16u << 20) };
}

oct_status oct_pth_claim(oct_weights *w, const char *name, size_t size, const oct_pickle_tensor *t,
                         oct_weights_claim *out)
{
    oct_pickle_storage *s = t->storage;
    if (!s->store) OCT_TRY(oct_pth_zip_store(w, s, &s->store));
    uint64_t offset;
    if (__builtin_add_overflow(t->offset, s->view_at, &offset) ||
        __builtin_mul_overflow(offset, (uint64_t)oct_dtype_size(s->dtype), &offset))
        return oct_fail(OCT_ERR_FORMAT, "%.*s: its offset is out of range",
                        size < 80 ? (int)size : 80, name);
    *out = (oct_weights_claim){ .name = name, .name_size = size, .dtype = s->dtype,
                                .rank = t->rank, .dim = t->dim, .stride = t->stride,
                                .store = s->store, .offset = offset };
    return OCT_OK;
}

static oct_status add(oct_weights *w, const char *name, size_t size, const oct_pickle_tensor *t)
{
    oct_weights_claim c;
    if (t->quantizer) return oct_scales_add(w, name, size, t);
    OCT_TRY(oct_pth_claim(w, name, size, t, &c));
    return oct_names_add(w, &c);
}

static bool is_tensor(const oct_pickle_cell *c)
{
    return c->key->kind == OCT_PICKLE_STR && c->value->kind == OCT_PICKLE_TENSOR;
}

static bool has_tensors(const value *v)
{
    if (v->kind != OCT_PICKLE_DICT) return false;
    for (const oct_pickle_cell *c = v->list.first; c; c = c->next)
        if (is_tensor(c)) return true;
    return false;
}

/* The value under the first wrapper's name that holds tensors, directly or wrapped once more. */
static const value *unwrap(const value *dict, int depth)
{
    for (int i = 0; i < N_WRAPPERS && depth < MAX_WRAPPERS; i++) {
        const value *v = oct_pickle_get(dict, wrappers[i]);
        if (!v || v->kind != OCT_PICKLE_DICT) continue;
        const value *inner = unwrap(v, depth + 1);
        if (inner) return inner;
        if (has_tensors(v)) return v;
    }
    return NULL;
}

/* Under whatever name: the only dictionary of tensors there is. */
static oct_status find_sole(const value *dict, const value **out)
{
    const oct_pickle_cell *found = NULL;
    for (const oct_pickle_cell *c = dict->list.first; c; c = c->next) {
        if (c->key->kind != OCT_PICKLE_STR || !has_tensors(c->value)) continue;
        if (found)
            return oct_fail(OCT_ERR_FORMAT, "tensors in both '%.40s' and '%.40s': which is the "
                            "model?", found->key->text, c->key->text);
        found = c;
    }
    if (!found) return oct_fail(OCT_ERR_FORMAT, "the pickle has no dictionary of named tensors");
    *out = found->value;
    return OCT_OK;
}

/* What torch.ao.quantization calls the weight and bias of a linear layer; both become LINEAR.weight
 * and LINEAR.bias.
 *   LINEAR._packed_params._packed_params          (weight, bias or None)
 *   LINEAR._packed_params.weight, .bias           PyTorch 1.4 */
static const char packed[] = "._packed_params.";

static bool is_packed(const value *v)
{
    return v->kind == OCT_PICKLE_TUPLE && v->n == 2 && v->item[0]->kind == OCT_PICKLE_TENSOR &&
           (v->item[1]->kind == OCT_PICKLE_TENSOR || v->item[1]->kind == OCT_PICKLE_NONE);
}

static oct_status add_part(oct_weights *w, const value *key, size_t linear, const char *part,
                           const oct_pickle_tensor *t)
{
    const size_t n = strlen(part);
    char name[MAX_NAME];
    if (linear > sizeof name - 1 - n)
        return oct_fail(OCT_ERR_FORMAT, "the name of a tensor is longer than %d", MAX_NAME);
    memcpy(name, key->text, linear);
    name[linear] = '.';
    memcpy(name + linear + 1, part, n);
    return add(w, name, linear + 1 + n, t);
}

static oct_status take_cell(oct_weights *w, const oct_pickle_cell *c)
{
    if (c->key->kind != OCT_PICKLE_STR) return OCT_OK;
    const char *at = strstr(c->key->text, packed);
    const size_t linear = at ? (size_t)(at - c->key->text) : 0;
    if (at && strcmp(at + strlen(packed), "_packed_params") == 0 && is_packed(c->value)) {
        value *const *item = c->value->item;
        OCT_TRY(add_part(w, c->key, linear, "weight", item[0]->tensor));
        if (item[1]->kind == OCT_PICKLE_NONE) return OCT_OK;
        return add_part(w, c->key, linear, "bias", item[1]->tensor);
    }
    if (c->value->kind != OCT_PICKLE_TENSOR) return OCT_OK;
    if (at) return add_part(w, c->key, linear, at + strlen(packed), c->value->tensor);
    return add(w, c->key->text, c->key->n, c->value->tensor);
}

static oct_status take_dict(oct_weights *w, const value *dict)
{
    const value *inner = unwrap(dict, 0);
    if (inner)
        dict = inner;
    else if (!has_tensors(dict))
        OCT_TRY(find_sole(dict, &dict));
    for (const oct_pickle_cell *c = dict->list.first; c; c = c->next) OCT_TRY(take_cell(w, c));
    return OCT_OK;
}

typedef struct walk {
    oct_weights *w;
    int visits;
    char name[MAX_NAME];
} walk;

/* name[0..size) is the path of the object, with a dot behind it.  Recursion is bounded. */
static oct_status take_object(walk *k, const value *object, size_t size, int depth)
{
    if (depth > MAX_DEPTH)
        return oct_fail(OCT_ERR_FORMAT, "modules are nested deeper than %d", MAX_DEPTH);
    for (const oct_pickle_cell *c = object->list.first; c; c = c->next) {
        if (++k->visits > MAX_VISITS)
            return oct_fail(OCT_ERR_FORMAT, "modules with more than %d attributes", MAX_VISITS);
        const value *v = c->value;
        if (c->key->kind != OCT_PICKLE_STR) continue;
        if (v->kind != OCT_PICKLE_TENSOR && v->kind != OCT_PICKLE_OBJECT) continue;
        if (c->key->n > MAX_NAME - 1 - size)
            return oct_fail(OCT_ERR_FORMAT, "the name of a tensor is longer than %d", MAX_NAME);
        memcpy(k->name + size, c->key->text, c->key->n);
        const size_t end = size + c->key->n;
        k->name[end] = '.';
        OCT_TRY(v->kind == OCT_PICKLE_TENSOR ? add(k->w, k->name, end, v->tensor)
                                             : take_object(k, v, end + 1, depth + 1));
    }
    return OCT_OK;
}

oct_status oct_pth_take(oct_weights *w, const oct_pickle_value *root)
{
    if (root->kind == OCT_PICKLE_DICT) return take_dict(w, root);
    if (root->kind == OCT_PICKLE_OBJECT) {
        walk k = { .w = w };
        return take_object(&k, root, 0, 0);
    }
    return oct_fail(OCT_ERR_FORMAT, "the pickle holds %s, not a dictionary of tensors",
                    root->kind == OCT_PICKLE_TENSOR ? "one tensor without a name"
                    : root->kind == OCT_PICKLE_LIST || root->kind == OCT_PICKLE_TUPLE
                        ? "a list" : "a plain value");
}
