/* sparse_s8's form 4x1: from planes of bytes to quads.  Contract in sparse_s8.h, tile in
 * sparse_s8_tmpl.h.
 *
 *                      w[0 .. 3]: 4 bytes each, broadcast
 *                     +-----------+
 *   4 loads of bytes, | s[i][j]   |     AT_ONCE vectors x 4 outputs
 *   8 unpacks: q[i]   | ...       |
 *                     +-----------+
 *   A load has the bytes of four vectors of pixels, a piece.  Where 16 sums do not fit the
 *   registers a list is gone over twice, first for the low halves, two vectors, then for the high
 *   ones.
 *   AVX-512's products take half as long again, as unpacks take turns with them on one of their two
 *   ports; elsewhere there is a third one.
 *
 * The includer has part of sparse_s8_tmpl.h's vocabulary and
 *     vec_load(p)                 unaligned
 *     vec_low8, vec_high8, vec_low16, vec_high16, part_low8, part_high8      unpack
 *     AT_ONCE                     vectors of sums for 4 outputs that fit the registers: 4 or 2 */
enum { SHARE = 4, PIECE = 4 * LANES, PIECES = 256 / PIECE };

/* 16 pixels of 16 channels: r[i], of pixel i, becomes that of channel i. */
INLINE void transpose_bytes(part *r)
{
    UNROLL for (int stage = 0; stage < 4; stage++) {
        part s[16];
        UNROLL for (int i = 0; i < 8; i++) {
            s[2 * i] = part_low8(r[i], r[i + 8]);
            s[2 * i + 1] = part_high8(r[i], r[i + 8]);
        }
        UNROLL for (int i = 0; i < 16; i++) r[i] = s[i];
    }
}

/* n < 16 bytes; some of them twice. */
INLINE void put_some(unsigned char *to, const unsigned char *from, int n)
{
    if (n >= 8) memcpy(to, from, 8), memcpy(to + n - 8, from + n - 8, 8);
    else if (n >= 4) memcpy(to, from, 4), memcpy(to + n - 4, from + n - 4, 4);
    else for (int i = 0; i < n; i++) to[i] = from[i];
}

/* Pixels i .. i + n, at most 16, all planes: 16 of them at a time. */
INLINE void pixels_4x1(const oct_sparse_in *t, int i, const int n)
{
    const uint8_t *x = t->x + (size_t)i * t->pixel;
    unsigned char *to = t->to + i;
    for (int c = 0; c < t->planes; c += 16, x += 16) {
        part r[16];
        UNROLL for (int j = 0; j < 16; j++)
            r[j] = part_input(x + (size_t)(j < n ? j : n - 1) * t->pixel, 0);
        transpose_bytes(r);
        UNROLL for (int k = 0; k < 16; k++, to += t->step)
            if (c + k < t->planes && n == 16) part_put(to, r[k]);
            else if (c + k < t->planes) {
                unsigned char bytes[16];
                part_put(bytes, r[k]);
                put_some(to, bytes, n);
            }
    }
}

static void some_pixels_4x1(const oct_sparse_in *t, int i, int n) { pixels_4x1(t, i, n); }

static void input_4x1(const oct_sparse_in *t)
{
    int i = 0;
    for (; i + 16 <= t->n; i += 16) pixels_4x1(t, i, 16);
    if (i < t->n && t->n >= 16) pixels_4x1(t, t->n - 16, 16); /* some of them once more */
    else if (i < t->n) some_pixels_4x1(t, i, t->n - i);
}

/* Four loads -> two vectors of quads: their low halves' pixels, or the high ones'. */
INLINE void quads(const int high, const char *x, const int32_t *offset, vec *q)
{
    const vec a = vec_load(x + offset[0]), b = vec_load(x + offset[1]);
    const vec c = vec_load(x + offset[2]), d = vec_load(x + offset[3]);
    const vec ab = high ? vec_high8(a, b) : vec_low8(a, b);
    const vec cd = high ? vec_high8(c, d) : vec_low8(c, d);
    q[0] = vec_low16(ab, cd);
    q[1] = vec_high16(ab, cd);
}

/* The vectors of quads that have sums. */
INLINE void quads_at_once(const int high, const char *x, const int32_t *offset, vec *q)
{
    quads(high, x, offset, q);
    if (AT_ONCE == 4) quads(1, x, offset, q + 2);
}
