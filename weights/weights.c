/* What the rest of the program sees of a weight file: names, shapes, and data on request. */
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weights/file.h"
#include "weights/sha256.h"

/* Told by its first bytes.  A safetensors file is any file that begins with a length that fits
 * and a brace; that rules out the others, whose ninth byte is no brace. */
static oct_status read_format(oct_weights *w)
{
    unsigned char head[9 + 253 + 5] = { 0 };
    const size_t n = w->size < sizeof head ? (size_t)w->size : sizeof head;
    OCT_TRY(oct_file_read(w->fd, 0, head, n));
    uint64_t length;
    memcpy(&length, head, sizeof length);
    const bool brace = n > 8 && head[8] == '{' && length <= w->size - 8;
    if (!brace && memcmp(head, "PK\3\4", 4) == 0) {
        w->format = "pytorch zip";
        return oct_pth_read_zip(w);
    }
    if (!brace && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) {
        w->format = "pytorch legacy";
        return oct_pth_read_legacy(w);
    }
    if (!brace && memcmp(head + 257, "ustar", 5) == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a tar file, as PyTorch wrote before version 0.2: "
                        "load and save it with a newer one");
    w->format = "safetensors";
    return oct_safetensors_read(w);
}

oct_status oct_weights_open(const char *path, oct_weights **out)
{
    *out = NULL;
    oct_weights *w = calloc(1, sizeof *w);
    if (!w) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    w->fd = -1;
    w->slab.budget = 2u << 20; /* config.json */
    oct_status status = oct_file_open(path, w);
    if (status == OCT_OK) {
        w->slab.budget = (size_t)w->size / 2 + (8u << 20);
        status = read_format(w);
    }
    if (status == OCT_OK) status = oct_names_finish(w);
    if (status != OCT_OK) {
        oct_weights_close(w);
        return status;
    }
    *out = w;
    return OCT_OK;
}

void oct_weights_close(oct_weights *w)
{
    if (!w) return;
    oct_map_free(w);
    oct_data_free_all(w);
    oct_archive_close(w);
    if (w->fd >= 0) close(w->fd);
    oct_slab_free(&w->slab);
    free(w);
}

int oct_weights_count(const oct_weights *w) { return w->n_items; }

const oct_weights_entry *oct_weights_at(const oct_weights *w, int i)
{
    return i >= 0 && i < w->n_items ? &w->item[i]->entry : NULL;
}

static int compare_name(const void *name, const void *item)
{
    const oct_weights_item *const *it = item;
    return strcmp(name, (*it)->entry.name);
}

const oct_weights_item *oct_weights_item_find(const oct_weights *w, const char *name)
{
    oct_weights_item *const *it =
        bsearch(name, w->item, (size_t)w->n_items, sizeof *w->item, compare_name);
    return it ? *it : NULL;
}

const oct_weights_entry *oct_weights_find(const oct_weights *w, const char *name)
{
    const oct_weights_item *it = oct_weights_item_find(w, name);
    return it ? &it->entry : NULL;
}

static const char *expected(int rank, const int *dim, char *buf, size_t size) /* -1 as "any" */
{
    size_t used = (size_t)snprintf(buf, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)(dim[i] < 0 ? snprintf(buf + used, size - used, "%sany", i ? ", " : "")
                                    : snprintf(buf + used, size - used, i ? ", %d" : "%d",
                                               dim[i]));
    if (used < size) snprintf(buf + used, size - used, "]");
    return buf;
}

static oct_status check_shape(const oct_weights_entry *e, int rank, const int *dim)
{
    bool same = rank < 0 || e->rank == rank;
    for (int i = 0; same && i < rank; i++) same = dim[i] < 0 || e->dim[i] == dim[i];
    if (same) return OCT_OK;
    char got[96], want[96];
    return oct_fail(OCT_ERR_SHAPE, "%.80s: shape %s, expected %s", e->name,
                    expected(e->rank, e->dim, got, sizeof got),
                    expected(rank, dim, want, sizeof want));
}

static oct_status find_shaped(const oct_weights *w, const char *name, int rank, const int *dim,
                              const oct_weights_item **out)
{
    *out = oct_weights_item_find(w, name);
    if (!*out) return oct_fail(OCT_ERR_FORMAT, "%.80s: no such tensor in the file", name);
    return check_shape(&(*out)->entry, rank, dim);
}

oct_status oct_weights_require(oct_weights *w, const char *name, int rank, const int *dim,
                               oct_tensor *out)
{
    const oct_weights_item *it;
    OCT_TRY(find_shaped(w, name, rank, dim, &it));
    void *data;
    OCT_TRY(oct_data_load(w, it, &data));
    *out = (oct_tensor){ .dtype = it->entry.dtype, .rank = it->entry.rank, .data = data };
    memcpy(out->dim, it->entry.dim, sizeof out->dim);
    return OCT_OK;
}

/* Shapes and dtypes fit; out becomes the whole, without data. */
static oct_status measure_join(const oct_weights *w, const char *const *names, int n, int rank,
                               const int *dim, oct_tensor *out)
{
    const oct_weights_item *it;
    for (int i = 0; i < n; i++) {
        OCT_TRY(find_shaped(w, names[i], rank, dim, &it));
        const oct_weights_entry *e = &it->entry;
        if (i == 0) {
            *out = (oct_tensor){ .dtype = e->dtype, .rank = e->rank };
            memcpy(out->dim, e->dim, sizeof out->dim);
            continue;
        }
        if (e->dtype != out->dtype)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %s, %.80s has %s", names[i],
                            oct_dtype_name(e->dtype), names[0], oct_dtype_name(out->dtype));
        if (e->rank != out->rank || __builtin_add_overflow(out->dim[0], e->dim[0], &out->dim[0]) ||
            memcmp(out->dim + 1, e->dim + 1, (size_t)(e->rank - 1) * sizeof *e->dim) != 0)
            return oct_fail(OCT_ERR_SHAPE, "%.80s: its rows do not go with those of %.80s",
                            names[i], names[0]);
    }
    return oct_tensor_check(out);
}

oct_status oct_weights_join(oct_weights *w, const char *const *names, int n, int rank,
                            const int *dim, oct_tensor *out)
{
    if (n == 1) return oct_weights_require(w, names[0], rank, dim, out);
    OCT_TRY(measure_join(w, names, n, rank, dim, out));
    OCT_TRY(oct_data_new(w, oct_tensor_size(out), &out->data));
    char *to = out->data;
    for (int i = 0; i < n; i++) {
        const oct_weights_item *it = oct_weights_item_find(w, names[i]);
        void *part;
        OCT_TRY(oct_data_load(w, it, &part)); /* what is there already lives until close */
        memcpy(to, part, it->entry.size);
        oct_data_free(w, part);
        to += it->entry.size;
    }
    return OCT_OK;
}

void oct_weights_let_go(oct_weights *w, const oct_tensor *t) { oct_data_free(w, t->data); }

const char *oct_weights_meta(const oct_weights *w, const char *key)
{
    for (int i = 0; i < w->n_meta; i++)
        if (strcmp(w->meta[i].key, key) == 0) return w->meta[i].value;
    return NULL;
}

const char *oct_weights_meta_at(const oct_weights *w, int i, const char **value)
{
    if (i < 0 || i >= w->n_meta) return NULL;
    *value = w->meta[i].value;
    return w->meta[i].key;
}

const char *oct_weights_config(const oct_weights *w) { return w->config; }
const char *oct_weights_format(const oct_weights *w) { return w->format; }
size_t oct_weights_file_size(const oct_weights *w) { return (size_t)w->total; }

oct_status oct_weights_sha256(oct_weights *w, char hex[65])
{
    enum { PIECE = 1 << 16 };
    void *piece = malloc(PIECE);
    if (!piece) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    oct_sha256 sha;
    oct_sha256_init(&sha);
    oct_status status = OCT_OK;
    for (uint64_t at = 0; at < w->size && status == OCT_OK; at += PIECE) {
        const size_t n = w->size - at < PIECE ? (size_t)(w->size - at) : PIECE;
        status = oct_file_read(w->fd, at, piece, n);
        if (status == OCT_OK) oct_sha256_add(&sha, piece, n);
    }
    free(piece);
    if (status == OCT_OK) oct_sha256_hex(&sha, hex);
    return status;
}
