/* conv2d and linear in FP16, sums in FP32: conv2d_mma.cuh with half's products; and the second half
 * of a product that cuBLAS did. */
#include "cuda/conv2d_mma.cuh"

namespace conv {

/* The sums in c.partial become y: a thread for four columns. */
static __global__ void join(const __grid_constant__ oct_cuda_conv c)
{
    prior_done();
    const int across = c.y_pitch / WIDTH, rows = *c.rows.count * c.rows.per;
    const long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
    const long long m = i / across;
    const int n = (int)(i - m * across) * WIDTH;
    if (m >= rows) return;
    epilogue<float, WIDTH> out(c, n);
    epilogue<float, WIDTH>::residual r = { };
    some<float, WIDTH> sum[1];
    if (out.has_residual) r = out.before(c, (int)m, n);
    add_parts<1>(c, (int)m, 0, rows, n, sum);
    out.finish<true>(c, (int)m, n, true, sum[0], r);
    out.close(c);
}

}

extern "C" int oct_cuda_conv2d_join_f16(void *stream, const oct_cuda_conv *c)
{
    const long long rows = (long long)c->rows.most * c->rows.per;
    OCT_LAUNCH(conv::join, dim3(blocks_for(rows, c->y_pitch / conv::WIDTH, conv::THREADS)),
               dim3(conv::THREADS), 0, stream, *c);
    return OCT_LAUNCHED();
}

extern "C" int oct_cuda_conv2d_f16(void *stream, const oct_cuda_conv *c)
{
    return conv::launch<float>(stream, c);
}
