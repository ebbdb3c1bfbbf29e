/* Weights as the kernels of conv2d and linear read them (kernels.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/steps.h"
#include "ops/quantized.h"
#include "tensor/f16.h"

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }

static oct_status out_of_memory(const char *op)
{
    return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", op);
}

/* Puts an array on the device; frees nothing. */
static oct_status put_floats(oct_device *d, const float *from, int n, oct_prepare *how,
                             const float **out)
{
    const void *there = NULL;
    OCT_TRY(oct_cuda_put(d, from, (size_t)n * sizeof *from, how, &there));
    *out = there;
    return OCT_OK;
}

static oct_status put_fill(oct_device *d, int byte, oct_prepare *how, oct_cuda_conv *c)
{
    unsigned char fill[OCT_CUDA_CHUNK];
    memset(fill, byte, sizeof fill);
    return oct_cuda_put(d, fill, sizeof fill, how, &c->fill);
}

/* How the elements of w lie: a channel's `channel` after the one before, a tap's `tap`, row n's
 * begin with number row_at(n).  Of groups without tiles it is [k][n_pad]: threads beside one
 * another have neighbouring n. */
typedef struct order { size_t row, tap, channel, count; } order;

static order order_of(const oct_cuda_shape *s, const oct_cuda_conv *c, size_t size)
{
    const size_t k = (size_t)s->c * (size_t)s->kernel[0] * (size_t)s->kernel[1];
    const size_t n = (size_t)c->n_pad, row = (size_t)c->steps * OCT_CUDA_STEP / size;
    if (!c->tiles) return (order){ 1, (size_t)s->c * n, n, k * n };
    return (order){ row, (size_t)c->chunks * OCT_CUDA_CHUNK / size, 1,
                    row * (size_t)(c->tiles * OCT_CUDA_N) };
}

static size_t row_at(const oct_cuda_conv *c, order at, int n)
{
    const int each = c->n / c->groups, of_group = c->tiles / c->groups * OCT_CUDA_N;
    return at.row * (size_t)(c->tiles ? n / each * of_group + n % each : n);
}

/* ---- half ---- */

/* A power of two by which a row's weights are 2 or less: no row is beyond half's range, none is
 * among its denormals.  It comes back with the sum, exactly. */
static oct_status row_scale(const oct_cuda_shape *s, int n, const float *w, size_t k, float *out)
{
    float most = 0;
    int e;
    for (size_t i = 0; i < k; i++) {
        if (!isfinite(w[i]))
            return oct_fail(OCT_ERR_FORMAT, "%s: a weight of row %d is %g", s->op, n, (double)w[i]);
        if (fabsf(w[i]) > most) most = fabsf(w[i]);
    }
    frexpf(most, &e);
    *out = ldexpf(1, e > 126 ? 126 : e < -126 ? -126 : e); /* it and its inverse are normal */
    return OCT_OK;
}

static void half_row(const oct_cuda_shape *s, const float *w, float scale, order at, uint16_t *to)
{
    const int taps = s->kernel[0] * s->kernel[1];
    for (int t = 0; t < taps; t++, to += at.tap)
        for (int i = 0; i < s->c; i++)
            to[(size_t)i * at.channel] =
                oct_f16_of_f32(w[(size_t)i * (size_t)taps + (size_t)t] * (1 / scale));
}

static oct_status pack_half(oct_device *d, const oct_cuda_shape *s, const oct_tensor *w,
                            oct_prepare *how, oct_cuda_conv *c)
{
    const size_t k = (size_t)s->c * (size_t)s->kernel[0] * (size_t)s->kernel[1];
    const order at = order_of(s, c, sizeof(uint16_t));
    float *from = malloc(k * sizeof *from);
    uint16_t *to = calloc(at.count, sizeof *to);
    float *scale = calloc((size_t)c->n_pad, sizeof *scale);
    oct_status status = from && to && scale ? OCT_OK : out_of_memory(s->op);
    for (int n = 0; n < s->out && !status; n++) {
        oct_tensor_read_f32(w, (size_t)n * k, k, from);
        status = row_scale(s, n, from, k, &scale[n]);
        if (!status) half_row(s, from, scale[n], at, to + row_at(c, at, n));
    }
    if (!status) status = oct_cuda_put(d, to, at.count * sizeof *to, how, &c->w);
    if (!status) status = put_floats(d, scale, c->n_pad, how, &c->scale);
    free(scale);
    free(from);
    free(to);
    return status;
}

/* ---- float, [k][n_pad]: blocks of 64 channels, ky, kx, c ---- */

/* Row n, whose group's channels begin with `first` of x's; blocks are x's. */
static void float_row(const oct_cuda_shape *s, int n, const float *w, int n_pad, float *to)
{
    const int taps = s->kernel[0] * s->kernel[1], first = n / (s->out / s->groups) * s->c;
    for (int b = first, end; b < first + s->c; b = end) {
        end = (b / OCT_BLOCK + 1) * OCT_BLOCK;
        if (end > first + s->c) end = first + s->c;
        for (int t = 0; t < taps; t++)
            for (int i = b - first; i < end - first; i++, to += n_pad)
                *to = w[(size_t)i * (size_t)taps + (size_t)t];
    }
}

static oct_status pack_float(oct_device *d, const oct_cuda_shape *s, const oct_tensor *w,
                             oct_prepare *how, oct_cuda_conv *c)
{
    const size_t k = (size_t)s->c * (size_t)s->kernel[0] * (size_t)s->kernel[1];
    float *from = malloc(k * sizeof *from);
    float *to = calloc(k * (size_t)c->n_pad, sizeof *to);
    oct_status status = from && to ? OCT_OK : out_of_memory(s->op);
    for (int n = 0; n < s->out && !status; n++) {
        oct_tensor_read_f32(w, (size_t)n * k, k, from);
        float_row(s, n, from, c->n_pad, to + n);
    }
    if (!status) status = oct_cuda_put(d, to, k * (size_t)c->n_pad * sizeof *to, how, &c->w);
    free(from);
    free(to);
    return status;
}

/* The bias of half and float layers: n_pad floats. */
static oct_status pack_bias(oct_device *d, const oct_cuda_shape *s, const oct_tensor *b,
                            oct_prepare *how, oct_cuda_conv *c)
{
    const float *there = NULL;
    float *bias = calloc((size_t)c->n_pad, sizeof *bias);
    if (!bias) return out_of_memory(s->op);
    if (b) oct_tensor_read_f32(b, 0, (size_t)s->out, bias);
    const oct_status status = put_floats(d, bias, c->n_pad, how, &there);
    c->bias = there;
    free(bias);
    return status;
}

/* ---- int8 ---- */

typedef struct bytes {
    int8_t *w;
    int32_t *bias;             /* [n_pad], then the floats */
    float *scale, *fbias;
    int32_t *colsum;
} bytes;

/* One row, and its bias with x's zero point folded in: gemm_s8.h's bias - zero * colsum. */
static void byte_row(const oct_cuda_shape *s, const oct_gemm_s8_weights *from, int n, order at,
                     int8_t *to, int32_t *bias, int32_t *colsum)
{
    const int taps = s->kernel[0] * s->kernel[1];
    const size_t k = (size_t)s->c * (size_t)taps;
    const int8_t *w = from->b + (size_t)n * k;
    int32_t sum = 0;
    for (int t = 0; t < taps; t++, to += at.tap)
        for (int i = 0; i < s->c; i++) {
            to[(size_t)i * at.channel] = w[(size_t)i * (size_t)taps + (size_t)t];
            sum += w[(size_t)i * (size_t)taps + (size_t)t];
        }
    *colsum = sum;
    *bias = (from->bias ? from->bias[n] : 0) - from->zero * sum;
}

static oct_status put_bytes(oct_device *d, const bytes *p, size_t size, oct_prepare *how,
                            oct_cuda_conv *c)
{
    OCT_TRY(oct_cuda_put(d, p->w, size, how, &c->w));
    OCT_TRY(oct_cuda_put(d, p->bias, (size_t)c->n_pad * sizeof *p->bias, how, &c->bias));
    OCT_TRY(put_floats(d, p->scale, c->n_pad, how, &c->scale));
    const void *colsum = NULL;
    OCT_TRY(oct_cuda_put(d, p->colsum, (size_t)c->n_pad * sizeof *p->colsum, how, &colsum));
    c->colsum = colsum;
    return put_floats(d, p->fbias, c->n_pad, how, &c->fbias);
}

static oct_status fill_bytes(const oct_cuda_shape *s, const oct_args *args, order at,
                             const oct_cuda_conv *c, const bytes *to)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    oct_arena tmp = { 0 };
    oct_gemm_s8_weights from = { .b = w->data, .zero = x->zero };
    oct_status status = oct_quant_scales(s->op, x, w, args->out, to->scale);
    if (!status) status = oct_quant_bias(s->op, args, &tmp, &from);
    for (int n = 0; n < s->out && !status; n++) {
        byte_row(s, &from, n, at, to->w + row_at(c, at, n), &to->bias[n], &to->colsum[n]);
        if (from.fbias) to->fbias[n] = from.fbias[n];
    }
    oct_arena_free(&tmp);
    return status;
}

static oct_status pack_bytes(oct_device *d, const oct_cuda_shape *s, const oct_args *args,
                             oct_prepare *how, oct_cuda_conv *c)
{
    const size_t n = (size_t)c->n_pad;
    const order at = order_of(s, c, 1);
    bytes p = { calloc(at.count, 1), calloc(n, sizeof *p.bias), calloc(n, sizeof *p.scale),
                calloc(n, sizeof *p.fbias), calloc(n, sizeof *p.colsum) };
    const int there = p.w && p.bias && p.scale && p.fbias && p.colsum;
    oct_status status = there ? OCT_OK : out_of_memory(s->op);
    if (!status) status = fill_bytes(s, args, at, c, &p);
    if (!status) status = put_bytes(d, &p, at.count, how, c);
    free(p.w);
    free(p.bias);
    free(p.scale);
    free(p.fbias);
    free(p.colsum);
    return status;
}

oct_status oct_cuda_pack(oct_device *d, const oct_cuda_shape *s, oct_dtype type,
                         const oct_args *args, oct_prepare *how, oct_cuda_conv *c)
{
    const oct_tensor *w = args->in[OCT_CONV2D_W], *b = args->in[OCT_CONV2D_BIAS];
    const int taps = s->kernel[0] * s->kernel[1];
    c->n = s->out;
    c->groups = s->groups;
    c->channels = s->c;
    c->tiles = type == OCT_F32 ? 0 : oct_cuda_conv_tiles(s->groups, s->c, s->out);
    c->n_pad = ceil_div(s->out, OCT_CUDA_N) * OCT_CUDA_N;
    c->chunks = type == OCT_F32 ? s->c : oct_cuda_pitch(type, s->c) *
                                         (int)oct_dtype_size(type) / OCT_CUDA_CHUNK;
    c->steps = ceil_div(taps * c->chunks, OCT_CUDA_STEP / OCT_CUDA_CHUNK);
    if (type == OCT_U8) {
        how->type = OCT_S8;
        OCT_TRY(pack_bytes(d, s, args, how, c));
        return put_fill(d, args->in[OCT_CONV2D_X]->zero, how, c);
    }
    how->type = type;
    c->winograd = s->winograd;
    OCT_TRY((type == OCT_F16 ? pack_half : s->winograd ? oct_cuda_pack_winograd : pack_float)(
        d, s, w, how, c));
    OCT_TRY(pack_bias(d, s, b, how, c));
    return put_fill(d, 0, how, c);
}
