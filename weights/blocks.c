/* Tensors compressed by their zeros, in files whose octet.compressed names the forms, "1x4,2:4"
 * (SPEC.md, section 6).  NAME [out, in, ...] becomes
 *
 *   1x4    NAME.index      U8 [out / 8, in / 4, ...]   bit o % 8 of [o / 8, q, ...]: the block of
 *                          inputs 4 q .. 4 q + 3 of output o, at one tap, is not all zero
 *          NAME.values     [blocks, 4] of NAME's type, these blocks in row-major order of
 *                          [out, in / 4, ...]
 *   4x1    NAME.index.4x1  U8 [out / 4, in / 8, ...]   bit i % 8 of [q, i / 8, ...]: the block of
 *                          outputs 4 q .. 4 q + 3 of input i is not all zero
 *          NAME.values     as above, in row-major order of [out / 4, in, ...]
 *   2:4    NAME.index.2:4  U8 [out, in / 8, ...]       4 bits for inputs 4 q .. 4 q + 3, the low
 *                          ones of [o, q / 2, ...] if q is even: a + 4 b, a < b, places of two
 *          NAME.values     [out, in / 2, ...]: what is at a, [o, 2 q, ...], and at b
 *
 * where a divisor divides.  A bit a block and nothing to decode: which blocks there are cannot be
 * out of range or out of order, only their number can be wrong, and a byte stands for 32 weights at
 * most.  Of 2:4 all is in the shapes but a < b. */
#include <stdio.h>
#include <string.h>

#include "weights/file.h"

enum { BLOCK = 4, BITS = 8,
       WORTH = 8 };            /* part of a tensor that has to be saved */

static const char key[] = "octet.compressed";
static const char values_suffix[] = ".values";

typedef struct storage {
    const char *name, *suffix;
    int by[2];                 /* NAME's first two dims over those of its index */
} storage;

enum { ROWS, COLUMNS, PAIRS, N_FORMS };
static const storage forms[N_FORMS] = {
    [ROWS] = { "1x4", ".index", { BITS, BLOCK } },
    [COLUMNS] = { "4x1", ".index.4x1", { BLOCK, BITS } },
    [PAIRS] = { "2:4", ".index.2:4", { 1, 2 * BLOCK } },
};

/* NAME's sizes; unit: bytes of an element. */
typedef struct blocks {
    int form;
    size_t out, in, taps, unit;
} blocks;

static blocks blocks_of(int form, const oct_weights_entry *e) /* of NAME */
{
    blocks b = { form, (size_t)e->dim[0], (size_t)e->dim[1], 1, oct_dtype_size(e->dtype) };
    for (int i = 2; i < e->rank; i++) b.taps *= (size_t)e->dim[i];
    return b;
}

/* A walk over blocks of 4: a counts outputs or fours of them, i inputs or fours of them. */
static size_t count_a(const blocks *b) { return b->form == COLUMNS ? b->out / BLOCK : b->out; }
static size_t count_i(const blocks *b) { return b->form == COLUMNS ? b->in : b->in / BLOCK; }

/* Bytes from a block's first element to its second. */
static size_t step_of(const blocks *b)
{
    return (b->form == COLUMNS ? b->in : 1) * b->taps * b->unit;
}

static size_t first_of(const blocks *b, size_t a, size_t i, size_t t)
{
    const size_t element = b->form == COLUMNS ? a * BLOCK * b->in + i : a * b->in + i * BLOCK;
    return (element * b->taps + t) * b->unit;
}

/* A block's bit, counted from the index's first byte; a 2:4's 4 bits. */
static size_t bit_of(const blocks *b, size_t a, size_t i, size_t t)
{
    switch (b->form) {
    case ROWS: return (a / BITS * (b->in / BLOCK) * b->taps + i * b->taps + t) * BITS + a % BITS;
    case COLUMNS: return ((a * (b->in / BITS) + i / BITS) * b->taps + t) * BITS + i % BITS;
    default: return ((a * (b->in / BLOCK / 2) + i / 2) * b->taps + t) * BITS + i % 2 * BLOCK;
    }
}

static int can_be_compressed(oct_dtype d)
{
    return d == OCT_F32 || d == OCT_F16 || d == OCT_BF16 || d == OCT_S8;
}

/* ---- reading ---- */

/* What values have to be beside an index of this form of NAME. */
static int values_fit(const storage *f, const oct_weights_entry *name, const oct_weights_entry *v)
{
    if (f != &forms[PAIRS]) return v->rank == 2 && v->dim[1] == BLOCK;
    for (int i = 0; i < name->rank; i++)
        if (v->rank != name->rank || v->dim[i] != (i == 1 ? name->dim[1] / 2 : name->dim[i]))
            return 0;
    return 1;
}

/* index, if it is one of the form, and its values become NAME. */
static oct_status pair(oct_weights *w, const storage *f, oct_weights_item *index)
{
    const char *name = index->entry.name;
    const size_t size = strlen(name), suffix = strlen(f->suffix);
    char *other;
    if (size <= suffix || strcmp(name + size - suffix, f->suffix) != 0) return OCT_OK;
    if (!(other = oct_slab_alloc(&w->slab, size + sizeof values_suffix)))
        return oct_slab_error(&w->slab);
    memcpy(other, name, size - suffix);
    strcpy(other + size - suffix, values_suffix);
    oct_weights_item *values = (oct_weights_item *)(uintptr_t)oct_weights_item_find(w, other);
    other[size - suffix] = '\0';
    const oct_weights_entry *v = values ? &values->entry : NULL;
    const oct_weights_entry *x = &index->entry;
    if (!v || values->hidden || x->dtype != OCT_U8 || x->rank < 2 || !can_be_compressed(v->dtype))
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its index and its values are not of compressed "
                        "blocks of 4", other);
    oct_tensor t = { .dtype = v->dtype, .rank = x->rank };
    memcpy(t.dim, x->dim, sizeof t.dim);
    if (__builtin_mul_overflow(x->dim[0], f->by[0], &t.dim[0]) ||
        __builtin_mul_overflow(x->dim[1], f->by[1], &t.dim[1]) || oct_tensor_check(&t) != OCT_OK)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: the product of its dimensions overflows", other);
    oct_weights_item *it = oct_slab_alloc(&w->slab, sizeof *it);
    if (!it) return oct_slab_error(&w->slab);
    *it = (oct_weights_item){ .entry = { .name = other, .dtype = v->dtype, .rank = x->rank,
                                         .size = oct_tensor_size(&t) },
                              .index = index, .values = values, .form = (int)(f - forms) };
    memcpy(it->entry.dim, t.dim, sizeof t.dim);
    if (!values_fit(f, &it->entry, v))
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its index and its values are not of compressed "
                        "blocks of 4", other);
    index->whole = it;
    values->hidden = true;
    return OCT_OK;
}

/* Forms of a list, as bits. */
static oct_status read_forms(const char *list, int *out)
{
    *out = 0;
    for (const char *at = list; ; at++) {
        const size_t size = strcspn(at, ",");
        int k = 0;
        while (k < N_FORMS && (strlen(forms[k].name) != size ||
                               strncmp(at, forms[k].name, size) != 0)) k++;
        if (k == N_FORMS)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: '%.80s', this octet reads 1x4, 4x1 and 2:4",
                            key, list);
        *out |= 1 << k;
        at += size;
        if (!*at) return OCT_OK;
    }
}

oct_status oct_blocks_pair(oct_weights *w)
{
    const char *list = oct_weights_meta(w, key);
    int n = 0, used;
    if (!list) return OCT_OK;
    OCT_TRY(read_forms(list, &used));
    for (int k = 0; k < N_FORMS; k++)
        for (int i = 0; i < w->n_items && (used >> k & 1); i++)
            OCT_TRY(pair(w, &forms[k], w->item[i]));
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
    const size_t unit = b->unit, step = step_of(b);
    for (size_t a = 0; a < count_a(b); a++)
        for (size_t i = 0; i < count_i(b); i++)
            for (size_t t = 0; t < b->taps; t++) {
                const size_t bit = bit_of(b, a, i, t);
                if (!(index[bit / BITS] >> bit % BITS & 1)) continue;
                char *first = to + first_of(b, a, i, t);
                for (size_t p = 0; p < BLOCK; p++, values += unit)
                    memcpy(first + p * step, values, unit);
            }
}

/* The two of each four; 0: places that are not in order. */
static int expand_pairs(const blocks *b, const uint8_t *index, const char *values, char *to)
{
    const size_t unit = b->unit, step = step_of(b);
    for (size_t a = 0; a < count_a(b); a++)
        for (size_t i = 0; i < count_i(b); i++)
            for (size_t t = 0; t < b->taps; t++) {
                const size_t bit = bit_of(b, a, i, t);
                const size_t places = (size_t)(index[bit / BITS] >> bit % BITS & 15);
                const char *v = values + ((a * b->in / 2 + 2 * i) * b->taps + t) * unit;
                char *first = to + first_of(b, a, i, t);
                if (places % BLOCK >= places / BLOCK) return 0;
                memcpy(first + places % BLOCK * step, v, unit);
                memcpy(first + places / BLOCK * step, v + b->taps * unit, unit);
            }
    return 1;
}

static oct_status fill(const oct_weights_item *it, const void *index, const void *values,
                       void *data)
{
    const blocks b = blocks_of(it->form, &it->entry);
    if (it->form == PAIRS)
        return expand_pairs(&b, index, values, data) ? OCT_OK
             : oct_fail(OCT_ERR_FORMAT, "%.80s: its index has places that are not in order",
                        it->entry.name);
    const size_t n = count_bits(index, it->index->entry.size);
    if (n != (size_t)it->values->entry.dim[0])
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its index has %zu blocks, its values %d",
                        it->entry.name, n, it->values->entry.dim[0]);
    if (n) expand(&b, index, values, data);
    return OCT_OK;
}

oct_status oct_blocks_load(oct_weights *w, const oct_weights_item *it, void **data)
{
    void *index = NULL, *values = NULL;
    OCT_TRY(oct_data_new(w, it->entry.size, data));
    oct_status status = oct_data_load(w, it->index, &index);
    if (status == OCT_OK) status = oct_data_load(w, it->values, &values);
    if (status == OCT_OK) status = fill(it, index, values, *data);
    oct_data_free(w, index);   /* no harm in what is none: NULL, or freed where it failed */
    oct_data_free(w, values);
    if (status != OCT_OK) oct_data_free(w, *data);
    return status;
}

/* ---- writing ---- */

static const char zero[sizeof(double)]; /* -0 is none */

/* Blocks of t that are not zero: their bits if index, their values if values. */
static size_t collect(const blocks *b, const char *from, uint8_t *index, char *values)
{
    const size_t unit = b->unit, step = step_of(b);
    size_t n = 0;
    for (size_t a = 0; a < count_a(b); a++)
        for (size_t i = 0; i < count_i(b); i++)
            for (size_t t = 0; t < b->taps; t++) {
                const char *first = from + first_of(b, a, i, t);
                const size_t bit = bit_of(b, a, i, t);
                size_t p = 0;
                while (p < BLOCK && memcmp(first + p * step, zero, unit) == 0) p++;
                if (p == BLOCK) continue;
                n++;
                if (index) index[bit / BITS] |= (uint8_t)(1u << bit % BITS);
                for (p = 0; p < BLOCK && values; p++, values += unit)
                    memcpy(values, first + p * step, unit);
            }
    return n;
}

/* Two of each four, those that are not zero and else the first; 0: somewhere there are three.
 * index NULL: only that. */
static int collect_pairs(const blocks *b, const char *from, uint8_t *index, char *values)
{
    const size_t unit = b->unit, step = step_of(b);
    for (size_t a = 0; a < count_a(b); a++)
        for (size_t i = 0; i < count_i(b); i++)
            for (size_t t = 0; t < b->taps; t++) {
                const char *first = from + first_of(b, a, i, t);
                size_t place[BLOCK], n = 0, bit = bit_of(b, a, i, t);
                for (size_t p = 0; p < BLOCK; p++)
                    if (memcmp(first + p * step, zero, unit) != 0) place[n++] = p;
                if (n > 2) return 0;
                if (!index) continue;
                if (n == 0) place[0] = 0, place[1] = 1;
                if (n == 1) place[1] = place[0] ? place[0] : 1, place[0] = 0;
                char *v = values + ((a * b->in / 2 + 2 * i) * b->taps + t) * unit;
                index[bit / BITS] |= (uint8_t)((place[0] + BLOCK * place[1]) << bit % BITS);
                memcpy(v, first + place[0] * step, unit);
                memcpy(v + b->taps * unit, first + place[1] * step, unit);
            }
    return 1;
}

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "out of memory"); }

static const char *with_suffix(const char *name, const char *suffix, oct_arena *arena)
{
    const size_t size = strlen(name) + strlen(suffix) + 1;
    char *text = oct_arena_alloc(arena, size);
    if (text) snprintf(text, size, "%s%s", name, suffix);
    return text;
}

/* What t takes in a form, bytes; SIZE_MAX: it does not fit it. */
static size_t size_in(int k, const oct_tensor *t, const oct_weights_entry *e)
{
    const blocks b = blocks_of(k, e);
    if (t->dim[0] % forms[k].by[0] || t->dim[1] % forms[k].by[1]) return SIZE_MAX;
    const size_t index = b.out * b.in * b.taps / (size_t)(forms[k].by[0] * forms[k].by[1]);
    if (k == PAIRS)
        return collect_pairs(&b, t->data, NULL, NULL) ? index + oct_tensor_size(t) / 2 : SIZE_MAX;
    const size_t n = collect(&b, t->data, NULL, NULL);
    return n > INT32_MAX ? SIZE_MAX : index + n * BLOCK * b.unit;
}

/* The form in which t is smallest; N_FORMS: none saves enough. */
static int choose(const oct_tensor *t, const oct_weights_entry *e, size_t *size)
{
    int best = N_FORMS;
    *size = oct_tensor_size(t) - oct_tensor_size(t) / WORTH + 1;
    if (t->layout != OCT_DENSE || t->rank < 2 || !can_be_compressed(t->dtype) ||
        oct_tensor_count(t) == 0)
        return best;
    for (int k = 0; k < N_FORMS; k++) {
        const size_t here = size_in(k, t, e);
        if (here < *size) best = k, *size = here;
    }
    return best;
}

/* to[0], to[1]: values and index in *form; N_FORMS: they would not save enough. */
static oct_status compress(const oct_save_tensor *from, oct_arena *arena, oct_save_tensor to[2],
                           int *form)
{
    const oct_tensor *t = from->tensor;
    oct_weights_entry e = { .dtype = t->dtype, .rank = t->rank };
    memcpy(e.dim, t->dim, sizeof e.dim);
    size_t size;
    const int k = *form = choose(t, &e, &size);
    if (k == N_FORMS) return OCT_OK;
    const blocks b = blocks_of(k, &e);
    oct_tensor *values = oct_arena_alloc(arena, sizeof *values);
    oct_tensor *index = oct_arena_alloc(arena, sizeof *index);
    if (!values || !index) return out_of_memory();
    *index = (oct_tensor){ .dtype = OCT_U8, .rank = t->rank };
    memcpy(index->dim, t->dim, sizeof index->dim);
    index->dim[0] /= forms[k].by[0], index->dim[1] /= forms[k].by[1];
    index->data = oct_arena_zalloc(arena, oct_tensor_size(index));
    *values = (oct_tensor){ .dtype = t->dtype, .rank = t->rank };
    memcpy(values->dim, t->dim, sizeof values->dim);
    values->dim[1] /= 2;
    if (k != PAIRS) {
        values->rank = 2;
        values->dim[0] = (int)((size - oct_tensor_size(index)) / (BLOCK * b.unit));
        values->dim[1] = BLOCK;
    }
    values->data = oct_arena_alloc(arena, oct_tensor_size(values) + 1);
    to[0] = (oct_save_tensor){ with_suffix(from->name, values_suffix, arena), values };
    to[1] = (oct_save_tensor){ with_suffix(from->name, forms[k].suffix, arena), index };
    if (!index->data || !values->data || !to[0].name || !to[1].name) return out_of_memory();
    if (k == PAIRS) (void)collect_pairs(&b, t->data, index->data, values->data);
    else collect(&b, t->data, index->data, values->data);
    return OCT_OK;
}

/* "1x4,2:4" of bits; NULL: memory. */
static const char *list_of(int used, oct_arena *arena)
{
    enum { MOST = 16 };
    char *list = oct_arena_zalloc(arena, MOST);
    for (int k = 0; k < N_FORMS && list; k++) {
        if (!(used >> k & 1)) continue;
        if (*list) strcat(list, ",");
        strcat(list, forms[k].name);
    }
    return list;
}

oct_status oct_weights_compress(const oct_save_tensor *tensors, int n, oct_arena *arena,
                                oct_save_tensor **out, int *n_out, oct_save_meta *meta)
{
    oct_save_tensor *to = *out = oct_arena_alloc(arena, (2 * (size_t)n + 1) * sizeof *to);
    int used = 0;
    if (!to) return out_of_memory();
    *meta = (oct_save_meta){ key, NULL };
    *n_out = 0;
    for (int i = 0; i < n; i++) {
        int form;
        OCT_TRY(compress(&tensors[i], arena, &to[*n_out], &form));
        if (form == N_FORMS) to[*n_out] = tensors[i];
        else used |= 1 << form;
        *n_out += form == N_FORMS ? 1 : 2;
    }
    if (used && !(meta->value = list_of(used, arena))) return out_of_memory();
    return OCT_OK;
}
