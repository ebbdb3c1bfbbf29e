/* The body of the vector variants of gemm_f32, gemm_f16w and gemm_bf16, included once by each of
 * them.  Contracts in their headers.
 *
 * The includer defines ROWS (of a group), SHAPES(X) with X(rows, groups) for groups 1, then 2, rows
 * 1 .. ROWS each, and includes gemm_<isa>.h for LANES and the vocabulary on its vector type `vec`:
 *     vec_zero() vec_load(p) vec_dup(p) vec_fma(a, b, sum) vec_add(a, b) vec_clamp(v, act)
 *     vec_load_n(p, n) vec_store_n(p, n, v)    the first n lanes only; n <= 0: none, n > LANES: all
 * What a product is made of is its own:
 *     elem          what a panel holds after the bias: a weight, or a pair of them
 *     vec_b(p)      LANES of these, aligned as a panel of them is
 *     vec_a(p)      one of a, or a pair, in all lanes
 *     vec_mac(a, b, sum)
 * A panel is two vectors wide.
 *
 * What comes next is prefetched into the L2 (locality 2): it is larger than the L1, whose few line
 * buffers would limit what can be asked of memory at once.
 *
 * The danger is a compiler that keeps the sums in memory: they are one flat array indexed by
 * constants only, in loops that are fully unrolled (rows and groups are constants of each
 * instance).  clang 14 unrolls after "unroll" too late to keep them in registers: 3 times slower;
 * it must be told "full". */
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { NR = 2 * LANES, GEMV = 4, LINE = 64 / sizeof(elem) };

/* bias, residual, act, and the first n lanes of it to y. */
INLINE void finish(vec s, const float *bias, const float *residual, oct_act act, int n, float *y)
{
    vec v = vec_add(s, vec_load(bias));
    if (residual) v = vec_add(v, vec_load_n(residual, n));
    vec_store_n(y, n, vec_clamp(v, act));
}

/* finish for a whole tile, one step after the other: as tests in each of up to 28 sums they would
 * cost as much as a tenth of a product with K = 64.  i: 2 * row + half. */
INLINE void epilogue(const int rows, const int groups, const oct_gemm_f32_args *t, vec *s)
{
    const int n = 2 * rows * groups, cols = t->cols;
    const vec bias[2] = { vec_load(t->panel), vec_load(t->panel + LANES) };
    UNROLL for (int i = 0; i < n; i++) s[i] = vec_add(s[i], bias[i % 2]);
    if (t->residual[0])
        UNROLL for (int i = 0; i < n; i++) {
            const float *r = t->residual[i >= 2 * rows] + (size_t)(i / 2 % rows) * t->ldc;
            s[i] = vec_add(s[i], vec_load_n(r + i % 2 * LANES, cols - i % 2 * LANES));
        }
    if (t->act != OCT_ACT_NONE)
        UNROLL for (int i = 0; i < n; i++) s[i] = vec_clamp(s[i], t->act);
    if (cols == NR)
        UNROLL for (int i = 0; i < n; i++)
            vec_store_n(t->c[i >= 2 * rows] + (size_t)(i / 2 % rows) * t->ldc + i % 2 * LANES,
                        LANES, s[i]);
    else
        UNROLL for (int i = 0; i < n; i++)
            vec_store_n(t->c[i >= 2 * rows] + (size_t)(i / 2 % rows) * t->ldc + i % 2 * LANES,
                        cols - i % 2 * LANES, s[i]);
}

INLINE void body(const int rows, const int groups, const oct_gemm_f32_args *t)
{
    vec s[2 * 2 * ROWS]; /* [group][row][2] */
    const elem *b = (const elem *)(const void *)(t->panel + NR);
    const elem *ahead = (const elem *)(const void *)(t->ahead ? t->ahead : t->panel);
    const int ahead_step = t->ahead && t->ahead_parts > 1 ? NR / t->ahead_parts : NR;
    const int second = ahead_step < NR ? 0 : LINE; /* a step of k is at most two lines */
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) s[i] = vec_zero();
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_f32_seg seg = t->seg[q];
        const ptrdiff_t px = (ptrdiff_t)t->step * seg.width;
        const float *a0 = t->a[0] + seg.offset + t->pos[0] * seg.width, *a1 = a0;
        if (groups == 2) a1 = t->a[1] + seg.offset + t->pos[1] * seg.width;
        for (int c = 0; c < seg.len; c++, a0++, a1++, b += NR, ahead += ahead_step) {
            const vec b0 = vec_b(b), b1 = vec_b(b + LANES);
            __builtin_prefetch(ahead, 0, 2);
            if (NR > LINE) __builtin_prefetch(ahead + second, 0, 2);
            UNROLL for (int i = 0; i < rows * groups; i++) {
                const vec av = vec_a(i < rows ? a0 + i * px : a1 + (i - rows) * px);
                s[2 * i] = vec_mac(av, b0, s[2 * i]);
                s[2 * i + 1] = vec_mac(av, b1, s[2 * i + 1]);
            }
        }
    }
    epilogue(rows, groups, t, s);
}

/* One instance for each number of rows and groups. */
#define DEFINE(rows, groups) \
    static void tile_##rows##x##groups(const oct_gemm_f32_args *t) { body(rows, groups, t); }
SHAPES(DEFINE)
#define ENTRY(rows, groups) tile_##rows##x##groups,
static oct_gemm_f32_tile *const instance[] = { SHAPES(ENTRY) };

static void tile(const oct_gemm_f32_args *t) { instance[(t->groups - 1) * ROWS + t->rows - 1](t); }

/* Up to GEMV panels side by side: 8 sums hide the latency of an FMA.  Each panel is a stream of its
 * own, prefetched 2 KB ahead (the last 2 KB of prefetches go past the panel: harmless). */
INLINE void gemv_panels(const int panels, int k, const float *x, const float *panel,
                        size_t stride, const float *residual, oct_act act, int cols, float *y)
{
    vec s[2 * GEMV];
    UNROLL for (int i = 0; i < 2 * panels; i++) s[i] = vec_zero();
    const elem *b = (const elem *)(const void *)(panel + NR);
    const size_t step = stride * sizeof(float) / sizeof(elem);
    for (int c = 0; c < k; c++, b += NR) {
        const vec xv = vec_a(x + c);
        UNROLL for (int i = 0; i < 2 * panels; i++) {
            const elem *at = b + (size_t)(i / 2) * step + i % 2 * LANES;
            if (i % 2 * LANES % LINE == 0) __builtin_prefetch(at + 32 * LINE);
            s[i] = vec_mac(xv, vec_b(at), s[i]);
        }
    }
    UNROLL for (int i = 0; i < 2 * panels; i++)
        finish(s[i], panel + (size_t)(i / 2) * stride + i % 2 * LANES,
               residual ? residual + i * LANES : NULL, act,
               (panels - 1) * NR + cols - i * LANES, y + i * LANES);
}

static void gemv(int k, const float *x, int panels, const float *panel, size_t stride,
                 const float *residual, oct_act act, int cols, float *y)
{
    for (; panels > GEMV; panels -= GEMV, panel += GEMV * stride, y += GEMV * NR) {
        gemv_panels(GEMV, k, x, panel, stride, residual, act, NR, y);
        if (residual) residual += GEMV * NR;
    }
    switch (panels) {
    case 4: gemv_panels(4, k, x, panel, stride, residual, act, cols, y); break;
    case 3: gemv_panels(3, k, x, panel, stride, residual, act, cols, y); break;
    case 2: gemv_panels(2, k, x, panel, stride, residual, act, cols, y); break;
    default: gemv_panels(1, k, x, panel, stride, residual, act, cols, y);
    }
}
