/* gemm_f32, gemm_f16w, gemm_bf16: every variant against ref byte for byte, ref against double
 * precision. */
#include <math.h>
#include <string.h>

#include "ops/kernels/gemm_bf16.h"
#include "ops/kernels/gemm_f16w.h"
#include "tensor/cpu.h"
#include "tests/check_kernels.h"

enum { MAX_SEGS = 5 };

static const oct_gemm_f32 *const *all; /* variants of the family under test */

static const oct_gemm_f32 *ref(void)
{
    const oct_gemm_f32 *const *g = all;
    while (g[1]) g++;
    return *g;
}

/* Elements in the four bytes of a unit of a, offset, len and width: 2 in gemm_bf16. */
static int per(void) { return ref()->type == OCT_BF16 ? 2 : 1; }

/* What the packer makes of a weight. */
static float rounded(float w)
{
    switch (ref()->type) {
    case OCT_F16: return oct_f32_of_f16(oct_f16_of_f32(w));
    case OCT_BF16: return oct_f32_of_bf16(oct_gemm_bf16_of_f32(w));
    default: return w;
    }
}

/* Element q of a run of a. */
static float value(const float *a, int q)
{
    return per() == 1 ? a[q] : oct_f32_of_bf16(((const uint16_t *)(const void *)a)[q]);
}

/* n units of a. */
static const float *fill_a(size_t n, check_fill fill)
{
    if (per() == 1) return check_in_f32(n, fill);
    const float *from = check_in_f32(2 * n, fill);
    uint16_t *to = check_in(4 * n, 4);
    ref()->pairs(n, 2, from, to);
    return (const float *)(const void *)to;
}

/* One random tile: sizes, strides and operands. */
typedef struct sample {
    int n_segs, k, rows, groups, cols, step;
    oct_gemm_f32_seg seg[MAX_SEGS];
    ptrdiff_t pos[2];
    size_t ldc;
    oct_act act;
    const float *a, *residual;  /* residual: NULL or like c */
    float *b, *bias;            /* [cols][k], [cols] or NULL */
    size_t c_count, c1;         /* floats of c; where group 1 starts in it */
} sample;

static void fill_special(sample *s, check_fill fa, check_fill fb)
{
    /* the last float read of a is its last one: what follows is slack, NaN, and a guard page */
    size_t most = 0;
    for (int q = 0; q < s->n_segs; q++)
        for (int g = 0; g < s->groups; g++) {
            const ptrdiff_t last = s->pos[g] + (s->rows - 1) * s->step;
            const size_t end = (size_t)(s->seg[q].offset + last * s->seg[q].width + s->seg[q].len);
            if (end > most) most = end;
        }
    s->a = fill_a(most, fa);
    s->b = check_in_f32((size_t)s->cols * (size_t)s->k, fb);
    s->bias = check_rand() % 4 ? check_in_f32((size_t)s->cols, fb) : NULL;
    s->residual = check_rand() % 2 ? check_in_f32(s->c_count, fa) : NULL;
}

static sample make(int rows, int groups, int cols, int max_len, check_fill fa, check_fill fb)
{
    sample s = { .rows = rows, .groups = groups, .cols = cols };
    s.n_segs = check_up_to(MAX_SEGS);
    s.step = check_up_to(3);
    ptrdiff_t offset = 0;
    for (int q = 0; q < s.n_segs; q++) {
        const int len = check_up_to(max_len);
        offset += (ptrdiff_t)(check_rand() % 9);
        s.seg[q] = (oct_gemm_f32_seg){ offset, len, len + (int)(check_rand() % 3) };
        s.k += len * per();
    }
    s.pos[0] = (ptrdiff_t)(check_rand() % 5);
    s.pos[1] = (ptrdiff_t)(check_rand() % 50);
    s.act = (oct_act)(check_rand() % 3);
    s.ldc = check_odd_stride((size_t)cols);
    const size_t group = (size_t)(rows - 1) * s.ldc + (size_t)cols;
    s.c1 = groups == 2 ? group + check_rand() % 4 : 0;
    s.c_count = s.c1 + group;
    fill_special(&s, fa, fb);
    return s;
}

/* c of one variant, canaries between the rows included. */
static float *compute(const oct_gemm_f32 *g, const sample *s)
{
    oct_tensor b = { .dtype = OCT_F32, .rank = 2, .dim = { s->cols, s->k }, .data = s->b };
    float *panel = check_out(oct_gemm_f32_packed_size(g, s->cols, s->k) * sizeof *panel, 64);
    float *row = check_out((size_t)s->k * sizeof *row, 4);
    float *c = check_out(s->c_count * sizeof *c, 4);
    oct_gemm_f32_pack(g, &b, 0, s->cols, s->k, NULL, s->bias, row, panel);
    const int panels = (s->cols + g->nr - 1) / g->nr;
    for (int p = 0; p < panels; p++) {
        const int left = s->cols - p * g->nr;
        for (int from = 0; from < s->rows; from += g->rows) {
            const int rows = s->rows - from < g->rows ? s->rows - from : g->rows;
            const size_t at = (size_t)from * s->ldc + (size_t)(p * g->nr);
            oct_gemm_f32_args t = {
                .n_segs = s->n_segs, .seg = s->seg, .a = { s->a, s->a },
                .pos = { s->pos[0] + from * s->step, s->pos[1] + from * s->step },
                .step = s->step, .rows = rows, .groups = s->groups,
                .cols = left < g->nr ? left : g->nr,
                .panel = panel + (size_t)p * oct_gemm_f32_panel_size(g, s->k),
                .c = { c + at, c + s->c1 + at }, .ldc = s->ldc, .act = s->act };
            if (s->residual) {
                t.residual[0] = s->residual + at;
                t.residual[1] = t.residual[0] + s->c1;
            }
            g->tile(&t);
        }
    }
    CHECK(check_intact(c), "%s/%s wrote outside c", g->family, g->isa);
    return c;
}

/* Of the rounded operands: |got - want| <= (K + 3) u S / (1 - (K + 3) u), S = sum |a b| + |bias| +
 * |residual|, u = 2^-24: K roundings of the chain and two additions, Higham 3.1; products that
 * underflow lose less than 2^-149 each.  relu and relu6 do not enlarge an error. */
static int within_bound(const sample *s, const float *c)
{
    for (int g = 0; g < s->groups; g++)
        for (int i = 0; i < s->rows; i++)
            for (int j = 0; j < s->cols; j++) {
                const size_t at = (size_t)g * s->c1 + (size_t)i * s->ldc + (size_t)j;
                const float *b = s->b + (size_t)j * (size_t)s->k;
                double sum = 0, size = 0;
                for (int q = 0; q < s->n_segs; q++) {
                    const oct_gemm_f32_seg *z = &s->seg[q];
                    const float *a = s->a + z->offset + (s->pos[g] + i * s->step) * z->width;
                    for (int p = 0; p < z->len * per(); p++, b++) {
                        const double product = (double)value(a, p) * (double)rounded(*b);
                        sum += product, size += fabs(product);
                    }
                }
                if (s->bias) sum += (double)s->bias[j], size += fabs((double)s->bias[j]);
                const double r = s->residual ? (double)s->residual[at] : 0;
                sum += r, size += fabs(r);
                if (s->act != OCT_ACT_NONE && sum < 0) sum = 0;
                if (s->act == OCT_ACT_RELU6 && sum > 6) sum = 6;
                const double nu = (s->k + 3) * 0x1p-24;
                const double bound = nu / (1 - nu) * size + s->k * 0x1p-149;
                if (!(fabs((double)c[at] - sum) <= bound)) return 0;
            }
    return 1;
}

/* As check_differ_f32; an instruction that makes denormal sums zero may lose that much each
 * time. */
static size_t differ(const oct_gemm_f32 *g, int k, const float *want, const float *got, size_t n)
{
    const double lost = g->needs & OCT_CPU_AVX512BF16 ? k * 0x1p-126 : 0;
    size_t i = check_differ_f32(want, got, n);
    while (i < n && fabs((double)want[i] - (double)got[i]) <= lost)
        i += 1 + check_differ_f32(want + i + 1, got + i + 1, n - i - 1);
    return i;
}

static int check_tile(const oct_gemm_f32 *g, int rows, int groups, int cols, int max_len,
                      check_fill fa, check_fill fb)
{
    const sample s = make(rows, groups, cols, max_len, fa, fb);
    const float *want = compute(ref(), &s);
    if (g == ref()) {
        if (fa <= CHECK_RANDOM || fa == CHECK_CANCEL || fa == CHECK_DENORMAL)
            if (fb == CHECK_RANDOM || fb == CHECK_CANCEL)
                CHECK(within_bound(&s, want), "%s/ref k=%d fill=%s,%s", g->family, s.k,
                      check_fill_name(fa), check_fill_name(fb));
    } else {
        const float *got = compute(g, &s);
        const size_t d = differ(g, s.k, want, got, s.c_count);
        CHECK(d == s.c_count, "%s/%s rows=%d groups=%d cols=%d k=%d act=%d fill=%s,%s: "
              "element %zu is %a, ref has %a", g->family, g->isa, rows, groups, cols, s.k,
              (int)s.act,
              check_fill_name(fa), check_fill_name(fb), d, (double)got[d], (double)want[d]);
    }
    check_reset();
    return 1;
}

/* gemv of one variant; panels packed one after the other. */
static float *one_row(const oct_gemm_f32 *g, const float *x, const float *b, const float *bias,
                      const float *residual, oct_act act, int n, int k)
{
    const oct_tensor t = { .dtype = OCT_F32, .rank = 2, .dim = { n, k },
                           .data = (void *)(size_t)b };
    float *packed = check_out(oct_gemm_f32_packed_size(g, n, k) * sizeof *packed, 64);
    float *row = check_out((size_t)k * sizeof *row, 4), *y = check_out((size_t)n * sizeof *y, 4);
    const int panels = (n + g->nr - 1) / g->nr;
    oct_gemm_f32_pack(g, &t, 0, n, k, NULL, bias, row, packed);
    g->gemv(k / per(), x, panels, packed, oct_gemm_f32_panel_size(g, k), residual, act,
            n - (panels - 1) * g->nr, y);
    CHECK(check_intact(y), "%s/%s gemv wrote outside y", g->family, g->isa);
    return y;
}

static int check_gemv(const oct_gemm_f32 *g, int n, int k, check_fill fa, check_fill fb)
{
    k *= per();
    const float *x = fill_a((size_t)(k / per()), fa);
    const float *b = check_in_f32((size_t)n * (size_t)k, fb);
    const float *bias = check_rand() % 4 ? check_in_f32((size_t)n, fb) : NULL;
    const float *residual = check_rand() % 2 ? check_in_f32((size_t)n, fa) : NULL;
    const oct_act act = (oct_act)(check_rand() % 3);
    const float *want = one_row(ref(), x, b, bias, residual, act, n, k);
    const float *got = one_row(g, x, b, bias, residual, act, n, k);
    const size_t d = differ(g, k, want, got, (size_t)n);
    CHECK(d == (size_t)n, "%s/%s gemv n=%d k=%d fill=%s,%s: element %zu", g->family, g->isa, n, k,
          check_fill_name(fa), check_fill_name(fb), d);
    check_reset();
    return 1;
}

/* Element k of column j of a panel, as the kernels read it. */
static float packed_at(const oct_gemm_f32 *g, const float *panel, int k, int j)
{
    const uint16_t *half = (const uint16_t *)(const void *)(panel + g->nr);
    switch (g->type) {
    case OCT_F16: return oct_f32_of_f16(half[k * g->nr + j]);
    case OCT_BF16: return oct_f32_of_bf16(half[(k / 2 * g->nr + j) * 2 + k % 2]);
    default: return panel[(k + 1) * g->nr + j];
    }
}

/* The packer: rows in any float dtype, a scale per row, a permutation with holes, padding columns
 * zero; and the same panel by way of FP32. */
static int check_pack(const oct_gemm_f32 *g)
{
    enum { N = 5, K = 3, PACKED = 6 };
    static const uint16_t half[N * K] = { 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700,
        0x4800, 0x4880, 0x4900, 0x4980, 0x4a00, 0x4a80, 0x4b00, 0x4b80 }; /* 1 .. 15 */
    static const float scale[N] = { 1, 10, 100, 1000, 10000 }, bias[N] = { -1, -2, -3, -4, -5 };
    static const int32_t perm[PACKED] = { 2, -1, 0, 1, -1, -1 };
    const oct_tensor w = { .dtype = OCT_F16, .rank = 2, .dim = { N, K },
                           .data = (void *)(size_t)half, .scale = scale };
    float row[PACKED];
    const size_t size = oct_gemm_f32_packed_size(g, N - 1, PACKED) * sizeof(float);
    float *p = check_out(size, 64), *again = check_out(size, 64);
    oct_gemm_f32_pack(g, &w, 1, N - 1, PACKED, perm, bias, row, p);
    for (int j = 0; j < N - 1; j++) {
        CHECK(p[j] == bias[j + 1], "%s/%s bias %d", g->family, g->isa, j);
        for (int k = 0; k < PACKED; k++) {
            const float weight = scale[j + 1] * (float)((j + 1) * K + perm[k] + 1);
            CHECK(packed_at(g, p, k, j) == (perm[k] < 0 ? 0 : rounded(weight)),
                  "%s/%s packed %d, %d", g->family, g->isa, j, k);
        }
    }
    for (int k = 0; k < PACKED; k++)
        CHECK(N - 1 >= g->nr || packed_at(g, p, k, N - 1) == 0, "%s/%s padding %d", g->family,
              g->isa, k);
    CHECK(check_intact(p), "%s/%s packed outside", g->family, g->isa);
    if (g->type != OCT_F32) {
        oct_gemm_f32 wide = *g;
        wide.type = OCT_F32;
        const size_t floats = oct_gemm_f32_packed_size(&wide, N - 1, PACKED);
        float *panel = check_out(floats * sizeof *panel, 64);
        oct_gemm_f32_pack(&wide, &w, 1, N - 1, PACKED, perm, bias, row, panel);
        oct_gemm_f32_narrow(g, PACKED, panel, again);
        CHECK(memcmp(p, again, size) == 0, "%s/%s narrowed otherwise", g->family, g->isa);
        CHECK(check_intact(again), "%s/%s narrowed outside", g->family, g->isa);
    }
    check_reset();
    return 1;
}

/* Rounding an image to pairs; ref against the scalar of tensor/f16.h, denormals gone. */
static int check_pairs(const oct_gemm_f32 *g, int width, check_fill fill)
{
    const size_t count = (size_t)check_up_to(9), w = (size_t)width, wide = (w + 1) / 2 * 2;
    const float *x = check_in_f32(count * w, fill);
    uint16_t *want = check_out(count * wide * sizeof *want, 2);
    uint16_t *got = check_out(count * wide * sizeof *got, 2);
    for (size_t i = 0; i < count * wide; i++) {
        const float from = i % wide < w ? x[i / wide * w + i % wide] : 0;
        want[i] = oct_bf16_of_f32(fabsf(from) < 0x1p-126f ? copysignf(0, from) : from);
    }
    g->pairs(count, width, x, got);
    for (size_t i = 0; i < count * wide; i++)
        CHECK(want[i] == got[i] || ((want[i] & 0x7fff) > 0x7f80 && (got[i] & 0x7fff) > 0x7f80),
              "%s/%s pairs width=%d fill=%s: element %zu is %#x, not %#x", g->family, g->isa,
              width, check_fill_name(fill), i, (unsigned)got[i], (unsigned)want[i]);
    CHECK(check_intact(got), "%s/%s pairs wrote outside", g->family, g->isa);
    check_reset();
    return 1;
}

static int check(int v)
{
    const oct_gemm_f32 *g = all[v];
    int cases = check_pack(g);
    for (int fill = 0; fill < CHECK_FILL_COUNT && g->pairs; fill++)
        for (int width = 1; width <= 70; width++) cases += check_pairs(g, width, (check_fill)fill);
    for (int fa = 0; fa < CHECK_FILL_COUNT; fa++) /* every pair, not left to chance */
        for (int fb = 0; fb < CHECK_FILL_COUNT; fb++) {
            cases += check_tile(g, g->rows, 2, g->nr, 20, (check_fill)fa, (check_fill)fb);
            cases += check_gemv(g, 4 * g->nr + 3, 37, (check_fill)fa, (check_fill)fb);
        }
    for (int rows = 1; rows <= 2 * g->rows + 1; rows++)
        for (int groups = 1; groups <= 2; groups++)
            for (int cols = 1; cols <= 2 * g->nr + 1; cols++)
                cases += check_tile(g, rows, groups, cols, 12, check_any_fill(), check_any_fill());
    for (int n = 1; n <= 5 * g->nr + 1; n++)
        cases += check_gemv(g, n, check_up_to(40), check_any_fill(), check_any_fill());
    for (int r = 0; r < 8; r++)
        cases += check_tile(g, check_up_to(g->rows), check_up_to(2), check_up_to(g->nr), 700,
                            CHECK_RANDOM, CHECK_RANDOM);
    return cases;
}

typedef struct timed { const oct_gemm_f32 *g; oct_gemm_f32_args args; } timed;

static void run_tile(void *arg)
{
    const timed *t = arg;
    t->g->tile(&t->args);
}

static void bench(int v)
{
    enum { K = 576, PIXEL = 64 }; /* a 3x3 of 64 channels: the whole tile in L1 and L2 */
    const oct_gemm_f32 *g = all[v];
    static _Alignas(64) float a[64 * PIXEL + K], c[64 * 64], panel[(K + 1) * 64];
    const oct_gemm_f32_seg seg = { 0, K / per(), PIXEL };
    timed t = { g, { .n_segs = 1, .seg = &seg, .a = { a, a }, .pos = { 0, g->rows }, .step = 1,
                     .rows = g->rows, .groups = 2, .cols = g->nr, .panel = panel,
                     .c = { c, c + g->rows * 64 }, .ldc = 64 } };
    check_bench(g->family, g->isa, "tile k=576", check_time(run_tile, &t),
                4.0 * g->rows * g->nr * K, "FLOP");
}

/* The three families: everything above on another list. */
#define FAMILY(name)                                                          \
    static const char *variant_##name(int i, unsigned *needs)                 \
    {                                                                         \
        if (!oct_##name##_all[i]) return NULL;                                \
        *needs = oct_##name##_all[i]->needs;                                  \
        return oct_##name##_all[i]->isa;                                      \
    }                                                                         \
    static int check_##name(int i) { all = oct_##name##_all; return check(i); } \
    static void bench_##name(int i) { all = oct_##name##_all; bench(i); }     \
    const check_family check_family_##name = {                                \
        #name, variant_##name, check_##name, bench_##name }
FAMILY(gemm_f32);
FAMILY(gemm_f16w);
FAMILY(gemm_bf16);
