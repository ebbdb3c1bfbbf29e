/* What inner loops for INT8 weights with zeros could do on AVX-512 VNNI, all data in L1: products a
 * nanosecond on one thread, least of many runs.  Why there are kernels for 1x4 only, docs/pruning.md.
 *
 *     make bench/bench_blocks_avx512 CC=clang && ./bench/bench_blocks_avx512
 *
 * gcc 12 spills some of the sums, the dense ones first, and makes the others look better than they
 * are.  Sums are not looked at: these are loops to be timed, not kernels. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum {
    K = 256,                        /* inputs */
    VECS = 14, PIXELS = 16 * VECS,  /* of a strip */
    ROWS = 14, COLUMNS = 32,        /* of a dense tile */
    PIECE = 64, PIECES = 3,         /* pixels of 4x1 at a time */
    RUNS = 400, TIMES = 50,
};

#define LINE _Alignas(64)
static LINE uint8_t quads[K / 4][PIXELS * 4 + 64], planes[K][PIXELS + 64], rows[16][K + 64];
static LINE int8_t panel[K / 4][128], values[K / 8][128], places[K / 8][128];
static LINE int32_t sums[4][PIXELS], tile[ROWS][COLUMNS];
static int quad_at[K], plane_at[4 * K]; /* bytes */
static int32_t weight[4 * K];

static __m512i dup(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

static void put_tile(const __m512i s0[ROWS], const __m512i s1[ROWS])
{
    UNROLL for (int i = 0; i < ROWS; i++) {
        _mm512_store_si512(tile[i], s0[i]);
        _mm512_store_si512(tile[i] + 16, s1[i]);
    }
}

/* ROWS pixels x COLUMNS outputs, as gemm_s8 has them. */
static __attribute__((noinline)) void dense(int blocks)
{
    __m512i s0[ROWS], s1[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) s0[i] = s1[i] = _mm512_setzero_si512();
    for (int k = 0; k < blocks; k++) {
        const __m512i b0 = _mm512_load_si512(panel[k]), b1 = _mm512_load_si512(panel[k] + 64);
        UNROLL for (int i = 0; i < ROWS; i++) {
            const __m512i x = dup(rows[i] + 4 * k);
            s0[i] = _mm512_dpbusd_epi32(s0[i], x, b0);
            s1[i] = _mm512_dpbusd_epi32(s1[i], x, b1);
        }
    }
    put_tile(s0, s1);
}

/* The same tile of 2:4: of 8 inputs each output has 4, its places pick them. */
static __attribute__((noinline)) void two_of_four(int blocks)
{
    __m512i s0[ROWS], s1[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) s0[i] = s1[i] = _mm512_setzero_si512();
    for (int k = 0; k < blocks; k++) {
        const __m512i b0 = _mm512_load_si512(values[k]), b1 = _mm512_load_si512(values[k] + 64);
        const __m512i at0 = _mm512_load_si512(places[k]), at1 = _mm512_load_si512(places[k] + 64);
        UNROLL for (int i = 0; i < ROWS; i++) {
            int64_t eight;
            memcpy(&eight, rows[i] + 8 * k, sizeof eight);
            const __m512i x = _mm512_set1_epi64(eight);
            s0[i] = _mm512_dpbusd_epi32(s0[i], _mm512_shuffle_epi8(x, at0), b0);
            s1[i] = _mm512_dpbusd_epi32(s1[i], _mm512_shuffle_epi8(x, at1), b1);
        }
    }
    put_tile(s0, s1);
}

/* One output, blocks of 4 inputs, PIXELS pixels, as sparse_s8 has them. */
static __attribute__((noinline)) void one_by_four(int blocks)
{
    __m512i s[VECS];
    UNROLL for (int i = 0; i < VECS; i++) s[i] = _mm512_setzero_si512();
    for (int b = 0; b < blocks; b++) {
        const uint8_t *x = (const uint8_t *)quads + quad_at[b];
        const __m512i w = _mm512_set1_epi32(weight[b]);
        UNROLL for (int i = 0; i < VECS; i++)
            s[i] = _mm512_dpbusd_epi32(s[i], _mm512_loadu_si512(x + 64 * i), w);
    }
    UNROLL for (int i = 0; i < VECS; i++) _mm512_store_si512(sums[0] + 16 * i, s[i]);
}

/* Four outputs that have the same inputs, PIECE pixels: any four of these, from planes of one
 * channel, become quads, four vectors of them, which serve all four outputs. */
static void piece(int blocks, int at)
{
    const uint8_t *from = (const uint8_t *)planes + PIECE * at;
    __m512i s[4][4];
    UNROLL for (int i = 0; i < 16; i++) s[i / 4][i % 4] = _mm512_setzero_si512();
    for (int b = 0; b < blocks; b++) {
        __m512i x[4];
        UNROLL for (int i = 0; i < 4; i++)
            x[i] = _mm512_loadu_si512(from + plane_at[4 * b + i]);
        const __m512i ab0 = _mm512_unpacklo_epi8(x[0], x[1]), ab1 = _mm512_unpackhi_epi8(x[0], x[1]);
        const __m512i cd0 = _mm512_unpacklo_epi8(x[2], x[3]), cd1 = _mm512_unpackhi_epi8(x[2], x[3]);
        const __m512i q[4] = { _mm512_unpacklo_epi16(ab0, cd0), _mm512_unpackhi_epi16(ab0, cd0),
                               _mm512_unpacklo_epi16(ab1, cd1), _mm512_unpackhi_epi16(ab1, cd1) };
        UNROLL for (int j = 0; j < 4; j++) {
            const __m512i w = _mm512_set1_epi32(weight[4 * b + j]);
            UNROLL for (int i = 0; i < 4; i++) s[i][j] = _mm512_dpbusd_epi32(s[i][j], q[i], w);
        }
    }
    UNROLL for (int i = 0; i < 16; i++)
        _mm512_store_si512(sums[i % 4] + PIECE * at + 16 * (i / 4), s[i / 4][i % 4]);
}

static __attribute__((noinline)) void four_by_one(int blocks)
{
    for (int at = 0; at < PIECES; at++) piece(blocks, at);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* The compiler has to believe that all of it is read and written elsewhere, too. */
static void escape(void)
{
    __asm__ volatile("" : : "r"(quads), "r"(planes), "r"(rows), "r"(panel), "r"(values),
                     "r"(places), "r"(sums), "r"(tile), "r"(quad_at), "r"(plane_at), "r"(weight)
                     : "memory");
}

static double least_ns(void (*body)(int blocks), int blocks)
{
    double best = 1e30;
    for (int r = 0; r < RUNS; r++) {
        const double start = now_ns();
        for (int i = 0; i < TIMES; i++) {
            body(blocks);
            escape();
        }
        const double ns = (now_ns() - start) / TIMES;
        best = ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512bw")) return 77;
    memset(quads, 3, sizeof quads);
    memset(planes, 5, sizeof planes);
    memset(rows, 7, sizeof rows);
    memset(panel, 1, sizeof panel);
    memset(values, 1, sizeof values);
    for (size_t i = 0; i < sizeof places; i++) ((int8_t *)places)[i] = (int8_t)(rand() % 8);
    for (int i = 0; i < K; i++) quad_at[i] = rand() % (K / 4) * (int)sizeof quads[0];
    for (int i = 0; i < 4 * K; i++)
        plane_at[i] = rand() % K * (int)sizeof planes[0], weight[i] = 0x01010101;
    const double all = (double)ROWS * COLUMNS * K / least_ns(dense, K / 4);
    const double pairs = (double)ROWS * COLUMNS * K / least_ns(two_of_four, K / 8);
    const double blocks = (double)PIXELS * K / least_ns(one_by_four, K / 4);
    const double shared = 4.0 * PIECE * PIECES * K / least_ns(four_by_one, K / 4);
    printf("products a ns: dense %.0f, 1x4 %.0f (%.2f), 4x1 %.0f (%.2f)\n", all, blocks, blocks / all,
           shared, shared / all);
    printf("2:4, of the products that dense would do: %.0f (%.2f)\n", pairs, pairs / all);
    return 0;
}
