/* gemm_s8: ref against a plain loop in int64, every variant against ref byte for byte, requant.h
 * against a table written by hand, and kernels that saturate against all of this: they must fail.
 * */
#include <math.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"
#include "tests/check_gemm_s8.h"
#include "tests/check_kernels.h"

enum { MAX_SEGS = 5, MAX_ROWS = 16 };

/* What integer operands are filled with: the ends are where saturation and overflow hide. */
typedef enum fill {
    RANDOM, LOW, HIGH, ENDS, FILLS,
    BELL = FILLS,              /* weights only: as trained ones, small with a long tail */
    EDGE_UP, EDGE_DOWN,        /* weights only: 64 or 65, at the limits of gemm_s8_sort.h */
    WEIGHT_FILLS
} fill;

/* One random tile: sizes, strides and operands. */
typedef struct sample {
    int n_segs, k, rows, groups, cols, step, x_max;
    oct_gemm_s8_seg seg[MAX_SEGS];
    ptrdiff_t pos[2];
    size_t ldc, c_count, c1;   /* c_count elements of c; where group 1 starts in it */
    oct_gemm_s8_weights w;
    oct_requant out;
    const uint8_t *a;
    const void *residual;      /* like c, or NULL */
    int in_place;              /* the residual is in c */
    const float *row_scale;    /* [2 * rows] or NULL */
    const int32_t *row_zero;   /* the same */
} sample;

static void fill_bytes(uint8_t *p, size_t n, fill f, int low, int high)
{
    for (size_t i = 0; i < n; i++) {
        const int random = low + (int)(check_rand() % (uint32_t)(high - low + 1));
        const int end = check_rand() & 1 ? low : high;
        p[i] = (uint8_t)(f == RANDOM ? random : f == LOW ? low : f == HIGH ? high : end);
    }
}

static void fill_weights(int8_t *p, size_t n, fill f)
{
    if (f < FILLS) {
        fill_bytes((uint8_t *)p, n, f, -128, 127);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const int edge = 64 + (int)(check_rand() % 2), tail = (int)(check_rand() % 256) - 128;
        const int bell = (int)(check_rand() % 43 + check_rand() % 43 + check_rand() % 43) - 63;
        p[i] = (int8_t)(check_rand() % 6 ? bell : tail);
        if (f != BELL) p[i] = (int8_t)(f == EDGE_UP ? edge : -edge);
    }
}

static fill any_weights(void)
{
    return check_rand() % 2 ? BELL : (fill)(check_rand() % WEIGHT_FILLS);
}
static fill any_fill(void) { return check_rand() % 2 ? RANDOM : (fill)(check_rand() % FILLS); }

static float between(float low, float high)
{
    return low + (high - low) * (float)(check_rand() % 65536) / 65536;
}

/* Segments one after the other, gaps between them, k in all up to about max_len * MAX_SEGS.  Half
 * of them as in a convolution: pixels of OCT_BLOCK channels, the last block whole or not. */
static void make_segs(sample *s, int max_len)
{
    const int blocks = check_rand() % 2, whole = check_rand() % 2;
    ptrdiff_t offset = 0;
    s->n_segs = check_up_to(MAX_SEGS);
    for (int q = 0; q < s->n_segs; q++) {
        const int len = check_up_to(blocks && max_len > OCT_BLOCK ? OCT_BLOCK : max_len);
        const int own = len + (int)(check_rand() % 3);
        const int width = blocks && (whole || q < s->n_segs - 1) ? OCT_BLOCK : own;
        offset += (ptrdiff_t)(check_rand() % 9);
        s->seg[q] = (oct_gemm_s8_seg){ offset, len, width };
        s->k += len;
    }
}

/* The last byte read of a is its last one: what follows is slack, 0xff, and a guard page. */
static void make_a(sample *s, fill f)
{
    size_t most = 0;
    for (int q = 0; q < s->n_segs; q++)
        for (int g = 0; g < s->groups; g++) {
            const ptrdiff_t last = s->pos[g] + (s->rows - 1) * s->step;
            const size_t end = (size_t)(s->seg[q].offset + last * s->seg[q].width + s->seg[q].len);
            if (end > most) most = end;
        }
    uint8_t *a = check_in(most, 1);
    fill_bytes(a, most, f, 0, s->x_max);
    s->a = a;
}

/* 42 = 127 / 3 and 73 = 255 / sqrt(12): deviations of w and x.  Few outputs clamp, as a clamp hides
 * mistakes; of every other sample one column in eight has a scale that clamps everything or
 * nothing. */
static void make_weights(sample *s, fill f, int32_t max_bias)
{
    const size_t n = (size_t)s->cols;
    int8_t *b = check_in(n * (size_t)s->k, 1);
    int32_t *bias = check_in(n * sizeof *bias, 4);
    float *scale = check_in(n * sizeof *scale, 4), *fbias = check_in(n * sizeof *fbias, 4);
    fill_weights(b, n * (size_t)s->k, f);
    const int odd = check_rand() % 2;
    for (size_t j = 0; j < n; j++) {
        bias[j] = (int32_t)(check_rand() % ((uint32_t)max_bias + 1));
        if (max_bias == OCT_GEMM_S8_MAX_BIAS && j < 2) bias[j] = max_bias;
        if (check_rand() % 2) bias[j] = -bias[j];
        scale[j] = between(1, 100) / (42 * 73 * sqrtf((float)s->k));
        if (odd && check_rand() % 8 == 0) scale[j] = check_rand() % 2 ? 0x1p63f : 0x1p-130f;
        fbias[j] = !odd || check_rand() % 2 ? between(-2, 2) : between(-20000, 20000);
    }
    s->w = (oct_gemm_s8_weights){ b, s->k, NULL, s->n_segs, NULL, (int)(check_rand() % 256),
                                  check_rand() % 4 ? bias : NULL, scale,
                                  check_rand() % 4 ? fbias : NULL };
}

static void make_out(sample *s, oct_requant_kind kind)
{
    const int u8 = kind == OCT_REQUANT_U8, f32 = kind == OCT_REQUANT_F32;
    const int zero = check_rand() % 3 ? (int)(check_rand() % 256) : 0;
    const int lo = check_rand() % 2 ? zero : (int)(check_rand() % 256);
    s->out = (oct_requant){ kind, zero, lo, lo + (int)(check_rand() % (uint32_t)(256 - lo)),
                            between(0, 2), (int)(check_rand() % 256), (oct_act)(check_rand() % 3),
                            .bounded = 0 };
    if (check_rand() % 2) s->out.lo = 0, s->out.hi = 255;
    oct_requant_spread(&s->out);
    if (u8 && check_rand() % 2) {
        uint8_t *r = check_in(s->c_count, 1);
        fill_bytes(r, s->c_count, any_fill(), 0, 255);
        s->residual = r;
    }
    if (f32 && check_rand() % 2) s->residual = check_in_f32(s->c_count, CHECK_RANDOM);
    if (f32 && check_rand() % 2)
        s->row_scale = check_in_f32((size_t)(2 * s->rows), CHECK_RANDOM);
    if (f32 && check_rand() % 2) {
        int32_t *zeros = check_in((size_t)(2 * s->rows) * sizeof *zeros, 4);
        for (int i = 0; i < 2 * s->rows; i++) zeros[i] = (int32_t)(check_rand() % 256);
        s->row_zero = zeros;
        s->w.zero = 0;
        s->w.bias = NULL;
    }
}

static sample make(int rows, int groups, int cols, int max_len, int x_max, oct_requant_kind kind,
                   fill fa, fill fb, int32_t max_bias)
{
    sample s = { .rows = rows, .groups = groups, .cols = cols, .x_max = x_max };
    s.step = check_up_to(3);
    make_segs(&s, max_len);
    if (max_len == OCT_GEMM_S8_MAX_K) { /* exactly the most, in two pieces */
        const int len = check_up_to(max_len - 1);
        s.n_segs = 2, s.k = max_len;
        s.seg[0].len = len, s.seg[1].len = max_len - len;
    }
    s.pos[0] = (ptrdiff_t)(check_rand() % 5);
    s.pos[1] = (ptrdiff_t)(check_rand() % 50);
    s.ldc = check_odd_stride((size_t)cols);
    const size_t group = (size_t)(rows - 1) * s.ldc + (size_t)cols;
    s.c1 = groups == 2 ? group + check_rand() % 4 : 0;
    s.c_count = s.c1 + group;
    make_a(&s, fa);
    make_weights(&s, fb, max_bias);
    make_out(&s, kind);
    s.in_place = s.residual && check_rand() % 2;
    return s;
}

static size_t element(const sample *s) { return s->out.kind == OCT_REQUANT_U8 ? 1 : 4; }

/* c of one variant, canaries between the rows included. */
static unsigned char *compute(const oct_gemm_s8 *g, const sample *s)
{
    const size_t size = oct_gemm_s8_panel_size(g, s->n_segs, s->seg), e = element(s);
    const int panels = (s->cols + g->nr - 1) / g->nr;
    unsigned char *packed = check_out((size_t)panels * size, 64);
    unsigned char *c = check_out(s->c_count * e, 4);
    oct_gemm_s8_weights w = s->w; /* a sample moves, and its segments with it */
    const unsigned char *residual = s->in_place ? c : s->residual;
    if (s->in_place) memcpy(c, s->residual, s->c_count * e);
    w.seg = s->seg;
    oct_gemm_s8_pack(g, &w, 0, s->cols, packed);
    CHECK(check_intact(packed), "gemm_s8/%s packed outside", g->isa);
    if (oct_gemm_s8_is_24(g))
        CHECK(!oct_gemm_s8_24_halve(g, s->n_segs, s->seg, packed, size, panels), "%s",
              oct_last_error());
    oct_requant out = s->out;
    oct_gemm_s8_classify(&out, g->nr, packed, size, panels);
    for (int p = 0; p < panels; p++)
        for (int from = 0; from < s->rows; from += g->rows) {
            const int left = s->cols - p * g->nr;
            const int rows = s->rows - from < g->rows ? s->rows - from : g->rows;
            const size_t at = ((size_t)from * s->ldc + (size_t)(p * g->nr)) * e, c1 = s->c1 * e;
            oct_gemm_s8_args t = {
                .n_segs = s->n_segs, .seg = s->seg, .a = { s->a, s->a },
                .pos = { s->pos[0] + from * s->step, s->pos[1] + from * s->step },
                .step = s->step, .rows = rows, .groups = s->groups,
                .cols = left < g->nr ? left : g->nr, .panel = packed + (size_t)p * size,
                .c = { c + at, c + c1 + at }, .ldc = s->ldc, .out = &out };
            if (residual) t.residual[0] = residual + at, t.residual[1] = residual + c1 + at;
            for (int i = 0; i < 2 && s->row_scale; i++)
                t.row_scale[i] = s->row_scale + i * s->rows + from;
            for (int i = 0; i < 2 && s->row_zero; i++)
                t.row_zero[i] = s->row_zero + i * s->rows + from;
            g->tile(&t);
        }
    CHECK(check_intact(c), "gemm_s8/%s wrote outside c", g->isa);
    return c;
}

/* sum of row i of group g and column j, straight from the contract. */
static int64_t plain_sum(const sample *s, int g, int i, int j)
{
    const int8_t *b = s->w.b + (size_t)j * (size_t)s->k;
    int64_t sum = s->w.bias ? s->w.bias[j] : 0;
    for (int q = 0; q < s->n_segs; q++) {
        const oct_gemm_s8_seg *z = &s->seg[q];
        const uint8_t *a = s->a + z->offset + (s->pos[g] + i * s->step) * z->width;
        const int zero = s->row_zero ? s->row_zero[g * s->rows + i] : s->w.zero;
        for (int p = 0; p < z->len; p++, b++) sum += (a[p] - zero) * *b;
    }
    return sum;
}

/* One element from its sum.  The functions of requant.h are checked by check_gemm_s8_table. */
static void plain_requant(const sample *s, int g, int i, int j, int32_t acc, void *c)
{
    const size_t at = (size_t)g * s->c1 + (size_t)i * s->ldc + (size_t)j;
    const float fbias = s->w.fbias ? s->w.fbias[j] : 0;
    float y = (float)acc * s->w.scale[j];
    if (s->out.kind == OCT_REQUANT_S32) ((int32_t *)c)[at] = acc;
    if (s->out.kind == OCT_REQUANT_U8) {
        y = ((float)acc + fbias) * s->w.scale[j];
        if (s->residual) y = oct_requant_add(y, ((const uint8_t *)s->residual)[at], &s->out);
        ((uint8_t *)c)[at] = oct_requant_u8(y, &s->out);
    }
    if (s->out.kind == OCT_REQUANT_F32) {
        if (s->row_scale) y *= s->row_scale[g * s->rows + i];
        y += fbias;
        if (s->residual) y += ((const float *)s->residual)[at];
        ((float *)c)[at] = oct_requant_act(y, s->out.act);
    }
}

static unsigned char *plain(const sample *s)
{
    unsigned char *c = check_out(s->c_count * element(s), 4);
    if (s->in_place) memcpy(c, s->residual, s->c_count * element(s)); /* the gaps too */
    for (int g = 0; g < s->groups; g++)
        for (int i = 0; i < s->rows; i++)
            for (int j = 0; j < s->cols; j++) {
                const int64_t sum = plain_sum(s, g, i, j);
                CHECK(sum >= INT32_MIN && sum <= INT32_MAX, "k=%d: sum %lld", s->k, (long long)sum);
                plain_requant(s, g, i, j, (int32_t)sum, c);
            }
    return c;
}

/* The first byte in which the variant differs from the oracle (of ref: the plain loop), or -1. */
static long differ(const oct_gemm_s8 *g, const sample *s)
{
    const size_t n = s->c_count * element(s);
    const unsigned char *want = g == &oct_gemm_s8_ref ? plain(s) : compute(&oct_gemm_s8_ref, s);
    const unsigned char *got = compute(g, s);
    for (size_t i = 0; i < n; i++)
        if (want[i] != got[i]) return (long)i;
    return -1;
}

static int count(const int8_t *b, int n)
{
    int nonzero = 0;
    for (int i = 0; i < n; i++) nonzero += b[i] != 0;
    return nonzero;
}

/* At most 4 of 8 k. */
static void halve_weights(const sample *s)
{
    int8_t *b = (int8_t *)(uintptr_t)s->w.b;
    for (int j = 0; j < s->cols; j++)
        for (int q = 0; q < s->n_segs; b += s->seg[q++].len)
            for (int c = 0; c < s->seg[q].len; c += 8) {
                const int n = s->seg[q].len - c < 8 ? s->seg[q].len - c : 8;
                while (count(b + c, n) > 4) b[c + (int)(check_rand() % (unsigned)n)] = 0;
            }
}

static int check_tile(const oct_gemm_s8 *g, int rows, int groups, int cols, int max_len,
                      oct_requant_kind kind, fill fa, fill fb, int32_t max_bias)
{
    const sample s = make(rows, groups, cols, max_len, g->x_max, kind, fa, fb, max_bias);
    if (oct_gemm_s8_is_24(g)) halve_weights(&s);
    const long d = differ(g, &s);
    CHECK(d < 0, "gemm_s8/%s x_max=%d rows=%d groups=%d cols=%d k=%d out=%d residual=%d "
          "fill=%d,%d: byte %ld", g->isa, g->x_max, rows, groups, cols, s.k, (int)kind,
          s.residual != NULL, (int)fa, (int)fb, d);
    check_reset();
    return 1;
}

/* A kernel with the mistake this library exists to avoid: pairs of products summed in int16 with
 * saturation, as vpmaddubsw does it, for bytes up to 255.  Everything else is ref's. */
static void saturating_tile(const oct_gemm_s8_args *t)
{
    const int32_t *bias = t->panel;
    const int nr = oct_gemm_s8_ref.nr;
    for (int g = 0; g < t->groups; g++)
        for (int i = 0; i < t->rows; i++)
            for (int j = 0; j < t->cols; j++) {
                const int8_t *b = (const int8_t *)(bias + 4 * nr) + 4 * j;
                int32_t sum = bias[j];
                for (int q = 0; q < t->n_segs; q++) {
                    const oct_gemm_s8_seg *s = &t->seg[q];
                    const uint8_t *a = t->a[g] + s->offset + (t->pos[g] + i * t->step) * s->width;
                    for (int c = 0; c < s->len; c += 2) {
                        const int at = c / 4 * 4 * nr + c % 4;
                        int pair = a[c] * b[at];
                        if (c + 1 < s->len) pair += a[c + 1] * b[at + 1];
                        sum += pair > 32767 ? 32767 : pair < -32768 ? -32768 : pair;
                    }
                    b += (s->len + 3) / 4 * 4 * nr;
                }
                ((int32_t *)t->c[g])[(size_t)i * t->ldc + (size_t)j] = sum;
            }
}

/* The test of the test: with every pair of fills in which a pair of products saturates, and with
 * random operands as well, the saturating kernel must be found out; where none does, it must
 * pass. */
static int check_saturating(void)
{
    oct_gemm_s8 g = oct_gemm_s8_ref;
    g.isa = "saturating";
    g.tile = saturating_tile;
    int found = 0;
    for (int x_max = 127; x_max <= 255; x_max += 128)
        for (int fa = 0; fa < FILLS; fa++)
            for (int fb = 0; fb < FILLS; fb++) {
                const sample s = make(g.rows, 2, g.nr, 100, x_max, OCT_REQUANT_S32, (fill)fa,
                                      (fill)fb, 10000);
                const int wrong = differ(&g, &s) >= 0, saturates = x_max == 255 && fa != LOW;
                CHECK(wrong == saturates || s.k < 50, "saturating kernel, x_max=%d fill=%d,%d: %s",
                      x_max, fa, fb, wrong ? "failed" : "passed");
                found += wrong;
                check_reset();
            }
    CHECK(found > 0, "a saturating kernel passed every test");
    return 2 * FILLS * FILLS;
}

static const char *variant(int i, unsigned *needs)
{
    const oct_gemm_s8 *g = oct_gemm_s8_all[i];
    if (!g) return NULL;
    *needs = g->needs;
    return g->isa;
}

/* Every pair of fills with every output, at the limits of the contract too: not left to chance. */
static int check_limits(const oct_gemm_s8 *g)
{
    int cases = 0;
    for (int fa = 0; fa < FILLS; fa++)
        for (int fb = 0; fb < WEIGHT_FILLS; fb++)
            for (int kind = OCT_REQUANT_U8; kind <= OCT_REQUANT_S32; kind++) {
                cases += check_tile(g, g->rows, 2, g->nr, 70, (oct_requant_kind)kind, (fill)fa,
                                    (fill)fb, 10000);
                cases += check_tile(g, 2, 1, 1, 70, (oct_requant_kind)kind, (fill)fa, (fill)fb, 1);
                cases += check_tile(g, 2, 1, 3, OCT_GEMM_S8_MAX_K, (oct_requant_kind)kind,
                                    (fill)fa, (fill)fb, OCT_GEMM_S8_MAX_BIAS);
            }
    return cases;
}

static int check_tiles(const oct_gemm_s8 *g)
{
    int cases = check_limits(g);
    for (int rows = 1; rows <= 2 * g->rows + 1 && rows <= MAX_ROWS; rows++)
        for (int groups = 1; groups <= 2; groups++)
            for (int cols = 1; cols <= 2 * g->nr + 1; cols++)
                cases += check_tile(g, rows, groups, cols, 12,
                                    (oct_requant_kind)(check_rand() % 3), any_fill(),
                                    any_weights(), 10000);
    for (int r = 0; r < 24; r++)
        cases += check_tile(g, check_up_to(g->rows), check_up_to(2), check_up_to(g->nr), 700,
                            (oct_requant_kind)(r % 3), RANDOM, r % 2 ? RANDOM : BELL, 10000);
    return cases;
}

static int check(int v)
{
    const oct_gemm_s8 *g = oct_gemm_s8_all[v];
    int cases = check_gemm_s8_pack(g) + check_tiles(g);
    if (g == &oct_gemm_s8_ref) cases += check_gemm_s8_table() + check_saturating();
    return cases;
}

typedef struct timed { const oct_gemm_s8 *g; oct_gemm_s8_args args; } timed;

static void run_tile(void *arg)
{
    const timed *t = arg;
    t->g->tile(&t->args);
}

/* Tiles of a ResNet's convolutions: 3x3 of 64 channels; 1x1 of 64 and of 256. */
static void bench_tiles(const oct_gemm_s8 *g)
{
    enum { MOST = 1152, PIXEL = 64 };
    static const int ks[] = { MOST, 576, 256, 64 };
    const char *family = oct_gemm_s8_is_24(g) ? "gemm_s8_24" : "gemm_s8";
    static _Alignas(64) uint8_t a[64 * PIXEL + MOST], c[32 * 64];
    static const float scale[OCT_GEMM_S8_MAX_NR];
    oct_requant out = { .kind = OCT_REQUANT_U8, .hi = 127, .bounded = 1, .plain = 1 };
    oct_requant_spread(&out);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        char what[32];
        const oct_gemm_s8_seg seg = { 0, ks[i], PIXEL };
        int8_t *b = check_in((size_t)(g->nr * ks[i]), 1);
        fill_weights(b, (size_t)(g->nr * ks[i]), BELL);
        for (int k = 0; k < g->nr * ks[i] && oct_gemm_s8_is_24(g); k++)
            if (k % 4 < 2) b[k] = 0;
        unsigned char *panel = check_out(oct_gemm_s8_panel_size(g, 1, &seg), 64);
        oct_gemm_s8_pack(g, &(oct_gemm_s8_weights){ .b = b, .k = ks[i], .n_segs = 1, .seg = &seg,
                                                    .scale = scale }, 0, g->nr, panel);
        if (oct_gemm_s8_is_24(g)) CHECK(!oct_gemm_s8_24_halve(g, 1, &seg, panel, 0, 1), "2:4");
        timed t = { g, { .n_segs = 1, .seg = &seg, .a = { a, a }, .pos = { 0, g->rows }, .step = 1,
                         .rows = g->rows, .groups = 2, .cols = g->nr, .panel = panel,
                         .c = { c, c + g->rows * 64 }, .ldc = 64, .out = &out } };
        const double seconds = check_time(run_tile, &t), work = 4.0 * g->rows * g->nr * ks[i];
        for (int x_max = 127; x_max <= 255; x_max += 128) { /* ref stands for both */
            snprintf(what, sizeof what, "tile k=%d x_max=%d", ks[i], x_max);
            if (!strcmp(g->isa, "ref") || x_max == g->x_max)
                check_bench(family, g->isa, what, seconds, work, "OP");
        }
        t.args.rows = t.args.groups = 1;
        snprintf(what, sizeof what, "row k=%d x_max=%d", ks[i], g->x_max);
        if (i == 0)
            check_bench(family, g->isa, what, check_time(run_tile, &t),
                        2.0 * g->nr * ks[i], "OP");
        check_reset();
    }
}

static void bench(int v) { bench_tiles(oct_gemm_s8_all[v]); }

const check_family check_family_gemm_s8 = { "gemm_s8", variant, check, bench };

/* ---- gemm_s8_24: of halved weights, against the dense ref ---- */

static const char *variant_24(int i, unsigned *needs)
{
    const oct_gemm_s8 *g = oct_gemm_s8_24_all[i];
    if (!g) return NULL;
    *needs = g->needs;
    return g->isa;
}

static int check_24(int v)
{
    const oct_gemm_s8 *g = oct_gemm_s8_24_all[v];
    const oct_gemm_s8_seg seg = { 0, 8, 8 };
    static const int8_t five[8] = { 1, 2, 0, 3, 0, 4, 5, 0 };
    static const float scale[1] = { 1 };
    unsigned char *panel = check_out(oct_gemm_s8_panel_size(g, 1, &seg), 64);
    oct_gemm_s8_pack(g, &(oct_gemm_s8_weights){ .b = five, .k = 8, .n_segs = 1, .seg = &seg,
                                                .scale = scale }, 0, 1, panel);
    CHECK(oct_gemm_s8_24_halve(g, 1, &seg, panel, 0, 1) == OCT_ERR_FORMAT, "five of eight");
    check_reset();
    return 1 + check_tiles(g);
}

static void bench_24(int v) { bench_tiles(oct_gemm_s8_24_all[v]); }

const check_family check_family_gemm_s8_24 = { "gemm_s8_24", variant_24, check_24, bench_24 };
