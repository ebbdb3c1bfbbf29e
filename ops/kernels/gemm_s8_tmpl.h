/* The body of gemm_s8's vector variants, included once by each of them.  Contract in gemm_s8.h.
 *
 * The includer defines ROWS (of a group), LANES, SHAPES(X) as gemm_f32_tmpl.h's, includes
 * its gemm_s8_{zmm,ymm,q}.h for finish(), and has the vocabulary on its vector type `vec`:
 *     vec_load(p)       LANES int32, aligned          vec_store(p, v)
 *     vec_dup(p)        the 4 bytes at p in each lane, as vec_dot wants them
 *     vec_dot(s, a, b)  s + the dot products of the lanes
 * A panel is two vectors wide.  Up to 2 * ROWS rows are in registers at a time; a record whose ROWS
 * are few may promise twice as many a group, so that reaching a tile and leaving it is paid once.
 *
 * Sums are one flat array indexed by constants in unrolled loops, or compilers keep them in memory;
 * see gemm_f32_tmpl.h. */
enum {
    KR = 4, GROUP = NR * 4,    /* bytes of 4 k */
    AHEAD = 4096,              /* bytes to prefetch by in one panel */
    LINE = 64,                 /* of the cache */
};

typedef uint32_t words __attribute__((vector_size(4 * LANES))); /* they wrap */

/* What is in registers at a time: rows of two places, their sums to acc. */
typedef struct part {
    const uint8_t *a[2];
    ptrdiff_t pos[2];
    int32_t (*acc[2])[NR];
    const void *ahead;         /* of the tile, or NULL */
    const uint8_t *next[2];    /* the same */
} part;

/* Rows of the segment after q, or of the tile to come: each is a line that nothing else brings into
 * L1 in time. */
INLINE void prefetch_rows(const int rows, const int groups, const oct_gemm_s8_args *t,
                          const part *to, int q)
{
    const oct_gemm_s8_seg seg = t->seg[q + 1 < t->n_segs ? q + 1 : 0];
    const ptrdiff_t px = (ptrdiff_t)t->step * seg.width;
    for (int g = 0; g < groups; g++) {
        const uint8_t *a = q + 1 < t->n_segs ? to->a[g] + seg.offset + to->pos[g] * seg.width
                                             : to->next[g];
        if (a) UNROLL for (int i = 0; i < rows; i++) __builtin_prefetch(a + i * px);
    }
}

/* A row alone would wait for its two sums, 4 to 5 cycles a step: CHAINS sets of them take turns. */
INLINE void one_row(const oct_gemm_s8_args *t, const part *to)
{
    enum { CHAINS = 4 };
    vec s[2 * CHAINS];
    const int32_t *bias = t->panel;
    const unsigned char *b = (const unsigned char *)(bias + 4 * NR);
    UNROLL for (int i = 0; i < 2 * CHAINS; i++) s[i] = (vec)(words){ 0 };
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const uint8_t *a = to->a[0] + seg.offset + to->pos[0] * seg.width;
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
        vec_store(to->acc[0][0] + h * LANES, (vec)sum);
    }
}

INLINE void step(const int rows, const int groups, ptrdiff_t px, vec *s, const uint8_t *a,
                 ptrdiff_t apart, const unsigned char *b, const unsigned char *ahead,
                 ptrdiff_t second)
{
    __builtin_prefetch(ahead);
    if (GROUP > 64) __builtin_prefetch(ahead + second);
    const vec b0 = vec_load(b), b1 = vec_load(b + LANES * 4);
    UNROLL for (int i = 0; i < rows * groups; i++) {
        const vec x = vec_dup(i < rows ? a + i * px : a + apart + (i - rows) * px);
        s[2 * i] = vec_dot(s[2 * i], x, b0);
        s[2 * i + 1] = vec_dot(s[2 * i + 1], x, b1);
    }
}

/* Dot products need every cycle of their ports, and each addition of a pointer may take one.  If
 * `pitch`, the bytes from a row to the next, is a constant, rows need no registers: so one pointer
 * serves both groups, and two steps share the additions, 2 % of the whole.  Danger: a loop for the
 * odd step, too, and gcc copies the sums from one set of registers to another and back. */
INLINE void body(const int rows, const int groups, const int pitch, const oct_gemm_s8_args *t,
                 const part *to)
{
    vec s[2 * 2 * ROWS]; /* [group][row][2] */
    const int32_t *bias = t->panel;
    const unsigned char *b = (const unsigned char *)(bias + 4 * NR);
    const unsigned char *ahead = to->ahead ? to->ahead : b + AHEAD;
    const ptrdiff_t ahead_step = to->ahead ? ahead_by(t, GROUP) : GROUP;
    const ptrdiff_t second = ahead_step < GROUP ? 0 : GROUP - 64;
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const ptrdiff_t px = pitch ? pitch : (ptrdiff_t)t->step * seg.width;
        const uint8_t *a = to->a[0] + seg.offset + to->pos[0] * seg.width;
        const ptrdiff_t apart = groups < 2 ? 0
                              : to->a[1] + seg.offset + to->pos[1] * seg.width - a;
        int c = seg.len;
        if (seg.len >= LINE) prefetch_rows(rows, groups, t, to, q);
        if (pitch) {
            for (; c > KR; c -= 2 * KR, a += 2 * KR, b += 2 * GROUP, ahead += 2 * ahead_step) {
                step(rows, groups, px, s, a, apart, b, ahead, second);
                step(rows, groups, px, s, a + KR, apart, b + GROUP, ahead + ahead_step, second);
            }
            if (c <= 0) continue;
            step(rows, groups, px, s, a, apart, b, ahead, second);
            b += GROUP;
            ahead += ahead_step;
            continue;
        }
        for (; c > 0; c -= KR, a += KR, b += GROUP, ahead += ahead_step)
            step(rows, groups, px, s, a, apart, b, ahead, second);
    }
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) {
        int32_t *row = i / 2 < rows ? to->acc[0][i / 2] : to->acc[1][i / 2 - rows];
        vec_store(row + i % 2 * LANES, s[i]);
    }
}

/* Of pixels of whole blocks of channels, stride 1 or 2; 0: other ones. */
static inline int pitch_of(const oct_gemm_s8_args *t)
{
    const int whole = t->seg[0].width == OCT_BLOCK && t->seg[t->n_segs - 1].width == OCT_BLOCK;
    return whole && t->step <= 2 ? t->step * OCT_BLOCK : 0;
}

/* One instance for each number of rows and groups. */
#define DEFINE(rows, groups)                                                       \
    static void sums_##rows##x##groups(const oct_gemm_s8_args *t, const part *to)  \
    {                                                                              \
        const int pitch = pitch_of(t);                                             \
        if (rows * groups == 1) one_row(t, to);                                    \
        else if (pitch == OCT_BLOCK) body(rows, groups, OCT_BLOCK, t, to);         \
        else if (pitch) body(rows, groups, 2 * OCT_BLOCK, t, to);                  \
        else body(rows, groups, 0, t, to);                                         \
    }
SHAPES(DEFINE)
#define ENTRY(rows, groups) sums_##rows##x##groups,
static void (*const instance[])(const oct_gemm_s8_args *, const part *) = { SHAPES(ENTRY) };

/* More rows than ROWS are two runs of their group; of an odd number one is computed twice. */
static void tile(const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[4 * ROWS][NR];
    if (t->rows <= ROWS) {
        const part both = { { t->a[0], t->a[1] }, { t->pos[0], t->pos[1] }, { acc, acc + t->rows },
                            t->ahead, { t->next[0], t->next[1] } };
        instance[(t->groups - 1) * ROWS + t->rows - 1](t, &both);
    }
    for (int g = 0; g < t->groups && t->rows > ROWS; g++) {
        const int run = (t->rows + 1) / 2, second = t->rows - run;
        int32_t (*const to)[NR] = acc + g * t->rows;
        const part halves = { { t->a[g], t->a[g] },
                              { t->pos[g], t->pos[g] + (ptrdiff_t)second * t->step },
                              { to, to + second }, g ? NULL : t->ahead, { t->next[g], NULL } };
        instance[ROWS + run - 1](t, &halves);
    }
    finish(t, (const int32_t (*)[NR])acc);
}
