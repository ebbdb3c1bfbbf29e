#ifndef OCT_CUDA_CONV2D_CUH
#define OCT_CUDA_CONV2D_CUH

/* What the kernels of conv2d and linear share: where a tap lies, and what becomes of a sum;
 * kernels.h has the contract. */
#include "cuda/common.cuh"

namespace conv {

/* The output pixel that row m of the product is: its sample, and the input pixel of tap (0, 0). */
struct pixel { int sample, y, x; };

static __host__ __device__ inline pixel pixel_of(const oct_cuda_conv &c, int m)
{
    const int sample = m / c.rows.per, p = m - sample * c.rows.per;
    const int oy = p / c.ow, ox = p - oy * c.ow;
    return pixel{ sample, oy * c.stride[0] - c.pad[0], ox * c.stride[1] - c.pad[1] };
}

/* The chunk of k that a thread is at. */
struct place { int ky, kx, chunk; };

/* Where the 16 bytes of a tap lie: in x, whose chunk `first` is the group's first, or the fill
 * beyond the image and beyond k. */
static __host__ __device__ inline const char *source(const oct_cuda_conv &c, const pixel &q,
                                                     const place &p, int first, bool inside)
{
    const int y = q.y + p.ky * c.dilation[0], x = q.x + p.kx * c.dilation[1];
    if (!inside || p.ky >= c.kernel[0] || y < 0 || y >= c.h || x < 0 || x >= c.width)
        return (const char *)c.fill + (inside ? (size_t)q.sample * (size_t)c.fill_step : 0);
    const size_t at = ((size_t)q.sample * (size_t)c.h + (size_t)y) * (size_t)c.width + (size_t)x;
    return (const char *)c.x + at * (size_t)c.x_pitch + (size_t)(first + p.chunk) * OCT_CUDA_CHUNK;
}

/* What becomes of a sum; F16 values. */
static __device__ inline void finish(const oct_cuda_conv &c, int m, int n, float sum)
{
    float y = sum * c.scale[n] + ((const float *)c.bias)[n];
    if (c.residual)
        y = y + load((const oct_half *)c.residual + (size_t)m * (size_t)c.residual_pitch + n);
    store(c.rows, (oct_half *)c.y + (size_t)m * (size_t)c.y_pitch + n,
          n < c.n ? activate(y, c.act) : 0);
}

/* ... and of an integer: requant.h. */
static __device__ inline void finish(const oct_cuda_conv &c, int m, int n, int32_t sum)
{
    const int32_t acc = sum + ((const int32_t *)c.bias)[n];
    const size_t at = (size_t)m * (size_t)c.y_pitch + n;
    const size_t from = (size_t)m * (size_t)c.residual_pitch + n;
    if (c.out.kind == OCT_REQUANT_U8) {
        float y = ((float)acc + c.fbias[n]) * c.scale[n];
        if (c.residual) y = oct_requant_add(y, ((const uint8_t *)c.residual)[from], &c.out);
        ((uint8_t *)c.y)[at] = oct_requant_u8(y, &c.out);
        return;
    }
    float y;
    if (c.sample) {
        const oct_qparams p = c.sample[m / c.rows.per];
        y = (float)(acc - p.zero * c.colsum[n]) * c.scale[n];
        y = y * p.scale;
    } else {
        y = (float)acc * c.scale[n];
    }
    y = y + c.fbias[n];
    if (c.residual) y = y + ((const float *)c.residual)[from];
    y = oct_requant_act(y, c.out.act);
    ((float *)c.y)[at] = n < c.n ? activate(y, c.act) : 0;
}

}

#endif
