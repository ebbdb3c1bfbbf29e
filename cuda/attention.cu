/* attention in the CPU's order of sums (ops/attention.c), FP32 or half:
 *
 *   for each query, head                  grid.x, grid.y
 *     scores: for each token              thread t, t + 128, ...: one chain of FMAs over the head,
 *                                         16 bytes of it at a time
 *     e = exp(score - max), their sum     thread l < 16: tokens l, l + 16, ..., then the lanes
 *     y: for each column                  thread c: one chain of FMAs over the tokens, then / sum
 * A query's scores lie in shared memory: 4 bytes a token.  Exact, and slow at long texts, where
 * each query reads all keys again. */
#include "cuda/common.cuh"

namespace attention {

enum { BLOCK = 128, LANES = 16 };

/* Where a block's query, keys and values are. */
struct operands { size_t q, k, v; int begin, n; size_t ldq, ldx; };

static __host__ __device__ inline operands find(const oct_cuda_attention &a, int text, int query,
                                                int head)
{
    operands o;
    const int width = a.d / a.heads;
    o.begin = a.starts[text];
    o.n = a.starts[text + 1] - o.begin;
    o.ldx = (size_t)a.x.pitch;
    o.ldq = (size_t)(a.one ? a.q.pitch : a.x.pitch);
    const size_t column = (size_t)(head * width);
    o.q = (size_t)(a.one ? text : o.begin + query) * o.ldq + column;
    o.k = (size_t)o.begin * o.ldx + column + (size_t)(a.one ? 0 : a.d);
    o.v = o.k + (size_t)a.d;
    return o;
}

/* l + (l + 8), + 4, + 2, + 1: by the first warp, whose lanes 0..15 hold them. */
static __device__ inline float lanes_sum(float x)
{
    for (int step = LANES / 2; step; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step, LANES);
    return x;
}

/* The score of one token, a chain of FMAs; EACH columns are loaded at a time. */
template <int EACH, class E>
static __device__ inline float score(const E *q, const E *k, int width, float scale)
{
    float s = 0;
#pragma unroll 4
    for (int i = 0; i < width; i += EACH) {
        const some<float, EACH> a = load_floats<EACH>(q + i), b = load_floats<EACH>(k + i);
#pragma unroll
        for (int c = 0; c < EACH; c++) s = fmaf(a.at[c], b.at[c] * scale, s);
    }
    return s + 0.0f; /* the bias that gemm_f32 adds: -0 becomes 0 */
}

/* EACH: 4 where heads are a multiple of it, and so begin on 16 bytes (FP32), or 1. */
template <class E, int EACH>
static __global__ void attend(oct_cuda_attention a, float scale)
{
    OCT_DYNAMIC_SHARED(s_raw);
    float *s_score = (float *)s_raw;             /* [length] */
    __shared__ float s_part[BLOCK / 32], s_sum;
    const int thread = (int)threadIdx.x, text = (int)blockIdx.z, head = (int)blockIdx.y;
    const bool there = text < *a.texts.count;
    operands o = { };
    if (there) o = find(a, text, (int)blockIdx.x, head); /* starts are the caller's */
    prior_done();
    if (!there || (!a.one && (int)blockIdx.x >= o.n)) return;
    const int width = a.d / a.heads;
    const E *x = (const E *)a.x.data, *q = (const E *)(a.one ? a.q.data : a.x.data) + o.q;

    float top = -INFINITY;
    for (int t = thread; t < o.n; t += BLOCK) {
        const float s = score<EACH>(q, x + o.k + (size_t)t * o.ldx, width, scale);
        s_score[t] = s;
        top = oct_max_f32(s, top);
    }
    for (int step = 16; step; step /= 2)
        top = oct_max_f32(__shfl_xor_sync(0xffffffffu, top, step, 32), top);
    if (thread % 32 == 0) s_part[thread / 32] = top;
    __syncthreads();
    for (int i = 0; i < BLOCK / 32; i++) top = oct_max_f32(s_part[i], top);
    top = top + 0.0f;

    for (int t = thread; t < o.n; t += BLOCK) s_score[t] = oct_exp_f32(s_score[t] - top);
    __syncthreads();
    if (thread < 32) {
        float sum = 0;
        for (int t = thread; t < o.n && thread < LANES; t += LANES) sum += s_score[t];
        sum = lanes_sum(sum);
        if (!thread) s_sum = sum;
    }
    __syncthreads();
    const size_t row = (size_t)(a.one ? text : o.begin + (int)blockIdx.x);
    E *y = (E *)a.y.data + row * (size_t)a.y.pitch + (size_t)(head * width);
    for (int i = thread; i < width; i += BLOCK) {
        const E *v = x + o.v + (size_t)i;
        float sum = 0;
#pragma unroll 8
        for (int t = 0; t < o.n; t++) sum = fmaf(s_score[t], load(v + (size_t)t * o.ldx), sum);
        store(a.texts, y + i, (sum + 0.0f) / s_sum);
    }
    for (int i = a.d + thread; !head && i < a.y.pitch; i += BLOCK) store(a.texts, y + i, 0);
}

}

extern "C" int oct_cuda_attend(void *stream, const oct_cuda_attention *a)
{
    using namespace attention;
    const int width = a->d / a->heads;
    const float scale = (float)(1 / sqrt((double)width));
    const dim3 grid(a->one ? 1u : (unsigned)a->length, (unsigned)a->heads,
                    (unsigned)a->texts.most);
    const auto kernel = a->y.type == OCT_F16 ? attend<oct_half, 1>
                      : width % 4 ? attend<float, 1> : attend<float, 4>;
    OCT_LAUNCH(kernel, grid, dim3(BLOCK), (size_t)a->length * sizeof(float), stream, *a, scale);
    return OCT_LAUNCHED();
}
