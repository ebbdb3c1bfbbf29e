/* conv2d and linear in FP32, in the CPU's order of sums: what an INT8 model keeps in FP32.
 *
 *   for each pixel                     grid.x, 8 of a block
 *     for each channel                 grid.y, 32 of a block: neighbours read neighbouring weights
 *       for each block of 64 c (its group's), ky, kx, c                          thread
 * One thread, one sum: its order is the contract, its speed is not. */
#include "cuda/common.cuh"

enum { COLS = 32, ROWS = 8 };

static __global__ void chain(oct_cuda_conv c)
{
    prior_done();
    const int n = (int)(blockIdx.y * COLS + threadIdx.x), rows = *c.rows.count * c.rows.per;
    const int m = (int)(blockIdx.x * ROWS + threadIdx.y);
    if (m >= rows || n >= c.y_pitch) return;
    const int sample = m / c.rows.per, p = m - sample * c.rows.per;
    const int oy = p / c.ow * c.stride[0] - c.pad[0], ox = p % c.ow * c.stride[1] - c.pad[1];
    const float *w = (const float *)c.w + n;
    float sum = 0;
    const int first = (n < c.n ? n : c.n - 1) / (c.n / c.groups) * c.channels;
    for (int block = first, end; block < first + c.channels; block = end) {
        end = (block / OCT_BLOCK + 1) * OCT_BLOCK;
        if (end > first + c.channels) end = first + c.channels;
        for (int ky = 0; ky < c.kernel[0]; ky++)
            for (int kx = 0; kx < c.kernel[1]; kx++) {
                const int y = oy + ky * c.dilation[0], x = ox + kx * c.dilation[1];
                const bool inside = y >= 0 && y < c.h && x >= 0 && x < c.width;
                const float *from = (const float *)c.x;
                if (inside)
                    from += (((size_t)sample * (size_t)c.h + (size_t)y) * (size_t)c.width +
                             (size_t)x) * (size_t)c.x_pitch;
                for (int i = block; i < end; i++, w += c.n_pad)
                    sum = fmaf(inside ? from[i] : 0, *w, sum);
            }
    }
    float y = sum + ((const float *)c.bias)[n];
    if (c.residual)
        y = y + ((const float *)c.residual)[(size_t)m * (size_t)c.residual_pitch + n];
    ((float *)c.y)[(size_t)m * (size_t)c.y_pitch + n] = n < c.n ? activate(y, c.act) : 0;
}

extern "C" int oct_cuda_conv2d_f32(void *stream, const oct_cuda_conv *c)
{
    const dim3 grid(blocks_for((long long)c->rows.most * c->rows.per, 1, ROWS),
                    blocks_for(c->n_pad, 1, COLS));
    OCT_LAUNCH(chain, grid, dim3(COLS, ROWS), 0, stream, *c);
    return OCT_LAUNCHED();
}
