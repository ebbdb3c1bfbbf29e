/* conv2d:  y = act(x * w + b + residual)                                  torch.nn.Conv2d
 *
 *   x  [n,h,w,c] FP32 BLOCKED     w  [out, c/groups, kh, kw] F32, F16, BF16 (scale per row)
 *   b  [out] FP32 or absent       residual, y  [n,oh,ow,out] FP32 BLOCKED
 *   oh = floor((h + 2 pad - dilation (kh - 1) - 1) / stride) + 1
 *
 * x U8: w S8, b S32 or F32, y U8 or FP32, residual as y: exact, ops/conv2d_s8.c,
 * conv2d_winograd_s8.c, conv2d_sparse_s8.c.  x FP32 and w S8: x is quantized at run time,
 * ops/conv2d_dynamic.c.
 *
 * Which way FP32 is computed depends on the shape alone (and on --gemm and --precision), never on
 * the CPU, the threads or the batch: results have the same bits everywhere.  Integers are exact, so
 * there the way is whatever is fastest, and so it is between a direct convolution and its sparse
 * form, conv2d_sparse_f32.c, which has its bits. */
#include "ops/conv2d.h"

#include <limits.h>

#include "ops/common.h"
#include "ops/conv2d_sparse_f32.h"
#include "ops/conv2d_sparse_s8.h"
#include "ops/conv2d_winograd.h"
#include "ops/conv2d_winograd_s8.h"
#include "ops/quantized.h"

typedef struct way {
    oct_status (*prepare)(const oct_args *args, oct_prepare *how, void **state);
    void (*run)(const oct_args *args, const void *state, const oct_run *r);
} way;

typedef struct state {
    const way *way;
    void *own;
} state;

static oct_status winograd2_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    return oct_conv2d_winograd_prepare(args, how, 2, out);
}

static oct_status winograd4_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    return oct_conv2d_winograd_prepare(args, how, 4, out);
}

static oct_status winograd2_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    return oct_conv2d_winograd_s8_prepare(args, how, 2, out);
}

static oct_status winograd4_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    return oct_conv2d_winograd_s8_prepare(args, how, 4, out);
}

static const way direct = { oct_conv2d_direct_prepare, oct_conv2d_direct_run };
static const way winograd2 = { winograd2_prepare, oct_conv2d_winograd_run };
static const way winograd4 = { winograd4_prepare, oct_conv2d_winograd_run };
static const way s8 = { oct_conv2d_s8_prepare, oct_conv2d_s8_run };
static const way dynamic = { oct_conv2d_dynamic_prepare, oct_conv2d_dynamic_run };
static const way winograd2_s8 = { winograd2_s8_prepare, oct_conv2d_winograd_s8_run };
static const way winograd4_s8 = { winograd4_s8_prepare, oct_conv2d_winograd_s8_run };
static const way s8_24 = { oct_conv2d_s8_24_prepare, oct_conv2d_s8_run };
static const way sparse_s8 = { oct_conv2d_sparse_s8_prepare, oct_conv2d_sparse_s8_run };
static const way sparse_f32 = { oct_conv2d_sparse_f32_prepare, oct_conv2d_sparse_f32_run };
static const way im2col = { oct_conv2d_im2col_prepare, oct_conv2d_im2col_run };

oct_conv2d_shape oct_conv2d_shape_of(const oct_args *args)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W], *y = args->out;
    const oct_conv2d_attr *a = args->attr;
    return (oct_conv2d_shape){
        .c = x->dim[3], .h = x->dim[1], .w = x->dim[2],
        .out = y->dim[3], .oh = y->dim[1], .ow = y->dim[2],
        .kernel = { w->dim[2], w->dim[3] }, .stride = { a->stride[0], a->stride[1] },
        .pad = { a->pad[0], a->pad[1] }, .dilation = { a->dilation[0], a->dilation[1] },
        .groups = a->groups };
}

/* Everything about attr and w that does not need x's height and width. */
static oct_status check_weights(const oct_tensor *x, const oct_tensor *w, const oct_tensor *b,
                                const oct_conv2d_attr *a)
{
    if (w->rank != 4) return oct_fail(OCT_ERR_SHAPE, "conv2d: weight has rank %d, not 4", w->rank);
    if (!oct_quant_layer(x, w)) OCT_TRY(oct_infer_float_weight("conv2d", w));
    for (int i = 0; i < 4; i++)
        if (w->dim[i] < 1) return oct_fail(OCT_ERR_SHAPE, "conv2d: weight dimension %d is %d", i,
                                           w->dim[i]);
    for (int i = 0; i < 2; i++)
        if (a->stride[i] < 1 || a->pad[i] < 0 || a->dilation[i] < 1)
            return oct_fail(OCT_ERR_SHAPE, "conv2d: stride %d, padding %d, dilation %d",
                            a->stride[i], a->pad[i], a->dilation[i]);
    if (a->groups < 1 || w->dim[0] % a->groups != 0)
        return oct_fail(OCT_ERR_SHAPE, "conv2d: %d groups do not divide %d output channels",
                        a->groups, w->dim[0]);
    if ((long long)w->dim[1] * a->groups != x->dim[3])
        return oct_fail(OCT_ERR_SHAPE, "conv2d: x has %d channels, weight takes %lld", x->dim[3],
                        (long long)w->dim[1] * a->groups);
    if (b && ((b->dtype != OCT_F32 && !oct_quant_layer(x, w)) || b->rank != 1 ||
              b->dim[0] != w->dim[0]))
        return oct_fail(OCT_ERR_SHAPE, "conv2d: bias has %d entries, weight has %d rows",
                        b->rank == 1 ? b->dim[0] : -1, w->dim[0]);
    if (a->act > OCT_ACT_RELU6)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %s cannot be fused", oct_act_name(a->act));
    return OCT_OK;
}

/* Pixels of the padded image and of the output are counted in ints, values stay below 2^31
 * (gemm_f32.h). */
static oct_status check_size(const oct_tensor *x, const oct_conv2d_attr *a, const int out[4])
{
    const long long most = INT_MAX;
    const long long in = (x->dim[1] + 2LL * a->pad[0]) * (x->dim[2] + 2LL * a->pad[1]);
    const long long pixels = (long long)out[1] * out[2];
    if (in > most / x->dim[3] || pixels > most / out[3])
        return oct_fail(OCT_ERR_SHAPE, "conv2d: an image of %lld pixels, padded, to one of %lld, "
                        "at most %lld values each", in, pixels, most);
    return OCT_OK;
}

/* dtype and quantization of y, and whether those of the operands go with it. */
static oct_status check_numbers(const oct_args *args, oct_tensor *y)
{
    const oct_conv2d_attr *a = args->attr;
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    const oct_tensor *r = args->in[OCT_CONV2D_RESIDUAL];
    OCT_TRY(oct_quant_out("conv2d", &a->quant, y));
    if (r) OCT_TRY(oct_infer_value("conv2d", r));
    if (oct_quant_layer(x, w)) /* channels fit: w's product fits, too */
        return oct_quant_weights("conv2d", x, w, args->in[OCT_CONV2D_BIAS], y,
                                 (long long)w->dim[1] * w->dim[2] * w->dim[3]);
    return y->dtype == OCT_F32 ? OCT_OK
                               : oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: x is F32 and y U8");
}

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    const oct_tensor *r = args->in[OCT_CONV2D_RESIDUAL];
    const oct_conv2d_attr *a = args->attr;
    OCT_TRY(oct_infer_value("conv2d", x));
    if (x->layout != OCT_BLOCKED)
        return oct_fail(OCT_ERR_SHAPE, "conv2d: x is not an image (rank %d)", x->rank);
    OCT_TRY(check_weights(x, w, args->in[OCT_CONV2D_BIAS], a));
    oct_tensor y = { .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4,
                     .dim = { x->dim[0], 0, 0, w->dim[0] }, .data = args->out->data };
    for (int i = 0; i < 2; i++) {
        const long long in = (long long)x->dim[1 + i] + 2LL * a->pad[i];
        const long long reach = (long long)a->dilation[i] * (w->dim[2 + i] - 1) + 1;
        if (reach > in)
            return oct_fail(OCT_ERR_SHAPE, "conv2d: the kernel covers %lld, the padded image has "
                            "%lld", reach, in);
        if (in > INT_MAX / 4) return oct_fail(OCT_ERR_SHAPE, "conv2d: padding %d", a->pad[i]);
        y.dim[1 + i] = (int)((in - reach) / a->stride[i] + 1);
    }
    OCT_TRY(oct_tensor_check(&y));
    OCT_TRY(check_size(x, a, y.dim));
    OCT_TRY(check_numbers(args, &y));
    *args->out = y;
    if (r && (r->dtype != y.dtype || r->layout != OCT_BLOCKED || r->rank != 4 ||
              r->dim[0] != y.dim[0] || r->dim[1] != y.dim[1] || r->dim[2] != y.dim[2] ||
              r->dim[3] != y.dim[3]))
        return oct_fail(OCT_ERR_SHAPE, "conv2d: the residual is not shaped like the output");
    return OCT_OK;
}

/* In bfloat16 products cost half: F(4x4) still beats the direct way, F(2x2) no longer does. */
static const way *choose(const oct_args *args, const oct_prepare *how)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    if (how->sgemm) return &im2col;
    if (oct_conv2d_sparse_f32_pick(args, how)) return &sparse_f32;
    switch (oct_conv2d_winograd_pick(&c)) {
    case 4: return &winograd4;
    case 2: return how->precision == OCT_BF16 ? &direct : &winograd2;
    default: return &direct;
    }
}

static const way *choose_s8(const oct_args *args, const oct_prepare *how)
{
    const int form = oct_conv2d_sparse_s8_pick(args, how);
    if (form) return form == OCT_SPARSE_24 ? &s8_24 : &sparse_s8;
    switch (oct_conv2d_winograd_s8_pick(args, how)) {
    case 4: return &winograd4_s8;
    case 2: return &winograd2_s8;
    default: return &s8;
    }
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    if (w->dtype != OCT_S8) s->way = choose(args, how);
    else s->way = x->dtype == OCT_U8 ? choose_s8(args, how) : &dynamic;
    *out = s;
    how->macs = (double)c.oh * c.ow * c.out * (c.c / c.groups) * c.kernel[0] * c.kernel[1];
    return s->way->prepare(args, how, &s->own);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    s->way->run(args, s->own, r);
}

const oct_op oct_op_conv2d = { "conv2d", infer, prepare, run };
