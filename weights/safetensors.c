/* safetensors:
 *
 *   u64 n | n bytes of JSON, '{' first, blanks may follow | data
 *   {"__metadata__": {"key": "value"},
 *    "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Refused, as the format's own library refuses it: offsets out of order or out of the file, holes,
 * overlaps, bytes behind the last tensor, a size that is not shape times dtype, a name twice. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "weights/file.h"
#include "weights/json.h"

static const uint64_t max_header = 100000000; /* the format's own limit */

/* What one JSON value costs in jansson and one tensor here, in bytes, rounded up: measured with
 * arrays of integers and with objects of short keys. */
enum { VALUE_COST = 112 };

/* Counts values and finds the longest string without believing anything, so that a header that
 * would cost much more memory than the file is refused before it is parsed. */
static oct_status check_header_cost(const oct_weights *w, const char *text, size_t size)
{
    uint64_t values = 1, longest = 0, run = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (in_string) {
            run++;
            if (c == '\\') i++;
            in_string = c != '"';
            if (run > longest) longest = run;
        } else if (c == '"') {
            in_string = true;
            run = 0;
        } else if (c == ',' || c == ':' || c == '[' || c == '{') {
            values += c == '{' ? 2 : 1; /* a table is the dearest of them */
        }
    }
    /* the header; the longest string twice more, in jansson's buffers */
    const uint64_t cost = size + 2 * longest + VALUE_COST * values;
    const uint64_t limit = 2 * w->size + (48u << 20);
    if (cost <= limit) return OCT_OK;
    return oct_fail(OCT_ERR_FORMAT, "header of %" PRIu64 " values takes about %" PRIu64 " bytes "
                    "of memory, more than %" PRIu64, values, cost, limit);
}

static oct_status read_header(oct_weights *w, json_t **out, uint64_t *data)
{
    uint64_t length;
    if (w->size < sizeof length)
        return oct_fail(OCT_ERR_FORMAT, "file size %" PRIu64 ", at least 8", w->size);
    OCT_TRY(oct_file_read(w->fd, 0, &length, sizeof length));
    if (length > w->size - sizeof length)
        return oct_fail(OCT_ERR_FORMAT, "header length %" PRIu64 " exceeds file size %" PRIu64
                        " (neither safetensors nor PyTorch, or cut short)", length, w->size);
    if (length > max_header)
        return oct_fail(OCT_ERR_FORMAT, "header length %" PRIu64 " exceeds the limit %" PRIu64,
                        length, max_header);
    *data = sizeof length + length;
    const size_t n = (size_t)length;
    char *text = malloc(n + 1);
    if (!text) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    json_error_t error;
    oct_status status = oct_file_read(w->fd, sizeof length, text, n);
    if (status == OCT_OK && (n == 0 || text[0] != '{'))
        status = oct_fail(OCT_ERR_FORMAT, "the header does not begin with '{' (byte 8)");
    if (status == OCT_OK) status = check_header_cost(w, text, n);
    bool no_memory = false;
    if (status == OCT_OK) *out = oct_json_load(text, n, &error, &no_memory);
    if (no_memory) status = oct_fail(OCT_ERR_MEMORY, "out of memory");
    else if (status == OCT_OK && !*out)
        status = oct_fail(OCT_ERR_FORMAT, "header: %s (byte %d)", error.text, 8 + error.position);
    free(text);
    return status;
}

static oct_status read_meta(oct_weights *w, json_t *meta)
{
    if (!json_is_object(meta))
        return oct_fail(OCT_ERR_FORMAT, "__metadata__ is not an object");
    w->meta = oct_slab_alloc(&w->slab, (json_object_size(meta) + 1) * sizeof *w->meta);
    if (!w->meta) return oct_slab_error(&w->slab);
    const char *key;
    json_t *value;
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value))
            return oct_fail(OCT_ERR_FORMAT, "__metadata__: %.80s is not a string", key);
        oct_save_meta *m = &w->meta[w->n_meta];
        m->key = oct_slab_string(&w->slab, key, strlen(key));
        m->value = oct_slab_string(&w->slab, json_string_value(value),
                                   json_string_length(value));
        if (!m->key || !m->value) return oct_slab_error(&w->slab);
        w->n_meta++;
    }
    return OCT_OK;
}

static int by_key(const void *a, const void *b)
{
    const oct_save_meta *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static oct_status read_dtype(const char *name, const char *text, oct_dtype *dtype)
{
    for (int i = 0; i < OCT_DTYPE_COUNT; i++) {
        *dtype = (oct_dtype)i;
        if (strcmp(oct_dtype_name(*dtype), text) == 0) return OCT_OK;
    }
    return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %.20s is not supported", name, text);
}

/* n non-negative integers of an array. */
static bool read_integers(json_t *array, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_array_get(array, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
        out[i] = json_integer_value(v);
    }
    return true;
}

static oct_status read_tensor(oct_weights *w, const char *name, json_t *info, const oct_store *data)
{
    json_t *dtype = json_object_get(info, "dtype"), *shape = json_object_get(info, "shape");
    json_t *offsets = json_object_get(info, "data_offsets");
    int64_t dim[OCT_MAX_RANK], range[2];
    if (!json_is_string(dtype) || !json_is_array(shape) || json_array_size(offsets) != 2)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: dtype, shape or data_offsets missing", name);
    const size_t rank = json_array_size(shape);
    if (rank > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: rank %zu, at most %d", name, rank,
                        OCT_MAX_RANK);
    if (!read_integers(shape, rank, dim))
        return oct_fail(OCT_ERR_FORMAT, "%.80s: shape is not a list of sizes", name);
    if (!read_integers(offsets, 2, range) || range[0] > range[1])
        return oct_fail(OCT_ERR_FORMAT, "%.80s: data_offsets are not [begin, end]", name);
    if ((uint64_t)range[1] > data->size)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: data end at %" PRId64 ", the file has %" PRIu64
                        " bytes of data", name, range[1], data->size);
    const uint64_t size = (uint64_t)(range[1] - range[0]);
    oct_weights_claim c = { .name = name, .name_size = strlen(name), .rank = (int)rank,
                            .dim = dim, .store = data, .offset = (uint64_t)range[0],
                            .size = &size };
    OCT_TRY(read_dtype(name, json_string_value(dtype), &c.dtype));
    return oct_names_add(w, &c);
}

static int by_offset(const void *a, const void *b)
{
    const oct_weights_item *const *x = a, *const *y = b;
    const uint64_t p = (*x)->offset, q = (*y)->offset;
    if (p != q) return p < q ? -1 : 1;
    return ((*x)->span > (*y)->span) - ((*x)->span < (*y)->span);
}

/* The tensors cover the data from the first byte to the last, without holes or overlaps. */
static oct_status check_cover(const oct_weights *w, uint64_t size)
{
    const size_t n = (size_t)w->n_items;
    const oct_weights_item **list = malloc((n + 1) * sizeof *list);
    if (!list) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    size_t i = 0;
    for (const oct_weights_item *it = w->first; it; it = it->next) list[i++] = it;
    qsort(list, n, sizeof *list, by_offset);
    uint64_t at = 0;
    oct_status status = OCT_OK;
    for (i = 0; i < n && status == OCT_OK; at = list[i]->offset + list[i]->span, i++)
        if (list[i]->offset != at)
            status = oct_fail(OCT_ERR_FORMAT, "%.80s: data begin at %" PRIu64 ", the tensor before "
                              "ends at %" PRIu64, list[i]->entry.name, list[i]->offset, at);
    if (status == OCT_OK && at != size)
        status = oct_fail(OCT_ERR_FORMAT, "the tensors have %" PRIu64 " bytes, the file has %"
                          PRIu64 " bytes of data", at, size);
    free(list);
    return status;
}

static oct_status read_tensors(oct_weights *w, json_t *root, uint64_t begin)
{
    oct_store *data = oct_slab_alloc(&w->slab, sizeof *data);
    if (!data) return oct_slab_error(&w->slab);
    *data = (oct_store){ .at = begin, .size = w->size - begin };
    const char *name;
    json_t *info;
    json_object_foreach(root, name, info)
        OCT_TRY(strcmp(name, "__metadata__") == 0 ? read_meta(w, info)
                                                  : read_tensor(w, name, info, data));
    if (w->meta) qsort(w->meta, (size_t)w->n_meta, sizeof *w->meta, by_key);
    return check_cover(w, data->size);
}

oct_status oct_safetensors_read(oct_weights *w)
{
    json_t *root = NULL;
    uint64_t data = 0;
    oct_status status = read_header(w, &root, &data);
    if (status == OCT_OK) status = read_tensors(w, root, data);
    json_decref(root);
    return status;
}
