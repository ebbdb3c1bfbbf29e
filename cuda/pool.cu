/* Maximum and average over windows: pool.c's words, a thread for each element of y.
 *
 *   for each output pixel, channel     grid and block, in one line
 *     for each tap, rows then columns                                thread
 */
#include "cuda/common.cuh"

namespace pool {

enum { BLOCK = 256 };

/* Taps of one axis: the first inside the image, how many, pixels from one to the next. */
struct taps { int first, n, step; };

static __host__ __device__ inline taps taps_of(const oct_pool_attr &a, int axis, int in, int out,
                                               int o)
{
    if (a.kind == OCT_POOL_ADAPTIVE_AVG) {
        const int first = (int)((long long)o * in / out);
        const int end = (int)(((long long)(o + 1) * in + out - 1) / out);
        return taps{ first, end - first, 1 };
    }
    const int d = a.kind == OCT_POOL_MAX ? a.dilation[axis] : 1;
    const long long at = (long long)o * a.stride[axis] - a.pad[axis];
    long long lo = at < 0 ? (-at + d - 1) / d : 0, hi = at < in ? (in - at + d - 1) / d : 0;
    if (hi > a.kernel[axis]) hi = a.kernel[axis];
    return lo < hi ? taps{ (int)(at + lo * d), (int)(hi - lo), d } : taps{ 0, 0, 1 };
}

static __device__ inline float reciprocal(const oct_pool_attr &a, int rows, int cols)
{
    if (a.kind == OCT_POOL_AVG && a.count_include_pad)
        return 1.0f / ((float)a.kernel[0] * (float)a.kernel[1]);
    return 1.0f / ((float)rows * (float)cols);
}

/* One window of column `col`; x is its sample. */
template <class E>
static __device__ inline float window(const oct_cuda_pool &p, const E *x, taps v, taps h)
{
    const bool max = p.attr.kind == OCT_POOL_MAX;
    float best = max ? -INFINITY : 0.0f;
    for (int i = 0; i < v.n; i++)
        for (int j = 0; j < h.n; j++) {
            const size_t pixel = (size_t)(v.first + i * v.step) * (size_t)p.w +
                                 (size_t)(h.first + j * h.step);
            const float tap = load(x + pixel * (size_t)p.x.pitch);
            if (!max) best += tap;
            else if ((!i && !j) || tap > best || isnan(tap)) best = tap;
        }
    return max ? best : best * reciprocal(p.attr, v.n, h.n);
}

static __device__ inline void finish(const oct_cuda_pool &p, size_t to, float y)
{
    if (p.y.type == OCT_U8) ((uint8_t *)p.y.data)[to] = oct_requant_u8(y, &p.out);
    else ((float *)p.y.data)[to] = y;
}

static __device__ inline void window_u8(const oct_cuda_pool &p, const uint8_t *x, taps v, taps h,
                                        size_t to)
{
    int sum = -v.n * h.n * p.zero, best = 0;
    for (int i = 0; i < v.n; i++)
        for (int j = 0; j < h.n; j++) {
            const size_t pixel = (size_t)(v.first + i * v.step) * (size_t)p.w +
                                 (size_t)(h.first + j * h.step);
            const int tap = x[pixel * (size_t)p.x.pitch];
            sum += tap;
            best = tap > best ? tap : best;
        }
    if (p.attr.kind == OCT_POOL_MAX) ((uint8_t *)p.y.data)[to] = (uint8_t)best;
    else finish(p, to, (float)sum * (p.scale * reciprocal(p.attr, v.n, h.n)));
}

template <class E> static __global__ void windows(oct_cuda_rows rows, oct_cuda_pool p)
{
    prior_done();
    const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x, row = i / p.y.pitch;
    const int col = (int)(i - row * p.y.pitch);
    if (row >= (long long)*rows.count * rows.per) return;
    const int sample = (int)(row / rows.per), pixel = (int)(row - (long long)sample * rows.per);
    const taps v = taps_of(p.attr, 0, p.h, p.oh, pixel / p.ow);
    const taps h = taps_of(p.attr, 1, p.w, p.ow, pixel % p.ow);
    const E *x = (const E *)p.x.data + (size_t)sample * (size_t)p.h * (size_t)p.w *
                 (size_t)p.x.pitch + col;
    const size_t to = (size_t)row * (size_t)p.y.pitch + (size_t)col;
    if constexpr (sizeof(E) == 1) {
        if (col < p.y.cols) window_u8(p, x, v, h, to);
        else if (p.y.type == OCT_F32) ((float *)p.y.data)[to] = 0;
    } else {
        store(rows, (E *)p.y.data + to, col < p.y.cols ? window(p, x, v, h) : 0);
    }
}

}

extern "C" int oct_cuda_pool2d(void *stream, oct_cuda_rows rows, const oct_cuda_pool *p)
{
    using namespace pool;
    const dim3 grid(blocks_for((long long)rows.most * rows.per, p->y.pitch, BLOCK));
    if (p->x.type == OCT_U8) OCT_LAUNCH(windows<uint8_t>, grid, dim3(BLOCK), 0, stream, rows, *p);
    else OCT_LAUNCH(OCT_FOR_FLOAT(p->y, windows), grid, dim3(BLOCK), 0, stream, rows, *p);
    return OCT_LAUNCHED();
}
