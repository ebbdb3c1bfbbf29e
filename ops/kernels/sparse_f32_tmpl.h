/* The body of sparse_f32's vector variants, included once by each of them after its vocabulary
 * (simd_<isa>.h).  Contract in sparse_f32.h.
 *
 * The includer defines SHAPES(X): X(n) for n = 1 .. the most vectors of a tile; WAIT, how many sums
 * have to be under way for the multipliers to be busy; QUADS, vectors of a tile of quads: 4 QUADS
 * sums, QUADS x and a w have to fit the registers.
 *
 * singles: a column at a time, every product has an x of its own.  Few vectors would wait for their
 * sums: then 2 or 4 columns take turns.  A chain cannot be cut, its order is the contract.
 * quads: 4 columns, QUADS vectors at a time. */
#include <string.h>

#include "ops/kernels/simd_math.h"
#include "ops/kernels/sparse_f32.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { NR = OCT_SPARSE_F32_NR, GROUPS = NR / 4 };

/* ---- input ---- */

/* 4 channels of VW pixels, of which the first n exist, to 4 planes, of which there are `planes`.
 * bad becomes a NaN where x is not finite. */
INLINE vf transpose(const oct_sparse_in *t, const float *const *row, size_t channel, int planes,
                    unsigned char *to, int n, vf bad)
{
    vf v[4] = { v_quads(row, channel), v_quads(row + 1, channel), v_quads(row + 2, channel),
                v_quads(row + 3, channel) };
    v_transpose4(v);
    UNROLL for (int k = 0; k < 4; k++) {
        if (k >= planes) break;
        float *p = (float *)(void *)(to + (size_t)k * t->step);
        if (n == VW) v_store(p, v[k]);
        else v_store_part(p, v[k], n);
        bad = v_fma(v[k], v_set1(0), bad);
    }
    return bad;
}

/* Pixels that do not exist are the last one again. */
static void input(const oct_sparse_in *t)
{
    vf bad = v_set1(0);
    for (int i = 0; i < t->n; i += VW) {
        const int n = t->n - i < VW ? t->n - i : VW;
        const float *row[VW];
        for (int l = 0; l < VW; l++)
            row[l] = (const float *)(const void *)(t->x + (size_t)(i + (l < n ? l : n - 1)) *
                                                   t->pixel);
        unsigned char *to = t->to + 4 * (size_t)i;
        if (n == VW)
            for (int p = 0; p < t->planes; p += 4, to += 4 * t->step)
                bad = transpose(t, row, (size_t)p, t->planes - p, to, VW, bad);
        else
            for (int p = 0; p < t->planes; p += 4, to += 4 * t->step)
                bad = transpose(t, row, (size_t)p, t->planes - p, to, n, bad);
    }
    float lane[VW];
    v_store(lane, bad);
    for (int l = 0; l < VW; l++)
        if (lane[l] != 0) *t->odd = 1;
}

/* ---- sums ---- */

#define COUNT(n) + 1
enum { VECS = 0 SHAPES(COUNT) };
typedef float sums[NR][VECS][VW];

INLINE void load(const int n, const int columns, float (*sum)[VECS][VW], int fresh, vf *s)
{
    UNROLL for (int j = 0; j < columns; j++)
        UNROLL for (int i = 0; i < n; i++)
            s[j * n + i] = fresh ? v_set1(0) : v_load(sum[j][i]);
}

INLINE void store(const int n, const int columns, const vf *s, float (*sum)[VECS][VW])
{
    UNROLL for (int j = 0; j < columns; j++)
        UNROLL for (int i = 0; i < n; i++) v_store(sum[j][i], s[j * n + i]);
}

/* The group's 4 columns: count[l] records of column l, one after the other from b on. */
INLINE void single(const int n, const char *x, const oct_sparse_f32_single *b, vf *s)
{
    const float *p = (const float *)(const void *)(x + b->offset);
    const vf w = v_set1(b->w);
    UNROLL for (int i = 0; i < n; i++) s[i] = v_fma(v_load(p + i * VW), w, s[i]);
}

INLINE void singles(const int n, const char *x, const oct_sparse_f32_single *b,
                    const int32_t *count, int fresh, float (*sum)[VECS][VW])
{
    const int columns = n >= WAIT ? 1 : 2 * n >= WAIT ? 2 : 4;
    for (int j = 0; j < 4; j += columns) {
        const oct_sparse_f32_single *at[4], *end[4];
        vf s[4 * VECS];
        int all = count[j];
        UNROLL for (int l = 0; l < columns; l++) {
            at[l] = b;
            end[l] = b += count[j + l];
            if (count[j + l] < all) all = count[j + l];
        }
        load(n, columns, sum + j, fresh, s);
        if (columns > 1)
            for (int i = 0; i < all; i++)
                UNROLL for (int l = 0; l < columns; l++) single(n, x, at[l]++, s + l * n);
        UNROLL for (int l = 0; l < columns; l++)
            for (; at[l] != end[l]; at[l]++) single(n, x, at[l], s + l * n);
        store(n, columns, s, sum + j);
    }
}

INLINE void quads(const int n, const char *x, const oct_sparse_f32_quad *b, int32_t count,
                  int fresh, float (*sum)[VECS][VW])
{
    vf s[4 * QUADS];
    load(n, 4, sum, fresh, s);
    for (const oct_sparse_f32_quad *end = b + count; b != end; b++) {
        const float *p = (const float *)(const void *)(x + b->offset);
        vf v[QUADS];
        UNROLL for (int i = 0; i < n; i++) v[i] = v_load(p + i * VW);
        UNROLL for (int l = 0; l < 4; l++) {
            const vf w = v_set1(b->w[l]);
            UNROLL for (int i = 0; i < n; i++) s[l * n + i] = v_fma(v[i], w, s[l * n + i]);
        }
    }
    store(n, 4, s, sum);
}

#define DEFINE_SINGLES(n)                                                               \
    static void singles_##n(const char *x, const oct_sparse_f32_single *b,              \
                            const int32_t *count, int fresh, float (*sum)[VECS][VW])    \
    {                                                                                   \
        singles(n, x, b, count, fresh, sum);                                            \
    }
SHAPES(DEFINE_SINGLES)
#define ENTRY_SINGLES(n) singles_##n,
static void (*const of_singles[])(const char *, const oct_sparse_f32_single *, const int32_t *, int,
                                  float (*)[VECS][VW]) = { SHAPES(ENTRY_SINGLES) };

/* Vectors v .. v + n of a tile. */
static void some_quads(int n, const char *x, const oct_sparse_f32_quad *b, int32_t count, int fresh,
                       float (*sum)[VECS][VW])
{
    switch (n) {
    case 1: quads(1, x, b, count, fresh, sum); break;
    case 2: quads(2, x, b, count, fresh, sum); break;
    case 3: quads(3, x, b, count, fresh, sum); break;
    case 4: quads(QUADS < 4 ? QUADS : 4, x, b, count, fresh, sum); break;
    case 5: quads(QUADS < 5 ? QUADS : 5, x, b, count, fresh, sum); break;
    default: quads(QUADS, x, b, count, fresh, sum);
    }
}

static void all_quads(int vecs, const char *x, const oct_sparse_f32_quad *b, int32_t count,
                      int fresh, float (*sum)[VECS][VW])
{
    const int parts = (vecs + QUADS - 1) / QUADS;
    for (int i = 0, v = 0; i < parts; i++) {
        const int n = (vecs - v) / (parts - i); /* nearly equal */
        some_quads(n, x + v * VW * 4, b, count, fresh, (float (*)[VECS][VW])&sum[0][v]);
        v += n;
    }
}

static void add_all(const oct_sparse_f32_args *t, float (*sum)[VECS][VW])
{
    const int32_t *quad = (const int32_t *)t->panel + NR;
    const int32_t *one = quad + t->chunks * GROUPS, *at = one + t->chunks * NR;
    const char *x = t->x;
    for (int c = 0; c < t->chunks; c++)
        for (int g = 0; g < GROUPS; g++, quad++, one += 4) {
            int fresh = c == 0;
            if (*quad) {
                all_quads(t->vecs, x, (const void *)at, *quad, fresh, sum + 4 * g);
                fresh = 0;
                at += 5 * *quad;
            }
            const int32_t n = one[0] + one[1] + one[2] + one[3];
            if (n || fresh) of_singles[t->vecs - 1](x, (const void *)at, one, fresh, sum + 4 * g);
            at += 2 * n;
        }
}

/* ---- output ---- */

/* Where pixels from .. from + VW go; -1: nowhere. */
static void places(const oct_sparse_f32_args *t, int from, ptrdiff_t *at)
{
    for (int i = 0; i < VW; i++) at[i] = -1;
    for (const oct_sparse_run *r = t->run; r != t->run + t->n_runs; r++) {
        const int begin = r->first > from ? r->first : from, last = r->first + r->count;
        const int end = last < from + VW ? last : from + VW;
        for (int i = begin; i < end; i++)
            at[i - from] = (ptrdiff_t)(r->at + (size_t)(i - r->first) * t->ldc);
    }
}

/* VW columns, of which `cols` exist, of one pixel. */
INLINE void put(const oct_sparse_f32_args *t, vf v, vf bias, ptrdiff_t at, int cols)
{
    v = v_add(v, bias);
    if (t->residual)
        v = v_add(v, cols == VW ? v_load(t->residual + at) : v_load_part(t->residual + at, cols));
    if (t->act == OCT_ACT_RELU) v = v_relu(v);
    if (t->act == OCT_ACT_RELU6) v = v_relu6(v);
    if (cols == VW) v_store(t->c + at, v);
    else v_store_part(t->c + at, v, cols);
}

static void tile(const oct_sparse_f32_args *t)
{
    _Alignas(64) sums sum;
    add_all(t, sum);
    for (int i = 0; i < t->vecs; i++) {
        ptrdiff_t at[VW];
        places(t, i * VW, at);
        for (int j = 0; j < t->cols; j += VW) {
            const int cols = t->cols - j < VW ? t->cols - j : VW;
            const vf bias = v_load((const float *)t->panel + j);
            const float *row[VW];
            for (int l = 0; l < VW; l++) row[l] = sum[j + l][i];
            for (size_t p = 0; p < VW; p += 4) {
                vf v[4] = { v_quads(row, p), v_quads(row + 1, p), v_quads(row + 2, p),
                            v_quads(row + 3, p) };
                v_transpose4(v);
                UNROLL for (size_t k = 0; k < 4; k++)
                    if (at[p + k] >= 0) put(t, v[k], bias, at[p + k] + j, cols);
            }
        }
    }
}
