/* FP32 islands: the steps that read or write a value that half has no room for. */
#include <stdlib.h>

#include "cuda/steps.h"

int oct_cuda_is_wide(const oct_device *d, const oct_tensor *t)
{
    for (int i = 0; i < d->n_wide; i++)
        if (d->wide[i] == t) return 1;
    return 0;
}

/* A value of the plan that is held as half: it must be converted. */
static int is_half(const oct_device *d, const oct_tensor *t)
{
    const unsigned char *at = t ? t->data : NULL;
    return t && t->dtype == OCT_F32 && at >= d->values && at < d->values + d->value_size &&
           !oct_cuda_is_wide(d, t) && !oct_cuda_is_input(d, t);
}

static int is_island(const oct_device *d, const oct_args *args)
{
    int wide = oct_cuda_is_wide(d, args->out);
    for (int k = 0; k < OCT_MAX_IN; k++)
        wide |= args->in[k] && oct_cuda_is_wide(d, args->in[k]);
    return wide;
}

static int launch_convert(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_convert(stream, s->rows, s->x, s->y);
}

/* The FP32 copy of t, of which only the description is made. */
static oct_status make_copy(oct_device *d, const oct_tensor *t, int number, oct_tensor *copy)
{
    const oct_cuda_value v = oct_cuda_value_of(d, t); /* step_floats is F32 */
    const size_t rows = oct_tensor_count(t) / (size_t)v.cols;
    *copy = *t;
    return oct_cuda_scratch(d, (oct_cuda_use)(OCT_CUDA_ISLAND + number),
                            rows * (size_t)v.pitch * sizeof(float), &copy->data);
}

/* Operand t, half, becomes copy: as many rows as the step that wrote it had. */
static oct_status widen_operand(oct_device *d, const oct_tensor *t, int number, oct_tensor *copy)
{
    oct_cuda_step *s;
    int writer = d->n_steps - 1;
    while (writer >= 0 && d->step[writer].y.data != t->data) writer--;
    if (writer < 0) return oct_fail(OCT_ERR_UNSUPPORTED, "device 'cuda': a value nobody writes");
    const oct_cuda_rows rows = d->step[writer].rows;
    const oct_cuda_value half = d->step[writer].y;
    OCT_TRY(make_copy(d, t, number, copy));
    OCT_TRY(oct_cuda_add_step(d, copy, 0, &s));
    s->rows = rows;
    s->x = half;
    s->launch = launch_convert;
    return OCT_OK;
}

static oct_status prepare_island(oct_device *d, oct_op_kind kind, const oct_args *args,
                                 int per_text, oct_prepare *how)
{
    oct_tensor copy[OCT_MAX_IN + 1];
    oct_args wide = *args;
    const int narrow = is_half(d, args->out);
    oct_cuda_step *s;
    for (int k = 0; k < OCT_MAX_IN; k++) {
        if (!is_half(d, args->in[k])) continue;
        OCT_TRY(widen_operand(d, args->in[k], k, &copy[k]));
        wide.in[k] = &copy[k];
    }
    if (narrow) {
        OCT_TRY(make_copy(d, args->out, OCT_MAX_IN, &copy[OCT_MAX_IN]));
        wide.out = &copy[OCT_MAX_IN];
    }
    OCT_TRY(oct_cuda_prepare_op(d, kind, &wide, per_text, how));
    if (!narrow) return OCT_OK;
    const oct_cuda_value from = oct_cuda_value_of(d, wide.out);
    d->step_floats = d->floats;
    OCT_TRY(oct_cuda_add_step(d, args->out, per_text, &s));
    s->x = from;
    s->launch = launch_convert;
    return OCT_OK;
}

oct_status oct_cuda_prepare(oct_device *d, oct_op_kind kind, const oct_args *args, int per_text,
                            oct_prepare *how)
{
    if (!is_island(d, args)) return oct_cuda_prepare_op(d, kind, args, per_text, how);
    d->step_floats = OCT_F32;
    const oct_status status = prepare_island(d, kind, args, per_text, how);
    d->step_floats = d->floats;
    return status;
}
