/* first:  y[t] = x[starts[t]]: of each text the row of its first token, BERT's [CLS]
 *
 *   x  DENSE [tokens, d]     starts  S32 [texts + 1]     y  [texts, d] */
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_FIRST_X], *starts = args->in[OCT_FIRST_STARTS];
    OCT_TRY(oct_infer_rows("first", x));
    OCT_TRY(oct_infer_starts("first", starts));
    oct_infer_like(args->out, x);
    args->out->dim[0] = starts->dim[0] - 1;
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    *state = NULL;
    how->kernel = "copy";
    return OCT_OK;
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_FIRST_X];
    const int32_t *starts = args->in[OCT_FIRST_STARTS]->data;
    const size_t d = (size_t)x->dim[1];
    float *y = args->out->data;
    (void)state;
    for (size_t t = 0; t < (size_t)r->n; t++)
        memcpy(y + t * d, (const float *)x->data + (size_t)starts[t] * d, d * sizeof *y);
}

const oct_op oct_op_first = { "first", infer, prepare, run };
