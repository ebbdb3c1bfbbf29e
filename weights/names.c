/* The tensors of a file become a list sorted by name: every shape is held against the bytes it
 * claims, PyTorch's prefixes are taken off, and weight_orig with weight_mask becomes weight. */
#include "weights/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Well-formed UTF-8 without NUL: names go into messages, JSON and the files we write. */
static bool is_utf8(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    while (p < end) {
        const unsigned lead = *p++;
        if (lead == 0) return false;
        if (lead < 0x80) continue;
        const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        unsigned code = lead & (0x3fu >> more);
        if (lead < 0xc2 || lead > 0xf4 || end - p < more) return false;
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xc0) != 0x80) return false;
            code = code << 6 | (*p & 0x3fu);
        }
        static const unsigned least[] = { 0, 0x80, 0x800, 0x10000 };
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

/* dim and stride -> entry.size, span, dense. */
static oct_status measure(oct_weights_item *it, const oct_weights_claim *c)
{
    oct_weights_entry *e = &it->entry;
    const char *name = e->name;
    oct_tensor t = { .dtype = c->dtype, .rank = c->rank };
    for (int i = 0; i < c->rank; i++) {
        if (c->dim[i] < 0 || c->dim[i] > INT_MAX)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: dimension %d is %lld, at most %d", name, i,
                            (long long)c->dim[i], INT_MAX);
        t.dim[i] = e->dim[i] = (int)c->dim[i];
    }
    if (oct_tensor_check(&t) != OCT_OK)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: the product of its dimensions overflows", name);
    e->size = oct_tensor_size(&t);
    it->span = e->size;
    it->dense = true;
    if (!c->stride || e->size == 0) return OCT_OK;

    const uint64_t unit = oct_dtype_size(c->dtype);
    uint64_t last = 0, row_major = 1; /* index of the last element; stride if row-major */
    for (int i = c->rank - 1; i >= 0; i--) {
        const uint64_t stride = (uint64_t)c->stride[i], steps = (uint64_t)e->dim[i] - 1;
        uint64_t far;
        if (c->stride[i] < 0 || __builtin_mul_overflow(stride, steps, &far) ||
            __builtin_add_overflow(last, far, &last) || last > UINT64_MAX / 16)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: stride %lld of dimension %d is out of range",
                            name, (long long)c->stride[i], i);
        it->stride[i] = c->stride[i];
        if (steps && stride != row_major) it->dense = false;
        row_major *= (uint64_t)e->dim[i];
    }
    it->span = (last + 1) * unit;
    return OCT_OK;
}

oct_status oct_names_item(oct_weights *w, const oct_weights_claim *c, oct_weights_item **out)
{
    if (!is_utf8(c->name, c->name_size))
        return oct_fail(OCT_ERR_FORMAT, "a tensor name is not UTF-8 text");
    if (c->rank > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.*s: rank %d, at most %d",
                        c->name_size < 80 ? (int)c->name_size : 80, c->name, c->rank,
                        OCT_MAX_RANK);
    oct_weights_item *it = oct_slab_alloc(&w->slab, sizeof *it);
    if (!it) return oct_slab_error(&w->slab);
    it->entry.name = oct_slab_string(&w->slab, c->name, c->name_size);
    if (!it->entry.name) return oct_slab_error(&w->slab);
    it->entry.dtype = c->dtype;
    it->entry.rank = c->rank;
    it->store = c->store;
    it->offset = c->offset;
    OCT_TRY(measure(it, c));
    if (c->size && it->entry.size != *c->size)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: shape and dtype make %zu bytes, the file gives it "
                        "%llu", it->entry.name, it->entry.size, (unsigned long long)*c->size);
    if (it->offset > it->store->size || it->span > it->store->size - it->offset)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: needs bytes %llu to %llu of a storage of %llu",
                        it->entry.name, (unsigned long long)it->offset,
                        (unsigned long long)(it->offset + it->span),
                        (unsigned long long)it->store->size);
    *out = it;
    return OCT_OK;
}

void oct_names_link(oct_weights *w, oct_weights_item *it)
{
    it->next = w->first;
    w->first = it;
    w->n_items++;
}

oct_status oct_names_add(oct_weights *w, const oct_weights_claim *c)
{
    oct_weights_item *it;
    OCT_TRY(oct_names_item(w, c, &it));
    oct_names_link(w, it);
    return OCT_OK;
}


/* A few bytes can describe tensors without end: views that repeat one element, many views of one
 * storage, compressed zeros.  So the bytes that must be read and written to hand all of them out
 * once are bounded: 8 times the file and 64 MiB are far above anything a trained model needs. */
static bool add_cost(const oct_weights_item *it, uint64_t *cost) /* false: an overflow */
{
    uint64_t one = it->span > it->entry.size ? it->span : it->entry.size;
    if (it->store && it->store->deflated) one += it->offset; /* inflated from its beginning only */
    const oct_scales *s = it->scales;
    if (s && s->scale && !(add_cost(s->scale, cost) && add_cost(s->zero, cost))) return false;
    return !__builtin_add_overflow(*cost, one, cost);
}

static oct_status check_cost(const oct_weights *w)
{
    const uint64_t limit = 8 * w->size + (64u << 20);
    uint64_t cost = 0;
    for (const oct_weights_item *it = w->first; it; it = it->next)
        if (!add_cost(it, &cost) || cost > limit)
            return oct_fail(OCT_ERR_FORMAT, "the tensors claim more than %llu bytes, the file has "
                            "%llu", (unsigned long long)limit, (unsigned long long)w->size);
    return OCT_OK;
}

/* nn.DataParallel and torch.compile put a word in front of every name. */
static void strip_prefixes(oct_weights *w)
{
    static const char *const prefix[] = { "module.", "_orig_mod." };
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix;) {
        const size_t size = strlen(prefix[i]);
        bool all = w->first != NULL;
        for (const oct_weights_item *it = w->first; it && all; it = it->next)
            all = strncmp(it->entry.name, prefix[i], size) == 0 && it->entry.name[size];
        for (oct_weights_item *it = w->first; it && all; it = it->next) it->entry.name += size;
        i = all ? 0 : i + 1;
    }
}

static int by_name(const void *a, const void *b)
{
    const oct_weights_item *const *x = a, *const *y = b;
    return strcmp((*x)->entry.name, (*y)->entry.name);
}

static oct_status sort(oct_weights *w)
{
    qsort(w->item, (size_t)w->n_items, sizeof *w->item, by_name);
    for (int i = 1; i < w->n_items; i++)
        if (by_name(&w->item[i - 1], &w->item[i]) == 0)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: two tensors of this name",
                            w->item[i]->entry.name);
    return OCT_OK;
}

static oct_weights_item *lookup(const oct_weights *w, const char *name)
{
    const oct_weights_item key = { .entry.name = name }, *p = &key;
    oct_weights_item **at =
        bsearch(&p, w->item, (size_t)w->n_items, sizeof *w->item, by_name);
    return at ? *at : NULL;
}

static bool is_float(oct_dtype d)
{
    return d == OCT_F32 || d == OCT_F16 || d == OCT_BF16 || d == OCT_F64;
}

/* X_orig and X_mask, where there is no X: what torch.nn.utils.prune writes. */
static oct_status pair_mask(oct_weights *w, oct_weights_item *orig)
{
    const char *name = orig->entry.name;
    const size_t size = strlen(name), suffix = strlen("_orig");
    if (size <= suffix || strcmp(name + size - suffix, "_orig") != 0) return OCT_OK;
    char *other = oct_slab_string(&w->slab, name, size);
    if (!other) return oct_slab_error(&w->slab);
    memcpy(other + size - suffix, "_mask", suffix);
    oct_weights_item *mask = lookup(w, other);
    other[size - suffix] = '\0';
    if (!mask || lookup(w, other)) return OCT_OK;
    const oct_weights_entry *a = &orig->entry, *b = &mask->entry;
    if (a->rank != b->rank || memcmp(a->dim, b->dim, sizeof a->dim) != 0)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its mask has another shape", name);
    if (a->dtype != b->dtype || !is_float(a->dtype))
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %s with a mask of dtype %s", name,
                        oct_dtype_name(a->dtype), oct_dtype_name(b->dtype));
    orig->mask = mask;
    orig->product = other;
    mask->hidden = true;
    return OCT_OK;
}

/* Renaming waits until all pairs are found: lookup needs the order of the old names. */
static oct_status pair_masks(oct_weights *w)
{
    for (int i = 0; i < w->n_items; i++) OCT_TRY(pair_mask(w, w->item[i]));
    int n = 0;
    for (int i = 0; i < w->n_items; i++) {
        oct_weights_item *it = w->item[i];
        if (it->product) it->entry.name = it->product;
        if (!it->hidden) w->item[n++] = it;
    }
    const bool changed = n < w->n_items;
    w->n_items = n;
    return changed ? sort(w) : OCT_OK;
}

oct_status oct_names_finish(oct_weights *w)
{
    if (w->n_items == 0) return oct_fail(OCT_ERR_FORMAT, "there is no tensor in the file");
    OCT_TRY(check_cost(w));
    strip_prefixes(w);
    w->item = oct_slab_alloc(&w->slab, (size_t)w->n_items * sizeof *w->item);
    if (!w->item) return oct_slab_error(&w->slab);
    int i = 0;
    for (oct_weights_item *it = w->first; it; it = it->next) w->item[i++] = it;
    OCT_TRY(sort(w));
    OCT_TRY(oct_blocks_pair(w));
    OCT_TRY(sort(w));          /* an index's place is not its tensor's */
    return pair_masks(w);
}
