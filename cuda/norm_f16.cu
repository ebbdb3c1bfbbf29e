/* LayerNorm, softmax and embedding of F16 rows whose columns are a multiple of 8.
 *
 *   for each row                   grid; a warp, four of a block
 *     for each 8 columns           thread l: 8 l .. 8 l + 7, 256 further, ...: 16 bytes of halves
 *       sums: a thread's own, then + l ^ 16, ^ 8, ^ 4, ^ 2, ^ 1     shuffles
 *   registers   a row of up to 1024 columns, 32; gamma and beta of them, 64, which are loaded while
 *               the launch before still runs.  Columns beyond are read again in each pass */
#include "cuda/norm.cuh"

namespace halves {

enum { WARPS = 4, BLOCK = 32 * WARPS, EIGHT = 8, COLS = 32 * EIGHT, HELD = 4 };
typedef some<float, EIGHT> eight;

static __device__ inline float warp_sum(float x)
{
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step, 32);
    return x;
}

static __device__ inline float warp_max(float x)
{
    for (int step = 16; step; step /= 2)
        x = fmaxf(__shfl_xor_sync(0xffffffffu, x, step, 32), x);
    return x;
}

/* The warp's row; -1: there is none. */
static __device__ inline long long find(const oct_cuda_rows &rows)
{
    const long long i = (long long)blockIdx.x * WARPS + (int)threadIdx.x / 32;
    return i < (long long)*rows.count * rows.per ? i : -1;
}

/* The first columns of a row of n that a thread has: get(i) is eight from i on. */
struct held {
    eight at[HELD];

    template <class Get> __device__ inline held(int n, Get get)
    {
#pragma unroll
        for (int k = 0; k < HELD; k++)
            at[k] = column(k) < n ? get(column(k)) : eight();
    }
    static __device__ inline int column(int k) { return (int)threadIdx.x % 32 * EIGHT + k * COLS; }
};

/* f(k, i, eight from i on) of all columns of a thread; k < HELD: they are held, HELD: got again. */
template <class Get, class F>
static __device__ inline void for_each(int n, const held &row, Get get, F f)
{
#pragma unroll
    for (int k = 0; k < HELD; k++)
        if (held::column(k) < n) f(k, held::column(k), row.at[k]);
    for (int i = held::column(HELD); i < n; i += COLS) f(HELD, i, get(i));
}

static __device__ inline float sum_of(const eight &x)
{
    const float lo = (x.at[0] + x.at[1]) + (x.at[2] + x.at[3]);
    return lo + ((x.at[4] + x.at[5]) + (x.at[6] + x.at[7]));
}

/* Gamma and beta, which no launch writes. */
struct constants {
    const float *gamma, *beta;
    held first[2];

    __device__ inline constants(int n, const float *g, const float *b)
        : gamma(g), beta(b), first{ held(n, [=](int i) { return load_floats<EIGHT>(g + i); }),
                                    held(n, [=](int i) { return load_floats<EIGHT>(b + i); }) } {}
};

template <class Get>
static __device__ inline void normalize(const oct_cuda_rows &rows, int n, Get get, float eps,
                                        const constants &c, oct_half *y)
{
    const held row(n, get);
    const float each = 1 / (float)n;
    float sum = 0, squares = 0;
    for_each(n, row, get, [&](int, int, const eight &x) { sum += sum_of(x); });
    const float mean = warp_sum(sum) * each;
    for_each(n, row, get, [&](int, int, eight x) {
#pragma unroll
        for (int i = 0; i < EIGHT; i++) x.at[i] = (x.at[i] - mean) * (x.at[i] - mean);
        squares += sum_of(x);
    });
    const float r = 1 / sqrtf(warp_sum(squares) * each + eps);
    for_each(n, row, get, [&](int k, int at, eight x) {
        const eight g = k < HELD ? c.first[0].at[k] : load_floats<EIGHT>(c.gamma + at);
        const eight b = k < HELD ? c.first[1].at[k] : load_floats<EIGHT>(c.beta + at);
#pragma unroll
        for (int i = 0; i < EIGHT; i++) x.at[i] = fmaf((x.at[i] - mean) * r, g.at[i], b.at[i]);
        store_some<EIGHT>(rows, y + at, x);
    });
}

static __global__ __launch_bounds__(BLOCK) void layernorm(oct_cuda_rows rows, float eps,
                                                          const float *gamma, const float *beta,
                                                          oct_cuda_value x, oct_cuda_value y)
{
    const long long i = find(rows);
    const constants c(x.cols, gamma, beta);
    prior_done();
    if (i < 0) return;
    const oct_half *from = (const oct_half *)x.data + i * x.pitch;
    normalize(rows, x.cols, [=](int at) { return load_floats<EIGHT>(from + at); }, eps, c,
              (oct_half *)y.data + i * y.pitch);
}

/* Rows are short: they are read again. */
static __global__ __launch_bounds__(BLOCK) void softmax(oct_cuda_rows rows, oct_cuda_value x,
                                                        oct_cuda_value y)
{
    const long long row = find(rows);
    prior_done();
    if (row < 0) return;
    const oct_half *from = (const oct_half *)x.data + row * x.pitch;
    float top = -INFINITY, sum = 0;
    for (int i = held::column(0); i < x.cols; i += COLS) {
        const eight v = load_floats<EIGHT>(from + i);
        for (int k = 0; k < EIGHT; k++) top = fmaxf(v.at[k], top);
    }
    top = warp_max(top);
    auto power = [=](int i) {
        eight v = load_floats<EIGHT>(from + i);
#pragma unroll
        for (int k = 0; k < EIGHT; k++) v.at[k] = oct_exp_f32(v.at[k] - top);
        return v;
    };
    for (int i = held::column(0); i < x.cols; i += COLS) sum += sum_of(power(i));
    sum = warp_sum(sum);
    for (int i = held::column(0); i < x.cols; i += COLS) {
        eight v = power(i);
#pragma unroll
        for (int k = 0; k < EIGHT; k++) v.at[k] = v.at[k] / sum;
        store_some<EIGHT>(rows, (oct_half *)y.data + row * y.pitch + i, v);
    }
}

/* Eight of the word of token t, from column i on. */
static __device__ inline eight word_at(const oct_cuda_embedding &e, const embedding::token &t,
                                       int i)
{
    const size_t at = t.word + (size_t)i;
    eight y;
    switch (e.word_type) {
    case OCT_F16: return load_floats<EIGHT>((const oct_half *)e.word + at);
    case OCT_F32: return load_floats<EIGHT>((const float *)e.word + at);
    case OCT_BF16: {
        const some<uint16_t, EIGHT> x = load_some<EIGHT>((const uint16_t *)e.word + at);
#pragma unroll
        for (int k = 0; k < EIGHT; k++) y.at[k] = oct_f32_of_bf16(x.at[k]);
        return y;
    }
    default: {
        const some<int8_t, EIGHT> x = load_some<EIGHT>((const int8_t *)e.word + at);
#pragma unroll
        for (int k = 0; k < EIGHT; k++) y.at[k] = (float)x.at[k] * e.scale[t.id];
        return y;
    }
    }
}

static __global__ __launch_bounds__(BLOCK) void embed(oct_cuda_rows rows, oct_cuda_embedding e)
{
    const long long row = find(rows);
    const constants c(e.y.cols, e.gamma, e.beta);
    prior_done();
    if (row < 0) return;
    const embedding::token t = embedding::find(e, (int)row);
    auto get = [=](int i) {
        eight y = word_at(e, t, i);
        const eight p = load_floats<EIGHT>(e.position + t.position + i);
        const eight type = e.types ? load_floats<EIGHT>(e.type + t.type + i) : eight();
#pragma unroll
        for (int k = 0; k < EIGHT; k++) y.at[k] = y.at[k] + type.at[k] + p.at[k];
        return y;
    };
    normalize(rows, e.y.cols, get, e.eps, c, (oct_half *)e.y.data + row * e.y.pitch);
}

static dim3 grid(const oct_cuda_rows &rows)
{
    return dim3(blocks_for((long long)rows.most * rows.per, 1, WARPS));
}

}

using namespace halves;

extern "C" {

int oct_cuda_layernorm_f16(void *stream, oct_cuda_rows rows, float eps, const float *gamma,
                           const float *beta, oct_cuda_value x, oct_cuda_value y)
{
    OCT_LAUNCH(layernorm, grid(rows), dim3(BLOCK), 0, stream, rows, eps, gamma, beta, x, y);
    return OCT_LAUNCHED();
}

int oct_cuda_softmax_f16(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    OCT_LAUNCH(softmax, grid(rows), dim3(BLOCK), 0, stream, rows, x, y);
    return OCT_LAUNCHED();
}

int oct_cuda_embed_f16(void *stream, oct_cuda_rows rows, const oct_cuda_embedding *e)
{
    OCT_LAUNCH(embed, grid(rows), dim3(BLOCK), 0, stream, rows, *e);
    return OCT_LAUNCHED();
}

}
