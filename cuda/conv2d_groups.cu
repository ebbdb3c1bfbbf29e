/* conv2d in small or odd groups, half or bytes: kernels.h has the contract, conv2d.cuh what becomes
 * of a sum.
 *
 *   for each pixel                     grid.x, 8 of a block
 *     for each channel                 grid.y, 32 of a block: of depthwise layers neighbours
 *       for each ky, kx                read neighbouring x; neighbouring w always   thread
 *         for each channel of the group
 * What tensor cores would only multiply by padding (oct_cuda_conv_tiles), depthwise layers before
 * all: the sums are plain, integers exact, halves one chain of FMAs in FP32. */
#include "cuda/conv2d.cuh"

namespace groups {

enum { COLS = 32, LINES = 8 };

static __device__ inline float value(oct_half x) { return load(&x); }
static __device__ inline int32_t value(uint8_t x) { return x; }
static __device__ inline int32_t value(int8_t x) { return x; }
static __device__ inline float add_product(float sum, float x, float w) { return fmaf(x, w, sum); }
static __device__ inline int32_t add_product(int32_t sum, int32_t x, int32_t w)
{
    return sum + x * w;
}

/* X, W: elements of x and w; Sum: float or int32_t. */
template <class X, class W, class Sum> static __global__ void plain(oct_cuda_conv c)
{
    prior_done();
    const int n = (int)(blockIdx.y * COLS + threadIdx.x), rows = *c.rows.count * c.rows.per;
    const int m = (int)(blockIdx.x * LINES + threadIdx.y);
    if (m >= rows || n >= c.y_pitch) return;
    const int group = (n < c.n ? n : c.n - 1) / (c.n / c.groups);
    const conv::pixel at = conv::pixel_of(c, m);
    const W *w = (const W *)c.w + n;
    Sum sum = 0;
    for (int ky = 0; ky < c.kernel[0]; ky++)
        for (int kx = 0; kx < c.kernel[1]; kx++) {
            const int y = at.y + ky * c.dilation[0], x = at.x + kx * c.dilation[1];
            const bool inside = y >= 0 && y < c.h && x >= 0 && x < c.width;
            const char *from = (const char *)c.fill + (size_t)at.sample * (size_t)c.fill_step;
            if (inside)
                from = (const char *)c.x + (((size_t)at.sample * (size_t)c.h + (size_t)y) *
                                            (size_t)c.width + (size_t)x) * (size_t)c.x_pitch;
            const X *v = (const X *)from + (inside ? group * c.channels : 0);
            for (int i = 0; i < c.channels; i++, w += c.n_pad)
                sum = add_product(sum, value(v[inside ? i : 0]), value(*w));
        }
    conv::epilogue<Sum, 1> out(c, n);
    typename conv::epilogue<Sum, 1>::residual r = { };
    if (out.has_residual) r = out.before(c, m, n);
    out.template finish<true>(c, m, n, true, some<Sum, 1>{ { sum } }, r);
    out.close(c);
}

static inline dim3 grid(const oct_cuda_conv *c)
{
    return dim3(blocks_for((long long)c->rows.most * c->rows.per, 1, LINES),
                blocks_for(c->n_pad, 1, COLS));
}

}

extern "C" int oct_cuda_conv2d_groups_f16(void *stream, const oct_cuda_conv *c)
{
    OCT_LAUNCH((groups::plain<oct_half, oct_half, float>), groups::grid(c),
               dim3(groups::COLS, groups::LINES), 0, stream, *c);
    return OCT_LAUNCHED();
}

extern "C" int oct_cuda_conv2d_groups_s8(void *stream, const oct_cuda_conv *c)
{
    OCT_LAUNCH((groups::plain<uint8_t, int8_t, int32_t>), groups::grid(c),
               dim3(groups::COLS, groups::LINES), 0, stream, *c);
    return OCT_LAUNCHED();
}
