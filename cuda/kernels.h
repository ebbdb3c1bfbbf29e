#ifndef OCT_CUDA_KERNELS_H
#define OCT_CUDA_KERNELS_H

/* The launchers: what backend.c may ask of the GPU.  Each puts one kernel on the stream: no
 * synchronisation, no allocation, no state.  They return 0, or the CUDA error of the launch.
 *
 * Values.  A value is rows of `cols` elements, an element half (F16), float (F32) or a quantized
 * byte (U8).  A row begins on a 16-byte boundary: `pitch` elements after the one before, and what
 * lies between cols and pitch is 0 (a byte: anything).  An image [n,h,w,c] is n h w rows of c,
 * plain NHWC: the blocks of OCT_BLOCK channels are the CPU's alone.
 *
 * How many.  Grids are made for the most rows a run may have; how many there are is read from the
 * device, `count` times `per` (pixels of a sample), so that one captured graph serves every run.
 * Rows past them are neither read nor written.
 *
 * Numbers.  F16 values are computed on as FP32 and rounded to nearest even once, where they are
 * stored; one that becomes infinity there is counted in rows.overflow.  F32 values go through the
 * CPU's operations in the CPU's order (docs/numerics.md), so bits are equal; where that is so of
 * integers it is said. */

#include <stddef.h>
#include <stdint.h>

#include "ops/attr.h"
#include "ops/kernels/requant.h"
#include "ops/qparams.h"
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* On the device, too, where nvcc compiles it. */
#ifdef __CUDACC__
#define OCT_CUDA_BOTH __host__ __device__
#else
#define OCT_CUDA_BOTH
#endif

/* Launches overlap (prior_done in common.cuh): device.c says whether this device and driver can. */
extern int oct_cuda_overlap;

typedef struct oct_cuda_rows {
    const int *count;        /* device; samples, tokens or texts */
    int most;                /* of them */
    int per;                 /* rows of each */
    int *overflow;           /* device; F16 values that were finite and too large, are added */
} oct_cuda_rows;

typedef struct oct_cuda_value {
    void *data;              /* device */
    oct_dtype type;          /* F16, F32, U8 */
    int cols, pitch;         /* elements */
} oct_cuda_value;

/* Pixels by channels of a block of conv2d_mma.cuh; the sums are the same, whichever it is. */
typedef enum oct_cuda_tile { OCT_CUDA_TILE_64X64, OCT_CUDA_TILE_128X64, OCT_CUDA_TILE_128X128,
                             OCT_CUDA_TILE_COUNT } oct_cuda_tile;

/* Where a chunk of k lies, from the pixel of tap (0, 0) and a group's first channel on. */
typedef struct oct_cuda_tap {
    int32_t y, x;            /* pixels down and to the right */
    int64_t at;              /* bytes */
} __attribute__((aligned(16))) oct_cuda_tap; /* one load */

/* conv2d and linear as an implicit GEMM, conv2d_mma.cuh:
 *
 *     y[m, n] = epilogue(sum over ky, kx, c of x[pixel(m, ky, kx), c] w[n, ky, kx, c])
 *
 * m runs over output pixels, n over output channels.  A linear layer is a 1 x 1 image, or one with
 * a kernel as large as its image (a fused flatten).
 *   x         F16 or U8, pitch of 16 bytes' worth; read in chunks of 16 bytes along c
 *   w         packed by oct_cuda_pack: half or int8, a row of k_pad for each n, k = ky, kx, c of a
 *             group in chunks; a group's rows begin with a tile; zeros where there is no channel,
 *             tap or row.  Where there are no tiles it is [k][n_pad], without chunks
 *   fill      16 bytes that padding taps are made of: zeros, or x's zero point
 *   bias      FP32 [n_pad] (F16) or int32 [n_pad], x's zero point folded in (U8)
 *   scale     FP32 [n_pad]: of F16 a power of two that w's row was divided by; of U8, with fbias,
 *             FP32 [n_pad], requant.h's
 *   residual  rows like y's, or NULL data
 *   y         F16: half.  U8: U8 or FP32, as out.kind says
 * F16: sums in FP32, in the order of the tensor cores; scale, bias, residual, act on the sum; one
 * rounding to half.  |got - want| <= (K + 3) 2^-23 sum |x w| + 2^-11 |want|, of the rounded
 * operands.  U8: exact, requant.h's bits.  |act| beyond RELU6 only where y is F16 or F32. */
typedef struct oct_cuda_conv {
    const void *x, *w, *fill, *residual;
    void *y;
    const void *bias;
    const float *scale, *fbias;
    oct_cuda_rows rows;       /* samples; per = oh * ow */
    int h, width;             /* of x */
    int x_pitch;              /* bytes of a pixel */
    int ow;
    int kernel[2], stride[2], pad[2], dilation[2];
    int chunks;               /* of a group's channels, 16 bytes each */
    const oct_cuda_tap *taps; /* of each chunk of a row of w, and OCT_CUDA_STEP / OCT_CUDA_CHUNK
                               * more; y OCT_CUDA_FAR beyond k */
    int steps;                /* k_pad in steps of 64 bytes */
    int n, n_pad;             /* y's channels; rounded up to OCT_CUDA_N */
    int groups, channels;     /* of x that a group of y's channels reads: the first n / groups read
                               * the first ones, and so on */
    int tiles;                /* of OCT_CUDA_N rows of w, as many for each group; 0: none is made */
    int y_pitch, residual_pitch; /* elements */
    oct_act act;
    oct_requant out;          /* U8 */
    const oct_qparams *sample; /* of x quantized at run time, one a sample; else NULL */
    const int32_t *colsum;    /* then: sum of each row of w, [n_pad] */
    int fill_step;            /* then: bytes from the fill of a sample to the next one's */
    int winograd;             /* of FP32: m of F(m x m, 3 x 3), or 0 */
    oct_cuda_tile tile;
    int splits;               /* parts that k is cut into, a block each; 1: none */
    void *partial;            /* their sums, FP32 or int32 [splits][rows.most * per][n_pad] */
    int *arrived;             /* of each tile, parts that were left; 0 before and after a launch */
} oct_cuda_conv;

/* x quantized at run time, each sample (rows.per rows) as if it were alone: its range, its scale
 * and zero, and y in them; fill [samples][16] its zero.  vec_u8.h's range and steps. */
int oct_cuda_quantize_samples(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y,
                              oct_qparams *sample, uint8_t *fill);

enum { OCT_CUDA_CHUNK = 16,   /* bytes that a thread copies at a time */
       OCT_CUDA_FAR = 1 << 29, /* pixels: beyond any image */
       OCT_CUDA_STEP = 64,    /* bytes of k in shared memory: two of mma's */
       OCT_CUDA_N = 64 };     /* channels of a block, rows of packed weights are a multiple */

/* Are x's rows those of the product, as they lie?  A 1x1 convolution without stride and padding. */
static inline OCT_CUDA_BOTH int oct_cuda_conv_is_product(const oct_cuda_conv *c)
{
    return c->kernel[0] == 1 && c->kernel[1] == 1 && c->stride[0] == 1 && c->stride[1] == 1 &&
           !c->pad[0] && !c->pad[1];
}

/* Blocks of one part of k. */
static inline long long oct_cuda_conv_blocks(const oct_cuda_conv *c, oct_cuda_tile tile)
{
    const int m = tile == OCT_CUDA_TILE_64X64 ? 64 : 128;
    const long long rows = (long long)c->rows.most * c->rows.per;
    return (rows + m - 1) / m * (tile == OCT_CUDA_TILE_128X128 ? c->tiles / 2 : c->tiles);
}

/* An H200 has 132 multiprocessors. */
enum { OCT_CUDA_BLOCKS = 132, OCT_CUDA_PARTS_MOST = 16 };

/* May that tile be used, with c->splits?  A tile of 128 channels is of two of w's; parts of k are
 * the smallest tile's, not too many, of two steps or more, and there is a counter for each tile. */
static inline int oct_cuda_conv_fits(const oct_cuda_conv *c, oct_cuda_tile tile)
{
    if (tile == OCT_CUDA_TILE_128X128 && (c->groups > 1 || c->tiles % 2)) return 0;
    if (c->splits == 1) return 1;
    return tile == OCT_CUDA_TILE_64X64 && c->splits > 1 && c->splits <= OCT_CUDA_PARTS_MOST &&
           c->steps / c->splits >= 2 && oct_cuda_conv_blocks(c, tile) <= OCT_CUDA_BLOCKS;
}

/* A product of few tiles leaves most multiprocessors idle: then k is cut, into parts of 4 steps or
 * more, and the last block of a tile adds them in rising order.  Where the parts are long there are
 * two for each multiprocessor, so that one computes while one waits. */
static inline int oct_cuda_conv_splits(const oct_cuda_conv *c)
{
    enum { SHORT = 4, LONG = 32 };
    const long long tiles = oct_cuda_conv_blocks(c, OCT_CUDA_TILE_64X64);
    long long splits = OCT_CUDA_BLOCKS / tiles;
    if (c->steps >= LONG * splits) splits = 2 * OCT_CUDA_BLOCKS / tiles;
    if (splits > c->steps / SHORT) splits = c->steps / SHORT;
    if (splits > OCT_CUDA_PARTS_MOST) return OCT_CUDA_PARTS_MOST;
    return splits < 1 ? 1 : (int)splits;
}

/* The largest tile of which there are enough, as far as one can know without a clock. */
static inline oct_cuda_tile oct_cuda_conv_tile(const oct_cuda_conv *c)
{
    for (int i = OCT_CUDA_TILE_COUNT - 1; i > 0; i--) {
        const oct_cuda_tile tile = (oct_cuda_tile)i;
        if (oct_cuda_conv_fits(c, tile) && oct_cuda_conv_blocks(c, tile) >= OCT_CUDA_BLOCKS)
            return tile;
    }
    return OCT_CUDA_TILE_64X64;
}

/* Tiles of channels, all groups together; 0: these groups are nothing for tensor cores.  Of 16
 * channels no chunk belongs to two groups, and a quarter of a tile or more is no padding. */
static inline int oct_cuda_conv_tiles(int groups, int channels, int n)
{
    enum { WHOLE = 16 };
    const int each = n / groups;
    if (groups > 1 && (channels % WHOLE || each % WHOLE)) return 0;
    return groups * ((each + OCT_CUDA_N - 1) / OCT_CUDA_N);
}

int oct_cuda_conv2d_f16(void *stream, const oct_cuda_conv *c); /* tiles > 0 */
int oct_cuda_conv2d_s8(void *stream, const oct_cuda_conv *c);
/* The second half of conv2d_f16: the parts in c->partial, done by another, become y. */
int oct_cuda_conv2d_join_f16(void *stream, const oct_cuda_conv *c);
/* conv2d_groups.cu: any number of groups, a thread for each sum; tiles 0, splits 1. */
int oct_cuda_conv2d_groups_f16(void *stream, const oct_cuda_conv *c);
int oct_cuda_conv2d_groups_s8(void *stream, const oct_cuda_conv *c);

/* The same of FP32 values in the CPU's order: each sum is one chain of FMAs from +0 over blocks of
 * 64 of x's channels, then ky, kx, c; then bias, residual, act.  Any number of groups.
 * w [k][n_pad], k in each row's order; x_pitch in elements. */
int oct_cuda_conv2d_f32(void *stream, const oct_cuda_conv *c);
/* The same of a layer that is Winograd's on the CPU, c->winograd its m, with those bits: 3x3,
 * stride, dilation and groups 1.  w: ops/kernels/winograd_f32.h's U [channels][(m + 2)^2][n_pad] */
int oct_cuda_winograd_f32(void *stream, const oct_cuda_conv *c);

/* ---- eltwise.cu: x and y have the same rows unless said ---- */

/* y[s, (py, px), ch] = x[s][ch][py][px], FP32 without pitch; y's rows are pixels (per of them) */
int oct_cuda_layout(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y);
/* y[s, ch * pixels + p] = x[s, p, ch]; rows are samples.  Any element */
int oct_cuda_flatten(void *stream, oct_cuda_rows rows, int pixels, oct_cuda_value x,
                     oct_cuda_value y);
/* FP32 rows without pitch <-> a value's */
int oct_cuda_import(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y);
int oct_cuda_export(void *stream, oct_cuda_rows rows, oct_cuda_value x, float *y);
/* F16 <-> F32, between FP32 islands and the rest */
int oct_cuda_convert(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y);
/* Of x's values, F16 or F32, those that are NaN are added to bad[0], infinite ones to bad[1]. */
int oct_cuda_count_bad(void *stream, oct_cuda_rows rows, oct_cuda_value x, int *bad);
int oct_cuda_act(void *stream, oct_cuda_rows rows, oct_act act, oct_cuda_value x, oct_cuda_value y);
int oct_cuda_add(void *stream, oct_cuda_rows rows, oct_act act, oct_cuda_value a, oct_cuda_value b,
                 oct_cuda_value y); /* act(a + b) */
/* all U8: requant((a - zero_a) scale_a + (b - out.residual_zero) out.residual_scale), vec_u8.h */
int oct_cuda_add_u8(void *stream, oct_cuda_rows rows, int zero_a, float scale_a, oct_requant out,
                    oct_cuda_value a, oct_cuda_value b, oct_cuda_value y);
/* table FP32 [mean | scale | beta], cols each: y = fma(x - mean, scale, beta) */
int oct_cuda_batchnorm(void *stream, oct_cuda_rows rows, const float *table, oct_cuda_value x,
                       oct_cuda_value y);
/* y[.., at + i] = x[.., i]; x's rows are every stride-th of an image h x w, y's of oh x ow, and
 * with `alone` the other columns of y become `fill` (U8) or 0.  Any element */
typedef struct oct_cuda_copy {
    oct_cuda_value x, y;
    int at, alone, fill;
    int w, ow, stride[2], h;  /* pixels; rows.per = oh * ow */
} oct_cuda_copy;
int oct_cuda_copy_cols(void *stream, oct_cuda_rows rows, oct_cuda_copy c);
/* x F32; inverse [cols], a reciprocal of the scale for each column, or NULL: all have q's */
int oct_cuda_quantize(void *stream, oct_cuda_rows rows, oct_quant q, const float *inverse,
                      oct_cuda_value x, oct_cuda_value y);
int oct_cuda_dequantize(void *stream, oct_cuda_rows rows, oct_quant q, oct_cuda_value x,
                        oct_cuda_value y);

/* ---- pool.cu ---- */

typedef struct oct_cuda_pool {
    oct_cuda_value x, y;
    oct_pool_attr attr;
    int h, w, oh, ow;
    float scale;              /* U8 average: scale_x / scale_y, or scale_x where y is F32 */
    int zero;                 /* U8: of x */
    oct_requant out;          /* U8 average to U8 */
} oct_cuda_pool;
int oct_cuda_pool2d(void *stream, oct_cuda_rows rows, const oct_cuda_pool *p);

/* ---- norm.cu: mean, variance and sums of FP32 on 16 lanes, as ops/kernels/vec.h ---- */

int oct_cuda_layernorm(void *stream, oct_cuda_rows rows, float eps, const float *gamma,
                       const float *beta, oct_cuda_value x, oct_cuda_value y);
int oct_cuda_softmax(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y);

typedef struct oct_cuda_embedding {
    const int32_t *ids, *starts, *types; /* types NULL: none */
    const int *texts;
    const void *word;                    /* F32, F16, BF16, or S8 with scale, as word_type says */
    oct_dtype word_type;
    const float *scale, *position, *type, *gamma, *beta;
    float eps;
    oct_cuda_value y;                    /* rows are tokens */
} oct_cuda_embedding;
int oct_cuda_embed(void *stream, oct_cuda_rows rows, const oct_cuda_embedding *e);

/* norm_f16.cu's, where the others call them: F16, y.cols a multiple of 8, sums in any order. */
int oct_cuda_layernorm_f16(void *stream, oct_cuda_rows rows, float eps, const float *gamma,
                           const float *beta, oct_cuda_value x, oct_cuda_value y);
int oct_cuda_softmax_f16(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y);
int oct_cuda_embed_f16(void *stream, oct_cuda_rows rows, const oct_cuda_embedding *e);

/* y[t] = x[starts[t]]; rows are texts */
int oct_cuda_first(void *stream, oct_cuda_rows rows, const int32_t *starts, oct_cuda_value x,
                   oct_cuda_value y);

/* ---- attention.cu ---- */

typedef struct oct_cuda_attention {
    const int32_t *starts;
    oct_cuda_rows texts;      /* per 1 */
    int d, heads, length;     /* most tokens of a text */
    int one;                  /* a query for each text, in q; else q, k, v lie side by side in x */
    oct_cuda_value q, x, y;
} oct_cuda_attention;
/* A block keeps the scores of one query: length <= OCT_CUDA_LENGTH.  The CPU's order of sums. */
enum { OCT_CUDA_LENGTH = 8192, OCT_CUDA_WIDTH = 128 };
int oct_cuda_attend(void *stream, const oct_cuda_attention *a);
/* F16 on tensor cores with an online softmax, any length: d and d / heads are multiples of 8, the
 * second at most OCT_CUDA_WIDTH.  docs/cuda.md has its bound. */
int oct_cuda_attend_f16(void *stream, const oct_cuda_attention *a);

#ifdef __cplusplus
}
#endif
#endif
