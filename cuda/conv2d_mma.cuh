#ifndef OCT_CUDA_CONV2D_MMA_CUH
#define OCT_CUDA_CONV2D_MMA_CUH

/* conv2d and linear on tensor cores, half or bytes: kernels.h has the contract.
 *
 *   for each tile of BM pixels by BN channels of a group                    grid.x, channels first
 *   each part of k                                                          grid.y
 *     for each 64 bytes of k: STAGES - 1 in flight                          block, cp.async
 *       for each 32 bytes of them                                           warp, in registers
 *         MT x NT products of 16 x 8                                        tensor core
 *   a part of k that is not the last to end leaves its sums in c.partial; the last adds them all
 *
 *   block    128 threads, four warps, two by two: a warp has BM / 2 rows and BN / 2 columns
 *
 *                  BM x BN    STAGES   registers of sums   shared bytes for each product's k
 *                  128 x 128     3          128            4 KB of 64 x 64 x 16
 *                  128 x 64      4           64            3 KB of 64 x 32 x 16
 *                  64 x 64       6           32            2 KB of 32 x 32 x 16
 *
 *   shared   s_ab: STAGES of a [BM][64 bytes], b [BN][64 bytes]: 48 KB.  Chunk k of row r, of 16
 *            bytes, is where chunk k ^ (r / 2 % 4) would be: the eight rows of a matrix that
 *            ldmatrix reads lie in 32 different banks, as do the chunks that eight threads copy
 *            Then of each warp s_sum [16][BN / 2 + 8]: its sums, 16 rows at a time, so that a
 *            thread has four neighbours, and eight threads or more have a row
 *
 * A thread copies the same column of 16 bytes (of four) in every row it has, so it needs one tap at
 * a time; c.taps has them. */
#include "cuda/conv2d.cuh"
#include "cuda/mma.cuh"

namespace conv {

enum { THREADS = 128, STEP = OCT_CUDA_STEP, COLUMNS = STEP / OCT_CUDA_CHUNK,
       ROWS = THREADS / COLUMNS /* that all threads copy together */, SHARED = 48 << 10,
       WIDTH = 4 /* columns that a thread finishes */ };

static __host__ __device__ inline size_t partial_at(const oct_cuda_conv &c, int part, int m, int n)
{
    const size_t rows = (size_t)c.rows.most * (size_t)c.rows.per;
    return ((size_t)part * rows + (size_t)m) * (size_t)c.n_pad + (size_t)n;
}

/* A row that a thread copies: its pixel, where tap (0, 0) of a group is, and what is beyond. */
struct line { int y, x; const char *from, *fill; };

static __device__ inline line line_of(const oct_cuda_conv &c, int m, int rows, int group)
{
    const char *x = (const char *)c.x + (size_t)(group * c.chunks) * OCT_CUDA_CHUNK;
    const char *fill = (const char *)c.fill;
    const int nowhere = -2 * OCT_CUDA_FAR; /* with a tap that is far, too */
    if (m >= rows) return line{ nowhere, 0, x, fill };
    if (oct_cuda_conv_is_product(&c)) return line{ 0, 0, x + (int64_t)m * c.x_pitch, fill }; /* no divisions */
    const pixel q = pixel_of(c, m);
    const int64_t at = ((int64_t)q.sample * c.h + q.y) * c.width + q.x;
    return line{ q.y, q.x, x + at * c.x_pitch, fill + (int64_t)q.sample * c.fill_step };
}

/* Sums of all parts of k, in rising order, of LINES rows, `step` apart, four columns each. */
template <int LINES, class Sum>
static __device__ inline void add_parts(const oct_cuda_conv &c, int m, int step, int rows, int n,
                                        some<Sum, WIDTH> (&sum)[LINES])
{
#pragma unroll
    for (int i = 0; i < LINES; i++) sum[i] = some<Sum, WIDTH>();
#pragma unroll 4
    for (int part = 0; part < c.splits; part++)
#pragma unroll
        for (int i = 0; i < LINES; i++) {
            const int row = m + i * step < rows ? m + i * step : rows - 1;
            const Sum *from = (const Sum *)c.partial + partial_at(c, part, row, n);
            const some<Sum, WIDTH> more = load_some<WIDTH>(from);
#pragma unroll
            for (int k = 0; k < WIDTH; k++) sum[i].at[k] += more.at[k];
        }
}

template <class Sum, int BM, int BN> struct tile {
    enum { MT = BM / 2 / 16, NT = BN / 2 / 8, A_ROWS = BM / ROWS, B_ROWS = BN / ROWS,
           STAGE = (BM + BN) * STEP, STAGES = SHARED / STAGE,
           SUM_PITCH = BN / 2 + 8, ACROSS = BN / 2 / WIDTH /* threads of a row of s_sum */,
           DOWN = 32 / ACROSS, PASSES = 16 / DOWN };

    const oct_cuda_conv &c;
    const int thread = (int)threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int first_m = warp / 2 * (BM / 2), first_n = warp % 2 * (BN / 2); /* of the warp */
    unsigned char *s_ab;
    int m0, n0, n_end, rows;  /* channels n0 .. n_end - 1, as far as this tile goes; */
                              /* the last group has y's zeros, too */
    int step, end;            /* of k */

    /* ---- operands ---- */

    const char *g_w;
    const oct_cuda_tap *g_tap; /* of the first step */
    line r_line[A_ROWS];

    __device__ inline tile(const oct_cuda_conv &conv, unsigned char *shared)
        : c(conv), s_ab(shared), rows(*conv.rows.count * conv.rows.per)
    {
        const int tiles = c.tiles * OCT_CUDA_N / BN, across = (int)blockIdx.x % tiles;
        int group = 0, in_group = across, each = 0;
        if (c.groups > 1) {
            const int of_group = tiles / c.groups;
            each = c.n / c.groups;
            group = across / of_group;
            in_group = across - group * of_group;
        }
        m0 = (int)blockIdx.x / tiles * BM;
        n0 = group * each + in_group * BN;
        n_end = group + 1 < c.groups ? (group + 1) * each : c.y_pitch;
        step = c.splits == 1 ? 0 : c.steps * (int)blockIdx.y / c.splits;
        end = c.splits == 1 ? c.steps : c.steps * ((int)blockIdx.y + 1) / c.splits;
        g_w = (const char *)c.w + thread % COLUMNS * OCT_CUDA_CHUNK + (size_t)step * STEP +
              ((size_t)across * BN + (size_t)(thread / COLUMNS)) * (size_t)c.steps * STEP;
        g_tap = c.taps + step * COLUMNS + thread % COLUMNS;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++)
            r_line[i] = line_of(c, m0 + thread / COLUMNS + i * ROWS, rows, group);
    }

    /* Where this thread's chunk of row `row`, and of every ROWS-th after it, is. */
    __device__ inline unsigned char *chunk_of(unsigned char *s_rows) const
    {
        const int row = thread / COLUMNS, column = thread % COLUMNS ^ row / 2 % COLUMNS;
        return s_rows + row * STEP + column * OCT_CUDA_CHUNK;
    }

    __device__ inline void fetch_w(unsigned char *s_stage)
    {
        unsigned char *s_to = chunk_of(s_stage + BM * STEP);
#pragma unroll
        for (int i = 0; i < B_ROWS; i++)
            copy_async(s_to + i * ROWS * STEP, g_w + (size_t)(i * ROWS) * (size_t)c.steps * STEP);
        g_w += STEP;
    }

    __device__ inline void fetch_x(unsigned char *s_stage, const oct_cuda_tap &tap)
    {
        unsigned char *s_to = chunk_of(s_stage);
#pragma unroll
        for (int i = 0; i < A_ROWS; i++) {
            const line &r = r_line[i];
            const bool inside = (unsigned)(r.y + tap.y) < (unsigned)c.h &&
                                (unsigned)(r.x + tap.x) < (unsigned)c.width;
            copy_async(s_to + i * ROWS * STEP, inside ? r.from + tap.at : r.fill);
        }
    }

    /* ---- products ---- */

    Sum sum[MT][NT][4];

    /* Of the 32 bytes `half` of each row. */
    __device__ inline void multiply(const unsigned char *s_stage, int half)
    {
        const unsigned char *a = s_stage + (first_m + lane % 16) * STEP;
        const unsigned char *b = s_stage + (BM + first_n + lane % 8 + lane / 16 * 8) * STEP;
        const int swap = lane / 2 % 4;
        uint32_t r_a[MT][4], r_b[NT / 2][4]; /* b: of two times eight columns */
#pragma unroll
        for (int i = 0; i < MT; i++)
            load_matrix(r_a[i],
                        a + i * 16 * STEP + ((half * 2 + lane / 16) ^ swap) * OCT_CUDA_CHUNK);
#pragma unroll
        for (int j = 0; j < NT / 2; j++)
            load_matrix(r_b[j],
                        b + j * 16 * STEP + ((half * 2 + lane / 8 % 2) ^ swap) * OCT_CUDA_CHUNK);
#pragma unroll
        for (int i = 0; i < MT; i++)
#pragma unroll
            for (int j = 0; j < NT; j++) mma(sum[i][j], r_a[i], &r_b[j / 2][j % 2 * 2]);
    }

    __device__ inline void multiply_all(const epilogue<Sum, WIDTH> &out)
    {
        unsigned char *s_fetch = s_ab, *s_stage = s_ab, *const s_end = s_ab + STAGES * STAGE;
        oct_cuda_tap first[STAGES]; /* the last of them is of the next step to be fetched */
#pragma unroll
        for (int i = 0; i < MT * NT * 4; i++) (&sum[0][0][0])[i] = 0;
        /* Weights and taps are constant: before prior_done.  Of the step after the last there are
         * taps, too. */
#pragma unroll
        for (int s = 0; s < STAGES; s++)
            first[s] = g_tap[(step + s < end ? s : end - step) * COLUMNS];
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++)
            if (step + s < end) fetch_w(s_ab + s * STAGE);
        prior_done();
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++, s_fetch += STAGE) {
            if (step + s < end) fetch_x(s_fetch, first[s]);
            copy_commit();
        }
        oct_cuda_tap tap = first[STAGES - 1];
        g_tap += (STAGES - 1) * COLUMNS;
        if (c.splits == 1) fetch_residual(out, own_m());
        for (; step < end; step++) {
            copy_wait<STAGES - 2>(); /* this thread's part of the step is there */
            __syncthreads();         /* all parts are, and everybody is done with the step */
            multiply(s_stage, 0);    /* before, whose place what is fetched now takes */
            if (step + STAGES - 1 < end) {
                fetch_w(s_fetch);
                fetch_x(s_fetch, tap);
                g_tap += COLUMNS;
                tap = *g_tap;
            }
            copy_commit();
            multiply(s_stage, 1);
            s_fetch = s_fetch + STAGE == s_end ? s_ab : s_fetch + STAGE;
            s_stage = s_stage + STAGE == s_end ? s_ab : s_stage + STAGE;
        }
        __syncthreads(); /* everybody is done with the operands: sums take their place */
    }

    /* ---- what becomes of the sums ---- */

    /* Of the next sixteen rows of the warp the thread's first row and its columns in s_sum. */
    __device__ inline Sum *own_sum(void) const
    {
        return (Sum *)s_ab + (warp * 16 + lane / ACROSS) * SUM_PITCH + lane % ACROSS * WIDTH;
    }
    __device__ inline int own_m(void) const { return m0 + first_m + lane / ACROSS; }
    __device__ inline int own_n(void) const { return n0 + first_n + lane % ACROSS * WIDTH; }

    /* The next sixteen rows go to s_sum; those after them are the next then.  Registers have no
     * index: they move, so that there is one copy of what becomes of them. */
    __device__ inline void spread(void)
    {
        Sum *s_to = (Sum *)s_ab + (warp * 16 + lane / 4) * SUM_PITCH + lane % 4 * 2;
        __syncwarp();
#pragma unroll
        for (int j = 0; j < NT; j++) {
            *(some<Sum, 2> *)(s_to + j * 8) = some<Sum, 2>{ { sum[0][j][0], sum[0][j][1] } };
            *(some<Sum, 2> *)(s_to + 8 * SUM_PITCH + j * 8) =
                some<Sum, 2>{ { sum[0][j][2], sum[0][j][3] } };
        }
        __syncwarp();
#pragma unroll
        for (int i = 0; i < (MT - 1) * NT * 4; i++)
            (&sum[0][0][0])[i] = (&sum[1][0][0])[i];
    }

    /* Or, with all parts of k there, the sums of the rows from m on. */
    __device__ inline void gather(int m)
    {
        some<Sum, WIDTH> all[PASSES];
        add_parts<PASSES>(c, m, DOWN, rows, own_n(), all);
#pragma unroll
        for (int p = 0; p < PASSES; p++)
            *(some<Sum, WIDTH> *)(own_sum() + p * DOWN * SUM_PITCH) = all[p];
    }

    /* The residuals of sixteen rows from m on, as far as the plain case has some: while they are
     * under way, the rows before them are finished, or the product is. */
    typename epilogue<Sum, WIDTH>::residual before[PASSES];
    __device__ inline void fetch_residual(const epilogue<Sum, WIDTH> &out, int m)
    {
        const int n = own_n() < n_end ? own_n() : n0;
        if (!out.has_residual || !out.is_plain(c)) return;
#pragma unroll
        for (int p = 0; p < PASSES; p++)
            before[p] = out.before(c, m + p * DOWN < rows ? m + p * DOWN : rows - 1, n);
    }

    /* Not plain: one row at a time, there is much code for them. */
    template <bool ANY> __device__ inline void finish(epilogue<Sum, WIDTH> &out, bool parts)
    {
        const int n = own_n();
#pragma unroll 1
        for (int m = own_m(), end_m = m + BM / 2; m < end_m; m += 16) {
            typename epilogue<Sum, WIDTH>::residual now[PASSES];
#pragma unroll
            for (int p = 0; p < PASSES; p++) now[p] = before[p];
            if (!ANY && m + 16 < end_m) fetch_residual(out, m + 16);
            if (!parts) spread();
            else if (n < n_end) gather(m);
#pragma unroll(ANY ? 1 : PASSES)
            for (int p = 0; p < PASSES; p++) {
                const int row = m + p * DOWN;
                const bool there = n < n_end && row < rows;
                const some<Sum, WIDTH> of = load_some<WIDTH>(own_sum() + p * DOWN * SUM_PITCH);
                if constexpr (ANY) {
                    typename epilogue<Sum, WIDTH>::residual r = { };
                    if (there && out.has_residual) r = out.before(c, row, n);
                    out.template finish<true>(c, row, n, there, of, r);
                } else {
                    out.template finish<false>(c, row, n, there, of, now[p]);
                }
            }
        }
        out.close(c);
    }

    /* This block's part. */
    __device__ inline void leave(void)
    {
#pragma unroll 1
        for (int m = own_m(), end_m = m + BM / 2; m < end_m; m += 16) {
            spread();
#pragma unroll
            for (int p = 0; p < PASSES; p++)
                if (own_n() < n_end && m + p * DOWN < rows)
                    *(some<Sum, WIDTH> *)((Sum *)c.partial + partial_at(c, (int)blockIdx.y,
                                                                        m + p * DOWN, own_n())) =
                        load_some<WIDTH>(own_sum() + p * DOWN * SUM_PITCH);
        }
    }

    /* Have all the other parts been left?  The counter is 0 again afterwards. */
    __device__ inline bool is_last(void)
    {
        int *s_last = (int *)(s_ab + SHARED) - 1; /* where no s_sum is */
        __syncthreads(); /* what this block left is there, */
        if (thread == 0) {
            __threadfence(); /* for all blocks, */
            *s_last = atomicAdd(&c.arrived[blockIdx.x], 1) == c.splits - 1;
            if (*s_last) c.arrived[blockIdx.x] = 0;
            __threadfence(); /* and what the others left, for this one */
        }
        __syncthreads();
        return *s_last != 0;
    }
};

template <class Sum, int BM, int BN>
static __global__ __launch_bounds__(THREADS, BN == 128 ? 2 : 3) void product(
    const __grid_constant__ oct_cuda_conv c)
{
    __shared__ __align__(128) unsigned char s_ab[SHARED];
    tile<Sum, BM, BN> t(c, s_ab);
    if (t.m0 >= t.rows) {
        prior_done();
        return;
    }
    epilogue<Sum, WIDTH> out(c, t.own_n() < t.n_end ? t.own_n() : t.n0);
    t.multiply_all(out);
    const bool parts = BM == 64 && c.splits > 1;
    if (parts) {
        t.leave();
        if (!t.is_last()) return;
        t.fetch_residual(out, t.own_m());
    }
    if (out.is_plain(c)) t.template finish<false>(out, parts);
    else t.template finish<true>(out, parts);
}

template <class Sum> static inline int launch(void *stream, const oct_cuda_conv *c)
{
    const dim3 grid((unsigned)oct_cuda_conv_blocks(c, c->tile), (unsigned)c->splits);
    switch (c->tile) {
    case OCT_CUDA_TILE_128X128:
        OCT_LAUNCH((product<Sum, 128, 128>), grid, dim3(THREADS), 0, stream, *c);
        break;
    case OCT_CUDA_TILE_128X64:
        OCT_LAUNCH((product<Sum, 128, 64>), grid, dim3(THREADS), 0, stream, *c);
        break;
    default:
        OCT_LAUNCH((product<Sum, 64, 64>), grid, dim3(THREADS), 0, stream, *c);
    }
    return OCT_LAUNCHED();
}

}

#endif
