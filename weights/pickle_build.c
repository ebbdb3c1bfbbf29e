/* The globals that are allowed, and what they make.  The list is PyTorch's own for weights_only
 * loading (torch/_weights_only_unpickler.py), less what we could not use, plus numpy's scalars. */
#include "weights/pickle_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "weights/pickle.h"

typedef oct_pickle_value value;

typedef enum what {
    VALUE,       /* only passed around */
    OPAQUE,      /* a call whose result nobody needs */
    FIRST,       /* a call that is its first argument, for us */
    DICT, SET, TYPE, STORAGE, TENSOR, QUANTIZED, PER_TENSOR, PER_CHANNEL, PARAMETER, FROM_TYPE
} what;

static const struct row {
    const char *name;
    what what;
    oct_dtype dtype;       /* of a storage */
    int least, most;       /* number of arguments of a call */
} rows[] = {
    { "collections.OrderedDict", DICT, 0, 0, 1 },
    { "collections.Counter", DICT, 0, 0, 1 },
    { "torch._utils._rebuild_tensor", TENSOR, 0, 4, 4 },
    { "torch._utils._rebuild_tensor_v2", TENSOR, 0, 6, 7 },
    { "torch._utils._rebuild_qtensor", QUANTIZED, 0, 7, 7 },
    { "torch._utils._rebuild_parameter", PARAMETER, 0, 3, 3 },
    { "torch._utils._rebuild_parameter_with_state", PARAMETER, 0, 4, 4 },
    { "torch._tensor._rebuild_from_type_v2", FROM_TYPE, 0, 4, 4 },
    { "torch.Tensor", TYPE, 0, 0, 0 },
    { "torch.nn.parameter.Parameter", TYPE, 0, 0, 0 },
    { "torch.FloatStorage", STORAGE, OCT_F32, 0, 0 },
    { "torch.HalfStorage", STORAGE, OCT_F16, 0, 0 },
    { "torch.BFloat16Storage", STORAGE, OCT_BF16, 0, 0 },
    { "torch.DoubleStorage", STORAGE, OCT_F64, 0, 0 },
    { "torch.CharStorage", STORAGE, OCT_S8, 0, 0 },
    { "torch.ByteStorage", STORAGE, OCT_U8, 0, 0 },
    { "torch.ShortStorage", STORAGE, OCT_S16, 0, 0 },
    { "torch.IntStorage", STORAGE, OCT_S32, 0, 0 },
    { "torch.LongStorage", STORAGE, OCT_S64, 0, 0 },
    { "torch.BoolStorage", STORAGE, OCT_BOOL, 0, 0 },
    { "torch.QInt8Storage", STORAGE, OCT_S8, 0, 0 },
    { "torch.QUInt8Storage", STORAGE, OCT_U8, 0, 0 },
    { "torch.per_tensor_affine", PER_TENSOR, 0, 0, 0 },
    { "torch.per_channel_affine", PER_CHANNEL, 0, 0, 0 },
    { "torch.qint8", VALUE, 0, 0, 0 },
    { "torch.quint8", VALUE, 0, 0, 0 },
    { "torch.Size", FIRST, 0, 1, 1 },
    { "torch.device", OPAQUE, 0, 1, 2 },
    { "torch.serialization._get_layout", OPAQUE, 0, 1, 1 },
    { "torch.float16", VALUE, 0, 0, 0 },
    { "torch.float32", VALUE, 0, 0, 0 },
    { "torch.float64", VALUE, 0, 0, 0 },
    { "torch.bfloat16", VALUE, 0, 0, 0 },
    { "torch.int8", VALUE, 0, 0, 0 },
    { "torch.uint8", VALUE, 0, 0, 0 },
    { "torch.int16", VALUE, 0, 0, 0 },
    { "torch.int32", VALUE, 0, 0, 0 },
    { "torch.int64", VALUE, 0, 0, 0 },
    { "torch.bool", VALUE, 0, 0, 0 },
    { "torch.jit._pickle.build_intlist", FIRST, 0, 1, 1 },
    { "torch.jit._pickle.build_doublelist", FIRST, 0, 1, 1 },
    { "torch.jit._pickle.build_boollist", FIRST, 0, 1, 1 },
    { "torch.jit._pickle.build_tensorlist", FIRST, 0, 1, 1 },
    { "torch.jit._pickle.restore_type_tag", FIRST, 0, 2, 2 },
    { "builtins.set", SET, 0, 0, 1 },
    { "builtins.bytearray", OPAQUE, 0, 0, 2 },
    { "builtins.complex", OPAQUE, 0, 0, 2 },
    { "_codecs.encode", OPAQUE, 0, 1, 2 },
    { "numpy.dtype", OPAQUE, 0, 1, 3 },
    { "numpy.core.multiarray.scalar", OPAQUE, 0, 1, 2 },
    { "numpy._core.multiarray.scalar", OPAQUE, 0, 1, 2 },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

oct_status oct_pickle_fail(const oct_pickle *p, const char *fmt, ...)
{
    char sentence[224];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    return oct_fail(OCT_ERR_FORMAT, "%s (byte %llu)", sentence, (unsigned long long)p->byte);
}

oct_status oct_pickle_new(oct_pickle *p, oct_pickle_kind kind, oct_pickle_value **out)
{
    *out = oct_slab_alloc(p->slab, sizeof **out);
    if (!*out) return oct_slab_error(p->slab);
    (*out)->kind = (uint8_t)kind;
    return OCT_OK;
}

oct_status oct_pickle_add(oct_pickle *p, oct_pickle_value *to, oct_pickle_value *key,
                          oct_pickle_value *item)
{
    oct_pickle_cell *cell = oct_slab_alloc(p->slab, sizeof *cell);
    if (!cell) return oct_slab_error(p->slab);
    *cell = (oct_pickle_cell){ key, item, NULL };
    if (to->list.first)
        to->list.last->next = cell;
    else
        to->list.first = cell;
    to->list.last = cell;
    to->n++;
    return OCT_OK;
}

oct_pickle_value *oct_pickle_get(const oct_pickle_value *dict, const char *key)
{
    oct_pickle_value *found = NULL;
    const size_t n = strlen(key);
    for (const oct_pickle_cell *c = dict->list.first; c; c = c->next)
        if (c->key->kind == OCT_PICKLE_STR && c->key->n == n && !memcmp(c->key->text, key, n))
            found = c->value;
    return found;
}

oct_status oct_pickle_global(oct_pickle *p, const char *module, const char *name,
                             oct_pickle_value **out)
{
    char full[2 * 256 + 2];
    if (strcmp(module, "__builtin__") == 0) module = "builtins"; /* Python 2's name of it */
    if (strcmp(module, "torch.cuda") == 0 && strstr(name, "Storage")) module = "torch";
    const int size = snprintf(full, sizeof full, "%s.%s", module, name);
    if (p->modules && (strncmp(module, "__torch__.", 10) == 0 || !strcmp(module, "__torch__"))) {
        OCT_TRY(oct_pickle_new(p, OCT_PICKLE_CLASS, out));
        (*out)->text = oct_slab_string(p->slab, full, strlen(full));
        return (*out)->text ? OCT_OK : oct_slab_error(p->slab);
    }
    for (int i = 0; i < N_ROWS && size < (int)sizeof full; i++) {
        if (strcmp(rows[i].name, full) != 0) continue;
        OCT_TRY(oct_pickle_new(p, OCT_PICKLE_GLOBAL, out));
        (*out)->what = (uint8_t)i;
        return OCT_OK;
    }
    const bool module_class = strncmp(full, "torch.nn.", 9) == 0 ||
                              strncmp(full, "torchvision.", 12) == 0 ||
                              strncmp(full, "__main__.", 9) == 0;
    return oct_pickle_fail(p, "global '%.80s' is not allowed%s", full,
                           module_class ? ": a pickled object; save its state_dict() instead" : "");
}

/* The row of a value that is a global, or NULL. */
static const struct row *row_of(const value *v)
{
    return v->kind == OCT_PICKLE_GLOBAL ? &rows[v->what] : NULL;
}

static oct_status wrong(oct_pickle *p, const struct row *r)
{
    return oct_pickle_fail(p, "'%s' with unexpected arguments", r->name);
}

static bool natural(const value *v) { return v->kind == OCT_PICKLE_INT && v->i >= 0; }

/* A tuple or list of n >= 0 natural numbers -> out[0..n); false if it is something else. */
static bool read_sizes(const value *v, int64_t *out, uint32_t n)
{
    if (v->n != n) return false;
    if (v->kind == OCT_PICKLE_TUPLE) {
        for (uint32_t i = 0; i < n; i++) {
            if (!natural(v->item[i])) return false;
            out[i] = v->item[i]->i;
        }
        return true;
    }
    if (v->kind != OCT_PICKLE_LIST) return false;
    for (const oct_pickle_cell *c = v->list.first; c; c = c->next) {
        if (!natural(c->value)) return false;
        *out++ = c->value->i;
    }
    return true;
}

/* (storage, offset, size, stride, requires_grad, hooks, metadata) */
static oct_status make_tensor(oct_pickle *p, const struct row *r, const value *args, value **out)
{
    value *const *a = args->item;
    const uint32_t rank = a[2]->n;
    if (a[2]->kind != OCT_PICKLE_TUPLE && a[2]->kind != OCT_PICKLE_LIST) return wrong(p, r);
    if (a[0]->kind != OCT_PICKLE_STORAGE || !natural(a[1])) return wrong(p, r);
    if (args->n > 6 && a[6]->kind == OCT_PICKLE_DICT && a[6]->n)
        return oct_pickle_fail(p, "a tensor with conjugate or negative bit");
    if (rank > OCT_MAX_RANK)
        return oct_pickle_fail(p, "a tensor of rank %u, at most %d", rank, OCT_MAX_RANK);
    OCT_TRY(oct_pickle_new(p, OCT_PICKLE_TENSOR, out));
    oct_pickle_tensor *t = oct_slab_alloc(p->slab, sizeof *t);
    if (!t) return oct_slab_error(p->slab);
    t->storage = a[0]->storage;
    t->offset = (uint64_t)a[1]->i;
    t->rank = (int)rank;
    if (!read_sizes(a[2], t->dim, rank) || !read_sizes(a[3], t->stride, rank)) return wrong(p, r);
    (*out)->tensor = t;
    return OCT_OK;
}

/* The fifth argument of _rebuild_qtensor: (per_tensor_affine, scale, zero) or
 * (per_channel_affine, scales, zeros, axis), tensors both or, by PyTorch 1.3, lists. */
static oct_status make_quantizer(oct_pickle *p, const struct row *r, const value *params,
                                 const oct_pickle_quantizer **out)
{
    value *const *a = params->item;
    const struct row *scheme = params->kind == OCT_PICKLE_TUPLE && params->n ? row_of(a[0]) : NULL;
    oct_pickle_quantizer *q = oct_slab_alloc(p->slab, sizeof *q);
    if (!q) return oct_slab_error(p->slab);
    *out = q;
    if (scheme && scheme->what == PER_TENSOR && params->n == 3) {
        if (a[1]->kind != OCT_PICKLE_FLOAT || a[2]->kind != OCT_PICKLE_INT) return wrong(p, r);
    } else if (scheme && scheme->what == PER_CHANNEL && params->n == 4) {
        if (a[1]->kind != a[2]->kind || !natural(a[3])) return wrong(p, r);
        if (a[1]->kind != OCT_PICKLE_TENSOR && a[1]->kind != OCT_PICKLE_LIST) return wrong(p, r);
        q->axis = a[3]->i;
    } else {
        return wrong(p, r);
    }
    q->scale = a[1];
    q->zero = a[2];
    return OCT_OK;
}

/* (storage, offset, size, stride, quantizer, requires_grad, hooks) */
static oct_status make_quantized(oct_pickle *p, const struct row *r, const value *args,
                                 value **out)
{
    const value plain = { .kind = OCT_PICKLE_TUPLE, .n = 4, .item = args->item };
    OCT_TRY(make_tensor(p, r, &plain, out));
    return make_quantizer(p, r, args->item[4], &(*out)->tensor->quantizer);
}

/* OrderedDict(): empty; Counter({...}): that; OrderedDict([[key, value], ...]) of Python 2. */
static oct_status make_dict(oct_pickle *p, const struct row *r, const value *args, value **out)
{
    if (args->n == 1 && args->item[0]->kind == OCT_PICKLE_DICT) {
        *out = args->item[0];
        return OCT_OK;
    }
    OCT_TRY(oct_pickle_new(p, OCT_PICKLE_DICT, out));
    if (args->n == 0) return OCT_OK;
    if (args->item[0]->kind != OCT_PICKLE_LIST) return wrong(p, r);
    for (const oct_pickle_cell *c = args->item[0]->list.first; c; c = c->next) {
        const value *pair = c->value;
        if (pair->n != 2) return wrong(p, r);
        if (pair->kind == OCT_PICKLE_LIST)
            OCT_TRY(oct_pickle_add(p, *out, pair->list.first->value, pair->list.last->value));
        else if (pair->kind == OCT_PICKLE_TUPLE)
            OCT_TRY(oct_pickle_add(p, *out, pair->item[0], pair->item[1]));
        else
            return wrong(p, r);
    }
    return OCT_OK;
}

static oct_status call(oct_pickle *p, const struct row *r, const value *args, value **out)
{
    switch (r->what) {
    case OPAQUE:
        return oct_pickle_new(p, OCT_PICKLE_OPAQUE, out);
    case DICT:
        return make_dict(p, r, args, out);
    case SET:
        if (args->n && args->item[0]->kind == OCT_PICKLE_LIST) break;
        return args->n ? wrong(p, r) : oct_pickle_new(p, OCT_PICKLE_LIST, out);
    case TENSOR:
        return make_tensor(p, r, args, out);
    case QUANTIZED:
        return make_quantized(p, r, args, out);
    case PARAMETER:
        if (args->item[0]->kind != OCT_PICKLE_TENSOR) return wrong(p, r);
        break;
    default:
        break; /* FIRST */
    }
    *out = args->item[0];
    return OCT_OK;
}

oct_status oct_pickle_reduce(oct_pickle *p, const oct_pickle_value *func,
                             const oct_pickle_value *args, oct_pickle_value **out)
{
    const struct row *r = row_of(func);
    if (r && r->what == FROM_TYPE && args->n == 4) { /* (function, type, arguments, state) */
        const struct row *type = row_of(args->item[1]);
        r = row_of(args->item[0]);
        args = args->item[2];
        if (!type || type->what != TYPE || args->kind != OCT_PICKLE_TUPLE || !r ||
            (r->what != TENSOR && r->what != PARAMETER))
            return oct_pickle_fail(p, "a tensor of a type that is not allowed");
    }
    if (!r || r->most == 0 || r->what == FROM_TYPE)
        return oct_pickle_fail(p, "a call of what is not an allowed function");
    if (args->n < (uint32_t)r->least || args->n > (uint32_t)r->most) return wrong(p, r);
    return call(p, r, args, out);
}

oct_status oct_pickle_object(oct_pickle *p, const oct_pickle_value *cls,
                             const oct_pickle_value *args, oct_pickle_value **out)
{
    const struct row *r = row_of(cls);
    if (args->n == 0 && cls->kind == OCT_PICKLE_CLASS)
        return oct_pickle_new(p, OCT_PICKLE_OBJECT, out);
    if (args->n == 0 && r && r->what == DICT) return oct_pickle_new(p, OCT_PICKLE_DICT, out);
    return oct_pickle_fail(p, "an object of a class that is not allowed");
}

oct_status oct_pickle_state(oct_pickle *p, oct_pickle_value *object, const oct_pickle_value *state)
{
    switch (object->kind) {
    case OCT_PICKLE_DICT:   /* an OrderedDict's _metadata */
    case OCT_PICKLE_OPAQUE: /* numpy.dtype's byte order */
        return OCT_OK;
    case OCT_PICKLE_OBJECT: /* attributes; what a __getstate__ of its own made is no use to us */
        if (state->kind != OCT_PICKLE_DICT) return OCT_OK;
        for (const oct_pickle_cell *c = state->list.first; c; c = c->next)
            OCT_TRY(oct_pickle_add(p, object, c->key, c->value));
        return OCT_OK;
    default:
        return oct_pickle_fail(p, "state for what is not an allowed object");
    }
}

static bool is_text(const value *v)
{
    return v->kind == OCT_PICKLE_STR || v->kind == OCT_PICKLE_BYTES;
}

/* ('storage', class, key, location, numel), and in legacy files a sixth: None or
 * (key of the view, its first element, its elements). */
oct_status oct_pickle_persistent(oct_pickle *p, const oct_pickle_value *id, oct_pickle_value **out)
{
    value *const *a = id->item;
    if (id->kind != OCT_PICKLE_TUPLE || id->n < 1 || !is_text(a[0]) ||
        strcmp(a[0]->text, "storage") != 0)
        return oct_pickle_fail(p, "a persistent id that is not a storage's");
    const struct row *r = id->n > 1 ? row_of(a[1]) : NULL;
    if (id->n < 5 || id->n > 6 || !r || r->what != STORAGE || !is_text(a[2]) || !natural(a[4]))
        return oct_pickle_fail(p, "a storage's id with unexpected items");
    OCT_TRY(oct_pickle_new(p, OCT_PICKLE_STORAGE, out));
    oct_pickle_storage *s = oct_slab_alloc(p->slab, sizeof *s);
    if (!s) return oct_slab_error(p->slab);
    *s = (oct_pickle_storage){ .dtype = r->dtype, .key = a[2], .numel = (uint64_t)a[4]->i,
                               .next = p->storages };
    if (id->n == 6 && a[5]->kind == OCT_PICKLE_TUPLE) {
        value *const *view = a[5]->item;
        if (a[5]->n != 3 || !natural(view[1]) || !natural(view[2]) || view[1]->i > a[4]->i ||
            view[2]->i > a[4]->i - view[1]->i)
            return oct_pickle_fail(p, "a view that is not inside its storage");
        s->view_at = (uint64_t)view[1]->i;
    }
    p->storages = s;
    (*out)->storage = s;
    return OCT_OK;
}
