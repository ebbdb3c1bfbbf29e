#include "ops/common.h"

#include <string.h>

#include "ops/quantized.h"

static oct_status check_shape(const char *op, const oct_tensor *x)
{
    if (x->rank < 1 || (x->layout == OCT_BLOCKED && x->rank != 4))
        return oct_fail(OCT_ERR_SHAPE, "%s: rank %d, expected %s", op, x->rank,
                        x->layout == OCT_BLOCKED ? "4" : "1 or more");
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] < 1)
            return oct_fail(OCT_ERR_SHAPE, "%s: dimension %d is %d, expected 1 or more", op, i,
                            x->dim[i]);
    return OCT_OK;
}

oct_status oct_infer_f32(const char *op, const oct_tensor *x)
{
    if (!x) return oct_fail(OCT_ERR_SHAPE, "%s: an operand is missing", op);
    OCT_TRY(oct_tensor_check(x));
    if (x->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: an operand is %s, only F32 is done", op,
                        oct_dtype_name(x->dtype));
    return check_shape(op, x);
}

oct_status oct_infer_value(const char *op, const oct_tensor *x)
{
    if (!x || x->dtype != OCT_U8) return oct_infer_f32(op, x);
    OCT_TRY(oct_tensor_check(x));
    OCT_TRY(oct_quant_check(op, x));
    return check_shape(op, x);
}

oct_status oct_infer_float_weight(const char *op, const oct_tensor *w)
{
    switch (w->dtype) {
    case OCT_F32:
    case OCT_F16:
    case OCT_BF16:
    case OCT_F64: return OCT_OK;
    default:
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: weight is %s, not a float", op,
                        oct_dtype_name(w->dtype));
    }
}

oct_status oct_infer_image(const char *op, const oct_tensor *x)
{
    char shape[64];
    OCT_TRY(oct_infer_f32(op, x));
    if (x->layout != OCT_BLOCKED)
        return oct_fail(OCT_ERR_SHAPE, "%s: %s is not a blocked image", op,
                        oct_tensor_shape(x, shape, sizeof shape));
    return OCT_OK;
}

oct_status oct_infer_rows(const char *op, const oct_tensor *x)
{
    char shape[64];
    OCT_TRY(oct_infer_f32(op, x));
    if (x->layout == OCT_DENSE && x->rank == 2) return OCT_OK;
    return oct_fail(OCT_ERR_SHAPE, "%s: %s is not dense [m, d]", op,
                    oct_tensor_shape(x, shape, sizeof shape));
}

oct_status oct_infer_starts(const char *op, const oct_tensor *starts)
{
    if (!starts || starts->dtype != OCT_S32 || starts->rank != 1 || starts->dim[0] < 2)
        return oct_fail(OCT_ERR_SHAPE, "%s: the texts' begins are no I32 [texts + 1]", op);
    return OCT_OK;
}

oct_status oct_infer_param(const char *op, const oct_tensor *p, int d)
{
    if (!p || p->dtype != OCT_F32 || p->rank != 1 || p->dim[0] != d)
        return oct_fail(OCT_ERR_SHAPE, "%s: a parameter is no F32 [%d]", op, d);
    return OCT_OK;
}

void oct_infer_like(oct_tensor *out, const oct_tensor *x)
{
    out->dtype = x->dtype;
    out->scale = x->scale;
    out->zero = x->zero;
    out->max = x->max;
    out->layout = x->layout;
    out->rank = x->rank;
    memcpy(out->dim, x->dim, sizeof out->dim);
}

oct_status oct_prepare_alloc(const char *op, oct_prepare *how, size_t size, void **out)
{
    *out = oct_arena_alloc(how->arena, size);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "%s: no memory for %zu bytes", op, size);
}

oct_status oct_prepare_vec(const char *op, oct_prepare *how, void **state)
{
    const oct_vec **vec;
    OCT_TRY(oct_prepare_alloc(op, how, sizeof *vec, state));
    vec = *state;
    *vec = oct_vec_pick(how->cpu);
    how->kernel = (*vec)->name;
    return OCT_OK;
}

oct_rows oct_rows_next(const oct_tensor *image, size_t first, size_t end)
{
    const int h = image->dim[1], c = image->dim[3];
    const size_t blocks = (size_t)oct_block_count(c), rows = (size_t)h;
    const size_t hw = rows * (size_t)image->dim[2], row = first % rows, left = rows - row;
    oct_rows r = { .sample = first / rows / blocks, .block = (int)(first / rows % blocks) };
    r.width = oct_block_width(c, r.block);
    r.row = (int)row;
    r.count = (int)(left < end - first ? left : end - first);
    r.at = r.sample * hw * (size_t)c + (size_t)r.block * OCT_BLOCK * hw +
           row * (size_t)image->dim[2] * (size_t)r.width;
    return r;
}

size_t oct_rows_units(const oct_tensor *image, int n)
{
    return (size_t)n * (size_t)oct_block_count(image->dim[3]) * (size_t)image->dim[1];
}

size_t oct_rows_size(const oct_tensor *image)
{
    return sizeof(float) * (size_t)image->dim[2] * (size_t)oct_block_width(image->dim[3], 0);
}
