/* attention in FP16 on tensor cores, scores never written: an online softmax.
 *
 *   for each text, head, 64 queries            grid.z, grid.y, grid.x
 *     for each 16 queries                      warp, four of a block: Q in registers
 *       for each 64 keys                       block: K and V to shared memory
 *         S = Q K^T                            8 products of 16 x 8 for each 16 columns
 *         m' = max(m, S), P = exp(S - m'), O = O exp(m - m'), l = l exp(m - m') + sum P
 *         O = O + P V                          P from the registers S was in
 *     y = O / l
 *
 *   shared      s_k, s_v [64][W + 8 halves]: 34816 bytes for W 128.  Rows are 20, 36 or 68 words
 *               apart, so eight rows times four words lie in 32 banks
 *   registers   O: W / 2, S: 32, Q: W / 4
 * W is the head's width rounded up to 32, 64 or 128: columns beyond it are zeros, as are keys
 * beyond the text, whose scores are -infinity.
 *
 * P is rounded to half before P V, at most 1, relative 2^-11; scores are FP32, their factor 1 /
 * sqrt(width) applied after the sum.
 * Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al.,
 * FlashAttention, 2022. */
#include "cuda/mma.cuh"

namespace flash {

enum { THREADS = 128, WARPS = 4, QUERIES = 16 * WARPS, KEYS = 64, TILES = KEYS / 8 };

static __device__ inline uint32_t pack(float lo, float hi)
{
    return (uint32_t)half_of_float(lo) | (uint32_t)half_of_float(hi) << 16;
}

/* Where a text's queries, keys and values of a head begin in x. */
struct place { const oct_half *q; int n; };

static __host__ __device__ inline place find(const oct_cuda_attention &a, int text, int head)
{
    const int begin = a.starts[text];
    const size_t at = (size_t)begin * (size_t)a.x.pitch + (size_t)(head * (a.d / a.heads));
    return place{ (const oct_half *)a.x.data + at, a.starts[text + 1] - begin };
}

/* 64 rows of keys or values from row `first` on: what is there, and zeros. */
template <int W>
static __device__ inline void fetch(oct_half *s_to, const oct_half *from, size_t ld, int first,
                                    int n, int width)
{
    enum { CHUNK = OCT_CUDA_CHUNK / sizeof(oct_half), CHUNKS = W / CHUNK, PITCH = W + 8 };
    for (int i = (int)threadIdx.x; i < KEYS * CHUNKS; i += THREADS) {
        const int row = i / CHUNKS, col = i % CHUNKS * CHUNK;
        oct_half *to = s_to + row * PITCH + col;
        if (first + row < n && col < width) copy_async(to, from + (size_t)(first + row) * ld + col);
        else for (int k = 0; k < CHUNK; k++) to[k].bits = 0;
    }
}

/* Two neighbours of row `row`, or zeros. */
static __device__ inline uint32_t pair(const oct_half *from, size_t ld, int row, int col, int n,
                                       int width)
{
    return row < n && col < width ? *(const uint32_t *)(from + (size_t)row * ld + col) : 0;
}

/* The largest of, or the sum of, the four lanes that share a row. */
static __device__ inline float row_max(float x)
{
    x = oct_max_f32(__shfl_xor_sync(0xffffffffu, x, 1, 32), x);
    return oct_max_f32(__shfl_xor_sync(0xffffffffu, x, 2, 32), x);
}

static __device__ inline float row_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1, 32);
    return x + __shfl_xor_sync(0xffffffffu, x, 2, 32);
}

template <int W> static __global__ __launch_bounds__(THREADS) void attend(oct_cuda_attention a,
                                                                          float scale)
{
    prior_done();
    enum { PITCH = W + 8, STEPS = W / 16, COLS = W / 8 };
    __shared__ __align__(16) oct_half s_k[KEYS * PITCH], s_v[KEYS * PITCH];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int g = lane / 4, t = lane % 4, width = a.d / a.heads;
    const int text = (int)blockIdx.z, head = (int)blockIdx.y;
    if (text >= *a.texts.count) return;
    const place p = find(a, text, head);
    if ((int)blockIdx.x * QUERIES >= p.n) return;
    const int query = (int)blockIdx.x * QUERIES + warp * 16 + g;
    const size_t ld = (size_t)a.x.pitch;

    uint32_t r_q[STEPS][4];
#pragma unroll
    for (int s = 0; s < STEPS; s++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            r_q[s][i] = pair(p.q, ld, query + i % 2 * 8, s * 16 + 2 * t + i / 2 * 8, p.n, width);

    float out[COLS][4], top[2] = { -INFINITY, -INFINITY }, sum[2] = { 0, 0 };
#pragma unroll
    for (int i = 0; i < COLS * 4; i++) (&out[0][0])[i] = 0;

    for (int first = 0; first < p.n; first += KEYS) {
        __syncthreads(); /* everybody is done with the keys and values before */
        fetch<W>(s_k, p.q + a.d, ld, first, p.n, width);
        fetch<W>(s_v, p.q + 2 * a.d, ld, first, p.n, width);
        copy_commit();
        copy_wait<0>();
        __syncthreads();

        float score[TILES][4];
        float best[2] = { top[0], top[1] };
#pragma unroll
        for (int j = 0; j < TILES; j++) {
            const uint32_t *k = (const uint32_t *)(s_k + (j * 8 + g) * PITCH) + t;
#pragma unroll
            for (int i = 0; i < 4; i++) score[j][i] = 0;
#pragma unroll
            for (int s = 0; s < STEPS; s++) {
                const uint32_t r_k[2] = { k[s * 8], k[s * 8 + 4] };
                mma(score[j], r_q[s], r_k);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int key = first + j * 8 + 2 * t + i % 2;
                score[j][i] = key < p.n ? score[j][i] * scale : -INFINITY;
                best[i / 2] = oct_max_f32(score[j][i], best[i / 2]);
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            best[r] = row_max(best[r]);
            const float shrink = oct_exp_f32(top[r] - best[r]); /* exp(-infinity) is 0 */
            top[r] = best[r];
            sum[r] *= shrink;
#pragma unroll
            for (int c = 0; c < COLS; c++) {
                out[c][2 * r] *= shrink;
                out[c][2 * r + 1] *= shrink;
            }
        }
#pragma unroll
        for (int j = 0; j < TILES; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                score[j][i] = oct_exp_f32(score[j][i] - top[i / 2]);
                sum[i / 2] += score[j][i];
            }
#pragma unroll
        for (int j = 0; j < TILES; j += 2) { /* keys 8 j .. 8 j + 15 */
            const uint32_t r_p[4] = { pack(score[j][0], score[j][1]),
                                      pack(score[j][2], score[j][3]),
                                      pack(score[j + 1][0], score[j + 1][1]),
                                      pack(score[j + 1][2], score[j + 1][3]) };
            const oct_half *v = s_v + (j * 8 + 2 * t) * PITCH + g;
#pragma unroll
            for (int c = 0; c < COLS; c++) {
                const oct_half *at = v + c * 8;
                const uint32_t r_v[2] = {
                    (uint32_t)at[0].bits | (uint32_t)at[PITCH].bits << 16,
                    (uint32_t)at[8 * PITCH].bits | (uint32_t)at[9 * PITCH].bits << 16 };
                mma(out[c], r_p, r_v);
            }
        }
    }

#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float all = row_sum(sum[r]);
        const int row = query + r * 8;
        oct_half *y = (oct_half *)a.y.data + (size_t)(a.starts[text] + row) * (size_t)a.y.pitch +
                      head * width + 2 * t;
#pragma unroll
        for (int c = 0; c < COLS; c++)
            if (row < p.n && c * 8 + 2 * t < width)
                *(uint32_t *)(y + c * 8) = pack(out[c][2 * r] / all, out[c][2 * r + 1] / all);
    }
}

}

extern "C" int oct_cuda_attend_f16(void *stream, const oct_cuda_attention *a)
{
    using namespace flash;
    const int width = a->d / a->heads;
    const float scale = (float)(1 / sqrt((double)width));
    const dim3 grid(blocks_for(a->length, 1, QUERIES), (unsigned)a->heads,
                    (unsigned)a->texts.most);
    OCT_LAUNCH((width <= 32 ? attend<32> : width <= 64 ? attend<64> : attend<128>), grid,
               dim3(THREADS), 0, stream, *a, scale);
    return OCT_LAUNCHED();
}
