/* winograd_s8: whole convolutions; ref against a plain loop in int64, every variant against ref. */
#include <stdlib.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"
#include "tensor/tensor.h"
#include "tests/check_kernels.h"

typedef enum fill { RANDOM, LOW, HIGH, ENDS, FILLS } fill;

/* A convolution of one image, x in blocks of 64 channels, y [oh*ow][pixel] with gaps. */
typedef struct sample {
    int m, c, n, h, w, pad, x_max, block; /* block: tiles at a time */
    int oh, ow;
    size_t pixel;
    oct_winograd_s8_weights weights;
    oct_requant out;
    const uint8_t *x;
    const void *residual;
} sample;

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }
static size_t round_up(size_t x, size_t to) { return (x + to - 1) / to * to; }

static void fill_bytes(uint8_t *p, size_t n, fill f, int low, int high)
{
    for (size_t i = 0; i < n; i++) {
        const int random = low + (int)(check_rand() % (uint32_t)(high - low + 1));
        const int end = check_rand() & 1 ? low : high;
        p[i] = (uint8_t)(f == RANDOM ? random : f == LOW ? low : f == HIGH ? high : end);
    }
}

static size_t element(const sample *s) { return s->out.kind == OCT_REQUANT_U8 ? 1 : 4; }
static size_t y_count(const sample *s)
{
    return ((size_t)(s->oh * s->ow) - 1) * s->pixel + (size_t)s->n;
}

static void make_weights(sample *s, fill f)
{
    const size_t n = (size_t)s->n, k = 9 * (size_t)s->c;
    int8_t *b = check_in(n * k, 1);
    int32_t *bias = check_in(n * sizeof *bias, 4);
    float *scale = check_in(n * sizeof *scale, 4), *fbias = check_in_f32(n, CHECK_RANDOM);
    fill_bytes((uint8_t *)b, n * k, f, -128, 127);
    for (size_t j = 0; j < n; j++) {
        bias[j] = (int32_t)(check_rand() % 20001) - 10000;
        scale[j] = (float)check_up_to(100) / (42.f * 73.f * 3.f * (float)(s->c + 3));
    }
    s->weights = (oct_winograd_s8_weights){ s->m, s->c, b, (int)(check_rand() % (unsigned)s->x_max),
                                            check_rand() % 4 ? bias : NULL, scale,
                                            check_rand() % 4 ? fbias : NULL };
}

static sample make(int m, int c, int n, int h, int w, int x_max, fill fx, fill fw)
{
    sample s = { .m = m, .c = c, .n = n, .h = h, .w = w, .x_max = x_max, .block = check_up_to(40) };
    s.pad = (int)(check_rand() % 3);
    if (h + 2 * s.pad < 3 || w + 2 * s.pad < 3) s.pad = 2;
    s.oh = h + 2 * s.pad - 2, s.ow = w + 2 * s.pad - 2;
    s.pixel = check_odd_stride((size_t)n);
    uint8_t *x = check_in((size_t)(c * h * w), 1);
    fill_bytes(x, (size_t)(c * h * w), fx, 0, x_max);
    s.x = x;
    make_weights(&s, fw);
    const int zero = (int)(check_rand() % 256), lo = check_rand() % 2 ? 0 : zero;
    s.out = (oct_requant){ (oct_requant_kind)(check_rand() % 3), zero, lo,
                           check_rand() % 2 ? 255 : max_int(lo, 127), 0.7f, 100,
                           (oct_act)(check_rand() % 3), .bounded = 0 };
    oct_requant_spread(&s.out);
    if (s.out.kind != OCT_REQUANT_S32 && check_rand() % 2) {
        uint8_t *r = check_in(y_count(&s) * element(&s), 4);
        if (element(&s) == 1) fill_bytes(r, y_count(&s), RANDOM, 0, 255);
        else check_fill_f32((float *)(void *)r, y_count(&s), CHECK_RANDOM);
        s.residual = r;
    }
    return s;
}

typedef struct buffers { int16_t *v; int32_t *mm; size_t v_block, v_step, m_step; } buffers;

/* Of an axis with so many outputs from the tile on. */
static int points(const sample *s, int outputs)
{
    return oct_winograd_s8_points(s->m, min_int(s->m, outputs));
}

/* V of tiles first .. first + count, all blocks of channels. */
static void transform(const oct_winograd_s8 *g, const sample *s, int first, int count,
                      const buffers *to)
{
    const int p = s->m + 2, tiles_x = (s->ow + s->m - 1) / s->m;
    for (int b = 0; b < oct_block_count(s->c); b++) {
        const int width = oct_block_width(s->c, b);
        const uint8_t *image = s->x + (size_t)(b * OCT_BLOCK * s->h * s->w);
        for (int t = 0; t < count; t++) {
            const int y = (first + t) / tiles_x * s->m - s->pad;
            const int x = (first + t) % tiles_x * s->m - s->pad;
            g->input(&(oct_winograd_s8_in){
                .m = s->m, .points = { points(s, s->oh - y - s->pad),
                                       points(s, s->ow - x - s->pad) },
                .zero = s->weights.zero, .lanes = width,
                .y0 = max_int(0, -y), .y1 = max_int(0, min_int(p, s->h - y)),
                .x0 = max_int(0, -x), .x1 = max_int(0, min_int(p, s->w - x)),
                .row = (size_t)(s->w * width), .pixel = (size_t)width,
                .x = image + ((ptrdiff_t)y * s->w + x) * width,
                .v = to->v + (size_t)b * to->v_block + t * OCT_BLOCK, .step = to->v_step });
        }
    }
}

static void inverse(const oct_winograd_s8 *g, const sample *s, int first, int count, int n0,
                    const unsigned char *panel, const buffers *from, unsigned char *c)
{
    const int tiles_x = (s->ow + s->m - 1) / s->m;
    for (int t = 0; t < count; t++) {
        const int y = (first + t) / tiles_x * s->m, x = (first + t) % tiles_x * s->m;
        const size_t at = ((size_t)(y * s->ow + x) * s->pixel + (size_t)n0) * element(s);
        g->output(&(oct_winograd_s8_out){
            .m = s->m, .points = { points(s, s->oh - y), points(s, s->ow - x) },
            .rows = min_int(s->m, s->oh - y), .cols = min_int(s->m, s->ow - x),
            .mm = from->mm + (size_t)t * (size_t)g->nr, .step = from->m_step, .panel = panel,
            .out = &s->out, .lanes = min_int(g->nr, s->n - n0), .y = c + at,
            .residual = s->residual ? (const unsigned char *)s->residual + at : NULL,
            .row = (size_t)s->ow * s->pixel, .pixel = s->pixel });
    }
}

static void convolve(const oct_winograd_s8 *g, const sample *s, const unsigned char *packed,
                     const buffers *b, unsigned char *c)
{
    const int n_xi = (s->m + 2) * (s->m + 2), pairs = (s->c + 1) / 2;
    const int tiles = ((s->oh + s->m - 1) / s->m) * ((s->ow + s->m - 1) / s->m);
    const size_t size = oct_winograd_s8_panel_size(g, s->m, s->c);
    for (int first = 0; first < tiles; first += s->block) {
        const int count = min_int(s->block, tiles - first);
        transform(g, s, first, count, b);
        for (int n0 = 0; n0 < s->n; n0 += g->nr) {
            const unsigned char *panel = packed + (size_t)(n0 / g->nr) * size;
            for (int xi = 0; xi < n_xi; xi++)
                g->product(count, pairs, b->v + (size_t)xi * b->v_step, b->v_block,
                           oct_winograd_s8_u(g, panel, xi, s->c), b->mm + (size_t)xi * b->m_step);
            inverse(g, s, first, count, n0, panel, b, c);
        }
    }
}

static size_t packed_size(const oct_winograd_s8 *g, const sample *s)
{
    return (size_t)((s->n + g->nr - 1) / g->nr) * oct_winograd_s8_panel_size(g, s->m, s->c);
}

static buffers sizes(const oct_winograd_s8 *g, const sample *s)
{
    buffers b = { .v_block = (size_t)s->block * OCT_BLOCK };
    b.v_step = (size_t)oct_block_count(s->c) * b.v_block + 32;
    b.m_step = round_up((size_t)(s->block * g->nr), 16);
    return b;
}

static unsigned char *compute(const oct_winograd_s8 *g, const sample *s)
{
    const size_t n_xi = (size_t)((s->m + 2) * (s->m + 2));
    buffers b = sizes(g, s);
    unsigned char *packed = check_out(packed_size(g, s), 64);
    unsigned char *c = check_out(y_count(s) * element(s), 4);
    b.v = check_out(n_xi * b.v_step * sizeof *b.v, 64);
    b.mm = check_out(n_xi * b.m_step * sizeof *b.mm, 64);
    oct_winograd_s8_pack(g, &s->weights, 0, s->n, packed);
    sample one = *s;
    const size_t size = oct_winograd_s8_panel_size(g, s->m, s->c);
    if (s->block % 2)
        oct_gemm_s8_classify(&one.out, g->nr, packed, size, (s->n + g->nr - 1) / g->nr);
    convolve(g, &one, packed, &b, c);
    CHECK(check_intact(packed) && check_intact(b.v) && check_intact(b.mm) && check_intact(c),
          "winograd_s8/%s wrote outside", g->isa);
    return c;
}

/* The sum of output (oy, ox), channel n: padding is the zero point, so it adds nothing. */
static int64_t plain_sum(const sample *s, int oy, int ox, int n)
{
    int64_t sum = s->weights.bias ? s->weights.bias[n] : 0;
    for (int c = 0; c < s->c; c++)
        for (int q = 0; q < 9; q++) {
            const int y = oy + q / 3 - s->pad, x = ox + q % 3 - s->pad;
            if (y < 0 || y >= s->h || x < 0 || x >= s->w) continue;
            const int b = c / OCT_BLOCK, width = oct_block_width(s->c, b);
            const size_t at = (size_t)(b * OCT_BLOCK * s->h * s->w + (y * s->w + x) * width +
                                       c % OCT_BLOCK);
            const size_t tap = (size_t)(n * s->c + c) * 9 + (size_t)q;
            sum += (s->x[at] - s->weights.zero) * s->weights.b[tap];
        }
    return sum;
}

static unsigned char *plain(const sample *s)
{
    unsigned char *c = check_out(y_count(s) * element(s), 4);
    for (int i = 0; i < s->oh * s->ow; i++)
        for (int n = 0; n < s->n; n++) {
            const size_t at = (size_t)i * s->pixel + (size_t)n;
            const int32_t acc = (int32_t)plain_sum(s, i / s->ow, i % s->ow, n);
            const float fbias = s->weights.fbias ? s->weights.fbias[n] : 0;
            check_requant(&s->out, acc, s->weights.scale[n], fbias, s->residual, at, c);
        }
    return c;
}

static void compare(const oct_winograd_s8 *g, const sample *s, const char *what)
{
    const unsigned char *want = g == &oct_winograd_s8_ref ? plain(s)
                                                          : compute(&oct_winograd_s8_ref, s);
    const unsigned char *got = compute(g, s);
    const size_t size = y_count(s) * element(s);
    size_t d = 0;
    while (d < size && want[d] == got[d]) d++;
    CHECK(d == size, "winograd_s8/%s %s m=%d %d->%d %dx%d pad %d x_max %d out %d residual %d: byte "
          "%zu", g->isa, what, s->m, s->c, s->n, s->h, s->w, s->pad, s->x_max, (int)s->out.kind,
          s->residual != NULL, d);
}

static int check_conv(const oct_winograd_s8 *g, int m, int c, int n, int h, int w, int x_max,
                      fill fx, fill fw)
{
    const sample s = make(m, c, n, h, w, x_max, fx, fw);
    const int fits = oct_winograd_s8_fits(&s.weights, 0, n, x_max);
    CHECK(fits || (m == 4 && c > (x_max == 127 ? 114 : 57)), "m=%d c=%d does not fit", m, c);
    if (fits) compare(g, &s, "conv");
    check_reset();
    return fits;
}

/* One filter whose weights of one sign sum to exactly the limit, all bytes at their largest. */
static int check_limit(const oct_winograd_s8 *g, int x_max, int negative)
{
    enum { C = 256, SIDE = 5 };
    const int limit = ((1 << 25) - 1) / x_max;
    sample s = make(4, C, 1, SIDE, SIDE, x_max, HIGH, LOW);
    int8_t *b = check_out(9 * C, 1);
    int left = limit;
    for (int i = 0; i < 9 * C; i++) {
        const int w = min_int(left, 127);
        b[i] = (int8_t)(negative ? -w : w);
        left -= w;
    }
    s.weights.b = b;
    s.out.kind = OCT_REQUANT_S32;
    s.residual = NULL;
    CHECK(left == 0 && oct_winograd_s8_fits(&s.weights, 0, 1, x_max), "%d does not fit", limit);
    compare(g, &s, "limit");
    b[9 * C - 1] = (int8_t)(b[9 * C - 1] + (negative ? -1 : 1));
    CHECK(!oct_winograd_s8_fits(&s.weights, 0, 1, x_max), "%d fits", limit + 1);
    check_reset();
    return 2;
}

static const char *variant(int i, unsigned *needs)
{
    const oct_winograd_s8 *g = oct_winograd_s8_all[i];
    if (!g) return NULL;
    *needs = g->needs;
    return g->isa;
}

static int check(int v)
{
    const oct_winograd_s8 *g = oct_winograd_s8_all[v];
    int cases = 0;
    for (int x_max = 127; x_max <= 255; x_max += 128) {
        cases += check_limit(g, x_max, 0) + check_limit(g, x_max, 1);
        for (int m = 2; m <= 4; m += 2)
            for (int fx = 0; fx < FILLS; fx++)
                for (int fw = 0; fw < FILLS; fw++)
                    cases += check_conv(g, m, x_max == 127 ? 114 : 57, 3, 6, 5, x_max, (fill)fx,
                                        (fill)fw);
    }
    for (int m = 2; m <= 4; m += 2) {
        for (int h = 1; h <= 2 * m + 3; h++)
            for (int w = 1; w <= 2 * m + 3; w++)
                cases += check_conv(g, m, check_up_to(9), check_up_to(5), h, w, 255, RANDOM,
                                    RANDOM);
        for (int c = 1; c <= 140; c += check_up_to(4))
            cases += check_conv(g, m, c, check_up_to(2 * g->nr + 1), 5, 6, 127, RANDOM, RANDOM);
        for (int n = 1; n <= 2 * g->nr + 1; n++)
            cases += check_conv(g, m, check_up_to(20), n, 4, 7, 255, (fill)(check_rand() % FILLS),
                                RANDOM);
        for (int tiles = 1; tiles <= 30; tiles++) /* rows of a product */
            cases += check_conv(g, m, 4, 2, 3, tiles * m, 255, RANDOM, RANDOM);
    }
    return cases;
}

typedef struct timed {
    const oct_winograd_s8 *g;
    sample s;
    buffers b;
    unsigned char *packed, *c;
} timed;

static void run_conv(void *arg)
{
    const timed *t = arg;
    convolve(t->g, &t->s, t->packed, &t->b, t->c);
}

/* The 3x3 of ResNet-50's stages; operations are those of direct convolution. */
static void bench(int v)
{
    const oct_winograd_s8 *g = oct_winograd_s8_all[v];
    static const int shape[4][2] = { { 64, 56 }, { 128, 28 }, { 256, 14 }, { 512, 7 } };
    for (int i = 0; i < 4; i++)
        for (int m = 4; m >= 2; m -= 2) {
            const int c = shape[i][0], side = shape[i][1];
            timed t = { .g = g, .s = make(m, c, c, side, side, 127, RANDOM, RANDOM) };
            t.s.pad = 1, t.s.oh = t.s.ow = side, t.s.pixel = (size_t)c, t.s.residual = NULL;
            t.s.out = (oct_requant){ .kind = OCT_REQUANT_U8, .hi = 127, .bounded = 1, .plain = 1 };
            oct_requant_spread(&t.s.out);
            const int tile = (m + 2) * (m + 2) * (2 * c + 4 * g->nr); /* bytes of V and M */
            t.s.block = max_int(14, (450 << 10) / tile / 14 * 14);
            t.b = sizes(g, &t.s);
            t.packed = check_out(packed_size(g, &t.s), 64);
            t.c = check_out(y_count(&t.s), 64);
            t.b.v = check_out((size_t)((m + 2) * (m + 2)) * t.b.v_step * sizeof *t.b.v, 64);
            t.b.mm = check_out((size_t)((m + 2) * (m + 2)) * t.b.m_step * sizeof *t.b.mm, 64);
            oct_winograd_s8_pack(g, &t.s.weights, 0, c, t.packed);
            char what[40];
            snprintf(what, sizeof what, "F(%dx%d) %d@%d", m, m, c, side);
            check_bench("winograd_s8", g->isa, what, check_time(run_conv, &t),
                        18.0 * c * c * side * side, "OP");
            check_reset();
        }
}

const check_family check_family_winograd_s8 = { "winograd_s8", variant, check, bench };
