/* Tensors into memory: read, made row-major, multiplied by their masks. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/f16.h"
#include "weights/file.h"

oct_status oct_data_new(oct_weights *w, size_t size, void **data)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    oct_region *r = malloc(sizeof *r);
    if (!r) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    r->size = (size + OCT_TAIL + page - 1) / page * page;
    r->data = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r->data == MAP_FAILED) {
        free(r);
        return oct_fail(OCT_ERR_MEMORY, "out of memory: %zu bytes for a tensor", size);
    }
    r->next = w->regions;
    w->regions = r;
    *data = r->data;
    return OCT_OK;
}

void oct_data_free(oct_weights *w, const void *data)
{
    for (oct_region **p = &w->regions; *p; p = &(*p)->next) {
        oct_region *r = *p;
        if (r->data != data) continue;
        *p = r->next;
        munmap(r->data, r->size);
        free(r);
        return;
    }
}

void oct_data_free_all(oct_weights *w)
{
    while (w->regions) oct_data_free(w, w->regions->data);
}

/* n elements of unit bytes, stride elements apart -> one after the other. */
static void gather_row(const char *from, int64_t stride, size_t n, size_t unit, char *to)
{
    const size_t step = (size_t)stride * unit;
    switch (unit) {
    case 1: for (size_t i = 0; i < n; i++) to[i] = from[i * step]; break;
    case 2: for (size_t i = 0; i < n; i++) memcpy(to + 2 * i, from + i * step, 2); break;
    case 4: for (size_t i = 0; i < n; i++) memcpy(to + 4 * i, from + i * step, 4); break;
    default: for (size_t i = 0; i < n; i++) memcpy(to + 8 * i, from + i * step, 8); break;
    }
}

/* A view (transposed, sliced, expanded) -> row-major.  At least one element, rank >= 1. */
static void gather(const oct_weights_item *it, const char *from, char *to)
{
    const oct_weights_entry *e = &it->entry;
    const size_t unit = oct_dtype_size(e->dtype);
    const int last = e->rank - 1;
    const size_t n = (size_t)e->dim[last];
    int index[OCT_MAX_RANK] = { 0 };
    for (int i = last; i >= 0;) {
        size_t at = 0;
        for (int d = 0; d < last; d++) at += (size_t)index[d] * (size_t)it->stride[d];
        gather_row(from + at * unit, it->stride[last], n, unit, to);
        to += n * unit;
        for (i = last - 1; i >= 0 && ++index[i] == e->dim[i]; i--) index[i] = 0;
    }
}

static oct_status read_store(oct_weights *w, const oct_weights_item *it, void *to)
{
    const oct_store *s = it->store;
    const size_t size = (size_t)it->span;
    return s->entry ? oct_archive_bytes(w, s, it->offset, to, size)
                    : oct_file_read(w->fd, s->at + it->offset, to, size);
}

/* The tensor in fresh pages, row-major, without its mask. */
static oct_status load(oct_weights *w, const oct_weights_item *it, void **data)
{
    OCT_TRY(oct_data_new(w, it->entry.size, data));
    if (it->entry.size == 0) return OCT_OK;
    void *span = *data;
    oct_status status = it->dense ? OCT_OK : oct_data_new(w, (size_t)it->span, &span);
    if (status == OCT_OK) status = read_store(w, it, span);
    if (status == OCT_OK && !it->dense) gather(it, span, *data);
    if (span != *data) oct_data_free(w, span);
    if (status != OCT_OK) oct_data_free(w, *data);
    return status;
}

/* a *= b as PyTorch multiplies on a CPU: halves in FP32, rounded once. */
static void multiply(oct_dtype dtype, size_t size, void *a, const void *b)
{
    const size_t n = size / oct_dtype_size(dtype);
    float *f = a;
    double *d = a;
    uint16_t *h = a;
    const float *bf = b;
    const double *bd = b;
    const uint16_t *bh = b;
    switch (dtype) {
    case OCT_F32: for (size_t i = 0; i < n; i++) f[i] *= bf[i]; break;
    case OCT_F64: for (size_t i = 0; i < n; i++) d[i] *= bd[i]; break;
    case OCT_F16:
        for (size_t i = 0; i < n; i++)
            h[i] = oct_f16_of_f32(oct_f32_of_f16(h[i]) * oct_f32_of_f16(bh[i]));
        break;
    default: /* BF16: names.c lets no other pass */
        for (size_t i = 0; i < n; i++)
            h[i] = oct_bf16_of_f32(oct_f32_of_bf16(h[i]) * oct_f32_of_bf16(bh[i]));
        break;
    }
}

oct_status oct_data_load(oct_weights *w, const oct_weights_item *it, void **data)
{
    if (it->scales) return oct_scales_load(w, it, data);
    if (it->index) return oct_blocks_load(w, it, data);
    OCT_TRY(load(w, it, data));
    if (!it->mask) return OCT_OK;
    void *mask;
    const oct_status status = load(w, it->mask, &mask);
    if (status == OCT_OK) {
        multiply(it->entry.dtype, it->entry.size, *data, mask);
        oct_data_free(w, mask);
    } else {
        oct_data_free(w, *data);
    }
    return status;
}
