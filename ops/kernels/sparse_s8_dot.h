/* columns() of sparse_s8_tmpl.h where one instruction, or two, adds the dot products of 4 bytes:
 * all blocks are fast ones.  The includer defines SUMS, how many sums fit the registers, WAIT, how
 * many have to be under way for the multipliers to be busy, and
 *     vec_load(p)       LANES int32, unaligned        vec_store(p, v)    aligned
 *     vec_dup(x)        x, int32, in each lane
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
    int32_t four;
    memcpy(&four, b->w, sizeof four);
    const vec w = vec_dup(four);
    UNROLL for (int i = 0; i < n; i++) s[i] = vec_dot(s[i], vec_load(x + 4 * LANES * i), w);
}

INLINE void columns(const int n, const oct_sparse_s8_args *t, int32_t (*sum)[NR][LANES])
{
    const int chains = chains_of(n);
    const int32_t *bias = t->panel, *count = bias + 4 * NR;
    const oct_sparse_s8_block *b = (const void *)(count + 2 * NR);
    for (int j = 0; j < NR; j++) {
        const oct_sparse_s8_block *const end = b + count[j];
        vec s[SUMS];
        UNROLL for (int i = 0; i < n * chains; i++)
            s[i] = vec_dup(i < n ? bias[oct_pack_order(PACK, j)] : 0);
        for (; end - b >= chains; b += chains)
            UNROLL for (int k = 0; k < chains; k++) block(n, s + k * n, t->x, b + k);
        for (; b != end; b++) block(n, s, t->x, b);
        UNROLL for (int i = 0; i < n; i++) {
            UNROLL for (int k = 1; k < chains; k++) s[i] = vec_sum(s[i], s[k * n + i]);
            vec_store(sum[i][j], s[i]);
        }
    }
}
