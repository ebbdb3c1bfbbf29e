/* LayerNorm, softmax, embedding, first: rows.
 *
 *   for each row                   grid; two of a warp, sixteen threads each
 *     for each column              thread l: columns l, l + 16, ...
 *       sums: lane l, then l + (l + 8), + 4, + 2, + 1               shuffles
 * These are the sixteen lanes of ops/kernels/vec.h, so the order of sums is the CPU's.
 *   registers of layernorm   a row of up to 768 floats, 48; columns beyond are read in each pass
 * norm_f16.cu has F16 rows whose columns are a multiple of 8, but for first. */
#include "cuda/norm.cuh"

namespace rowwise {

enum { LANES = 16, BLOCK = 128, ROWS = BLOCK / LANES };

/* l + (l + 8), + 4, + 2, + 1 of sixteen threads; all get the sum of lane 0.  All threads of a warp
 * call it together. */
static __device__ inline float lanes_sum(float x)
{
    for (int step = LANES / 2; step; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step, LANES);
    return __shfl_sync(0xffffffffu, x, 0, LANES);
}

/* The largest, in any order: NaN was left out. */
static __device__ inline float lanes_max(float x)
{
    for (int step = LANES / 2; step; step /= 2)
        x = oct_max_f32(__shfl_xor_sync(0xffffffffu, x, step, LANES), x);
    return x;
}

struct row { long long i; int lane; bool there; };

static __device__ inline row find(const oct_cuda_rows &rows)
{
    row r;
    r.i = (long long)blockIdx.x * ROWS + (int)threadIdx.x / LANES;
    r.lane = (int)threadIdx.x % LANES;
    r.there = r.i < (long long)*rows.count * rows.per;
    prior_done();
    return r;
}

/* y = norm(v) of one row, whose element i is get(i); rows that are not there have n = 0.  The first
 * HELD elements of a thread are got once, all at a time. */
template <int HELD, class E, class Get>
static __device__ inline void normalize(const oct_cuda_rows &rows, int lane, int n, float count,
                                        Get get, float eps, const float *gamma, const float *beta,
                                        E *y, int pitch)
{
    float held[HELD], sum = 0, squares = 0;
#pragma unroll
    for (int k = 0; k < HELD; k++) held[k] = lane + k * LANES < n ? get(lane + k * LANES) : 0;
    auto for_each = [&](auto f) { /* f(i, element i), in rising order */
#pragma unroll
        for (int k = 0; k < HELD; k++)
            if (lane + k * LANES < n) f(lane + k * LANES, held[k]);
        for (int i = lane + HELD * LANES; i < n; i += LANES) f(i, get(i));
    };
    for_each([&](int, float x) { sum += x; });
    const float mean = lanes_sum(sum) / count;
    for_each([&](int, float x) { squares = fmaf(x - mean, x - mean, squares); });
    const float r = 1 / sqrtf(lanes_sum(squares) / count + eps);
    for_each([&](int i, float x) {
        store(rows, y + i, fmaf((x - mean) * r, gamma[i], beta[i]));
    });
    if (n)
        for (int i = n + lane; i < pitch; i += LANES) store(rows, y + i, 0);
}

template <class E>
static __global__ void layernorm(oct_cuda_rows rows, float eps, const float *gamma,
                                 const float *beta, oct_cuda_value x, oct_cuda_value y)
{
    const row r = find(rows);
    const E *from = (const E *)x.data + r.i * x.pitch;
    enum { HELD = sizeof(E) == sizeof(float) ? 768 / LANES : 4 };
    normalize<HELD>(rows, r.lane, r.there ? x.cols : 0, (float)x.cols,
                    [=](int i) { return load(from + i); }, eps, gamma, beta,
                    (E *)y.data + r.i * y.pitch, y.pitch);
}

template <class E>
static __global__ void softmax(oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    const row r = find(rows);
    const int n = r.there ? x.cols : 0;
    const E *from = (const E *)x.data + r.i * x.pitch;
    E *to = (E *)y.data + r.i * y.pitch;
    float top = -INFINITY, sum = 0;
    for (int i = r.lane; i < n; i += LANES) top = oct_max_f32(load(from + i), top);
    top = lanes_max(top) + 0.0f;
    for (int i = r.lane; i < n; i += LANES) sum += oct_exp_f32(load(from + i) - top);
    sum = lanes_sum(sum);
    for (int i = r.lane; i < n; i += LANES)
        store(rows, to + i, oct_exp_f32(load(from + i) - top) / sum);
    if (n)
        for (int i = n + r.lane; i < y.pitch; i += LANES) store(rows, to + i, 0);
}

static __device__ inline float word_at(const oct_cuda_embedding &e, size_t id, size_t i)
{
    switch (e.word_type) {
    case OCT_F16:  return half_to_float(((const uint16_t *)e.word)[i]);
    case OCT_BF16: return oct_f32_of_bf16(((const uint16_t *)e.word)[i]);
    case OCT_S8:   return (float)((const int8_t *)e.word)[i] * e.scale[id];
    default:       return ((const float *)e.word)[i];
    }
}

template <class E> static __global__ void embed(oct_cuda_rows rows, oct_cuda_embedding e)
{
    const row r = find(rows);
    const int d = e.y.cols;
    embedding::token t = { };
    if (r.there) t = embedding::find(e, (int)r.i);
    auto get = [=](int i) {
        float y = word_at(e, t.id, t.word + (size_t)i);
        if (e.types) y = y + e.type[t.type + (size_t)i];
        return y + e.position[t.position + (size_t)i];
    };
    normalize<4>(rows, r.lane, r.there ? d : 0, (float)d, get, e.eps, e.gamma, e.beta,
                 (E *)e.y.data + r.i * e.y.pitch, e.y.pitch);
}

/* 16 bytes of any type a thread. */
static __global__ void first(oct_cuda_rows rows, const int32_t *starts, const char *x, char *y,
                             size_t pitch)
{
    const row r = find(rows);
    if (!r.there) return;
    x += (size_t)starts[r.i] * pitch;
    y += (size_t)r.i * pitch;
    for (size_t i = (size_t)r.lane * OCT_CUDA_CHUNK; i < pitch; i += LANES * OCT_CUDA_CHUNK)
        *(some<char, OCT_CUDA_CHUNK> *)(y + i) = load_some<OCT_CUDA_CHUNK>(x + i);
}

static dim3 grid(const oct_cuda_rows &rows)
{
    return dim3(blocks_for((long long)rows.most * rows.per, 1, ROWS));
}

static bool is_wide(oct_cuda_value y) { return y.type == OCT_F16 && y.cols % 8 == 0; }

}

using namespace rowwise;

extern "C" {

int oct_cuda_layernorm(void *stream, oct_cuda_rows rows, float eps, const float *gamma,
                       const float *beta, oct_cuda_value x, oct_cuda_value y)
{
    if (is_wide(y)) return oct_cuda_layernorm_f16(stream, rows, eps, gamma, beta, x, y);
    OCT_LAUNCH(OCT_FOR_FLOAT(y, layernorm), grid(rows), dim3(BLOCK), 0, stream, rows, eps, gamma,
               beta, x, y);
    return OCT_LAUNCHED();
}

int oct_cuda_softmax(void *stream, oct_cuda_rows rows, oct_cuda_value x, oct_cuda_value y)
{
    if (is_wide(y)) return oct_cuda_softmax_f16(stream, rows, x, y);
    OCT_LAUNCH(OCT_FOR_FLOAT(y, softmax), grid(rows), dim3(BLOCK), 0, stream, rows, x, y);
    return OCT_LAUNCHED();
}

int oct_cuda_embed(void *stream, oct_cuda_rows rows, const oct_cuda_embedding *e)
{
    if (is_wide(e->y)) return oct_cuda_embed_f16(stream, rows, e);
    OCT_LAUNCH(OCT_FOR_FLOAT(e->y, embed), grid(rows), dim3(BLOCK), 0, stream, rows, *e);
    return OCT_LAUNCHED();
}

int oct_cuda_first(void *stream, oct_cuda_rows rows, const int32_t *starts, oct_cuda_value x,
                   oct_cuda_value y)
{
    const size_t pitch = (size_t)y.pitch * (y.type == OCT_F16 ? sizeof(oct_half) : sizeof(float));
    OCT_LAUNCH(first, grid(rows), dim3(BLOCK), 0, stream, rows, starts, (const char *)x.data,
               (char *)y.data, pitch);
    return OCT_LAUNCHED();
}

}
