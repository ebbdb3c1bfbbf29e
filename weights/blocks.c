/* Tensors compressed by their zeros, in files whose octet.compressed is "1x4" (SPEC.md, section 6).
 *
 *   NAME [out, in, ...], 8 divides out, 4 divides in, becomes
 *   NAME.index   U8 [out / 8, in / 4, ...]   bit o % 8 of [o / 8, q, ...]: the block of inputs
 *                4 q .. 4 q + 3 of output o, at one tap, is not all zero
 *   NAME.values  [blocks, 4] of NAME's type, these blocks in row-major order of [out, in / 4, ...]
 *
 * A bit a block and nothing to decode: which blocks there are cannot be out of range or out of
 * order, only their number can be wrong, and a byte stands for 32 weights at most. */
#include <stdio.h>
#include <string.h>

#include "weights/file.h"

enum { BLOCK = 4, BITS = 8,
       WORTH = 8 };            /* part of a tensor that has to be saved */

static const char key[] = "octet.compressed";
static const char values_suffix[] = ".values", index_suffix[] = ".index";

/* The shape that both have: rows [out], quads [in / 4], what is left. */
typedef struct blocks {
    size_t rows, quads, taps, unit;
} blocks;

static blocks blocks_of(const oct_weights_entry *e) /* of NAME */
{
    blocks b = { (size_t)e->dim[0], (size_t)e->dim[1] / BLOCK, 1, oct_dtype_size(e->dtype) };
    for (int i = 2; i < e->rank; i++) b.taps *= (size_t)e->dim[i];
    return b;
}

static int can_be_compressed(oct_dtype d)
{
    return d == OCT_F32 || d == OCT_F16 || d == OCT_BF16 || d == OCT_S8;
}

/* ---- reading ---- */

/* index, if it is one, and its values become NAME. */
static oct_status pair(oct_weights *w, oct_weights_item *index)
{
    const char *name = index->entry.name;
    const size_t size = strlen(name), suffix = sizeof index_suffix - 1;
    char *other;
    if (size <= suffix || strcmp(name + size - suffix, index_suffix) != 0) return OCT_OK;
    if (!(other = oct_slab_alloc(&w->slab, size + sizeof values_suffix)))
        return oct_slab_error(&w->slab);
    memcpy(other, name, size - suffix);
    strcpy(other + size - suffix, values_suffix);
    oct_weights_item *values = (oct_weights_item *)(uintptr_t)oct_weights_item_find(w, other);
    other[size - suffix] = '\0';
    const oct_weights_entry *v = values ? &values->entry : NULL;
    oct_weights_entry e = index->entry;
    if (!v || e.dtype != OCT_U8 || e.rank < 2 || v->rank != 2 || v->dim[1] != BLOCK ||
        !can_be_compressed(v->dtype))
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its index and its values are not of compressed "
                        "blocks of 4", other);
    oct_tensor t = { .dtype = v->dtype, .rank = e.rank };
    memcpy(t.dim, e.dim, sizeof t.dim);
    if (__builtin_mul_overflow(e.dim[0], BITS, &t.dim[0]) ||
        __builtin_mul_overflow(e.dim[1], BLOCK, &t.dim[1]) || oct_tensor_check(&t) != OCT_OK)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: the product of its dimensions overflows", other);
    oct_weights_item *it = oct_slab_alloc(&w->slab, sizeof *it);
    if (!it) return oct_slab_error(&w->slab);
    *it = (oct_weights_item){ .entry = { .name = other, .dtype = v->dtype, .rank = e.rank,
                                         .size = oct_tensor_size(&t) },
                              .index = index, .values = values };
    memcpy(it->entry.dim, t.dim, sizeof t.dim);
    index->whole = it;
    values->hidden = true;
    return OCT_OK;
}

oct_status oct_blocks_pair(oct_weights *w)
{
    const char *form = oct_weights_meta(w, key);
    int n = 0;
    if (!form) return OCT_OK;
    if (strcmp(form, "1x4") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: '%.80s', this octet reads 1x4", key, form);
    for (int i = 0; i < w->n_items; i++) OCT_TRY(pair(w, w->item[i]));
    for (int i = 0; i < w->n_items; i++) {
        if (w->item[i]->hidden) continue;
        w->item[n++] = w->item[i]->whole ? w->item[i]->whole : w->item[i];
    }
    w->n_items = n;
    return OCT_OK;
}

static size_t count_bits(const uint8_t *p, size_t n)
{
    size_t bits = 0;
    for (size_t i = 0; i < n; i++) bits += (size_t)__builtin_popcount(p[i]);
    return bits;
}

/* The pages are zeros; the blocks that there are get their values. */
static void expand(const blocks *b, const uint8_t *index, const char *values, char *to)
{
    const size_t unit = b->unit, row = b->quads * b->taps;
    for (size_t o = 0; o < b->rows; o++)
        for (size_t i = 0; i < row; i++) {
            if (!(index[o / BITS * row + i] >> o % BITS & 1)) continue;
            const size_t q = i / b->taps, t = i % b->taps;
            char *first = to + ((o * b->quads + q) * BLOCK * b->taps + t) * unit;
            for (size_t p = 0; p < BLOCK; p++, values += unit)
                memcpy(first + p * b->taps * unit, values, unit);
        }
}

oct_status oct_blocks_load(oct_weights *w, const oct_weights_item *it, void **data)
{
    const blocks b = blocks_of(&it->entry);
    void *index = NULL, *values = NULL;
    OCT_TRY(oct_data_new(w, it->entry.size, data));
    oct_status status = oct_data_load(w, it->index, &index);
    if (status == OCT_OK) status = oct_data_load(w, it->values, &values);
    if (status == OCT_OK) {
        const size_t n = count_bits(index, it->index->entry.size);
        if (n != (size_t)it->values->entry.dim[0])
            status = oct_fail(OCT_ERR_FORMAT, "%.80s: its index has %zu blocks, its values %d",
                              it->entry.name, n, it->values->entry.dim[0]);
        else if (n) expand(&b, index, values, *data);
    }
    oct_data_free(w, index);   /* no harm in what is none: NULL, or freed where it failed */
    oct_data_free(w, values);
    if (status != OCT_OK) oct_data_free(w, *data);
    return status;
}

/* ---- writing ---- */

static int is_zero(const blocks *b, const char *first)
{
    static const char zero[sizeof(double)];
    for (size_t p = 0; p < BLOCK; p++)
        if (memcmp(first + p * b->taps * b->unit, zero, b->unit) != 0) return 0;
    return 1;
}

/* Blocks of t that are not zero, -0 is not: their bits if index, their values if values. */
static size_t collect(const blocks *b, const char *from, uint8_t *index, char *values)
{
    const size_t unit = b->unit, row = b->quads * b->taps;
    size_t n = 0;
    for (size_t o = 0; o < b->rows; o++)
        for (size_t i = 0; i < row; i++) {
            const size_t q = i / b->taps, t = i % b->taps;
            const char *first = from + ((o * b->quads + q) * BLOCK * b->taps + t) * unit;
            if (is_zero(b, first)) continue;
            n++;
            if (index) index[o / BITS * row + i] |= (uint8_t)(1u << o % BITS);
            for (size_t p = 0; p < BLOCK && values; p++, values += unit)
                memcpy(values, first + p * b->taps * unit, unit);
        }
    return n;
}

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "out of memory"); }

static const char *with_suffix(const char *name, const char *suffix, oct_arena *arena)
{
    const size_t size = strlen(name) + strlen(suffix) + 1;
    char *text = oct_arena_alloc(arena, size);
    if (text) snprintf(text, size, "%s%s", name, suffix);
    return text;
}

/* to[0], to[1]: values and index.  *smaller 0: they would not save enough. */
static oct_status compress(const oct_save_tensor *from, oct_arena *arena, oct_save_tensor to[2],
                           int *smaller)
{
    const oct_tensor *t = from->tensor;
    oct_weights_entry e = { .dtype = t->dtype, .rank = t->rank };
    *smaller = 0;
    if (t->layout != OCT_DENSE || t->rank < 2 || !can_be_compressed(t->dtype) ||
        t->dim[0] % BITS || t->dim[1] % BLOCK || oct_tensor_count(t) == 0)
        return OCT_OK;
    memcpy(e.dim, t->dim, sizeof e.dim);
    const blocks b = blocks_of(&e);
    const size_t bytes = b.rows / BITS * b.quads * b.taps, n = collect(&b, t->data, NULL, NULL);
    const size_t dense = oct_tensor_size(t);
    if (n > INT32_MAX || n * BLOCK * b.unit + bytes > dense - dense / WORTH) return OCT_OK;
    oct_tensor *values = oct_arena_alloc(arena, sizeof *values);
    oct_tensor *index = oct_arena_alloc(arena, sizeof *index);
    if (!values || !index) return out_of_memory();
    *index = (oct_tensor){ .dtype = OCT_U8, .rank = t->rank,
                           .data = oct_arena_zalloc(arena, bytes) };
    memcpy(index->dim, t->dim, sizeof index->dim);
    index->dim[0] /= BITS, index->dim[1] /= BLOCK;
    *values = (oct_tensor){ .dtype = t->dtype, .rank = 2, .dim = { (int)n, BLOCK },
                            .data = oct_arena_alloc(arena, n * BLOCK * b.unit + 1) };
    to[0] = (oct_save_tensor){ with_suffix(from->name, values_suffix, arena), values };
    to[1] = (oct_save_tensor){ with_suffix(from->name, index_suffix, arena), index };
    if (!index->data || !values->data || !to[0].name || !to[1].name) return out_of_memory();
    collect(&b, t->data, index->data, values->data);
    *smaller = 1;
    return OCT_OK;
}

oct_status oct_weights_compress(const oct_save_tensor *tensors, int n, oct_arena *arena,
                                oct_save_tensor **out, int *n_out, oct_save_meta *form)
{
    oct_save_tensor *to = *out = oct_arena_alloc(arena, (2 * (size_t)n + 1) * sizeof *to);
    if (!to) return out_of_memory();
    *form = (oct_save_meta){ key, NULL };
    *n_out = 0;
    for (int i = 0; i < n; i++) {
        int smaller;
        OCT_TRY(compress(&tensors[i], arena, &to[*n_out], &smaller));
        if (smaller) form->value = "1x4";
        else to[*n_out] = tensors[i];
        *n_out += smaller ? 2 : 1;
    }
    return OCT_OK;
}
