/* conv2d in FP32 where the CPU has Winograd's F(m x m, 3 x 3), with its bits: each value is made as
 * ops/kernels/winograd_f32_pass.h makes it, M is gemm_f32's chain over the channels.
 *
 *   for each tile of m x m pixels                 grid.x
 *     for each 64 channels of y                   grid.y; a thread has one: p x p sums
 *       for each 64 channels of x                 block: V to shared memory, a thread a channel
 *         for each channel                        p x p FMAs
 *   shared      s_v [64][p p + 1]: 9472 bytes for m = 4; all threads read one word at a time
 *   registers   p p sums, and as many while V and Y are made */
#include "cuda/common.cuh"
#include "ops/kernels/winograd_f32_pass.h"

namespace winograd {

enum { CHANNELS = OCT_CUDA_N };

/* The tile of a block: its sample, its first output pixel. */
struct place { int sample, y, x; };

static __host__ __device__ inline int across(int pixels, int m) { return (pixels + m - 1) / m; }

static __host__ __device__ inline place place_of(const oct_cuda_conv &c, int m, int tile)
{
    const int w = across(c.ow, m), each = across(c.rows.per / c.ow, m) * w;
    const int sample = tile / each, at = tile - sample * each;
    return place{ sample, at / w * m, at % w * m };
}

/* V of channel ch. */
template <int M>
static __device__ inline void transform(const oct_cuda_conv &c, const place &at, int ch, float *v)
{
    enum { P = M + 2 };
    float d[P * P];
    const float *x = (const float *)c.x +
                     (size_t)at.sample * (size_t)c.h * (size_t)c.width * (size_t)c.x_pitch + ch;
#pragma unroll
    for (int i = 0; i < P * P; i++) {
        const int row = at.y - c.pad[0] + i / P, col = at.x - c.pad[1] + i % P;
        const bool inside = row >= 0 && row < c.h && col >= 0 && col < c.width;
        d[i] = inside ? x[((size_t)row * (size_t)c.width + (size_t)col) * (size_t)c.x_pitch] : 0;
    }
#pragma unroll
    for (int j = 0; j < P; j++) oct_winograd_f32_input_pass(M, d + j, P);
#pragma unroll
    for (int i = 0; i < P; i++) oct_winograd_f32_input_pass(M, d + i * P, 1);
#pragma unroll
    for (int i = 0; i < P * P; i++) v[i] = d[i];
}

/* Y of channel n from its sums. */
template <int M>
static __device__ inline void finish(const oct_cuda_conv &c, const place &at, int n, float *sum)
{
    enum { P = M + 2 };
#pragma unroll
    for (int i = 0; i < P * P; i++) sum[i] = sum[i] + 0.0f; /* gemm_f32's bias */
#pragma unroll
    for (int j = 0; j < P; j++) oct_winograd_f32_output_pass(M, sum + j, P);
#pragma unroll
    for (int i = 0; i < M; i++) oct_winograd_f32_output_pass(M, sum + i * P, 1);
#pragma unroll
    for (int i = 0; i < M * M; i++) {
        const int row = at.y + i / M, col = at.x + i % M;
        if (row >= c.rows.per / c.ow || col >= c.ow) continue;
        const size_t m = (size_t)at.sample * (size_t)c.rows.per +
                         (size_t)row * (size_t)c.ow + (size_t)col;
        float y = sum[i / M * P + i % M] + ((const float *)c.bias)[n];
        if (c.residual) y = y + ((const float *)c.residual)[m * (size_t)c.residual_pitch + n];
        ((float *)c.y)[m * (size_t)c.y_pitch + n] = n < c.n ? activate(y, c.act) : 0;
    }
}

template <int M> static __global__ __launch_bounds__(CHANNELS) void tile(oct_cuda_conv c)
{
    prior_done();
    enum { P = M + 2, PITCH = P * P + 1 };
    __shared__ float s_v[CHANNELS * PITCH];
    const place at = place_of(c, M, (int)blockIdx.x);
    if (at.sample >= *c.rows.count) return;
    const int thread = (int)threadIdx.x, n = (int)blockIdx.y * CHANNELS + thread;
    const float *w = (const float *)c.w + n;
    float sum[P * P];
#pragma unroll
    for (int i = 0; i < P * P; i++) sum[i] = 0;
    for (int first = 0; first < c.channels; first += CHANNELS) {
        const int most = c.channels - first < CHANNELS ? c.channels - first : CHANNELS;
        __syncthreads(); /* everybody is done with the channels before */
        if (thread < most) transform<M>(c, at, first + thread, s_v + thread * PITCH);
        __syncthreads();
        for (int k = 0; k < most; k++)
#pragma unroll
            for (int i = 0; i < P * P; i++, w += c.n_pad)
                sum[i] = fmaf(s_v[k * PITCH + i], *w, sum[i]);
    }
    if (n < c.y_pitch) finish<M>(c, at, n, sum);
}

}

extern "C" int oct_cuda_winograd_f32(void *stream, const oct_cuda_conv *c)
{
    using namespace winograd;
    const int m = c->winograd;
    const long long tiles = (long long)c->rows.most * across(c->ow, m) *
                            across(c->rows.per / c->ow, m);
    const dim3 grid(blocks_for(tiles, 1, 1), (unsigned)(c->n_pad / CHANNELS));
    OCT_LAUNCH((m == 4 ? tile<4> : tile<2>), grid, dim3(CHANNELS), 0, stream, *c);
    return OCT_LAUNCHED();
}
