#ifndef OCT_CUDA_CONV2D_MMA_CUH
#define OCT_CUDA_CONV2D_MMA_CUH

/* conv2d and linear on tensor cores, half or bytes: kernels.h has the contract.
 *
 *   for each tile of BM pixels, each of 64 channels of a group, each part of k     grid.x, .y, .z
 *     for each 64 bytes of k: three in flight                           block, cp.async
 *       for each 32 bytes of them                                       warp, in registers
 *         MT x NT products of 16 x 8                                    tensor core
 *
 *   block    128 threads, four warps, two by two: a warp has BM / 2 rows and 32 columns
 * Cut k (kernels.h) goes through c.partial and join.
 *
 *   shared   s_ab: a [3][BM][80 bytes], b [3][64][80 bytes]: 46080 bytes for BM 128, 30720 for 64;
 *            then the sums [BM][68 words], 34816 and 17408 bytes.
 *            A row is 64 bytes and 16 to spare: rows are then 20 words apart, and the eight rows
 *            times four words of a fragment lie in 32 different banks (20 g mod 32 = 0, 20, 8, 28,
 *            16, 4, 24, 12, each with t = 0..3 after it)
 *   registers of sums   MT NT 4 = 64 for BM 128, 32 for 64
 *
 * A thread copies the same column of 16 bytes (of four) in every row it has, so it knows one tap at
 * a time: (ky, kx, chunk) moves on by four chunks a step. */
#include "cuda/conv2d.cuh"
#include "cuda/mma.cuh"

namespace conv {

enum { THREADS = 128, WARPS_N = 2, BN = OCT_CUDA_N, NT = BN / WARPS_N / 8, SUM_PITCH = BN + 4,
       STAGES = 3, STEP = OCT_CUDA_STEP, PITCH = STEP + 16, COLUMNS = STEP / OCT_CUDA_CHUNK,
       ROWS = THREADS / COLUMNS /* that all threads copy together */ };

static __host__ __device__ inline place place_of(const oct_cuda_conv &c, int chunk)
{
    const int tap = chunk / c.chunks, ky = tap / c.kernel[1];
    return place{ ky, tap - ky * c.kernel[1], chunk - tap * c.chunks };
}

static __host__ __device__ inline void advance(const oct_cuda_conv &c, place &p, int chunks)
{
    p.chunk += chunks;
    while (p.chunk >= c.chunks) {
        p.chunk -= c.chunks;
        if (++p.kx == c.kernel[1]) p.kx = 0, p.ky++;
    }
}

static __host__ __device__ inline size_t partial_at(const oct_cuda_conv &c, int part, int m, int n)
{
    const size_t rows = (size_t)c.rows.most * (size_t)c.rows.per;
    return ((size_t)part * rows + (size_t)m) * (size_t)c.n_pad + (size_t)n;
}

template <class Sum, int BM>
static __global__ __launch_bounds__(THREADS) void tile(oct_cuda_conv c)
{
    prior_done();
    enum { MT = BM / 2 / 16, A_ROWS = BM / ROWS, B_ROWS = BN / ROWS };
    __shared__ __align__(16) unsigned char s_ab[STAGES * (BM + BN) * PITCH];
    unsigned char *s_b = s_ab + STAGES * BM * PITCH;
    const int thread = (int)threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int rows = *c.rows.count * c.rows.per;
    const int m0 = (int)blockIdx.x * BM;
    if (m0 >= rows) return;
    /* channels n0 .. n_end - 1, as far as this tile goes; the last group has y's zeros, too */
    const int of_group = c.tiles / c.groups, group = (int)blockIdx.y / of_group;
    const int each = c.n / c.groups, first_chunk = group * c.chunks;
    const int n0 = group * each + ((int)blockIdx.y - group * of_group) * BN;
    const int n_end = group + 1 < c.groups ? (group + 1) * each : c.y_pitch;

    const int column = thread % COLUMNS, row = thread / COLUMNS;
    pixel r_pixel[A_ROWS];
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) r_pixel[i] = pixel_of(c, m0 + row + i * ROWS);
    const char *g_w = (const char *)c.w + (size_t)column * OCT_CUDA_CHUNK +
                      ((size_t)blockIdx.y * BN + (size_t)row) * (size_t)c.steps * STEP;
    const int s0 = (int)((long long)c.steps * blockIdx.z / c.splits);
    const int s1 = (int)((long long)c.steps * (blockIdx.z + 1) / c.splits);
    place at = place_of(c, s0 * COLUMNS + column);

    auto fetch = [&](int step) { /* step number `step`, in order: `at` is its place */
        const int stage = step % STAGES, to = row * PITCH + column * OCT_CUDA_CHUNK;
        unsigned char *s_to = s_ab + stage * BM * PITCH + to;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++)
            copy_async(s_to + i * ROWS * PITCH,
                       source(c, r_pixel[i], at, first_chunk, m0 + row + i * ROWS < rows));
        s_to = s_b + stage * BN * PITCH + to;
#pragma unroll
        for (int i = 0; i < B_ROWS; i++)
            copy_async(s_to + i * ROWS * PITCH,
                       g_w + (size_t)(i * ROWS) * (size_t)c.steps * STEP + (size_t)step * STEP);
        advance(c, at, COLUMNS);
    };

    Sum sum[MT][NT][4];
#pragma unroll
    for (int i = 0; i < MT * NT * 4; i++) (&sum[0][0][0])[i] = 0;

    for (int s = s0; s < s0 + STAGES - 1; s++) {
        if (s < s1) fetch(s);
        copy_commit();
    }
    const int first_m = warp / WARPS_N * (BM / 2), first_n = warp % WARPS_N * (NT * 8);
    for (int s = s0; s < s1; s++) {
        copy_wait<STAGES - 2>(); /* this thread's part of step s is there */
        __syncthreads();         /* all parts are, and everybody is done with step s - 1, */
        if (s + STAGES - 1 < s1) fetch(s + STAGES - 1); /* whose place this takes */
        copy_commit();
        const uint32_t *a = (const uint32_t *)(s_ab + s % STAGES * BM * PITCH) +
                            (first_m + lane / 4) * (PITCH / 4) + lane % 4;
        const uint32_t *b = (const uint32_t *)(s_b + s % STAGES * BN * PITCH) +
                            (first_n + lane / 4) * (PITCH / 4) + lane % 4;
#pragma unroll
        for (int half = 0; half < 2; half++, a += 8, b += 8) {
            uint32_t r_a[MT][4], r_b[NT][2];
#pragma unroll
            for (int i = 0; i < MT; i++) {
                const uint32_t *p = a + i * 16 * (PITCH / 4);
                r_a[i][0] = p[0];
                r_a[i][1] = p[8 * (PITCH / 4)];
                r_a[i][2] = p[4];
                r_a[i][3] = p[8 * (PITCH / 4) + 4];
            }
#pragma unroll
            for (int j = 0; j < NT; j++) {
                r_b[j][0] = b[j * 8 * (PITCH / 4)];
                r_b[j][1] = b[j * 8 * (PITCH / 4) + 4];
            }
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int j = 0; j < NT; j++) mma(sum[i][j], r_a[i], r_b[j]);
        }
    }

    /* Sums to shared memory, where the operands were, so that stores are whole lines. */
    Sum *s_sum = (Sum *)s_ab;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int k = 0; k < 4; k++) {
                const int m = first_m + i * 16 + lane / 4 + k / 2 * 8;
                const int n = first_n + j * 8 + lane % 4 * 2 + k % 2;
                s_sum[m * SUM_PITCH + n] = sum[i][j][k];
            }
    __syncthreads();
#pragma unroll 1
    for (int i = thread; i < BM * BN; i += THREADS) {
        const int m = i / BN, n = i % BN;
        if (m0 + m >= rows) break;
        if (n0 + n >= n_end) continue;
        if (c.splits > 1)
            ((Sum *)c.partial)[partial_at(c, (int)blockIdx.z, m0 + m, n0 + n)] =
                s_sum[m * SUM_PITCH + n];
        else
            finish(c, m0 + m, n0 + n, s_sum[m * SUM_PITCH + n]);
    }
}

/* The parts' sums, a thread for each element of y. */
template <class Sum> static __global__ void join(oct_cuda_conv c)
{
    prior_done();
    const long long i = (long long)blockIdx.x * THREADS + threadIdx.x, m = i / c.y_pitch;
    const int n = (int)(i - m * c.y_pitch);
    if (m >= (long long)*c.rows.count * c.rows.per) return;
    Sum sum = 0;
    for (int part = 0; part < c.splits; part++)
        sum += ((const Sum *)c.partial)[partial_at(c, part, (int)m, n)];
    finish(c, (int)m, n, sum);
}

template <class Sum> static inline int launch_join(void *stream, const oct_cuda_conv *c)
{
    const long long rows = (long long)c->rows.most * c->rows.per;
    OCT_LAUNCH(join<Sum>, dim3(blocks_for(rows, c->y_pitch, THREADS)), dim3(THREADS), 0, stream,
               *c);
    return OCT_LAUNCHED();
}

/* The large tile where there are blocks of it for every multiprocessor (an H200 has 132): then k is
 * not cut. */
template <class Sum> static inline int launch(void *stream, const oct_cuda_conv *c)
{
    enum { ENOUGH = 132 };
    const long long rows = (long long)c->rows.most * c->rows.per;
    const unsigned n = (unsigned)c->tiles, large = blocks_for(rows, 1, 128);
    if ((long long)large * n >= ENOUGH)
        OCT_LAUNCH((tile<Sum, 128>), dim3(large, n), dim3(THREADS), 0, stream, *c);
    else
        OCT_LAUNCH((tile<Sum, 64>), dim3(blocks_for(rows, 1, 64), n, (unsigned)c->splits),
                   dim3(THREADS), 0, stream, *c);
    return c->splits > 1 ? launch_join<Sum>(stream, c) : OCT_LAUNCHED();
}

}

#endif
