/* sparse_s8: a strip against columns of blocks; ref against a plain loop in int64, every variant
 * against ref; input() of every variant against the definition. */
#include <stdlib.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/tensor.h"
#include "tests/check_kernels.h"

typedef enum fill { RANDOM, LOW, HIGH, ENDS, FILLS } fill;

enum { MOST_RUNS = 8, REACH = 9 }; /* pixels past the last that taps reach */

typedef struct sample {
    int pixels, quads, taps, n, x_max; /* pixels: a multiple of every variant's lanes */
    int chunk;                 /* quads at a time, or 0 */
    size_t ldc;
    const uint8_t *x;          /* [pixels + REACH][4 * quads] */
    int32_t *tap;              /* [taps]: pixels */
    oct_sparse_s8_weights weights;
    oct_requant out;
    const void *residual;
    float *row_scale;          /* [pixels] powers of two; or NULL, and row_zero too */
    int32_t *row_zero;
    oct_sparse_run run[MOST_RUNS];
    int n_runs;
} sample;

static void fill_bytes(uint8_t *p, size_t n, fill f, int low, int high)
{
    for (size_t i = 0; i < n; i++) {
        const int random = low + (int)(check_rand() % (uint32_t)(high - low + 1));
        const int end = check_rand() & 1 ? low : high;
        p[i] = (uint8_t)(f == RANDOM ? random : f == LOW ? low : f == HIGH ? high : end);
    }
}

static size_t element(const sample *s) { return s->out.kind == OCT_REQUANT_U8 ? 1 : 4; }
static size_t y_count(const sample *s) { return (size_t)(s->pixels - 1) * s->ldc + (size_t)s->n; }

/* Random weights of which blocks are zero but for `per_cent` of them, and of the others, in 4x1's
 * cases, all but one weight or two. */
static void make_weights(sample *s, fill f, int per_cent, int share)
{
    const size_t n = (size_t)s->n, row = 4 * (size_t)s->quads * (size_t)s->taps;
    int8_t *b = check_in(n * row, 1);
    int32_t *bias = check_in(n * sizeof *bias, 4);
    float *scale = check_in(n * sizeof *scale, 4), *fbias = check_in_f32(n, CHECK_RANDOM);
    fill_bytes((uint8_t *)b, n * row, f, -128, 127);
    for (size_t i = 0; i < n * (size_t)s->quads; i++)
        for (int t = 0; t < s->taps; t++) {
            const int is = (int)(check_rand() % 100) < per_cent;
            if (is && share == 1) continue;
            for (int p = 0; p < 4; p++)
                if (!is || check_rand() % 2)
                    b[(i * 4 + (size_t)p) * (size_t)s->taps + (size_t)t] = 0;
        }
    for (size_t j = 0; j < n; j++) {
        bias[j] = (int32_t)(check_rand() % 20001) - 10000;
        scale[j] = (float)check_up_to(100) / (42.f * 73.f * 3.f * (float)(s->quads + 3));
    }
    s->weights = (oct_sparse_s8_weights){
        .b = b, .n = s->n, .c = 4 * s->quads, .taps = s->taps,
        .zero = (int)(check_rand() % (unsigned)s->x_max), .bias = check_rand() % 4 ? bias : NULL,
        .scale = scale, .fbias = check_rand() % 4 ? fbias : NULL };
}

/* Pixels of the strip that are written, with gaps as between the rows of a map. */
static void make_runs(sample *s)
{
    for (int at = (int)(check_rand() % 3); s->n_runs < MOST_RUNS && at < s->pixels; s->n_runs++) {
        int count = check_up_to(check_rand() % 2 ? s->pixels : 9);
        if (count > s->pixels - at) count = s->pixels - at;
        s->run[s->n_runs] = (oct_sparse_run){ at, count, (size_t)at * s->ldc };
        at += count + (int)(check_rand() % 4);
    }
}

static sample make(int pixels, int quads, int taps, int n, int x_max, fill fx, fill fw,
                   int per_cent, int share)
{
    sample s = { .pixels = pixels, .quads = quads, .taps = taps, .n = n, .x_max = x_max };
    const size_t bytes = (size_t)(pixels + REACH) * 4 * (size_t)quads;
    uint8_t *x = check_in(bytes, 1);
    fill_bytes(x, bytes, fx, 0, x_max);
    s.x = x;
    s.tap = check_in((size_t)taps * sizeof *s.tap, 4);
    for (int t = 0; t < taps; t++) s.tap[t] = t * REACH / taps;
    s.ldc = check_odd_stride((size_t)n);
    s.chunk = check_rand() % 2 ? check_up_to(quads) : 0;
    make_weights(&s, fw, per_cent, share);
    make_runs(&s);
    const int zero = (int)(check_rand() % 256), lo = check_rand() % 2 ? 0 : zero;
    s.out = (oct_requant){ (oct_requant_kind)(check_rand() % 3), zero, lo,
                           check_rand() % 2 || lo > 127 ? 255 : 127, 0.7f, 100,
                           (oct_act)(check_rand() % 3), .bounded = 0 };
    oct_requant_spread(&s.out);
    if (s.out.kind == OCT_REQUANT_F32 && check_rand() % 2) {
        s.row_scale = check_in((size_t)pixels * sizeof *s.row_scale, 4);
        s.row_zero = check_in((size_t)pixels * sizeof *s.row_zero, 4);
        s.weights.zero = 0;
        for (int i = 0; i < pixels; i++) {
            s.row_scale[i] = check_rand() % 2 ? 0.25f : 4;
            s.row_zero[i] = (int32_t)(check_rand() % (unsigned)(x_max + 1));
        }
    }
    if (s.out.kind != OCT_REQUANT_S32 && check_rand() % 2) {
        uint8_t *r = check_in(y_count(&s) * element(&s), 4);
        if (element(&s) == 1) fill_bytes(r, y_count(&s), RANDOM, 0, 255);
        else check_fill_f32((float *)(void *)r, y_count(&s), CHECK_RANDOM);
        s.residual = r;
    }
    return s;
}

/* Channels of a plane, which are the bytes of a pixel in it. */
static int per(const oct_sparse_s8 *g) { return 4 / g->share; }

static size_t plane_of(const oct_sparse_s8 *g, const sample *s)
{
    return ((size_t)((s->pixels + REACH) * per(g)) + 63) / 64 * 64;
}

static unsigned char *planar(const oct_sparse_s8 *g, const sample *s)
{
    const size_t plane = plane_of(g, s), width = (size_t)per(g);
    const int n = s->pixels + REACH, planes = 4 * s->quads / per(g);
    unsigned char *strip = check_out((size_t)planes * plane, 64);
    for (int i = 0, count; i < n; i += count) { /* in runs of any length */
        count = check_up_to(check_rand() % 2 ? n : 5);
        if (count > n - i) count = n - i;
        g->input(&(oct_sparse_in){ .x = s->x + (size_t)i * 4 * (size_t)s->quads,
                                      .pixel = 4 * (size_t)s->quads, .n = count,
                                      .planes = planes, .to = strip + width * (size_t)i,
                                      .step = plane });
    }
    for (size_t p = 0; p < (size_t)planes; p++)
        for (size_t i = 0; i < width * (size_t)n; i++) {
            const size_t from = i / width * 4 * (size_t)s->quads + width * p + i % width;
            CHECK(strip[p * plane + i] == (s->x[from] ^ g->flip),
                  "sparse_s8/%s input, plane %zu of %d, byte %zu", g->isa, p, planes, i);
        }
    for (size_t p = 0; p < (size_t)planes; p++) /* what no run has touched stays */
        for (size_t i = width * (size_t)n; i < plane; i++)
            CHECK(strip[p * plane + i] == CHECK_CANARY, "sparse_s8/%s input wrote outside",
                  g->isa);
    return strip;
}

static unsigned char *compute(const oct_sparse_s8 *g, const sample *s)
{
    const int taps = s->taps, per_tile = g->lanes * g->vecs, planes = 4 * s->quads / per(g);
    const size_t plane = plane_of(g, s);
    oct_sparse_s8_weights w = s->weights;
    int32_t *offset = check_in((size_t)(planes * taps) * sizeof *offset, 4);
    for (int i = 0; i < planes * taps; i++)
        offset[i] = (int32_t)((size_t)(i / taps) * plane) + per(g) * s->tap[i % taps];
    w.offset = offset;
    const size_t size = oct_sparse_s8_size(g, &w);
    unsigned char *packed = check_out(size, 64);
    unsigned char *c = check_out(y_count(s) * element(s), 4);
    oct_sparse_s8_pack(g, &w, packed);
    CHECK(oct_sparse_s8_given(g, s->n, packed, size) == size, "sparse_s8/%s size", g->isa);
    const int32_t most = (int32_t)((size_t)(planes - 1) * plane) + per(g) * REACH;
    CHECK(oct_sparse_s8_check(g, s->n, most, packed, size) == OCT_OK, "sparse_s8/%s: %s", g->isa,
          oct_last_error());
    const unsigned char *strip = planar(g, s);
    oct_requant out = s->out;
    int bounded = s->quads % 2, plain = bounded; /* what may be known need not be */
    for (int p = 0; p * g->nr < s->n; p++) {
        oct_gemm_s8_classify(&out, g->nr, oct_sparse_s8_panel(packed, p), 0, 1);
        bounded &= out.bounded;
        plain &= out.plain;
    }
    out.bounded = bounded;
    out.plain = plain;
    for (int first = 0; first < s->pixels; first += per_tile)
        for (int n0 = 0; n0 < s->n; n0 += g->nr) {
            const int left = (s->pixels - first) / g->lanes, end = first + per_tile;
            oct_sparse_run run[MOST_RUNS];
            oct_sparse_s8_args t = { .x = strip + (size_t)(per(g) * first), .run = run, .out = &out,
                                     .vecs = left < g->vecs ? left : g->vecs, .ldc = s->ldc,
                                     .panel = oct_sparse_s8_panel(packed, n0 / g->nr),
                                     .cols = s->n - n0 < g->nr ? s->n - n0 : g->nr,
                                     .c = c + (size_t)n0 * element(s) };
            t.size = (int32_t)(plane * (size_t)planes);
            if (s->row_scale) t.row_scale = s->row_scale + first, t.row_zero = s->row_zero + first;
            if (s->chunk) t.chunk = (int32_t)plane * s->chunk;
            if (s->residual) t.residual = (const char *)s->residual + (size_t)n0 * element(s);
            for (int r = 0; r < s->n_runs; r++) { /* what of the runs lies in the tile */
                oct_sparse_run cut = s->run[r];
                const int before = first > cut.first ? first - cut.first : 0;
                cut.count -= before, cut.at += (size_t)before * s->ldc;
                cut.first += before;
                if (cut.first + cut.count > end) cut.count = end - cut.first;
                cut.first -= first;
                if (cut.count > 0) run[t.n_runs++] = cut;
            }
            g->tile(&t);
        }
    CHECK(check_intact(packed) && check_intact(strip) && check_intact(c),
          "sparse_s8/%s wrote outside", g->isa);
    return c;
}

static int64_t plain_sum(const sample *s, int i, int n)
{
    int64_t sum = s->weights.bias ? s->weights.bias[n] : 0;
    const int zero = s->row_zero ? s->row_zero[i] : s->weights.zero;
    for (int c = 0; c < 4 * s->quads; c++)
        for (int t = 0; t < s->taps; t++)
            sum += (s->x[(i + s->tap[t]) * 4 * s->quads + c] - zero) *
                   s->weights.b[(n * 4 * s->quads + c) * s->taps + t];
    return sum;
}

static unsigned char *plain(const sample *s)
{
    unsigned char *c = check_out(y_count(s) * element(s), 4);
    for (int r = 0; r < s->n_runs; r++)
        for (int i = s->run[r].first; i < s->run[r].first + s->run[r].count; i++)
            for (int n = 0; n < s->n; n++) {
                const size_t at = (size_t)i * s->ldc + (size_t)n;
                const int32_t acc = (int32_t)plain_sum(s, i, n);
                const float fbias = s->weights.fbias ? s->weights.fbias[n] : 0;
                const float scale = s->weights.scale[n] * (s->row_scale ? s->row_scale[i] : 1);
                check_requant(&s->out, acc, scale, fbias, s->residual, at, c);
            }
    return c;
}

static int check_case(const oct_sparse_s8 *g, int pixels, int quads, int taps, int n, int x_max,
                      fill fx, fill fw, int per_cent)
{
    const oct_sparse_s8 *ref = g->share > 1 ? &oct_sparse_s8_4x1_ref : &oct_sparse_s8_ref;
    const sample s = make(pixels, quads, taps, n, x_max, fx, fw, per_cent, g->share);
    const unsigned char *want = g == ref ? plain(&s) : compute(ref, &s);
    const unsigned char *got = compute(g, &s);
    const size_t size = y_count(&s) * element(&s);
    size_t d = 0;
    while (d < size && want[d] == got[d]) d++;
    CHECK(d == size, "sparse_s8/%s share %d, %d px, %d quads, %d taps, %d columns, x_max %d, "
          "%d %%, out %d, residual %d: byte %zu", g->isa, g->share, pixels, quads, taps, n,
          x_max, per_cent, (int)s.out.kind, s.residual != NULL, d);
    check_reset();
    return 1;
}

static const char *variant(int i, unsigned *needs)
{
    const oct_sparse_s8 *g = oct_sparse_s8_all[i];
    if (!g) return NULL;
    *needs = g->needs;
    return g->isa;
}

/* Of packed weights from a file, whatever is wrong is found. */
static int check_hostile(const oct_sparse_s8 *g)
{
    enum { QUADS = 3, N = 40, SIZE = 4096 };
    _Alignas(64) unsigned char packed[SIZE];
    int32_t offset[4 * QUADS];
    static int8_t b[N * 4 * QUADS];
    static float scale[N];
    for (int i = 0; i < N * 4 * QUADS; i++) b[i] = (int8_t)check_up_to(60);
    const int planes = 4 * QUADS / per(g), most = 64 * (planes - 1);
    for (int i = 0; i < planes; i++) offset[i] = 64 * i;
    oct_sparse_s8_weights w = { .b = b, .n = N, .c = 4 * QUADS, .taps = 1, .offset = offset,
                                .scale = scale };
    const size_t size = oct_sparse_s8_size(g, &w);
    CHECK(size <= SIZE, "%zu bytes", size);
    oct_sparse_s8_pack(g, &w, packed);
    CHECK(oct_sparse_s8_check(g, N, most, packed, size) == OCT_OK, "%s", oct_last_error());
    CHECK(oct_sparse_s8_check(g, N, most - 4, packed, size) == OCT_ERR_FORMAT,
          "an offset too large");
    int32_t *begin = (int32_t *)(void *)packed + 1, *panel = (void *)(packed + begin[0]);
    int32_t *const fast = panel + 4 * g->nr, *const slow = fast + g->nr;
    int32_t *const wrong[] = { &begin[0], &begin[1], fast, slow, slow + g->nr, &begin[-1] };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        static const int32_t values[] = { -1, -64, 1 << 20, 1 << 30, 2 };
        const int32_t before = *wrong[i];
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            if (i > 1 && i < (g->share > 1 ? 5 : 4) && values[k] == 2) continue; /* may be right */
            *wrong[i] = values[k];
            CHECK(oct_sparse_s8_check(g, N, most, packed, size) == OCT_ERR_FORMAT,
                  "sparse_s8/%s: word %zu is %d", g->isa, i, (int)values[k]);
        }
        *wrong[i] = before;
    }
    CHECK(oct_sparse_s8_check(g, N, most, packed, size) == OCT_OK, "%s", oct_last_error());
    CHECK(oct_sparse_s8_share(packed, size) == g->share && !oct_sparse_s8_share(packed, 4),
          "share %d", g->share);
    CHECK(oct_sparse_s8_given(g, N, packed, 4) == 0, "4 bytes");
    return 1;
}

static int check(int v)
{
    const oct_sparse_s8 *g = oct_sparse_s8_all[v];
    const int pixels = g->share > 1 ? 64 : 16;  /* a multiple of every variant's lanes */
    int cases = check_hostile(g);
    for (int x_max = 127; x_max <= g->x_max; x_max += 128)
        for (int fx = 0; fx < FILLS; fx++)
            for (int fw = 0; fw < FILLS; fw++)
                cases += check_case(g, pixels, 17, 9, 5, x_max, (fill)fx, (fill)fw, 60);
    for (int vecs = 1; vecs <= 15; vecs++)     /* every number of vectors, of every variant */
        for (int x_max = 127; x_max <= g->x_max; x_max += 128)
            cases += check_case(g, pixels * (g->share > 1 ? 1 + vecs / 3 : vecs), check_up_to(9),
                                check_up_to(9), check_up_to(40), x_max, RANDOM, RANDOM,
                                check_up_to(100));
    for (int n = 1; n <= 2 * g->nr + 1; n++)
        cases += check_case(g, 2 * pixels, check_up_to(5), check_up_to(3), n, g->x_max, RANDOM,
                            RANDOM, check_up_to(100));
    for (int quads = 1; quads <= 40; quads++)
        cases += check_case(g, pixels, quads, 1, check_up_to(9), g->x_max, RANDOM, RANDOM,
                            quads % 3 ? 25 : 0);
    return cases;
}

typedef struct timed {
    const oct_sparse_s8 *g;
    oct_sparse_s8_args args;
} timed;

static void run_tile(void *arg)
{
    const timed *t = arg;
    t->g->tile(&t->args);
}

/* A panel of 1x1 convolutions, a quarter of the blocks; operations are those of the blocks. */
static void bench(int v)
{
    const oct_sparse_s8 *g = oct_sparse_s8_all[v];
    for (int quads = 16; quads <= 256; quads *= 4) {
        const int pixels = g->lanes * g->vecs;
        sample s = make(pixels, quads, 1, g->nr, g->x_max, RANDOM, RANDOM, 25, 1);
        oct_sparse_s8_weights w = s.weights;
        const int planes = 4 * quads / per(g);
        int32_t *offset = check_in((size_t)planes * sizeof *offset, 4);
        double blocks = 0;
        for (int i = 0; i < planes; i++) offset[i] = i * (int32_t)plane_of(g, &s);
        for (int l = 0; l < g->nr / g->share; l++) blocks += oct_sparse_s8_count(&w, g->share, l);
        w.offset = offset;
        unsigned char *packed = check_out(oct_sparse_s8_size(g, &w), 64);
        oct_sparse_s8_pack(g, &w, packed);
        oct_requant out = { .kind = OCT_REQUANT_U8, .hi = 127, .bounded = 1 };
        oct_requant_spread(&out);
        const oct_sparse_run run = { 0, pixels, 0 };
        timed t = { g, { .x = planar(g, &s), .vecs = g->vecs, .run = &run, .n_runs = 1,
                         .panel = oct_sparse_s8_panel(packed, 0), .cols = g->nr, .out = &out,
                         .c = check_out((size_t)(pixels * g->nr), 64), .ldc = (size_t)g->nr } };
        char what[32];
        snprintf(what, sizeof what, "%s of %d inputs", g->share > 1 ? "4x1" : "1x4", 4 * quads);
        check_bench("sparse_s8", g->isa, what, check_time(run_tile, &t), 8 * blocks * pixels,
                    "OP");
        check_reset();
    }
}

const check_family check_family_sparse_s8 = { "sparse_s8", variant, check, bench };
