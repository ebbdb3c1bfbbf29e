/* The body of sparse_s8's vector variants, included once by each of them.  Contract in sparse_s8.h.
 *
 * The includer has gemm_s8's finish() (gemm_s8_{zmm,ymm,q}.h: LANES, NR = 2 LANES columns), the
 * vocabulary on its vector type `vec`, LANES int32, and on `part`, 4 of them:
 *     vec_rows(p, step)      16 bytes at p, p + step, ..., one after the other
 *     vec_put(p, v)          unaligned; part_put likewise
 *     vec_low32(a, b), vec_high32, vec_low64, vec_high64    unpack in each 128-bit lane; part_...
 *     columns(n, t, sum)     sums of n vectors of all NR columns, to sum[vector][column]
 *     entries(high, s, x, e, fast, slow)      4x1: adds a list to s[AT_ONCE][4]; its end
 * FLIP, the bits that input() xors in, SHAPES(X): X(n) for n = 1 .. the most vectors, and
 * sparse_s8_4x1.h. */

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

typedef int32_t vec_sums[NR][LANES];

/* Sums of NR columns and the LANES pixels of vector v -> rows of finish(), in pack order: lane l of
 * half h holds columns 8 l + 4 h .. + 3.  They lie in `sum` pixel by pixel or, `mixed`, as unpacks
 * of bytes leave those of four vectors: in lane l of the i-th of them pixels 16 l + 4 i .. + 3. */
INLINE void turn(const vec_sums *sum, const int mixed, int v, int32_t (*acc)[NR])
{
    for (int h = 0; h < 2; h++)
        UNROLL for (int i = 0; i < LANES; i += 4) {
            const int four = (LANES * v + i) / 4, from = mixed ? four % 4 : v;
            const int at = mixed ? four / 4 * 4 : i;
            vec r[4];
            UNROLL for (int j = 0; j < 4; j++)
                r[j] = vec_rows(&sum[from][4 * h + j][at], 8 * sizeof *sum[from]);
            vec_transpose(r);
            UNROLL for (int k = 0; k < 4; k++) vec_put(acc[i + k] + h * LANES, r[k]);
        }
}

static void *element(const oct_sparse_s8_args *t, const void *array, size_t at)
{
    const size_t size = t->out->kind == OCT_REQUANT_U8 ? 1 : 4;
    return array ? (char *)(uintptr_t)array + at * size : NULL;
}

/* finish()'s, but for what differs from run to run: made once, it takes as long as a few rows. */
INLINE oct_gemm_s8_args finish_args(const oct_sparse_s8_args *t)
{
    return (oct_gemm_s8_args){ .groups = 1, .cols = t->cols, .panel = t->panel, .ldc = t->ldc,
                               .out = t->out };
}

/* What of the runs from `run` on lies in pixels from .. from + LANES, acc, to c; the run that ends
 * behind them, or the next one. */
INLINE const oct_sparse_run *put(const oct_sparse_s8_args *t, oct_gemm_s8_args *to,
                                 const oct_sparse_run *run, int from, const int32_t (*acc)[NR])
{
    const oct_sparse_run *const end = t->run + t->n_runs;
    const int until = from + LANES;
    for (; run != end && run->first < until; run++) {
        const int first = run->first < from ? from : run->first;
        const int last = run->first + run->count;
        const size_t at = run->at + (size_t)(first - run->first) * t->ldc;
        to->rows = (last < until ? last : until) - first;
        to->c[0] = element(t, t->c, at);
        to->residual[0] = element(t, t->residual, at);
        to->row_scale[0] = t->row_scale ? t->row_scale + first : NULL;
        to->row_zero[0] = t->row_scale ? t->row_zero + first : NULL;
        finish(to, acc + (first - from));
        if (last > until) break;
    }
    return run;
}

#define DEFINE(n) \
    static void columns_##n(const oct_sparse_s8_args *t, vec_sums *sum) { columns(n, t, sum); }
SHAPES(DEFINE)
#define ENTRY(n) columns_##n,
static void (*const instance[])(const oct_sparse_s8_args *, vec_sums *) = { SHAPES(ENTRY) };
enum { VECS = sizeof instance / sizeof *instance };
_Static_assert((int)VECS <= (int)OCT_SPARSE_S8_VECS, "as sparse_s8.h has it");

static void tile(const oct_sparse_s8_args *t)
{
    _Alignas(64) vec_sums sum[VECS];
    _Alignas(64) int32_t acc[LANES][NR];
    oct_gemm_s8_args to = finish_args(t);
    instance[t->vecs - 1](t, sum);
    const oct_sparse_run *run = t->run, *const end = run + t->n_runs;
    for (int v = 0; v < t->vecs && run != end; v++) {
        if (run->first >= (v + 1) * LANES) continue;
        turn((const vec_sums *)sum, 0, v, acc);
        run = put(t, &to, run, v * LANES, (const int32_t (*)[NR])acc);
    }
}

/* ---- 4x1 ---- */

/* Lists of a panel for the vectors 2 high .. of a piece. */
INLINE void lists(const int high, const oct_sparse_s8_args *t, const char *x, vec_sums *sum)
{
    const int32_t *bias = t->panel, *fast = bias + 4 * NR, *slow = fast + NR;
    const oct_sparse_s8_entry *e = (const void *)(slow + NR);
    for (int l = 0; SHARE * l < NR; l++) {
        vec s[AT_ONCE][SHARE];
        UNROLL for (int j = 0; j < SHARE; j++) {
            const vec b = vec_dup(bias[oct_pack_order(PACK, SHARE * l + j)]);
            UNROLL for (int i = 0; i < AT_ONCE; i++) s[i][j] = b;
        }
        e = entries(high, s, x, e, fast[l], slow[l]);
        UNROLL for (int i = 0; i < AT_ONCE; i++)
            UNROLL for (int j = 0; j < SHARE; j++)
                vec_put(sum[2 * high + i][SHARE * l + j], s[i][j]);
    }
}

static void tile_4x1(const oct_sparse_s8_args *t)
{
    _Alignas(64) vec_sums sum[4];
    _Alignas(64) int32_t acc[LANES][NR];
    oct_gemm_s8_args to = finish_args(t);
    const oct_sparse_run *run = t->run, *const end = run + t->n_runs;
    for (int p = 0; p < t->vecs && run != end; p++) {
        lists(0, t, (const char *)t->x + p * PIECE, sum);
        if (AT_ONCE == 2) lists(1, t, (const char *)t->x + p * PIECE, sum);
        UNROLL for (int v = 0; v < 4; v++) {
            const int first = p * PIECE + v * LANES;
            if (run == end || run->first >= first + LANES) continue;
            turn((const vec_sums *)sum, 1, v, acc);
            run = put(t, &to, run, first, (const int32_t (*)[NR])acc);
        }
    }
}
