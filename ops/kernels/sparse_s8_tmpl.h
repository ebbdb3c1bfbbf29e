/* The body of sparse_s8's vector variants, included once by each of them.  Contract in sparse_s8.h.
 *
 * The includer has gemm_s8's finish() (gemm_s8_{zmm,ymm,q}.h: LANES, NR = 2 LANES columns), the
 * vocabulary on its vector type `vec`, LANES int32, and on `part`, 4 of them:
 *     vec_rows(p, step)      16 bytes at p, p + step, ..., one after the other
 *     vec_put(p, v)          unaligned; part_put likewise
 *     vec_low32(a, b), vec_high32, vec_low64, vec_high64    unpack in each 128-bit lane; part_...
 *     columns(n, t, sum)     sums of n vectors of all NR columns, to sum[vector][column]
 * FLIP, the bits that input() xors in, and SHAPES(X): X(n) for n = 1 .. the most vectors. */

/* Lane l of r[j] holds 4 words of row 4 l + j; then lane l of r[k] words k of rows 4 l .. + 3. */
#define DEFINE_TRANSPOSE(type)                                                       \
    INLINE void type##_transpose(type *r)                                            \
    {                                                                                \
        const type a = type##_low32(r[0], r[1]), b = type##_high32(r[0], r[1]);      \
        const type c = type##_low32(r[2], r[3]), d = type##_high32(r[2], r[3]);      \
        r[0] = type##_low64(a, c);                                                   \
        r[1] = type##_high64(a, c);                                                  \
        r[2] = type##_low64(b, d);                                                   \
        r[3] = type##_high64(b, d);                                                  \
    }
DEFINE_TRANSPOSE(vec)
DEFINE_TRANSPOSE(part)

/* Pixels i .. i + LANES, and i .. i + 4, all quads: 4 of them at a time. */
#define DEFINE_PIXELS(type, rows)                                                    \
    INLINE void type##_pixels(const oct_sparse_in *t, int i)                         \
    {                                                                                \
        const uint8_t *x = t->x + (size_t)i * t->pixel;                              \
        unsigned char *to = t->to + 4 * (size_t)i;                                   \
        for (int q = 0; q < t->planes; q += 4, x += 16) {                            \
            type r[4];                                                               \
            UNROLL for (int j = 0; j < 4; j++)                                       \
                r[j] = rows(x + (size_t)j * t->pixel, 4 * t->pixel);                 \
            type##_transpose(r);                                                     \
            UNROLL for (int k = 0; k < 4; k++, to += t->step)                        \
                if (q + k < t->planes) type##_put(to, r[k]);                         \
        }                                                                            \
    }
DEFINE_PIXELS(vec, vec_input)
DEFINE_PIXELS(part, part_input)

static void input(const oct_sparse_in *t)
{
    int i = 0;
    for (; i + LANES <= t->n; i += LANES) vec_pixels(t, i);
    for (; i + 4 <= t->n; i += 4) part_pixels(t, i);
    if (i < t->n && t->n >= 4) { /* some of them once more */
        part_pixels(t, t->n - 4);
        return;
    }
    for (; i < t->n; i++)
        for (int q = 0; q < t->planes; q++) {
            uint32_t four;
            memcpy(&four, t->x + (size_t)i * t->pixel + 4 * (size_t)q, sizeof four);
            four ^= FLIP;
            memcpy(t->to + (size_t)q * t->step + 4 * (size_t)i, &four, sizeof four);
        }
}

/* Sums of NR columns of LANES pixels -> rows of finish(), in pack order: lane l of half h holds
 * columns 8 l + 4 h .. + 3. */
INLINE void turn(const int32_t (*sum)[LANES], int32_t (*acc)[NR])
{
    for (int h = 0; h < 2; h++)
        UNROLL for (int i = 0; i < LANES; i += 4) {
            vec r[4];
            UNROLL for (int j = 0; j < 4; j++)
                r[j] = vec_rows(&sum[4 * h + j][i], 8 * sizeof *sum);
            vec_transpose(r);
            UNROLL for (int k = 0; k < 4; k++) vec_put(acc[i + k] + h * LANES, r[k]);
        }
}

typedef int32_t vec_sums[NR][LANES];

#define DEFINE(n) \
    static void columns_##n(const oct_sparse_s8_args *t, vec_sums *sum) { columns(n, t, sum); }
SHAPES(DEFINE)
#define ENTRY(n) columns_##n,
static void (*const instance[])(const oct_sparse_s8_args *, vec_sums *) = { SHAPES(ENTRY) };
enum { VECS = sizeof instance / sizeof *instance };
_Static_assert((int)VECS <= (int)OCT_SPARSE_S8_VECS, "as sparse_s8.h has it");

static void *element(const oct_sparse_s8_args *t, const void *array, size_t at)
{
    const size_t size = t->out->kind == OCT_REQUANT_U8 ? 1 : 4;
    return array ? (char *)(uintptr_t)array + at * size : NULL;
}

static void tile(const oct_sparse_s8_args *t)
{
    _Alignas(64) vec_sums sum[VECS];
    _Alignas(64) int32_t acc[LANES][NR];
    oct_gemm_s8_args to = { .groups = 1, .cols = t->cols, .panel = t->panel, .ldc = t->ldc,
                            .out = t->out };
    instance[t->vecs - 1](t, sum);
    const oct_sparse_run *run = t->run, *const end = run + t->n_runs;
    for (int v = 0; v < t->vecs && run != end; v++) {
        const int from = v * LANES, until = from + LANES;
        if (run->first >= until) continue;
        turn((const int32_t (*)[LANES])sum[v], acc);
        for (; run != end && run->first < until; run++) {
            const int first = run->first < from ? from : run->first;
            const int last = run->first + run->count;
            const size_t at = run->at + (size_t)(first - run->first) * t->ldc;
            to.rows = (last < until ? last : until) - first;
            to.c[0] = element(t, t->c, at);
            to.residual[0] = element(t, t->residual, at);
            to.row_scale[0] = t->row_scale ? t->row_scale + first : NULL;
            to.row_zero[0] = t->row_scale ? t->row_zero + first : NULL;
            finish(&to, (const int32_t (*)[NR])(acc + (first - from)));
            if (last > until) break;
        }
    }
}
