/* The body of gemm_s8_24's vector variants, included once by each of them.  Contract in
 * gemm_s8_24.h.
 *
 *                          w, places: 2 x NR columns
 *                     +-----------+-----------+
 *   a, row i          | s[2i]     | s[2i + 1] |      8 k: a shuffle and a dot product for each
 *   8 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *
 * The includer defines ROWS, at a time and of a group, LANES, PACK, SHAPES(X): X(n) for n = 1 ..
 * ROWS, includes its gemm_s8_{zmm,ymm,q}.h for finish(), and has on its vector type `vec`:
 *     vec_load(p)       aligned                       vec_store(p, v)
 *     vec_eight(p)      the 8 bytes at p, again and again, as vec_dot wants them
 *     vec_pick(x, at)   byte i is byte at[i] of x, at[i] below 8
 *     vec_dot(s, x, w)  s + the dot products of the lanes of 4 bytes */
enum { KR = 8, GROUP = NR * KR };

INLINE void body(const int rows, const oct_gemm_s8_args *t, const uint8_t *a, ptrdiff_t pos,
                 int32_t (*acc)[NR])
{
    vec s[2 * ROWS];
    const int32_t *bias = t->panel;
    const unsigned char *b = (const unsigned char *)(bias + 4 * NR);
    UNROLL for (int i = 0; i < 2 * rows; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const ptrdiff_t px = (ptrdiff_t)t->step * seg.width;
        const uint8_t *x = a + seg.offset + pos * seg.width;
        for (int c = 0; c < seg.len; c += KR, x += KR, b += GROUP) {
            const vec w0 = vec_load(b), w1 = vec_load(b + 4 * LANES);
            const vec at0 = vec_load(b + 4 * NR), at1 = vec_load(b + 4 * NR + 4 * LANES);
            UNROLL for (int i = 0; i < rows; i++) {
                const vec v = vec_eight(x + i * px);
                s[2 * i] = vec_dot(s[2 * i], vec_pick(v, at0), w0);
                s[2 * i + 1] = vec_dot(s[2 * i + 1], vec_pick(v, at1), w1);
            }
        }
    }
    UNROLL for (int i = 0; i < 2 * rows; i++) vec_store(acc[i / 2] + i % 2 * LANES, s[i]);
}

#define DEFINE(n)                                                                          \
    static void sums_##n(const oct_gemm_s8_args *t, const uint8_t *a, ptrdiff_t pos,       \
                         int32_t (*acc)[NR])                                               \
    {                                                                                      \
        body(n, t, a, pos, acc);                                                           \
    }
SHAPES(DEFINE)
#define ENTRY(n) sums_##n,
static void (*const instance[])(const oct_gemm_s8_args *, const uint8_t *, ptrdiff_t,
                                int32_t (*)[NR]) = { SHAPES(ENTRY) };
_Static_assert(sizeof instance / sizeof *instance == ROWS, "one for each number of rows");

static void tile(const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    for (int g = 0; g < t->groups; g++)
        instance[t->rows - 1](t, t->a[g], t->pos[g], acc + g * t->rows);
    finish(t, (const int32_t (*)[NR])acc);
}

static int place(int j, int p) { return oct_gemm_s8_24_place(PACK, j, p); }
