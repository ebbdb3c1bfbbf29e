/* Activations quantized at run time, each sample in a scale and zero of its own.
 *
 *   for each sample                        grid: a block
 *     range: for each row, column          thread, then shuffles: a largest has no order
 *     bytes: for each row, column          thread
 */
#include "cuda/common.cuh"

namespace dynamic {

enum { BLOCK = 256, WARPS = BLOCK / 32, MAX = 255 /* ops/quantized.h's OCT_DYNAMIC_MAX */ };

static __device__ inline oct_range join(oct_range a, oct_range b)
{
    a.lo = b.lo < a.lo ? b.lo : a.lo;
    a.hi = b.hi > a.hi ? b.hi : a.hi;
    return a;
}

/* vec_u8.h's range of all values of the sample, the same in every thread. */
static __device__ inline oct_range range_of(const float *x, int rows, int cols, int pitch)
{
    __shared__ float s_lo[WARPS], s_hi[WARPS];
    oct_range r = { 0, 0 };
    for (int row = 0; row < rows; row++, x += pitch)
        for (int i = (int)threadIdx.x; i < cols; i += BLOCK) {
            const float v = fabsf(x[i]) < INFINITY ? x[i] : 0;
            r = join(r, oct_range{ v, v });
        }
    for (int step = 16; step; step /= 2) {
        const float lo = __shfl_xor_sync(0xffffffffu, r.lo, step, 32);
        const float hi = __shfl_xor_sync(0xffffffffu, r.hi, step, 32);
        r = join(r, oct_range{ lo, hi });
    }
    if (threadIdx.x % 32 == 0) {
        s_lo[threadIdx.x / 32] = r.lo;
        s_hi[threadIdx.x / 32] = r.hi;
    }
    __syncthreads();
    for (int i = 0; i < WARPS; i++) r = join(r, oct_range{ s_lo[i], s_hi[i] });
    return r;
}

static __global__ void samples(oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y,
                               oct_qparams *sample, uint8_t *fill)
{
    prior_done();
    const int n = (int)blockIdx.x;
    if (n >= *rows.count) return;
    const size_t first = (size_t)n * (size_t)rows.per;
    const float *from = (const float *)x.data + first * (size_t)x.pitch;
    uint8_t *to = (uint8_t *)y.data + first * (size_t)y.pitch;
    const oct_qparams p = oct_qparams_u8(range_of(from, rows.per, x.cols, x.pitch), MAX);
    if (threadIdx.x == 0) sample[n] = p;
    if (threadIdx.x < OCT_CUDA_CHUNK) fill[n * OCT_CUDA_CHUNK + (int)threadIdx.x] = (uint8_t)p.zero;
    const float inverse = 1 / p.scale, lo = (float)-p.zero, hi = (float)(MAX - p.zero);
    for (int row = 0; row < rows.per; row++, from += x.pitch, to += y.pitch)
        for (int i = (int)threadIdx.x; i < y.pitch; i += BLOCK) {
            float v = i < x.cols ? from[i] * inverse : 0;
            v = v > lo ? v : lo; /* NaN too */
            v = v < hi ? v : hi;
            to[i] = (uint8_t)((int)lrintf(v) + p.zero);
        }
}

}

extern "C" int oct_cuda_quantize_samples(void *stream, oct_cuda_rows rows, oct_cuda_value x,
                                         oct_cuda_value y, oct_qparams *sample, uint8_t *fill)
{
    using namespace dynamic;
    OCT_LAUNCH(samples, dim3((unsigned)rows.most), dim3(BLOCK), 0, stream, rows, x, y, sample,
               fill);
    return OCT_LAUNCHED();
}
