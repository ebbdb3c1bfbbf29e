/* PyTorch before 1.6, and _use_new_zipfile_serialization=False since:
 *
 *   pickle: magic number | pickle: 1001 | pickle: facts about the machine
 *   pickle: the object; its storages are named by persistent ids
 *   pickle: list of the storages' keys
 *   for each key: int64 elements, then the elements, little-endian */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weights/pth.h"

static const unsigned char magic[10] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                         0x20, 0x6a, 0xa8, 0x50, 0x19 };
enum { PROTOCOL = 1001 };

typedef oct_pickle_value value;

static oct_status read_bytes(void *arg, uint64_t at, void *to, size_t size)
{
    const oct_weights *w = arg;
    return oct_file_read(w->fd, at, to, size);
}

static oct_status read_preamble(oct_pickle *p, oct_pickle_input *in)
{
    value *v;
    OCT_TRY(oct_pickle_run(p, in, &v));
    if (v->kind != OCT_PICKLE_LONG || v->n != sizeof magic || memcmp(v->text, magic, v->n) != 0)
        return oct_fail(OCT_ERR_FORMAT, "a pickle that torch.save did not write: no magic number");
    OCT_TRY(oct_pickle_run(p, in, &v));
    if (v->kind != OCT_PICKLE_INT || v->i != PROTOCOL)
        return oct_fail(OCT_ERR_FORMAT, "PyTorch's legacy protocol is not %d", PROTOCOL);
    return oct_pickle_run(p, in, &v);
}

static int compare_keys(const value *x, const value *y)
{
    const uint32_t n = x->n < y->n ? x->n : y->n;
    const int order = memcmp(x->text, y->text, n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int by_key(const void *a, const void *b)
{
    const oct_pickle_storage *const *x = a, *const *y = b;
    return compare_keys((*x)->key, (*y)->key);
}

/* Sorted list of n storages; those with this key: [*first, *first + result). */
static size_t find(oct_pickle_storage **list, size_t n, const value *key, size_t *first)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_keys(list[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (high < n && compare_keys(list[high]->key, key) == 0) high++;
    return high - low;
}

/* One storage's data at *at, which moves behind them. */
static oct_status place(oct_weights *w, oct_pickle_storage **list, size_t n, const value *key,
                        uint64_t *at)
{
    uint64_t numel, size;
    size_t first;
    if (key->kind != OCT_PICKLE_STR && key->kind != OCT_PICKLE_BYTES)
        return oct_fail(OCT_ERR_FORMAT, "the key of a storage is no text");
    n = find(list, n, key, &first);
    if (n == 0)
        return oct_fail(OCT_ERR_FORMAT, "storage '%.80s' belongs to no tensor", key->text);
    const oct_dtype dtype = list[first]->dtype;
    if (list[first]->store)
        return oct_fail(OCT_ERR_FORMAT, "storage '%.80s' is in the file twice", key->text);
    if (w->size - *at < sizeof numel)
        return oct_fail(OCT_ERR_FORMAT, "the file ends before storage '%.80s' (byte %" PRIu64 ")",
                        key->text, *at);
    OCT_TRY(oct_file_read(w->fd, *at, &numel, sizeof numel));
    *at += sizeof numel;
    if (__builtin_mul_overflow(numel, (uint64_t)oct_dtype_size(dtype), &size) ||
        size > w->size - *at)
        return oct_fail(OCT_ERR_FORMAT, "storage '%.80s' of %" PRIu64 " elements exceeds file size "
                        "%" PRIu64 " (byte %" PRIu64 ")", key->text, numel, w->size, *at);
    oct_store *store = oct_slab_alloc(&w->slab, sizeof *store);
    if (!store) return oct_slab_error(&w->slab);
    *store = (oct_store){ .at = *at, .size = size };
    for (size_t i = first; i < first + n; i++) {
        if (list[i]->numel != numel || list[i]->dtype != dtype)
            return oct_fail(OCT_ERR_FORMAT, "storage '%.80s' has %" PRIu64 " elements of %s, "
                            "expected %" PRIu64 " of %s", key->text, numel, oct_dtype_name(dtype),
                            list[i]->numel, oct_dtype_name(list[i]->dtype));
        list[i]->store = store;
    }
    *at += size;
    return OCT_OK;
}

static oct_status place_all(oct_weights *w, const oct_pickle *p, const value *keys, uint64_t at)
{
    if (keys->kind != OCT_PICKLE_LIST)
        return oct_fail(OCT_ERR_FORMAT, "the keys of the storages are no list");
    size_t n = 0;
    for (oct_pickle_storage *s = p->storages; s; s = s->next) n++;
    oct_pickle_storage **list = oct_slab_alloc(p->slab, n * sizeof *list);
    if (!list) return oct_slab_error(p->slab);
    n = 0;
    for (oct_pickle_storage *s = p->storages; s; s = s->next) list[n++] = s;
    qsort(list, n, sizeof *list, by_key);
    for (const oct_pickle_cell *c = keys->list.first; c; c = c->next)
        OCT_TRY(place(w, list, n, c->value, &at));
    for (size_t i = 0; i < n; i++)
        if (!list[i]->store)
            return oct_fail(OCT_ERR_FORMAT, "storage '%.80s' has no data", list[i]->key->text);
    return OCT_OK;
}

oct_status oct_pth_read_legacy(oct_weights *w)
{
    oct_slab slab;
    oct_pth_budget(w, &slab);
    oct_pickle p = { .slab = &slab };
    oct_pickle_input in = { .read = read_bytes, .arg = w, .end = w->size };
    value *root, *keys;
    oct_status status = read_preamble(&p, &in);
    if (status == OCT_OK) status = oct_pickle_run(&p, &in, &root);
    if (status == OCT_OK) status = oct_pickle_run(&p, &in, &keys);
    if (status == OCT_OK) status = place_all(w, &p, keys, in.at);
    if (status == OCT_OK) status = oct_pth_take(w, root);
    oct_slab_free(&slab);
    return status;
}
