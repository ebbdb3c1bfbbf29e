/* What moves values or computes on one element at a time: 16 bytes of y a thread, or one element
 * where rows do not begin on 16 bytes, the columns between cols and pitch included, which become 0.
 *
 *   for each row                grid and threadIdx.y, for_plane
 *     for each piece of it      threadIdx.x: 8 halves, 4 floats or 16 bytes
 * layout:
 *   for each sample             grid.y
 *     for each pixel            grid.x, a thread: a plane of x is read, neighbours by neighbours
 *       for each piece of y
 */
#include "cuda/common.cuh"

namespace eltwise {

enum { BLOCK = 256 };
template <class E> constexpr int piece = OCT_CUDA_CHUNK / (int)sizeof(E);

template <class E> static __device__ inline E *at(const oct_cuda_value &v, int row, int col)
{
    return (E *)v.data + (size_t)row * (size_t)v.pitch + col;
}

/* Columns from cols on are 0, whatever was computed there. */
template <class E, int N>
static __device__ inline void put(const oct_cuda_rows &rows, const oct_cuda_value &y, int row,
                                  int col, some<float, N> x)
{
#pragma unroll
    for (int i = 0; i < N; i++)
        if (col + i >= y.cols) x.at[i] = 0;
    store_some<N>(rows, at<E>(y, row, col), x);
}

template <class E>
static __global__ void layout(oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    enum { N = piece<E> };
    const int samples = *rows.count, pixel = (int)(blockIdx.x * BLOCK + threadIdx.x);
    const size_t plane = (size_t)rows.per;
    prior_done();
    if (pixel >= rows.per) return;
    for (int sample = (int)blockIdx.y; sample < samples; sample += (int)gridDim.y)
        for (int col = 0; col < y.pitch; col += N) {
            const float *from = x + ((size_t)sample * (size_t)y.cols + (size_t)col) * plane + pixel;
            some<float, N> v;
#pragma unroll
            for (int i = 0; i < N; i++) v.at[i] = col + i < y.cols ? from[(size_t)i * plane] : 0;
            store_some<N>(rows, at<E>(y, sample * rows.per + pixel, col), v);
        }
}

template <class E>
static __global__ void flatten(oct_cuda_rows rows, int pixels, oct_cuda_value x, oct_cuda_value y)
{
    enum { N = piece<E> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<E, N> v;
        if (pixels == 1) {
            v = load_some<N>(at<E>(x, row, col));
        } else {
#pragma unroll
            for (int i = 0; i < N; i++) {
                const int c = (col + i) / pixels, p = col + i - c * pixels;
                v.at[i] = col + i < y.cols ? *at<E>(x, row * pixels + p, c) : E();
            }
        }
        *(some<E, N> *)at<E>(y, row, col) = v;
    });
}

template <class E>
static __global__ void import(oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    enum { N = piece<E> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        const float *from = x + (size_t)row * (size_t)y.cols + col;
        some<float, N> v;
#pragma unroll
        for (int i = 0; i < N; i++) v.at[i] = col + i < y.cols ? from[i] : 0;
        store_some<N>(rows, at<E>(y, row, col), v);
    });
}

template <class E>
static __global__ void export_rows(oct_cuda_rows rows, oct_cuda_value x, float *y)
{
    for_plane<1>(rows, x.cols, [=](int row, int col) {
        y[(size_t)row * (size_t)x.cols + (size_t)col] = load(at<E>(x, row, col));
    });
}

/* Four at a time: a row of halves may be longer than the same one of floats. */
template <class From, class To>
static __global__ void convert(oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    enum { N = piece<float> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<float, N> v = { };
        if (col < x.pitch) v = load_floats<N>(at<From>(x, row, col));
        put<To>(rows, y, row, col, v);
    });
}

template <class E>
static __global__ void count_bad(oct_cuda_rows rows, oct_cuda_value x, int *bad)
{
    for_plane<1>(rows, x.cols, [=](int row, int col) {
        const float size = fabsf(load(at<E>(x, row, col)));
        if (!(size < INFINITY)) atomicAdd(bad + (size > 1), 1);
    });
}

template <class E>
static __global__ void act(oct_cuda_rows rows, oct_act f, oct_cuda_value x, oct_cuda_value y)
{
    enum { N = piece<E> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<float, N> v = load_floats<N>(at<E>(x, row, col));
        activate(v, f);
        put<E>(rows, y, row, col, v);
    });
}

template <class E>
static __global__ void add(oct_cuda_rows rows, oct_act f, oct_cuda_value a, oct_cuda_value b,
                           oct_cuda_value y)
{
    enum { N = piece<E> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<float, N> v = load_floats<N>(at<E>(a, row, col));
        const some<float, N> w = load_floats<N>(at<E>(b, row, col));
#pragma unroll
        for (int i = 0; i < N; i++) v.at[i] = v.at[i] + w.at[i];
        activate(v, f);
        put<E>(rows, y, row, col, v);
    });
}

/* requant.h: the product rounded, b by FMA */
static __global__ void add_u8(oct_cuda_rows rows, int zero_a, float scale_a, oct_requant out,
                              oct_cuda_value a, oct_cuda_value b, oct_cuda_value y)
{
    enum { N = piece<uint8_t> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<uint8_t, N> v = load_some<N>(at<uint8_t>(a, row, col));
        const some<uint8_t, N> w = load_some<N>(at<uint8_t>(b, row, col));
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float first = (float)(v.at[i] - zero_a) * scale_a;
            v.at[i] = oct_requant_u8(oct_requant_add(first, w.at[i], &out), &out);
        }
        *(some<uint8_t, N> *)at<uint8_t>(y, row, col) = v;
    });
}

/* N of a table of cols from column col on; what is beyond does not matter. */
template <int N>
static __device__ inline some<float, N> table_at(const float *table, int col, int cols)
{
    if (cols % 4 == 0 && col + N <= cols) return load_floats<N>(table + col);
    some<float, N> v;
#pragma unroll
    for (int i = 0; i < N; i++) v.at[i] = col + i < cols ? table[col + i] : 0;
    return v;
}

template <class E>
static __global__ void batchnorm(oct_cuda_rows rows, const float *table, oct_cuda_value x,
                                 oct_cuda_value y)
{
    enum { N = piece<E> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        const some<float, N> mean = table_at<N>(table, col, y.cols);
        const some<float, N> scale = table_at<N>(table + y.cols, col, y.cols);
        const some<float, N> beta = table_at<N>(table + 2 * y.cols, col, y.cols);
        some<float, N> v = load_floats<N>(at<E>(x, row, col));
#pragma unroll
        for (int i = 0; i < N; i++) v.at[i] = fmaf(v.at[i] - mean.at[i], scale.at[i], beta.at[i]);
        put<E>(rows, y, row, col, v);
    });
}

/* The row of x that row `row` of y comes from. */
static __host__ __device__ inline int source_row(const oct_cuda_copy &c, int per, int row)
{
    const int sample = row / per, p = row - sample * per, oy = p / c.ow, ox = p - oy * c.ow;
    return (sample * c.h + oy * c.stride[0]) * c.w + ox * c.stride[1];
}

template <class E> static __global__ void copy_cols(oct_cuda_rows rows, oct_cuda_copy c, E fill)
{
    for_plane<1>(rows, c.y.pitch, [=](int row, int y_col) {
        const int col = y_col - c.at;
        if (col >= 0 && col < c.x.cols)
            *at<E>(c.y, row, y_col) = *at<E>(c.x, source_row(c, rows.per, row), col);
        else if (c.alone || y_col >= c.y.cols)
            *at<E>(c.y, row, y_col) = fill;
    });
}

static __global__ void quantize(oct_cuda_rows rows, float inverse, const float *each, oct_quant q,
                                oct_cuda_value x, oct_cuda_value y)
{
    enum { N = piece<float> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        some<float, N> v = { };
        some<uint8_t, N> bytes;
        if (col < x.pitch) v = load_floats<N>(at<float>(x, row, col));
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float by = each && col + i < y.cols ? each[col + i] : inverse;
            bytes.at[i] = col + i < y.cols ? quantized(v.at[i], by, q.zero, q.max) : 0;
        }
        *(some<uint8_t, N> *)at<uint8_t>(y, row, col) = bytes;
    });
}

static __global__ void dequantize(oct_cuda_rows rows, oct_quant q, oct_cuda_value x,
                                  oct_cuda_value y)
{
    enum { N = piece<float> };
    for_plane<N>(rows, y.pitch, [=](int row, int col) {
        const some<uint8_t, N> bytes = load_some<N>(at<uint8_t>(x, row, col));
        some<float, N> v;
#pragma unroll
        for (int i = 0; i < N; i++) v.at[i] = (float)(bytes.at[i] - q.zero) * q.scale;
        put<float>(rows, y, row, col, v);
    });
}

static int each_of(const oct_cuda_value &v)
{
    return v.type == OCT_U8 ? piece<uint8_t> : v.type == OCT_F16 ? piece<oct_half> : piece<float>;
}

}

using namespace eltwise;

#define LAUNCH(kernel, value, each, ...)                                              \
    do {                                                                              \
        const plane p_ = plane_of(rows, (value).pitch, each);                         \
        OCT_LAUNCH(kernel, p_.grid, p_.block, 0, stream, rows, __VA_ARGS__);          \
        return OCT_LAUNCHED();                                                        \
    } while (0)

extern "C" {

int oct_cuda_layout(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    enum { MOST = 65535 }; /* blocks of a grid's second dimension */
    const dim3 grid(blocks_for(rows.per, 1, BLOCK), rows.most < MOST ? (unsigned)rows.most : MOST);
    OCT_LAUNCH(OCT_FOR_FLOAT(y, layout), grid, dim3(BLOCK), 0, stream, rows, x, y);
    return OCT_LAUNCHED();
}

int oct_cuda_flatten(void *stream, oct_cuda_rows rows, int pixels, oct_cuda_value x,
                     oct_cuda_value y)
{
    if (y.type == OCT_U8) LAUNCH(flatten<uint8_t>, y, each_of(y), pixels, x, y);
    LAUNCH(OCT_FOR_FLOAT(y, flatten), y, each_of(y), pixels, x, y);
}

int oct_cuda_import(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, import), y, each_of(y), x, y);
}

int oct_cuda_export(void *stream, oct_cuda_rows rows, oct_cuda_value x, float *y)
{
    LAUNCH(OCT_FOR_FLOAT(x, export_rows), x, 1, x, y);
}

int oct_cuda_convert(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    if (y.type == OCT_F16) LAUNCH((convert<float, oct_half>), y, piece<float>, x, y);
    LAUNCH((convert<oct_half, float>), y, piece<float>, x, y);
}

int oct_cuda_count_bad(void *stream, oct_cuda_rows rows, oct_cuda_value x, int *bad)
{
    LAUNCH(OCT_FOR_FLOAT(x, count_bad), x, 1, x, bad);
}

int oct_cuda_act(void *stream, oct_cuda_rows rows, oct_act f, oct_cuda_value x, oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, act), y, each_of(y), f, x, y);
}

int oct_cuda_add(void *stream, oct_cuda_rows rows, oct_act f, oct_cuda_value a, oct_cuda_value b,
                 oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, add), y, each_of(y), f, a, b, y);
}

int oct_cuda_add_u8(void *stream, oct_cuda_rows rows, int zero_a, float scale_a, oct_requant out,
                    oct_cuda_value a, oct_cuda_value b, oct_cuda_value y)
{
    LAUNCH(add_u8, y, each_of(y), zero_a, scale_a, out, a, b, y);
}

int oct_cuda_batchnorm(void *stream, oct_cuda_rows rows, const float *table, oct_cuda_value x,
                       oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, batchnorm), y, each_of(y), table, x, y);
}

int oct_cuda_copy_cols(void *stream, oct_cuda_rows rows, oct_cuda_copy c)
{
    if (c.y.type == OCT_U8) LAUNCH(copy_cols<uint8_t>, c.y, 1, c, (uint8_t)c.fill);
    if (c.y.type == OCT_F16) LAUNCH(copy_cols<oct_half>, c.y, 1, c, oct_half());
    LAUNCH(copy_cols<float>, c.y, 1, c, 0.0f);
}

int oct_cuda_quantize(void *stream, oct_cuda_rows rows, oct_quant q, const float *inverse,
                      oct_cuda_value x, oct_cuda_value y)
{
    LAUNCH(quantize, y, piece<float>, 1 / q.scale, inverse, q, x, y);
}

int oct_cuda_dequantize(void *stream, oct_cuda_rows rows, oct_quant q, oct_cuda_value x,
                        oct_cuda_value y)
{
    LAUNCH(dequantize, y, piece<float>, q, x, y);
}

}
