#include "tensor/tensor.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tensor/f16.h"

static const struct { const char *name; size_t size; } table[OCT_DTYPE_COUNT] = {
#define X(KIND, name, size) [OCT_##KIND] = { name, size },
    OCT_DTYPE_LIST(X)
#undef X
};

const char *oct_dtype_name(oct_dtype dtype)
{
    return (unsigned)dtype < OCT_DTYPE_COUNT ? table[dtype].name : "unknown dtype";
}

size_t oct_dtype_size(oct_dtype dtype) { return table[dtype].size; }

static size_t product(const oct_tensor *t, int from)
{
    size_t count = 1;
    for (int i = from; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}

size_t oct_tensor_count(const oct_tensor *t) { return product(t, 0); }
size_t oct_tensor_sample_count(const oct_tensor *t) { return product(t, 1); }
size_t oct_tensor_size(const oct_tensor *t) { return product(t, 0) * table[t->dtype].size; }

oct_status oct_tensor_check(const oct_tensor *t)
{
    if ((unsigned)t->dtype >= OCT_DTYPE_COUNT)
        return oct_fail(OCT_ERR_UNSUPPORTED, "unknown dtype %d", (int)t->dtype);
    if (t->rank < 0 || t->rank > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "rank %d, at most %d", t->rank, OCT_MAX_RANK);
    size_t size = table[t->dtype].size;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 0) return oct_fail(OCT_ERR_SHAPE, "dimension %d is %d", i, t->dim[i]);
        /* zero makes the product zero, but the other dims must multiply without overflow too */
        if (__builtin_mul_overflow(size, t->dim[i] ? (size_t)t->dim[i] : 1, &size) ||
            size > PTRDIFF_MAX)
            return oct_fail(OCT_ERR_SHAPE, "a tensor of more than %td bytes", PTRDIFF_MAX);
    }
    return OCT_OK;
}

const char *oct_tensor_shape(const oct_tensor *t, char *buf, size_t size)
{
    size_t used = (size_t)snprintf(buf, size, "[");
    for (int i = 0; i < t->rank && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, i ? ", %d" : "%d", t->dim[i]);
    if (used < size) snprintf(buf + used, size - used, "]");
    return buf;
}

static void convert(const oct_tensor *t, size_t first, size_t count, float *out)
{
    const uint16_t *half = (const uint16_t *)t->data + first;
    const double *wide = (const double *)t->data + first;
    const int8_t *byte = (const int8_t *)t->data + first;
    switch (t->dtype) {
    case OCT_F16:
        for (size_t i = 0; i < count; i++) out[i] = oct_f32_of_f16(half[i]);
        break;
    case OCT_BF16:
        for (size_t i = 0; i < count; i++) out[i] = oct_f32_of_bf16(half[i]);
        break;
    case OCT_F64:
        for (size_t i = 0; i < count; i++) out[i] = (float)wide[i];
        break;
    case OCT_S8:
        for (size_t i = 0; i < count; i++) out[i] = (float)byte[i];
        break;
    default:
        memcpy(out, (const float *)t->data + first, count * sizeof *out);
    }
}

void oct_tensor_read_f32(const oct_tensor *t, size_t first, size_t count, float *out)
{
    convert(t, first, count, out);
    if (!t->scale || !count) return;
    const size_t row = product(t, 1);
    size_t r = first / row, end = (r + 1) * row - first;
    for (size_t i = 0; i < count; r++, end += row) {
        const float scale = t->scale[r];
        for (; i < count && i < end; i++) out[i] *= scale;
    }
}

void oct_tensor_write_f32(const oct_tensor *t, size_t first, size_t count, const float *in)
{
    uint16_t *half = (uint16_t *)t->data + first;
    double *wide = (double *)t->data + first;
    switch (t->dtype) {
    case OCT_F16:
        for (size_t i = 0; i < count; i++) half[i] = oct_f16_of_f32(in[i]);
        break;
    case OCT_BF16:
        for (size_t i = 0; i < count; i++) half[i] = oct_bf16_of_f32(in[i]);
        break;
    case OCT_F64:
        for (size_t i = 0; i < count; i++) wide[i] = (double)in[i];
        break;
    default:
        memcpy((float *)t->data + first, in, count * sizeof *in);
    }
}
