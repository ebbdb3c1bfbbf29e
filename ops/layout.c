/* layout:  the caller's DENSE [n, c, h, w] -> BLOCKED [n, h, w, c]          a copy
 *
 *   y[s][b][p][l] = x[s][64 b + l][p],   p < h w: for each block, a transpose of width x h w
 */
#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct job {
    const oct_vec *vec;
    const float *x;
    const oct_tensor *to;
    float *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_LAYOUT_X];
    OCT_TRY(oct_infer_f32("layout", x));
    if (x->layout != OCT_DENSE || x->rank != 4)
        return oct_fail(OCT_ERR_SHAPE, "layout: %s of rank %d, expected dense [n, c, h, w]",
                        x->layout == OCT_DENSE ? "dense" : "blocked", x->rank);
    oct_infer_like(args->out, x);
    args->out->layout = OCT_BLOCKED;
    args->out->dim[1] = x->dim[2];
    args->out->dim[2] = x->dim[3];
    args->out->dim[3] = x->dim[1];
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    return oct_prepare_vec("layout", how, state);
}

static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t w = (size_t)j->to->dim[2], hw = (size_t)j->to->dim[1] * w;
    const size_t c = (size_t)j->to->dim[3];
    while (first < end) {
        const oct_rows r = oct_rows_next(j->to, first, end);
        const float *plane = j->x + (r.sample * c + (size_t)r.block * OCT_BLOCK) * hw;
        j->vec->transpose((size_t)r.width, (size_t)r.count * w, plane + (size_t)r.row * w, hw,
                          j->y + r.at, (size_t)r.width);
        first += (size_t)r.count;
    }
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    const oct_tensor *y = args->out;
    job j = { *(const oct_vec *const *)state, args->in[OCT_LAYOUT_X]->data, y, y->data };
    oct_spread(r->pool, oct_rows_units(y, r->n), 2 * oct_rows_size(y), rows, &j);
}

const oct_op oct_op_layout = { "layout", infer, prepare, run };
