/* columns() and entries() of sparse_s8_tmpl.h where one instruction, or two, adds the dot products
 * of 4 bytes: all blocks are fast ones.  The includer defines SUMS, how many sums fit the
 * registers, WAIT, how many have to be under way for the multipliers to be busy, and
 *     vec_load(p)       LANES int32, unaligned        vec_store(p, v)    aligned
 *     vec_dot(s, x, w)  s + the dot products of the lanes
 *     vec_sum(a, b)     a + b, which wraps
 * A few vectors would wait for their sums: then several blocks take turns in sets of their own. */
INLINE int chains_of(const int n)
{
    const int most = SUMS / n, want = (WAIT + n - 1) / n;
    return want < most ? want : most;
}

INLINE void block(const int n, vec *s, const char *strip, const oct_sparse_s8_block *b)
{
    const char *x = strip + b->offset;
    const vec w = vec_dup(oct_sparse_s8_four(b->w));
    UNROLL for (int i = 0; i < n; i++) s[i] = vec_dot(s[i], vec_load(x + 4 * LANES * i), w);
}

INLINE const oct_sparse_s8_entry *entries(const int high, vec (*s)[SHARE], const char *x,
                                          const oct_sparse_s8_entry *e, int32_t fast, int32_t slow)
{
    (void)slow;
    for (const oct_sparse_s8_entry *const end = e + fast; e != end; e++) {
        vec q[AT_ONCE];
        quads_at_once(high, x, e->offset, q);
        UNROLL for (int j = 0; j < SHARE; j++) {
            const vec w = vec_dup(oct_sparse_s8_four(e->w[j]));
            UNROLL for (int i = 0; i < AT_ONCE; i++) s[i][j] = vec_dot(s[i][j], q[i], w);
        }
    }
    return e;
}

/* The blocks of one column before `limit`, added to s[0 .. n - 1]; returns the next one. */
INLINE const oct_sparse_s8_block *column(const int n, vec *s, const char *strip, int32_t limit,
                                         const oct_sparse_s8_block *b,
                                         const oct_sparse_s8_block *end)
{
    const int chains = chains_of(n);
    UNROLL for (int i = n; i < n * chains; i++) s[i] = vec_dup(0);
    for (; end - b >= chains && b[chains - 1].offset < limit; b += chains)
        UNROLL for (int k = 0; k < chains; k++) block(n, s + k * n, strip, b + k);
    for (; b != end && b->offset < limit; b++) block(n, s, strip, b);
    UNROLL for (int i = 0; i < n; i++)
        UNROLL for (int k = 1; k < chains; k++) s[i] = vec_sum(s[i], s[k * n + i]);
    return b;
}

INLINE void columns(const int n, const oct_sparse_s8_args *t, int32_t (*sum)[NR][LANES])
{
    const int32_t *bias = t->panel, *count = bias + 4 * NR;
    const oct_sparse_s8_block *at[NR + 1], *next[NR];
    at[0] = (const void *)(count + 2 * NR);
    for (int j = 0; j < NR; j++) next[j] = at[j], at[j + 1] = at[j] + count[j];
    const int32_t chunk = t->chunk ? t->chunk : INT32_MAX;
    for (int32_t limit = chunk, first = 1; ; limit += chunk, first = 0) {
        for (int j = 0; j < NR; j++) {
            vec s[SUMS];
            UNROLL for (int i = 0; i < n; i++)
                s[i] = first ? vec_dup(bias[oct_pack_order(PACK, j)]) : vec_load(sum[i][j]);
            next[j] = column(n, s, t->x, limit, next[j], at[j + 1]);
            UNROLL for (int i = 0; i < n; i++) vec_store(sum[i][j], s[i]);
        }
        if (!t->chunk || limit >= t->size) break;
    }
}
