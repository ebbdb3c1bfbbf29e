/* The body of gemm_s8's vector variants, included once by each of them.  Contract in gemm_s8.h.
 *
 * The includer defines ROWS (of a group), LANES, SHAPES(X) as gemm_f32_tmpl.h's, includes
 * its gemm_s8_{zmm,ymm,q}.h for finish(), and has the vocabulary on its vector type `vec`:
 *     vec_load(p)       LANES int32, aligned          vec_store(p, v)
 *     vec_dup(p)        the 4 bytes at p in each lane, as vec_dot wants them
 *     vec_dot(s, a, b)  s + the dot products of the lanes
 * A panel is two vectors wide.
 *
 * Sums are one flat array indexed by constants in unrolled loops, or compilers keep them in memory;
 * see gemm_f32_tmpl.h. */
enum { KR = 4, GROUP = NR * 4, AHEAD = 4096 }; /* bytes of 4 k; to prefetch by in one panel */

typedef uint32_t words __attribute__((vector_size(4 * LANES))); /* they wrap */

/* A row alone would wait for its two sums, 4 to 5 cycles a step: CHAINS sets of them take turns. */
INLINE void one_row(const oct_gemm_s8_args *t)
{
    enum { CHAINS = 4 };
    _Alignas(64) int32_t acc[1][NR];
    vec s[2 * CHAINS];
    const int32_t *bias = t->panel;
    const unsigned char *b = (const unsigned char *)(bias + 4 * NR);
    UNROLL for (int i = 0; i < 2 * CHAINS; i++) s[i] = (vec)(words){ 0 };
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const uint8_t *a = t->a[0] + seg.offset + t->pos[0] * seg.width;
        int c = 0;
        for (; c + CHAINS * KR <= seg.len; c += CHAINS * KR, b += CHAINS * GROUP)
            UNROLL for (int h = 0; h < 2 * CHAINS; h++)
                s[h] = vec_dot(s[h], vec_dup(a + c + h / 2 * KR), vec_load(b + h * LANES * 4));
        for (; c < seg.len; c += KR, b += GROUP)
            UNROLL for (int h = 0; h < 2; h++)
                s[h] = vec_dot(s[h], vec_dup(a + c), vec_load(b + h * LANES * 4));
    }
    for (int h = 0; h < 2; h++) {
        words sum = (words)vec_load(bias + h * LANES);
        UNROLL for (int i = h; i < 2 * CHAINS; i += 2) sum += (words)s[i];
        vec_store(acc[0] + h * LANES, (vec)sum);
    }
    finish(t, (const int32_t (*)[NR])acc);
}

INLINE void body(const int rows, const int groups, const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    vec s[2 * 2 * ROWS]; /* [group][row][2] */
    const int32_t *bias = t->panel;
    const unsigned char *b = (const unsigned char *)(bias + 4 * NR);
    const unsigned char *ahead = t->ahead ? t->ahead : b + AHEAD;
    const int ahead_step = ahead_by(t, GROUP), second = ahead_step < GROUP ? 0 : GROUP - 64;
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const ptrdiff_t px = (ptrdiff_t)t->step * seg.width;
        const uint8_t *a0 = t->a[0] + seg.offset + t->pos[0] * seg.width, *a1 = a0;
        if (groups == 2) a1 = t->a[1] + seg.offset + t->pos[1] * seg.width;
        for (int c = 0; c < seg.len; c += KR, a0 += KR, a1 += KR, b += GROUP, ahead += ahead_step) {
            __builtin_prefetch(ahead);
            if (GROUP > 64) __builtin_prefetch(ahead + second);
            const vec b0 = vec_load(b), b1 = vec_load(b + LANES * 4);
            UNROLL for (int i = 0; i < rows * groups; i++) {
                const vec a = vec_dup(i < rows ? a0 + i * px : a1 + (i - rows) * px);
                s[2 * i] = vec_dot(s[2 * i], a, b0);
                s[2 * i + 1] = vec_dot(s[2 * i + 1], a, b1);
            }
        }
    }
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) vec_store(acc[i / 2] + i % 2 * LANES, s[i]);
    finish(t, (const int32_t (*)[NR])acc);
}

/* One instance for each number of rows and groups. */
#define DEFINE(rows, groups)                                       \
    static void tile_##rows##x##groups(const oct_gemm_s8_args *t)  \
    {                                                              \
        if (rows * groups == 1) one_row(t);                        \
        else body(rows, groups, t);                                \
    }
SHAPES(DEFINE)
#define ENTRY(rows, groups) tile_##rows##x##groups,
static oct_gemm_s8_tile *const instance[] = { SHAPES(ENTRY) };

static void tile(const oct_gemm_s8_args *t) { instance[(t->groups - 1) * ROWS + t->rows - 1](t); }
