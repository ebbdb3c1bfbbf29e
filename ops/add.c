/* add:  y = act(a + b), same shape and layout;  FP32, or U8 all three, each in a scale of its own
 */
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/kernels/vec_u8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

enum { UNIT = 1024 }; /* floats */

typedef struct state {
    const oct_vec *vec;
    const oct_vec_u8 *vec_u8;
    oct_requant out;
    float scale_a;
} state;

typedef struct job {
    const state *s;
    const oct_args *args;
    oct_act act;
    size_t count;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *a = args->in[OCT_ADD_A], *b = args->in[OCT_ADD_B];
    const oct_add_attr *attr = args->attr;
    char sa[64], sb[64];
    OCT_TRY(oct_infer_value("add", a));
    OCT_TRY(oct_infer_value("add", b));
    if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0)
        return oct_fail(OCT_ERR_SHAPE, "add: %s and %s", oct_tensor_shape(a, sa, sizeof sa),
                        oct_tensor_shape(b, sb, sizeof sb));
    if (a->layout != b->layout)
        return oct_fail(OCT_ERR_SHAPE, "add: one operand is dense, the other blocked");
    if (attr->act != OCT_ACT_NONE && attr->act != OCT_ACT_RELU && attr->act != OCT_ACT_RELU6)
        return oct_fail(OCT_ERR_UNSUPPORTED, "add: activation %d, only none, relu and relu6 are "
                        "fused", (int)attr->act);
    oct_infer_like(args->out, a);
    OCT_TRY(oct_quant_out("add", &attr->quant, args->out));
    if (a->dtype != b->dtype || a->dtype != args->out->dtype)
        return oct_fail(OCT_ERR_UNSUPPORTED, "add: %s and %s to %s", oct_dtype_name(a->dtype),
                        oct_dtype_name(b->dtype), oct_dtype_name(args->out->dtype));
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *a = args->in[OCT_ADD_A], *y = args->out;
    const oct_add_attr *attr = args->attr;
    OCT_TRY(oct_prepare_alloc("add", how, sizeof(state), out));
    state *s = *out;
    *s = (state){ .vec = oct_vec_pick(how->cpu), .vec_u8 = oct_vec_u8_pick(how->cpu) };
    how->kernel = y->dtype == OCT_U8 ? s->vec_u8->name : s->vec->name;
    if (y->dtype != OCT_U8) return OCT_OK;
    s->out = oct_quant_requant(y, attr->act, args->in[OCT_ADD_B]);
    s->scale_a = *a->scale / *y->scale;
    if (!(s->scale_a > 0 && s->scale_a < 0x1p64f && s->out.residual_scale > 0 &&
          s->out.residual_scale < 0x1p64f))
        return oct_fail(OCT_ERR_UNSUPPORTED, "add: scales %g and %g to %g", (double)*a->scale,
                        (double)*args->in[OCT_ADD_B]->scale, (double)*y->scale);
    return OCT_OK;
}

static void units(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const oct_tensor *a = j->args->in[OCT_ADD_A], *b = j->args->in[OCT_ADD_B], *y = j->args->out;
    const size_t from = first * UNIT, to = end * UNIT < j->count ? end * UNIT : j->count;
    if (y->dtype == OCT_U8)
        j->s->vec_u8->add(to - from, (const uint8_t *)a->data + from, a->zero, j->s->scale_a,
                          (const uint8_t *)b->data + from, &j->s->out, (uint8_t *)y->data + from);
    else
        j->s->vec->add(j->act, to - from, (const float *)a->data + from,
                       (const float *)b->data + from, (float *)y->data + from);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_add_attr *attr = args->attr;
    const oct_tensor *a = args->in[OCT_ADD_A];
    job j = { opaque, args, attr->act, (size_t)r->n * oct_tensor_sample_count(a) };
    oct_spread(r->pool, (j.count + UNIT - 1) / UNIT, 3 * oct_dtype_size(a->dtype) * UNIT, units,
               &j);
}

const oct_op oct_op_add = { "add", infer, prepare, run };
