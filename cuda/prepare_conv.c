/* conv2d and linear: one shape, three kernels. */
#include <limits.h>
#include <stdlib.h>

#include "cuda/steps.h"
#include "ops/conv2d.h"
#include "ops/conv2d_winograd.h"
#include "ops/quantized.h"

/* A linear layer is a 1 x 1 image; one that reads an image (a fused flatten) is a convolution with
 * a kernel of the image's size, its weights' order of features is (c, h, w) as conv2d's. */
static oct_cuda_shape linear_shape(const oct_args *args)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    const int image = x->layout == OCT_BLOCKED;
    const int h = image ? x->dim[1] : 1, width = image ? x->dim[2] : 1;
    return (oct_cuda_shape){ .op = "linear", .c = x->dim[x->rank - 1], .h = h, .w = width,
                             .out = w->dim[0], .groups = 1, .kernel = { h, width },
                             .stride = { 1, 1 }, .dilation = { 1, 1 } };
}

static oct_cuda_shape conv_shape(const oct_conv2d_shape *c)
{
    return (oct_cuda_shape){ .op = "conv2d", .c = c->c / c->groups, .h = c->h, .w = c->w,
                             .out = c->out, .groups = c->groups,
                             .kernel = { c->kernel[0], c->kernel[1] },
                             .stride = { c->stride[0], c->stride[1] },
                             .pad = { c->pad[0], c->pad[1] },
                             .dilation = { c->dilation[0], c->dilation[1] } };
}

/* Is it Winograd's on the CPU?  Bits are promised where floats are FP32, and not in an island. */
static int winograd_of(const oct_device *d, const oct_conv2d_shape *c, const oct_tensor *x,
                       const oct_tensor *w)
{
    const int fp32 = d->floats == OCT_F32 && x->dtype == OCT_F32 && w->dtype != OCT_S8;
    return fp32 ? oct_conv2d_winograd_pick(c) : 0;
}

static int launch_quantize(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_quantize_samples(stream, s->rows, s->x, s->y, s->sample, s->fill);
}

/* x, FP32, becomes bytes in a scale and zero of each sample's own: *from from then on. */
static oct_status quantize_samples(oct_device *d, const oct_tensor *x, int per_text,
                                   oct_cuda_value *from, oct_cuda_conv *c)
{
    const oct_cuda_rows rows = oct_cuda_rows_of(d, x, per_text);
    const size_t n = (size_t)rows.most;
    const int pitch = oct_cuda_pitch(OCT_U8, from->cols);
    const size_t values = n * (size_t)rows.per * (size_t)pitch, fill = n * OCT_CUDA_CHUNK;
    oct_cuda_step *step;
    void *memory;
    if (from->type != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantized at run time from FP16");
    OCT_TRY(oct_cuda_scratch(d, OCT_CUDA_BYTES, values + fill + n * sizeof(oct_qparams), &memory));
    OCT_TRY(oct_cuda_add_step(d, x, per_text, &step));
    step->x = *from;
    step->y = (oct_cuda_value){ memory, OCT_U8, from->cols, pitch };
    step->fill = (uint8_t *)memory + values;
    step->sample = (void *)(step->fill + fill);
    step->launch = launch_quantize;
    *from = step->y;
    c->fill = step->fill;
    c->fill_step = OCT_CUDA_CHUNK;
    c->sample = step->sample;
    return OCT_OK;
}

static int launch_f16(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_conv2d_f16(stream, &s->u.conv);
}

static int launch_f32(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_conv2d_f32(stream, &s->u.conv);
}

static int launch_winograd(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_winograd_f32(stream, &s->u.conv);
}

static int launch_s8(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_conv2d_s8(stream, &s->u.conv);
}

static int launch_groups_f16(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_conv2d_groups_f16(stream, &s->u.conv);
}

static int launch_groups_s8(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_conv2d_groups_s8(stream, &s->u.conv);
}

/* The launch, and its name; where there are tiles, oct_cuda_choose_product makes it whole. */
static void choose(oct_cuda_step *step, const oct_args *args, oct_act act, oct_prepare *how)
{
    oct_cuda_conv *c = &step->u.conv;
    const oct_act own = act > OCT_ACT_RELU6 ? OCT_ACT_NONE : act; /* the others come after */
    const int groups = !c->tiles;
    c->act = act;
    switch (step->x.type) {
    case OCT_U8:
        c->out = oct_quant_requant(args->out, own, args->in[OCT_CONV2D_RESIDUAL]);
        c->act = act > OCT_ACT_RELU6 ? act : OCT_ACT_NONE;
        step->launch = groups ? launch_groups_s8 : launch_s8;
        how->kernel = !groups ? c->sample ? "conv2d_s8_dynamic" : "conv2d_s8"
                    : c->sample ? "conv2d_groups_s8_dynamic/cuda" : "conv2d_groups_s8/cuda";
        break;
    case OCT_F16:
        step->launch = groups ? launch_groups_f16 : launch_f16;
        how->kernel = groups ? "conv2d_groups_f16/cuda" : "conv2d_f16";
        break;
    default:
        step->launch = c->winograd ? launch_winograd : launch_f32;
        how->kernel = c->winograd == 4 ? "winograd4x4_f32/cuda"
                    : c->winograd ? "winograd2x2_f32/cuda" : "conv2d_f32/cuda";
    }
}

/* A chunk of k for each 16 bytes of a row of w, and a step's beyond them. */
static oct_status put_taps(oct_device *d, const char *op, oct_prepare *how, oct_cuda_conv *c)
{
    enum { OF_STEP = OCT_CUDA_STEP / OCT_CUDA_CHUNK };
    const int n = (c->steps + 1) * OF_STEP;
    const void *there = NULL;
    oct_cuda_tap *taps = malloc((size_t)n * sizeof *taps);
    if (!taps) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", op);
    for (int i = 0; i < n; i++) {
        const int tap = i / c->chunks, ky = tap / c->kernel[1], kx = tap - ky * c->kernel[1];
        const int y = ky < c->kernel[0] ? ky * c->dilation[0] : OCT_CUDA_FAR;
        const int x = kx * c->dilation[1];
        taps[i] = (oct_cuda_tap){ y, x, ((int64_t)y * c->width + x) * c->x_pitch +
                                        (i - tap * c->chunks) * OCT_CUDA_CHUNK };
    }
    const oct_status status = oct_cuda_put(d, taps, (size_t)n * sizeof *taps, how, &there);
    c->taps = there;
    free(taps);
    return status;
}

oct_status oct_cuda_parts(oct_device *d, oct_cuda_conv *c)
{
    const size_t rows = (size_t)c->rows.most * (size_t)c->rows.per;
    if (c->splits == 1) return OCT_OK;
    return oct_cuda_scratch(d, OCT_CUDA_PARTS, rows * (size_t)c->n_pad * (size_t)c->splits *
                            sizeof(float), &c->partial);
}

/* Tiles, and parts of k; a grid of conv2d_mma.cuh has one dimension of blocks, the others two. */
static oct_status cut(oct_device *d, const oct_cuda_shape *s, oct_prepare *how,
                      oct_cuda_conv *c)
{
    enum { MOST = 65535, LEAST = 32 /* channels of a block */ };
    c->splits = 1;
    c->arrived = d->arrived;
    if (c->tiles ? oct_cuda_conv_blocks(c, OCT_CUDA_TILE_64X64) > INT_MAX
                 : s->out / LEAST >= MOST)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: %d output channels in %d groups, more than the "
                        "GPU's kernels count", s->op, s->out, s->groups);
    if (!c->tiles) return OCT_OK;
    OCT_TRY(put_taps(d, s->op, how, c));
    c->splits = oct_cuda_conv_splits(c);
    c->tile = oct_cuda_conv_tile(c);
    return oct_cuda_parts(d, c);
}

oct_status oct_cuda_prepare_conv(oct_device *d, oct_op_kind kind, const oct_args *args,
                                 int per_text, oct_prepare *how)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    const oct_tensor *r = args->in[OCT_CONV2D_RESIDUAL];
    const int conv = kind == OCT_OP_CONV2D;
    oct_cuda_shape shape;
    oct_cuda_value from;
    oct_cuda_conv c = { 0 };
    if (conv) {
        const oct_conv2d_shape of = oct_conv2d_shape_of(args);
        shape = conv_shape(&of);
        shape.winograd = winograd_of(d, &of, x, w);
    } else {
        shape = linear_shape(args);
    }
    OCT_TRY(oct_cuda_operand(d, x, per_text, &from));
    if (x->dtype == OCT_F32 && w->dtype == OCT_S8)
        OCT_TRY(quantize_samples(d, x, per_text, &from, &c));
    const void *fill = c.fill; /* of each sample */
    OCT_TRY(oct_cuda_pack(d, &shape, from.type, args, how, &c));
    oct_cuda_step *step;
    OCT_TRY(oct_cuda_add_step(d, args->out, per_text, &step));
    step->x = from;
    if (fill) c.fill = fill;
    c.x = from.data;
    c.x_pitch = from.pitch * (from.type == OCT_F32 ? 1 : (int)oct_dtype_size(from.type));
    c.y = step->y.data;
    c.y_pitch = step->y.pitch;
    if (r) step->b = oct_cuda_value_of(d, r);
    c.residual = step->b.data;
    c.residual_pitch = step->b.pitch;
    c.rows = step->rows;
    c.h = shape.h;
    c.width = shape.w;
    c.ow = conv ? args->out->dim[2] : 1;
    for (int i = 0; i < 2; i++) {
        c.kernel[i] = shape.kernel[i];
        c.stride[i] = shape.stride[i];
        c.pad[i] = shape.pad[i];
        c.dilation[i] = shape.dilation[i];
    }
    OCT_TRY(cut(d, &shape, how, &c));
    step->u.conv = c;
    choose(step, args, conv ? ((const oct_conv2d_attr *)args->attr)->act
                            : ((const oct_linear_attr *)args->attr)->act, how);
    how->macs = (double)c.rows.per * shape.out * shape.c * shape.kernel[0] * shape.kernel[1];
    return oct_cuda_choose_product(d, step, how);
}
