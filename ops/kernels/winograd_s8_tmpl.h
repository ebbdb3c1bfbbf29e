/* winograd_s8, once for all vector widths.  Contract in winograd_s8.h, the values in
 * winograd_s8_ref.c.
 *
 * The includer defines LANES (int32 of a vector) and ROWS of a product, includes its
 * gemm_s8_{zmm,ymm,q}.h for finish(), and has on its vector type `vec`:
 *     vec_load(p)            LANES int32, aligned
 *     widen(p)               2 * LANES bytes -> int16
 *     pairs_dot(s, a, b)     s[0], s[1] += the products of the two int16 at a with NR columns at b
 *     SHAPES(X)              X(1) .. X(ROWS)
 *
 * Arithmetic is on vectors of unsigned integers, which wrap; shifts right are of signed ones.
 * Danger: unrolled completely, gcc spills the 36 vectors of a tile one by one: so the half-
 * transformed tile is memory on purpose, and the loops over columns and rows stay loops. */
#include <string.h>

typedef uint16_t vh __attribute__((vector_size(4 * LANES)));
typedef uint32_t vw __attribute__((vector_size(4 * LANES)));
typedef int32_t vs __attribute__((vector_size(4 * LANES)));
enum { WIDE = 2 * LANES };     /* channels of a pass of the input */

/* ---- input ---- */

/* r = B^T d, one axis; r[0], r[step], ... */
INLINE void bt(const int m, const int points, const vh d[6], vh *r, int step)
{
    if (points == 4) {
        r[0] = d[0] - d[2];
        r[step] = d[1] + d[2];
        r[2 * step] = d[2] - d[1];
        r[(m + 1) * step] = m == 2 ? d[1] - d[3] : d[3] - d[1];
        return;
    }
    const vh f = d[3] - d[1], f2 = f + f;
    if (points == 5) {
        const vh g = d[3] - d[2], h = d[1] + d[1];
        r[0] = ((d[0] - d[2]) << 1) + f;
        r[step] = g - h;
        r[2 * step] = g + h - (d[2] + d[2]);
        r[3 * step] = f;
        r[5 * step] = d[4] - d[2] - f2;
        return;
    }
    const vh e = d[4] - d[2];
    r[0] = ((d[0] - d[2]) << 2) + e;
    r[step] = (d[3] + d[4]) - ((d[1] + d[2]) << 2);
    r[2 * step] = (d[4] - d[3]) + ((d[1] - d[2]) << 2);
    r[3 * step] = e + f2;
    r[4 * step] = e - f2;
    r[5 * step] = (d[5] - d[3]) - (f2 + f2);
}

/* at: where each pixel of the tile is, those outside among the zero points; NULL: none is outside.
 * V is too large for the L1, and stores to it wait in order: so a line of the tile to come is asked
 * for with each of this one. */
INLINE void input_m(const int m, const int down, const int across, const oct_winograd_s8_in *args,
                    const uint8_t *const at[36])
{
    const int p = m + 2;
    for (int l = 0; l < args->lanes; l += WIDE) {
        vh t[36], d[6], r[6];
        for (int j = 0; j < p; j++) {
            UNROLL for (int i = 0; i < p; i++)
                d[i] = (vh)widen((at ? at[i * 6 + j] : args->x + (size_t)i * args->row +
                                                       (size_t)j * args->pixel) + l);
            bt(m, down, d, t + j, 6);
        }
        for (int i = 0; i < p; i++) {
            if (!oct_winograd_s8_has(m, down, i)) continue;
            bt(m, across, t + i * 6, r, 1);
            int16_t *to = args->v + (size_t)(i * p) * args->step + l;
            UNROLL for (int j = 0; j < p; j++)
                if (oct_winograd_s8_has(m, across, j)) {
                    __builtin_prefetch(to + (size_t)j * args->step + OCT_BLOCK, 1);
                    memcpy(to + (size_t)j * args->step, r + j, sizeof *r);
                }
        }
    }
}

static void input(const oct_winograd_s8_in *args)
{
    uint8_t zeros[64];
    const uint8_t *at[36];
    const int p = args->m + 2, down = args->points[0], across = args->points[1];
    if (down == 6 && across == 6 && args->y0 == 0 && args->y1 == p && args->x0 == 0 &&
        args->x1 == p) {
        input_m(4, 6, 6, args, NULL);
        return;
    }
    memset(zeros, args->zero, sizeof zeros);
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++) {
            const int in = i >= args->y0 && i < args->y1 && j >= args->x0 && j < args->x1;
            at[i * 6 + j] = in ? args->x + (size_t)i * args->row + (size_t)j * args->pixel : zeros;
        }
    if (args->m == 2) input_m(2, 4, 4, args, at);
    else if (down == 6 && across == 6) input_m(4, 6, 6, args, at);
    else input_m(4, down, across, args, at);
}

/* ---- product ---- */

INLINE void product_rows(const int rows, int pairs, const int16_t *v, size_t block,
                         const int16_t *u, const int16_t *ahead, int ahead_step, int32_t *mm)
{
    vec s[2 * ROWS];
    UNROLL for (int i = 0; i < 2 * rows; i++) s[i] = (vec)(vw){ 0 };
    for (; pairs > 0; pairs -= OCT_BLOCK / 2, v += block) {
        const int16_t *a = v, *end = v + (pairs < OCT_BLOCK / 2 ? 2 * pairs : OCT_BLOCK);
        for (; a < end; a += 2, u += 2 * NR, ahead += ahead_step) {
            UNROLL for (int p = 0; p < 2 * NR; p += 32) __builtin_prefetch(ahead + p);
            const vec b0 = vec_load(u), b1 = vec_load(u + NR);
            UNROLL for (int i = 0; i < rows; i++) pairs_dot(s + 2 * i, a + i * OCT_BLOCK, b0, b1);
        }
    }
    UNROLL for (int i = 0; i < 2 * rows; i++) memcpy(mm + i * LANES, s + i, sizeof *s);
}

#define DEFINE(rows)                                                                              \
    static void product_##rows(int pairs, const int16_t *v, size_t block, const int16_t *u,       \
                               const int16_t *ahead, int ahead_step, int32_t *mm)                 \
    {                                                                                             \
        product_rows(rows, pairs, v, block, u, ahead, ahead_step, mm);                            \
    }
SHAPES(DEFINE)
#define ENTRY(rows) product_##rows,

/* Near-equal runs of up to ROWS tiles; each prefetches its part of the next U, so that U can come
 * from afar all the time. */
static void product(int n, int pairs, const int16_t *v, size_t block, const int16_t *u,
                    int32_t *mm)
{
    static void (*const instance[])(int, const int16_t *, size_t, const int16_t *, const int16_t *,
                                    int, int32_t *) = { SHAPES(ENTRY) };
    const int parts = (n + ROWS - 1) / ROWS, ahead_step = 2 * NR / parts;
    const int16_t *ahead = u + (size_t)pairs * 2 * NR;
    for (int i = 0, t = 0; i < parts; i++) {
        const int rows = n / parts + (i < n % parts);
        instance[rows - 1](pairs, v + t * OCT_BLOCK, block, u, ahead, ahead_step, mm + t * NR);
        ahead += pairs * ahead_step;
        t += rows;
    }
}

/* ---- output ---- */

/* y = A^T d, one axis; y[0], y[step], ... */
INLINE void at(const int m, const int points, const vw d[6], vw *y, int step)
{
    const vw s = d[1] + d[2], f = d[1] - d[2];
    if (m == 2) {
        y[0] = d[0] + s;
        y[step] = f - d[3];
        return;
    }
    if (points == 4) {
        y[0] = (d[0] << 2) - (s + s + s);
        y[step] = (d[5] << 3) - (f + f + f);
        return;
    }
    if (points == 5) {
        const vw b = d[1] + d[1], c = d[3] << 2;
        y[0] = d[0] + d[0] + b + s + c;
        y[step] = b + f + c + c;
        y[2 * step] = b + s + ((c + d[5] + d[5]) << 2);
        return;
    }
    const vw t = d[3] + d[4], g = d[3] - d[4];
    y[0] = d[0] + s + t;
    y[step] = f + (g + g);
    y[2 * step] = s + (t << 2);
    y[3 * step] = f + ((g + d[5]) << 3);
}

/* Half h of the columns: sums of pixel (i, j), bias included, to acc[i * 4 + j]. */
INLINE void sums(const int m, const int down, const int across, const oct_winograd_s8_out *args,
                 int h, int32_t (*acc)[NR])
{
    const int p = m + 2;
    const int32_t *mm = args->mm + h * LANES;
    vw t[24], d[6] = { { 0 } }, y[4], bias;
    memcpy(&bias, (const int32_t *)args->panel + h * LANES, sizeof bias);
    for (int j = 0; j < p; j++) {
        if (!oct_winograd_s8_has(m, across, j)) continue;
        UNROLL for (int i = 0; i < p; i++)
            if (oct_winograd_s8_has(m, down, i)) {
                memcpy(d + i, mm + (size_t)(i * p + j) * args->step, sizeof *d);
                __builtin_prefetch(mm + (size_t)(i * p + j) * args->step + NR);
            }
        at(m, down, d, t + j, 6);
    }
    for (int i = 0; i < down - 2; i++) {
        at(m, across, t + i * 6, y, 1);
        UNROLL for (int j = 0; j < m; j++) {
            if (j >= across - 2) break;
            const vw z = m == 4 ? (vw)((vs)(y[j] * 954437177u) >> 6) : (vw)((vs)y[j] >> 2);
            const vw sum = z + bias;
            memcpy(acc[i * 4 + j] + h * LANES, &sum, sizeof sum);
        }
    }
}

/* Two rows of pixels are the two groups of a tile of gemm_s8. */
static void output(const oct_winograd_s8_out *args)
{
    _Alignas(64) int32_t acc[16][NR], two[8][NR];
    const size_t size = args->out->kind == OCT_REQUANT_U8 ? 1 : 4;
    oct_gemm_s8_args t = { .rows = args->cols, .cols = args->lanes, .panel = args->panel,
                           .ldc = args->pixel, .out = args->out };
    const int down = args->points[0], across = args->points[1];
    for (int h = 0; h < 2; h++)
        if (args->m == 2) sums(2, 4, 4, args, h, acc);
        else if (down == 6 && across == 6) sums(4, 6, 6, args, h, acc);
        else sums(4, down, across, args, h, acc);
    for (int i = 0; i < args->rows; i += 2) {
        const int32_t (*rows)[NR] = (const int32_t (*)[NR])(acc + i * 4);
        t.groups = i + 1 < args->rows ? 2 : 1;
        for (int g = 0; g < t.groups; g++) {
            const size_t from = (size_t)(i + g) * args->row * size;
            t.c[g] = (unsigned char *)args->y + from;
            if (args->residual) t.residual[g] = (const unsigned char *)args->residual + from;
        }
        if (args->cols < 4 && t.groups == 2) { /* close the gap */
            memcpy(two, acc + i * 4, sizeof **acc * NR * (size_t)args->cols);
            memcpy(two + args->cols, acc + i * 4 + 4, sizeof **acc * NR * (size_t)args->cols);
            rows = (const int32_t (*)[NR])two;
        }
        finish(&t, rows);
    }
}
