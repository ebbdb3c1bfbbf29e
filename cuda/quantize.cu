/* Activations quantized at run time, each sample in a scale and zero of its own.
 *
 *   for each sample                              grid: a block, large where a sample is
 *     range: for each 4 columns of all rows      thread, then shuffles: a largest has no order
 *     bytes: for each 4 columns of all rows      thread
 * Rows are walked as one line: x's columns beyond cols are zeros, which are in every range. */
#include "cuda/common.cuh"

namespace dynamic {

enum { SMALL = 256, LARGE = 1024, ENOUGH = 8192 /* elements for a large block */,
       WARPS = LARGE / 32, EACH = 4, MAX = 255 /* ops/quantized.h's OCT_DYNAMIC_MAX */ };

static __device__ inline oct_range join(oct_range a, oct_range b)
{
    a.lo = b.lo < a.lo ? b.lo : a.lo;
    a.hi = b.hi > a.hi ? b.hi : a.hi;
    return a;
}

/* vec_u8.h's range of n values, the same in every thread. */
static __device__ inline oct_range range_of(const float *x, int n)
{
    __shared__ float s_lo[WARPS], s_hi[WARPS];
    oct_range r = { 0, 0 };
#pragma unroll 4
    for (int i = (int)threadIdx.x * EACH; i < n; i += (int)blockDim.x * EACH) {
        const some<float, EACH> x4 = load_some<EACH>(x + i);
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const float v = fabsf(x4.at[k]) < INFINITY ? x4.at[k] : 0;
            r = join(r, oct_range{ v, v });
        }
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
    for (int i = 0; i < (int)blockDim.x / 32; i++) r = join(r, oct_range{ s_lo[i], s_hi[i] });
    return r;
}

static __global__ __launch_bounds__(LARGE) void samples(oct_cuda_rows rows, oct_cuda_value x,
                                                        oct_cuda_value y, oct_qparams *sample,
                                                        uint8_t *fill)
{
    const int n = (int)blockIdx.x, across = y.pitch / EACH;
    const bool there = n < *rows.count;
    prior_done();
    if (!there) return;
    const size_t first = (size_t)n * (size_t)rows.per;
    const float *from = (const float *)x.data + first * (size_t)x.pitch;
    uint8_t *to = (uint8_t *)y.data + first * (size_t)y.pitch;
    const oct_qparams p = oct_qparams_u8(range_of(from, rows.per * x.pitch), MAX);
    if (threadIdx.x == 0) sample[n] = p;
    if (threadIdx.x < OCT_CUDA_CHUNK) fill[n * OCT_CUDA_CHUNK + (int)threadIdx.x] = (uint8_t)p.zero;
    const float inverse = 1 / p.scale;
#pragma unroll 4
    for (int i = (int)threadIdx.x; i < rows.per * across; i += (int)blockDim.x) {
        const int row = i / across, col = (i - row * across) * EACH;
        some<float, EACH> v = { };
        some<uint8_t, EACH> q;
        if (col < x.pitch) v = load_some<EACH>(from + (size_t)row * (size_t)x.pitch + col);
#pragma unroll
        for (int k = 0; k < EACH; k++) q.at[k] = quantized(v.at[k], inverse, p.zero, MAX);
        *(some<uint8_t, EACH> *)(to + (size_t)i * EACH) = q;
    }
}

}

extern "C" int oct_cuda_quantize_samples(void *stream, oct_cuda_rows rows, oct_cuda_value x,
                                         oct_cuda_value y, oct_qparams *sample, uint8_t *fill)
{
    using namespace dynamic;
    const bool large = (long long)rows.per * x.pitch >= ENOUGH;
    OCT_LAUNCH(samples, dim3((unsigned)rows.most), dim3(large ? LARGE : SMALL), 0, stream, rows, x,
               y, sample, fill);
    return OCT_LAUNCHED();
}
