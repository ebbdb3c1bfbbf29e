/* flatten:  BLOCKED [n, h, w, c] -> DENSE [n, c h w] in PyTorch's order (c, h, w);
 *           DENSE [n, ...] -> [n, rest]                                     a copy
 * FP32 or U8, which keeps its quantization.
 *
 *   y[s][64 b + l][p] = x[s][b][p][l],   p < h w: for each block, a transpose of h w x width
 */
#include <limits.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct job {
    const oct_vec *vec;
    const oct_tensor *from;
    const void *x;
    void *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_FLATTEN_X];
    OCT_TRY(oct_infer_value("flatten", x));
    const size_t features = oct_tensor_sample_count(x);
    if (features > INT_MAX)
        return oct_fail(OCT_ERR_SHAPE, "flatten: %zu features, at most %d", features, INT_MAX);
    const int n = x->dim[0];
    oct_infer_like(args->out, x);
    args->out->layout = OCT_DENSE;
    args->out->rank = 2;
    args->out->dim[0] = n;
    args->out->dim[1] = (int)features;
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    return oct_prepare_vec("flatten", how, state);
}

/* Rare: pass_fuse lets linear layers read images as they lie. */
static void transpose_u8(size_t rows, size_t cols, const uint8_t *x, uint8_t *y, size_t ldy)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < rows; i++) y[j * ldy + i] = x[i * cols + j];
}

static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t w = (size_t)j->from->dim[2], hw = (size_t)j->from->dim[1] * w;
    const size_t c = (size_t)j->from->dim[3];
    while (first < end) {
        const oct_rows r = oct_rows_next(j->from, first, end);
        const size_t plane = (r.sample * c + (size_t)r.block * OCT_BLOCK) * hw;
        const size_t to = plane + (size_t)r.row * w, pixels = (size_t)r.count * w;
        if (j->from->dtype == OCT_U8)
            transpose_u8(pixels, (size_t)r.width, (const uint8_t *)j->x + r.at,
                         (uint8_t *)j->y + to, hw);
        else
            j->vec->transpose(pixels, (size_t)r.width, (const float *)j->x + r.at,
                              (size_t)r.width, (float *)j->y + to, hw);
        first += (size_t)r.count;
    }
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_FLATTEN_X];
    job j = { *(const oct_vec *const *)state, x, x->data, args->out->data };
    if (x->layout == OCT_DENSE)
        memcpy(j.y, j.x, (size_t)r->n * oct_tensor_sample_count(x) * oct_dtype_size(x->dtype));
    else
        oct_spread(r->pool, oct_rows_units(x, r->n), 2 * oct_rows_size(x), rows, &j);
}

const oct_op oct_op_flatten = { "flatten", infer, prepare, run };
