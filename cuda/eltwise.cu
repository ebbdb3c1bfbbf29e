/* What moves values or computes on one element at a time: a thread for each element of y, the
 * columns between cols and pitch included, which become 0.
 *
 *   for each row                grid and block, in one line: element i is column i % pitch of
 *     for each column           row i / pitch
 */
#include "cuda/common.cuh"

namespace eltwise {

enum { BLOCK = 256 };

/* The element of y that this thread makes; false: there is none, or it is none of a row's. */
struct element { int row, col; };

static __device__ inline bool find(const oct_cuda_rows &rows, const oct_cuda_value &y, element &e)
{
    prior_done();
    const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
    const long long row = i / y.pitch;
    if (row >= (long long)*rows.count * rows.per) return false;
    e.row = (int)row;
    e.col = (int)(i - row * y.pitch);
    return true;
}

template <class E> static __device__ inline E *at(const oct_cuda_value &v, int row, int col)
{
    return (E *)v.data + (size_t)row * (size_t)v.pitch + col;
}

template <class E>
static __global__ void layout(oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const int sample = e.row / rows.per, pixel = e.row - sample * rows.per;
    const size_t from = ((size_t)sample * (size_t)y.cols + (size_t)e.col) * (size_t)rows.per;
    store(rows, at<E>(y, e.row, e.col), e.col < y.cols ? x[from + (size_t)pixel] : 0);
}

template <class E>
static __global__ void flatten(oct_cuda_rows rows, int pixels, oct_cuda_value x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const int c = e.col / pixels, p = e.col - c * pixels;
    *at<E>(y, e.row, e.col) = e.col < y.cols ? *at<E>(x, e.row * pixels + p, c) : E();
}

template <class E>
static __global__ void import(oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const size_t from = (size_t)e.row * (size_t)y.cols + (size_t)e.col;
    store(rows, at<E>(y, e.row, e.col), e.col < y.cols ? x[from] : 0);
}

template <class E>
static __global__ void export_rows(oct_cuda_rows rows, oct_cuda_value x, float *y)
{
    element e;
    if (!find(rows, x, e) || e.col >= x.cols) return;
    y[(size_t)e.row * (size_t)x.cols + (size_t)e.col] = load(at<E>(x, e.row, e.col));
}

template <class From, class To>
static __global__ void convert(oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    store(rows, at<To>(y, e.row, e.col), e.col < y.cols ? load(at<From>(x, e.row, e.col)) : 0);
}

template <class E>
static __global__ void count_bad(oct_cuda_rows rows, oct_cuda_value x, int *bad)
{
    element e;
    if (!find(rows, x, e) || e.col >= x.cols) return;
    const float size = fabsf(load(at<E>(x, e.row, e.col)));
    if (!(size < INFINITY)) atomicAdd(bad + (size > 1), 1);
}

template <class E>
static __global__ void act(oct_cuda_rows rows, oct_act f, oct_cuda_value x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const float v = e.col < y.cols ? activate(load(at<E>(x, e.row, e.col)), f) : 0;
    store(rows, at<E>(y, e.row, e.col), v);
}

template <class E>
static __global__ void add(oct_cuda_rows rows, oct_act f, oct_cuda_value a, oct_cuda_value b,
                           oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const float sum = load(at<E>(a, e.row, e.col)) + load(at<E>(b, e.row, e.col));
    store(rows, at<E>(y, e.row, e.col), e.col < y.cols ? activate(sum, f) : 0);
}

/* requant.h: the product rounded, b by FMA */
static __global__ void add_u8(oct_cuda_rows rows, int zero_a, float scale_a, oct_requant out,
                              oct_cuda_value a, oct_cuda_value b, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const float first = (float)(*at<uint8_t>(a, e.row, e.col) - zero_a) * scale_a;
    *at<uint8_t>(y, e.row, e.col) =
        oct_requant_u8(oct_requant_add(first, *at<uint8_t>(b, e.row, e.col), &out), &out);
}

template <class E>
static __global__ void batchnorm(oct_cuda_rows rows, const float *table, oct_cuda_value x,
                                 oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    float v = 0;
    if (e.col < y.cols)
        v = fmaf(load(at<E>(x, e.row, e.col)) - table[e.col], table[y.cols + e.col],
                 table[2 * y.cols + e.col]);
    store(rows, at<E>(y, e.row, e.col), v);
}

/* The row of x that row `row` of y comes from. */
static __host__ __device__ inline int source_row(const oct_cuda_copy &c, int per, int row)
{
    const int sample = row / per, p = row - sample * per, oy = p / c.ow, ox = p - oy * c.ow;
    return (sample * c.h + oy * c.stride[0]) * c.w + ox * c.stride[1];
}

template <class E> static __global__ void copy_cols(oct_cuda_rows rows, oct_cuda_copy c, E fill)
{
    element e;
    if (!find(rows, c.y, e)) return;
    const int col = e.col - c.at;
    if (col >= 0 && col < c.x.cols)
        *at<E>(c.y, e.row, e.col) = *at<E>(c.x, source_row(c, rows.per, e.row), col);
    else if (c.alone || e.col >= c.y.cols)
        *at<E>(c.y, e.row, e.col) = fill;
}

/* vec_u8.h's steps; NaN becomes 0 of U8's range */
static __global__ void quantize(oct_cuda_rows rows, float inverse, const float *each, oct_quant q,
                                oct_cuda_value x, oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    if (e.col >= y.cols) {
        *at<uint8_t>(y, e.row, e.col) = 0;
        return;
    }
    const float lo = (float)-q.zero, hi = (float)(q.max - q.zero);
    float v = *at<float>(x, e.row, e.col) * (each ? each[e.col] : inverse);
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    *at<uint8_t>(y, e.row, e.col) = (uint8_t)((int)lrintf(v) + q.zero);
}

static __global__ void dequantize(oct_cuda_rows rows, oct_quant q, oct_cuda_value x,
                                  oct_cuda_value y)
{
    element e;
    if (!find(rows, y, e)) return;
    const float v = e.col < y.cols ? (float)(*at<uint8_t>(x, e.row, e.col) - q.zero) * q.scale : 0;
    *at<float>(y, e.row, e.col) = v;
}

static unsigned grid(const oct_cuda_rows &rows, const oct_cuda_value &v)
{
    return blocks_for((long long)rows.most * rows.per, v.pitch, BLOCK);
}

}

using namespace eltwise;

#define LAUNCH(kernel, value, ...)                                                    \
    do {                                                                              \
        OCT_LAUNCH(kernel, dim3(grid(rows, value)), dim3(BLOCK), 0, stream, rows, __VA_ARGS__); \
        return OCT_LAUNCHED();                                                        \
    } while (0)

extern "C" {

int oct_cuda_layout(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, layout), y, x, y);
}

int oct_cuda_flatten(void *stream, oct_cuda_rows rows, int pixels, oct_cuda_value x,
                     oct_cuda_value y)
{
    if (y.type == OCT_U8) LAUNCH(flatten<uint8_t>, y, pixels, x, y);
    LAUNCH(OCT_FOR_FLOAT(y, flatten), y, pixels, x, y);
}

int oct_cuda_import(void *stream, oct_cuda_rows rows, const float *x, oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, import), y, x, y);
}

int oct_cuda_export(void *stream, oct_cuda_rows rows, oct_cuda_value x, float *y)
{
    LAUNCH(OCT_FOR_FLOAT(x, export_rows), x, x, y);
}

int oct_cuda_convert(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    if (y.type == OCT_F16) LAUNCH((convert<float, oct_half>), y, x, y);
    LAUNCH((convert<oct_half, float>), y, x, y);
}

int oct_cuda_count_bad(void *stream, oct_cuda_rows rows, oct_cuda_value x, int *bad)
{
    LAUNCH(OCT_FOR_FLOAT(x, count_bad), x, x, bad);
}

int oct_cuda_act(void *stream, oct_cuda_rows rows, oct_act f, oct_cuda_value x, oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, act), y, f, x, y);
}

int oct_cuda_add(void *stream, oct_cuda_rows rows, oct_act f, oct_cuda_value a, oct_cuda_value b,
                 oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, add), y, f, a, b, y);
}

int oct_cuda_add_u8(void *stream, oct_cuda_rows rows, int zero_a, float scale_a, oct_requant out,
                    oct_cuda_value a, oct_cuda_value b, oct_cuda_value y)
{
    LAUNCH(add_u8, y, zero_a, scale_a, out, a, b, y);
}

int oct_cuda_batchnorm(void *stream, oct_cuda_rows rows, const float *table, oct_cuda_value x,
                       oct_cuda_value y)
{
    LAUNCH(OCT_FOR_FLOAT(y, batchnorm), y, table, x, y);
}

int oct_cuda_copy_cols(void *stream, oct_cuda_rows rows, oct_cuda_copy c)
{
    if (c.y.type == OCT_U8) LAUNCH(copy_cols<uint8_t>, c.y, c, (uint8_t)c.fill);
    if (c.y.type == OCT_F16) LAUNCH(copy_cols<oct_half>, c.y, c, oct_half());
    LAUNCH(copy_cols<float>, c.y, c, 0.0f);
}

int oct_cuda_quantize(void *stream, oct_cuda_rows rows, oct_quant q, const float *inverse,
                      oct_cuda_value x, oct_cuda_value y)
{
    LAUNCH(quantize, y, 1 / q.scale, inverse, q, x, y);
}

int oct_cuda_dequantize(void *stream, oct_cuda_rows rows, oct_quant q, oct_cuda_value x,
                        oct_cuda_value y)
{
    LAUNCH(dequantize, y, q, x, y);
}

}
