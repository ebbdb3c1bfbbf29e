/* Maximum and average over windows: pool.c's words, some channels of a pixel a thread.
 *
 *   for each output pixel              grid and threadIdx.y, for_plane
 *     for each 8, 4 (FP32, bytes) channels       threadIdx.x
 *       for each tap, rows then columns          thread: 16 bytes, or 4; nine in registers
 * An average of halves over many pixels has little to run beside it:
 *   for each output pixel              grid.x
 *     for each 32 channels             grid.y, a warp: 4 threads next to each other, 8 each
 *       for each tap                   lane / 4, 8 further, ...; their sums by shuffles
 */
#include "cuda/common.cuh"

namespace pool {

/* As good as always by 1. */
static __host__ __device__ inline long long over(long long a, int d) { return d == 1 ? a : a / d; }

/* Taps of one axis: the first inside the image, how many, pixels from one to the next. */
struct taps { int first, n, step; };

static __host__ __device__ inline taps taps_of(const oct_pool_attr &a, int axis, int in, int out,
                                               int o)
{
    if (a.kind == OCT_POOL_ADAPTIVE_AVG) {
        const int first = (int)over((long long)o * in, out);
        const int end = (int)over((long long)(o + 1) * in + out - 1, out);
        return taps{ first, end - first, 1 };
    }
    const int d = a.kind == OCT_POOL_MAX ? a.dilation[axis] : 1;
    const long long at = (long long)o * a.stride[axis] - a.pad[axis];
    long long lo = at < 0 ? over(-at + d - 1, d) : 0, hi = at < in ? over(in - at + d - 1, d) : 0;
    if (hi > a.kernel[axis]) hi = a.kernel[axis];
    return lo < hi ? taps{ (int)(at + lo * d), (int)(hi - lo), d } : taps{ 0, 0, 1 };
}

static __device__ inline float reciprocal(const oct_pool_attr &a, int rows, int cols)
{
    if (a.kind == OCT_POOL_AVG && a.count_include_pad)
        return 1.0f / ((float)a.kernel[0] * (float)a.kernel[1]);
    return 1.0f / ((float)rows * (float)cols);
}

/* The taps that output pixel `row` of all has. */
struct window { taps v, h; size_t sample; };

static __device__ inline window find(const oct_cuda_pool &p, int per, int row)
{
    const int sample = row / per, pixel = row - sample * per, oy = pixel / p.ow;
    return window{ taps_of(p.attr, 0, p.h, p.oh, oy),
                   taps_of(p.attr, 1, p.w, p.ow, pixel - oy * p.ow),
                   (size_t)sample * (size_t)p.h * (size_t)p.w };
}

/* What a thread has of E: N neighbours; add takes those of a tap, put writes them to column col of
 * y. */
template <class E, bool MAX> struct pooled { /* an average of floats or halves */
    enum { N = OCT_CUDA_CHUNK / sizeof(E) };
    typedef some<E, N> tap;
    some<float, N> sum = { };

    __device__ inline void add(const tap &x)
    {
#pragma unroll
        for (int i = 0; i < N; i++) sum.at[i] += load(&x.at[i]);
    }
    __device__ inline void put(const oct_cuda_rows &rows, const oct_cuda_pool &p, const window &w,
                               size_t to, int col)
    {
        const float by = reciprocal(p.attr, w.v.n, w.h.n);
#pragma unroll
        for (int i = 0; i < N; i++) sum.at[i] = col + i < p.y.cols ? sum.at[i] * by : 0;
        store_some<N>(rows, (E *)p.y.data + to, sum);
    }
};

template <> struct pooled<oct_half, true> {
    enum { N = 8, MINUS_INFINITY = 0xfc00 };
    typedef some<uint32_t, N / 2> tap;
    tap best;

    __device__ inline pooled()
    {
#pragma unroll
        for (int i = 0; i < N / 2; i++) best.at[i] = MINUS_INFINITY * 0x10001u;
    }
    __device__ inline void add(const tap &x)
    {
#pragma unroll
        for (int i = 0; i < N / 2; i++) best.at[i] = max_halves(best.at[i], x.at[i]);
    }
    __device__ inline void put(const oct_cuda_rows &, const oct_cuda_pool &p, const window &,
                               size_t to, int col)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (col + i >= p.y.cols) best.at[i / 2] &= i % 2 ? 0xffffu : 0;
        *(tap *)((oct_half *)p.y.data + to) = best;
    }
};

template <> struct pooled<float, true> {
    enum { N = 4 };
    typedef some<float, N> tap;
    tap best = { { -INFINITY, -INFINITY, -INFINITY, -INFINITY } };

    __device__ inline void add(const tap &x)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (x.at[i] > best.at[i] || isnan(x.at[i])) best.at[i] = x.at[i];
    }
    __device__ inline void put(const oct_cuda_rows &rows, const oct_cuda_pool &p, const window &,
                               size_t to, int col)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (col + i >= p.y.cols) best.at[i] = 0;
        store_some<N>(rows, (float *)p.y.data + to, best);
    }
};

template <bool MAX> struct pooled<uint8_t, MAX> {
    enum { N = 4 };
    typedef some<uint8_t, N> tap;
    some<int, N> all = { };

    __device__ inline void add(const tap &x)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (!MAX) all.at[i] += x.at[i];
            else all.at[i] = x.at[i] > all.at[i] ? x.at[i] : all.at[i];
    }
    __device__ inline void put(const oct_cuda_rows &rows, const oct_cuda_pool &p, const window &w,
                               size_t to, int col)
    {
        some<uint8_t, N> bytes;
        some<float, N> y;
        const float by = p.scale * reciprocal(p.attr, w.v.n, w.h.n);
#pragma unroll
        for (int i = 0; i < N; i++) {
            y.at[i] = (float)(all.at[i] - w.v.n * w.h.n * p.zero) * by;
            bytes.at[i] = MAX ? (uint8_t)all.at[i] : oct_requant_u8(y.at[i], &p.out);
            if (col + i >= p.y.cols) y.at[i] = 0;
        }
        if (p.y.type == OCT_U8) *(some<uint8_t, N> *)((uint8_t *)p.y.data + to) = bytes;
        else store_some<N>(rows, (float *)p.y.data + to, y);
    }
};

/* All taps from column col on, rows then columns; nine are loaded together, as a 3x3 window has. */
template <class E, class Y>
static __device__ inline void add_taps(const oct_cuda_pool &p, const window &w, int col, Y &y)
{
    enum { TOGETHER = 9 };
    const size_t first = w.sample + (size_t)w.v.first * (size_t)p.w + (size_t)w.h.first;
    const long long step = (long long)w.h.step * p.x.pitch;
    const long long down = (long long)w.v.step * p.w * p.x.pitch - w.h.n * step;
    const E *x = (const E *)p.x.data + first * (size_t)p.x.pitch + col;
    for (int left = w.v.n * w.h.n, across = 0; left > 0; left -= TOGETHER) {
        typename Y::tap tap[TOGETHER];
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            if (i < left) tap[i] = *(const typename Y::tap *)x;
            x += step;
            if (++across == w.h.n) across = 0, x += down;
        }
#pragma unroll
        for (int i = 0; i < TOGETHER; i++)
            if (i < left) y.add(tap[i]);
    }
}

template <class E, bool MAX> static __global__ void windows(oct_cuda_rows rows, oct_cuda_pool p)
{
    for_plane<pooled<E, MAX>::N>(rows, p.y.pitch, [&](int row, int col) {
        const window w = find(p, rows.per, row);
        pooled<E, MAX> y;
        add_taps<E>(p, w, col, y);
        y.put(rows, p, w, (size_t)row * (size_t)p.y.pitch + (size_t)col, col);
    });
}

enum { COLUMNS = 4, TAPS = 8 /* at a time; together a warp */, MANY = 16 };

static __global__ void wide_average(oct_cuda_rows rows, oct_cuda_pool p)
{
    typedef pooled<oct_half, false> sums;
    const int row = (int)blockIdx.x, tap = (int)threadIdx.y;
    const int col = ((int)blockIdx.y * COLUMNS + (int)threadIdx.x) * sums::N;
    const bool there = row < (long long)*rows.count * rows.per && col < p.y.pitch;
    const window w = find(p, rows.per, row);
    sums y;
    prior_done();
    const oct_half *x = (const oct_half *)p.x.data + col;
#pragma unroll 4
    for (int i = tap; i < w.v.n * w.h.n && there; i += TAPS) {
        const int down = i / w.h.n, across = i - down * w.h.n;
        const size_t pixel = w.sample + (size_t)(w.v.first + down) * (size_t)p.w +
                             (size_t)(w.h.first + across);
        y.add(load_some<sums::N>(x + pixel * (size_t)p.x.pitch));
    }
#pragma unroll
    for (int step = COLUMNS * TAPS / 2; step >= COLUMNS; step /= 2)
#pragma unroll
        for (int i = 0; i < sums::N; i++)
            y.sum.at[i] += __shfl_xor_sync(0xffffffffu, y.sum.at[i], step, 32);
    if (there && !tap) y.put(rows, p, w, (size_t)row * (size_t)p.y.pitch + (size_t)col, col);
}

template <class E> static int launch(void *stream, oct_cuda_rows rows, const oct_cuda_pool *p)
{
    const bool max = p->attr.kind == OCT_POOL_MAX;
    const plane at = plane_of(rows, p->y.pitch, pooled<E, false>::N);
    OCT_LAUNCH((max ? windows<E, true> : windows<E, false>), at.grid, at.block, 0, stream, rows,
               *p);
    return OCT_LAUNCHED();
}

static int launch_wide(void *stream, oct_cuda_rows rows, const oct_cuda_pool *p)
{
    const dim3 grid(blocks_for((long long)rows.most * rows.per, 1, 1),
                    blocks_for(1, p->y.pitch, COLUMNS * pooled<oct_half, false>::N));
    OCT_LAUNCH(wide_average, grid, dim3(COLUMNS, TAPS), 0, stream, rows, *p);
    return OCT_LAUNCHED();
}

/* Pixels of the largest window. */
static int most_taps(const oct_cuda_pool *p)
{
    const oct_pool_attr &a = p->attr;
    if (a.kind != OCT_POOL_ADAPTIVE_AVG) return a.kernel[0] * a.kernel[1];
    return ((p->h + p->oh - 1) / p->oh) * ((p->w + p->ow - 1) / p->ow);
}

}

extern "C" int oct_cuda_pool2d(void *stream, oct_cuda_rows rows, const oct_cuda_pool *p)
{
    using namespace pool;
    if (p->x.type == OCT_U8) return launch<uint8_t>(stream, rows, p);
    if (p->y.type == OCT_F32) return launch<float>(stream, rows, p);
    if (p->attr.kind != OCT_POOL_MAX && most_taps(p) >= MANY) return launch_wide(stream, rows, p);
    return launch<oct_half>(stream, rows, p);
}
