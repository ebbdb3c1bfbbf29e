/* add:  y = act(a + b), same shape and layout
 */
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

enum { UNIT = 1024 }; /* floats */

typedef struct job {
    const oct_vec *vec;
    oct_act act;
    size_t count;
    const float *a, *b;
    float *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *a = args->in[OCT_ADD_A], *b = args->in[OCT_ADD_B];
    const oct_add_attr *attr = args->attr;
    char sa[64], sb[64];
    OCT_TRY(oct_infer_f32("add", a));
    OCT_TRY(oct_infer_f32("add", b));
    if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0)
        return oct_fail(OCT_ERR_SHAPE, "add: %s and %s", oct_tensor_shape(a, sa, sizeof sa),
                        oct_tensor_shape(b, sb, sizeof sb));
    if (a->layout != b->layout)
        return oct_fail(OCT_ERR_SHAPE, "add: one operand is dense, the other blocked");
    if (attr->act != OCT_ACT_NONE && attr->act != OCT_ACT_RELU && attr->act != OCT_ACT_RELU6)
        return oct_fail(OCT_ERR_UNSUPPORTED, "add: activation %d, only none, relu and relu6 are "
                        "fused", (int)attr->act);
    oct_infer_like(args->out, a);
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    return oct_prepare_vec("add", how, state);
}

static void units(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t from = first * UNIT, to = end * UNIT < j->count ? end * UNIT : j->count;
    j->vec->add(j->act, to - from, j->a + from, j->b + from, j->y + from);
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    const oct_add_attr *attr = args->attr;
    const oct_tensor *a = args->in[OCT_ADD_A], *b = args->in[OCT_ADD_B];
    job j = { *(const oct_vec *const *)state, attr->act,
              (size_t)r->n * oct_tensor_sample_count(a), a->data, b->data, args->out->data };
    oct_spread(r->pool, (j.count + UNIT - 1) / UNIT, 3 * sizeof(float) * UNIT, units, &j);
}

const oct_op oct_op_add = { "add", infer, prepare, run };
