/* attention in FP16 on tensor cores, scores never written: an online softmax.
 *
 *   for each text, head, QUERIES queries       grid.z, grid.y, grid.x
 *     for each 16 queries, each of GROUPS      warp: Q in registers
 *       for each KEYS keys                     block: K and V to shared memory, the next ones on
 *                                              their way meanwhile
 *         of them KEYS / GROUPS keys           warp
 *           S = Q K^T                          W / 16 products of 16 x 8 for each 8 keys
 *           m' = max(m, S), P = exp(S - m'), O = O exp(m - m'), l = l exp(m - m') + sum P
 *           O = O + P V                        P from the registers S was in
 *     of GROUPS: m = max m_i, O = sum O_i exp(m_i - m), l likewise          shared memory
 *     y = O / l
 *
 * Keys are shared out among GROUPS warps since there are few blocks where texts are few: each warp
 * then has half of the chain of steps, and there are two for each scheduler.
 *
 *     W     QUERIES x KEYS, GROUPS    warps     of one query a text      warps
 *     32    64 x 64, 2                8         16 x 64, 4               4
 *     64    64 x 64, 2                8         16 x 64, 4               4
 *     128   32 x 32, 2                4         16 x 32, 2               2
 *
 *   shared      s_q [QUERIES][W + 8 halves], s_kv [2 stages][K, V][KEYS][W + 8 halves]: 25600,
 *               46080 and 43520 bytes for W 32, 64, 128.  Rows are 20, 36 or 68 words apart, so the
 *               eight rows of load_matrix lie in 32 banks.  Then O, m and l of the groups but the
 *               first, [warp][register][lane], over s_kv
 *   registers   O: W / 2, S: KEYS / GROUPS / 2, Q: W / 4
 * W is the head's width rounded up to 32, 64 or 128: columns beyond it are zeros, as are keys
 * beyond the text, whose scores are -infinity.
 *
 * exp is 2^x, of scores times log2(e) / sqrt(width), and P has a factor 2^15: rounded to half it is
 * at most 2^15, relative 2^-11 down to 2^-29 of the largest, absolute 2^-40 of it below.
 * Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al.,
 * FlashAttention, 2022. */
#include "cuda/mma.cuh"

namespace flash {

template <int WIDTH, bool ONE> struct shape {
    enum { W = WIDTH, KEYS = W > 64 ? 32 : 64, GROUPS = ONE ? KEYS / 16 : 2,
           QUERY_WARPS = ONE ? 1 : W > 64 ? 2 : 4, QUERIES = 16 * QUERY_WARPS,
           THREADS = 32 * QUERY_WARPS * GROUPS, PITCH = W + 8,
           EACH = KEYS / GROUPS, TILES = EACH / 8, STEPS = W / 16, COLS = W / 8,
           LEFT = COLS * 4 + 4 /* words of a lane that a group leaves */ };
    static_assert((GROUPS - 1) * QUERY_WARPS * LEFT * 32 * 4 <= 4 * KEYS * PITCH * 2,
                  "what the groups leave fits where K and V were");
};

enum { SHIFT = 15 };
static const float NO_KEY = -0x1p100f; /* m before the first key: far below, and finite */

static __device__ inline uint32_t pack(float lo, float hi)
{
    return (uint32_t)half_of_float(lo) | (uint32_t)half_of_float(hi) << 16;
}

/* A block's text and head: where its queries and keys begin, rows apart by ld; values are a.d
 * columns behind the keys. */
struct place { const oct_half *q, *k; size_t ldq, ldk; int queries, keys; size_t y; };

template <bool ONE>
static __host__ __device__ inline place find(const oct_cuda_attention &a, int text, int head)
{
    const int begin = a.starts[text], column = head * (a.d / a.heads);
    place p;
    p.keys = a.starts[text + 1] - begin;
    p.queries = ONE ? 1 : p.keys;
    p.ldk = (size_t)a.x.pitch;
    p.k = (const oct_half *)a.x.data + (size_t)begin * p.ldk + column + (ONE ? 0 : a.d);
    p.ldq = (size_t)a.q.pitch;
    p.q = ONE ? (const oct_half *)a.q.data + (size_t)text * p.ldq + column : p.k - a.d;
    if (!ONE) p.ldq = p.ldk;
    p.y = (size_t)(ONE ? text : begin) * (size_t)a.y.pitch + (size_t)column;
    return p;
}

/* ROWS rows from row `first` on: what is there of n rows, and zeros. */
template <class S, int ROWS>
static __device__ inline void fetch(oct_half *s_to, const oct_half *from, size_t ld, int first,
                                    int n, int width)
{
    enum { CHUNK = OCT_CUDA_CHUNK / sizeof(oct_half), CHUNKS = S::W / CHUNK,
           TIMES = (ROWS * CHUNKS + S::THREADS - 1) / S::THREADS };
#pragma unroll
    for (int time = 0; time < TIMES; time++) {
        const int i = time * S::THREADS + (int)threadIdx.x;
        const int row = i / CHUNKS, col = i % CHUNKS * CHUNK;
        if (ROWS * CHUNKS % S::THREADS && row >= ROWS) break;
        oct_half *to = s_to + row * S::PITCH + col;
        if (first + row < n && col < width) copy_async(to, from + (size_t)(first + row) * ld + col);
        else *(some<oct_half, CHUNK> *)to = some<oct_half, CHUNK>();
    }
}

/* The largest of, or the sum of, the four lanes that share a row. */
static __device__ inline float row_max(float x)
{
    x = fmaxf(__shfl_xor_sync(0xffffffffu, x, 1, 32), x);
    return fmaxf(__shfl_xor_sync(0xffffffffu, x, 2, 32), x);
}

static __device__ inline float row_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1, 32);
    return x + __shfl_xor_sync(0xffffffffu, x, 2, 32);
}

/* What a warp knows of its 16 queries: of rows r = 0, 1 of a lane m and l, and O. */
template <class S> struct state {
    float top[2], sum[2], out[S::COLS][4];
    float factor; /* of scores */

    __device__ inline state(float f) : top{ NO_KEY, NO_KEY }, sum{ 0, 0 }, factor(f)
    {
#pragma unroll
        for (int i = 0; i < S::COLS * 4; i++) (&out[0][0])[i] = 0;
    }
    /* 2^(score factor + offset) is P */
    __device__ inline float offset(float best) const { return fmaf(-best, factor, SHIFT); }

    __device__ inline void scale(int r, float by)
    {
        sum[r] *= by;
#pragma unroll
        for (int c = 0; c < S::COLS; c++) {
            out[c][2 * r] *= by;
            out[c][2 * r + 1] *= by;
        }
    }
    __device__ inline void raise(int r, float best)
    {
        if (best > top[r]) scale(r, exp2_approx(offset(best) - offset(top[r])));
        top[r] = best;
    }
};

/* Scores of a warp's keys at s_k. */
template <class S>
static __device__ inline void multiply_keys(float score[S::TILES][4],
                                            const uint32_t r_q[S::STEPS][4], const oct_half *s_k)
{
    const int lane = (int)threadIdx.x % 32;
    s_k += lane % 8 * S::PITCH + lane / 8 * 8;
#pragma unroll
    for (int i = 0; i < S::TILES * 4; i++) (&score[0][0])[i] = 0;
#pragma unroll
    for (int s = 0; s < S::STEPS; s += 2)
#pragma unroll
        for (int j = 0; j < S::TILES; j++) {
            uint32_t r_k[4];
            load_matrix(r_k, s_k + j * 8 * S::PITCH + s * 16);
            mma(score[j], r_q[s], r_k);
            mma(score[j], r_q[s + 1], r_k + 2);
        }
}

/* Scores become P, and O and l have it. */
template <class S>
static __device__ inline void add_values(state<S> &w, float score[S::TILES][4], const oct_half *s_v)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float best = score[0][2 * r];
#pragma unroll
        for (int j = 0; j < S::TILES; j++)
            best = fmaxf(best, fmaxf(score[j][2 * r], score[j][2 * r + 1]));
        w.raise(r, fmaxf(row_max(best), w.top[r]));
        const float offset = w.offset(w.top[r]);
#pragma unroll
        for (int j = 0; j < S::TILES; j++)
#pragma unroll
            for (int i = 2 * r; i < 2 * r + 2; i++) {
                score[j][i] = exp2_approx(fmaf(score[j][i], w.factor, offset));
                w.sum[r] += score[j][i];
            }
    }
    s_v += lane % 16 * S::PITCH + lane / 16 * 8;
#pragma unroll
    for (int j = 0; j < S::TILES; j += 2) { /* keys 8 j .. 8 j + 15 */
        const uint32_t r_p[4] = { pack(score[j][0], score[j][1]), pack(score[j][2], score[j][3]),
                                  pack(score[j + 1][0], score[j + 1][1]),
                                  pack(score[j + 1][2], score[j + 1][3]) };
#pragma unroll
        for (int c = 0; c < S::COLS; c += 2) {
            uint32_t r_v[4];
            load_transposed(r_v, s_v + j * 8 * S::PITCH + c * 8);
            mma(w.out[c], r_p, r_v);
            mma(w.out[c + 1], r_p, r_v + 2);
        }
    }
}

/* The groups' states become the first one's; false: this is another. */
template <class S>
static __device__ inline bool join(state<S> &w, float *s_left, int warp)
{
    enum { ALL = S::LEFT * 32 };
    const int group = warp / S::QUERY_WARPS;
    s_left += warp % S::QUERY_WARPS * ALL + (int)threadIdx.x % 32;
    __syncthreads(); /* everybody is done with the last keys and values */
    if (group) {
        float *s_to = s_left + (group - 1) * S::QUERY_WARPS * ALL;
#pragma unroll
        for (int i = 0; i < S::COLS * 4; i++) s_to[i * 32] = (&w.out[0][0])[i];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            s_to[(S::COLS * 4 + r) * 32] = w.top[r];
            s_to[(S::COLS * 4 + 2 + r) * 32] = w.sum[r];
        }
    }
    __syncthreads();
    for (int g = 1; g < S::GROUPS && !group; g++, s_left += S::QUERY_WARPS * ALL)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float top = s_left[(S::COLS * 4 + r) * 32];
            w.raise(r, fmaxf(top, w.top[r]));
            const float by = exp2_approx(w.offset(w.top[r]) - w.offset(top));
            w.sum[r] = fmaf(s_left[(S::COLS * 4 + 2 + r) * 32], by, w.sum[r]);
#pragma unroll
            for (int i = 0; i < S::COLS * 4; i++)
                if (i / 2 % 2 == r)
                    (&w.out[0][0])[i] = fmaf(s_left[i * 32], by, (&w.out[0][0])[i]);
        }
    return !group;
}

template <int WIDTH, bool ONE>
static __global__ __launch_bounds__(shape<WIDTH, ONE>::THREADS) void attend(oct_cuda_attention a,
                                                                            float factor)
{
    typedef shape<WIDTH, ONE> S;
    enum { TILE = S::KEYS * S::PITCH, QUERY = 16 * S::PITCH };
    __shared__ __align__(16) oct_half s_q[S::QUERIES * S::PITCH], s_kv[4 * TILE];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int group = warp / S::QUERY_WARPS, queries = warp % S::QUERY_WARPS;
    const int text = (int)blockIdx.z, q0 = (int)blockIdx.x * S::QUERIES, width = a.d / a.heads;
    const bool there = text < *a.texts.count;
    place p = { };
    if (there) p = find<ONE>(a, text, (int)blockIdx.y); /* starts are the caller's */
    prior_done();
    if (!there || q0 >= p.queries) return;

    auto fetch_keys = [&](int first, int stage) {
        oct_half *s_to = s_kv + stage * 2 * TILE;
        fetch<S, S::KEYS>(s_to, p.k, p.ldk, first, p.keys, width);
        fetch<S, S::KEYS>(s_to + TILE, p.k + a.d, p.ldk, first, p.keys, width);
        copy_commit();
    };
    fetch<S, S::QUERIES>(s_q, p.q, p.ldq, q0, p.queries, width);
    fetch_keys(0, 0);

    state<S> w(factor);
    uint32_t r_q[S::STEPS][4];
    for (int first = 0, stage = 0; first < p.keys; first += S::KEYS, stage ^= 1) {
        copy_wait<0>();  /* this thread's part is there */
        __syncthreads(); /* all parts are, and everybody is done with the keys before, */
        if (first + S::KEYS < p.keys) fetch_keys(first + S::KEYS, stage ^ 1); /* whose place this
                                                                                 takes */
        if (!first)
#pragma unroll
            for (int s = 0; s < S::STEPS; s++)
                load_matrix(r_q[s], s_q + queries * QUERY + lane % 16 * S::PITCH + s * 16 +
                                    lane / 16 * 8);
        const oct_half *s_k = s_kv + stage * 2 * TILE + group * S::EACH * S::PITCH;
        float score[S::TILES][4];
        multiply_keys<S>(score, r_q, s_k);
        if (first + S::KEYS > p.keys)
#pragma unroll
            for (int i = 0; i < S::TILES * 4; i++)
                if (first + group * S::EACH + i / 4 * 8 + lane % 4 * 2 + i % 2 >= p.keys)
                    score[i / 4][i % 4] = -INFINITY;
        add_values<S>(w, score, s_k + TILE);
    }
    if (!join<S>(w, (float *)s_kv, warp)) return;

    int overflows = 0;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = q0 + queries * 16 + lane / 4 + r * 8, col = lane % 4 * 2;
        oct_half *y = (oct_half *)a.y.data + p.y + (size_t)row * (size_t)a.y.pitch + col;
        w.scale(r, 1 / row_sum(w.sum[r]));
#pragma unroll
        for (int c = 0; c < S::COLS; c++)
            if (row < p.queries && c * 8 + col < width) {
                *(uint32_t *)(y + c * 8) = pack(w.out[c][2 * r], w.out[c][2 * r + 1]);
                overflows += fabsf(w.out[c][2 * r]) >= 65520;
                overflows += fabsf(w.out[c][2 * r + 1]) >= 65520;
            }
    }
    if (overflows) atomicAdd(a.texts.overflow, overflows);
}

template <int WIDTH, bool ONE> static int launch(void *stream, const oct_cuda_attention *a)
{
    typedef shape<WIDTH, ONE> S;
    const float factor = (float)(1.4426950408889634 /* log2(e) */ /
                                 sqrt((double)(a->d / a->heads)));
    const dim3 grid(ONE ? 1u : blocks_for(a->length, 1, S::QUERIES), (unsigned)a->heads,
                    (unsigned)a->texts.most);
    OCT_LAUNCH((attend<WIDTH, ONE>), grid, dim3(S::THREADS), 0, stream, *a, factor);
    return OCT_LAUNCHED();
}

}

extern "C" int oct_cuda_attend_f16(void *stream, const oct_cuda_attention *a)
{
    using namespace flash;
    const int width = a->d / a->heads;
    if (width <= 32) return (a->one ? launch<32, true> : launch<32, false>)(stream, a);
    if (width <= 64) return (a->one ? launch<64, true> : launch<64, false>)(stream, a);
    return (a->one ? launch<128, true> : launch<128, false>)(stream, a);
}
