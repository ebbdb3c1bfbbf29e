/* sparse_f32: a strip against columns of singles and quads; ref against the dense chain, zeros
 * multiplied; every variant against ref; any x, Inf and NaN, by _every; input() of every variant
 * against the definition. */
#include <math.h>
#include <string.h>

#include "ops/kernels/sparse_f32.h"
#include "tests/check_kernels.h"

enum { MOST_RUNS = 8, REACH = 9, MOST_N = 100 }; /* REACH: pixels past the last that taps read */

typedef enum pattern { SINGLES, BY_INPUTS, BY_OUTPUTS, KINDS } pattern; /* unstructured, 1x4, 4x1 */

typedef struct sample {
    int pixels, c, taps, n, chunks; /* pixels: a multiple of every variant's lanes */
    size_t ldc;
    const float *x;            /* [pixels + REACH][c] */
    int32_t *tap;              /* [taps]: pixels */
    oct_tensor w;
    oct_sparse_f32_weights weights;
    const float *residual;
    oct_act act;
    oct_sparse_run run[MOST_RUNS];
    int n_runs;
} sample;

static size_t y_count(const sample *s) { return (size_t)(s->pixels - 1) * s->ldc + (size_t)s->n; }
static int k_of(const sample *s) { return s->c * s->taps; }
static size_t plane_of(const sample *s)
{
    return ((size_t)(s->pixels + REACH) * 4 + 63) / 64 * 64;
}

/* Random weights of which all but `per_cent` are zeros of either sign.  k runs over taps, then
 * channels; rows of w are [c][taps]. */
static void make_weights(sample *s, check_fill f, pattern kind, int per_cent)
{
    const int k = k_of(s), down = kind == BY_OUTPUTS ? 4 : 1, across = kind == BY_INPUTS ? 4 : 1;
    float *w = check_in_f32((size_t)(s->n * k), f);
    int32_t *perm = check_in((size_t)k * sizeof *perm, 4);
    int32_t *offset = check_in((size_t)k * sizeof *offset, 4);
    for (int j = 0; j < s->n; j += down)
        for (int i = 0; i < k; i += across)
            for (int b = 0, zero = (int)(check_rand() % 100) >= per_cent; b < 4; b++)
                if (zero && j + b % down < s->n && i + b % across < k)
                    w[(j + b % down) * k + i + b % across] = check_rand() % 2 ? 0.f : -0.f;
    for (int i = 0; i < k; i++) {
        perm[i] = i % s->c * s->taps + i / s->c;
        offset[i] = i % s->c * (int32_t)plane_of(s) + 4 * s->tap[i / s->c];
    }
    float *bias = check_in_f32((size_t)s->n, check_any_fill());
    s->w = (oct_tensor){ .dtype = OCT_F32, .rank = 2, .dim = { s->n, k }, .data = w };
    s->weights = (oct_sparse_f32_weights){
        .w = &s->w, .n = s->n, .k = k, .perm = perm, .offset = offset,
        .bias = check_rand() % 4 ? bias : NULL,
        .rows = check_out((OCT_SPARSE_F32_NR + 1) * (size_t)k * sizeof(float), 4) };
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

static void make(sample *s, int pixels, int c, int taps, int n, check_fill fx, check_fill fw,
                 pattern kind, int per_cent)
{
    *s = (sample){ .pixels = pixels, .c = c, .taps = taps, .n = n };
    s->x = check_in_f32((size_t)(pixels + REACH) * (size_t)c, fx);
    s->tap = check_in((size_t)taps * sizeof *s->tap, 4);
    for (int t = 0; t < taps; t++) s->tap[t] = t * REACH / taps;
    s->ldc = check_odd_stride((size_t)n);
    s->chunks = check_rand() % 2 ? check_up_to(k_of(s)) : 1;
    s->act = (oct_act)(check_rand() % 3);
    make_weights(s, fw, kind, per_cent);
    make_runs(s);
    if (check_rand() % 2) s->residual = check_in_f32(y_count(s), check_any_fill());
}

static int is_finite(const sample *s)
{
    for (int i = 0; i < (s->pixels + REACH) * s->c; i++)
        if (!isfinite(s->x[i])) return 0;
    return 1;
}

static unsigned char *planar(const oct_sparse_f32 *g, const sample *s)
{
    const size_t plane = plane_of(s), pixel = (size_t)s->c * sizeof(float);
    unsigned char *strip = check_out((size_t)s->c * plane, 64);
    const int n = s->pixels + REACH;
    int odd = 0;
    for (int i = 0, count; i < n; i += count) { /* in runs of any length */
        count = check_up_to(check_rand() % 2 ? n : 5);
        if (count > n - i) count = n - i;
        g->input(&(oct_sparse_in){ .x = (const unsigned char *)s->x + (size_t)i * pixel,
                                   .pixel = pixel, .n = count, .planes = s->c,
                                   .to = strip + 4 * (size_t)i, .step = plane, .odd = &odd });
    }
    CHECK(odd == !is_finite(s), "sparse_f32/%s input: odd %d", g->isa, odd);
    for (int c = 0; c < s->c; c++)
        for (int i = 0; i < n; i++)
            CHECK(!memcmp(strip + (size_t)c * plane + 4 * (size_t)i, &s->x[i * s->c + c], 4),
                  "sparse_f32/%s input, channel %d of %d, pixel %d", g->isa, c, s->c, i);
    for (int c = 0; c < s->c; c++) /* what no run has touched stays */
        for (size_t i = 4 * (size_t)n; i < plane; i++)
            CHECK(strip[(size_t)c * plane + i] == CHECK_CANARY, "sparse_f32/%s input wrote outside",
                  g->isa);
    return strip;
}

/* What of the runs lies in the tile from pixel `first` on. */
static int cut_runs(const sample *s, int first, int pixels, oct_sparse_run *run)
{
    int n = 0;
    for (int r = 0; r < s->n_runs; r++) {
        oct_sparse_run cut = s->run[r];
        const int before = first > cut.first ? first - cut.first : 0;
        cut.count -= before, cut.at += (size_t)before * s->ldc;
        cut.first += before;
        if (cut.first + cut.count > first + pixels) cut.count = first + pixels - cut.first;
        cut.first -= first;
        if (cut.count > 0) run[n++] = cut;
    }
    return n;
}

static float *compute(const oct_sparse_f32 *g, const sample *s, int every)
{
    enum { NR = OCT_SPARSE_F32_NR };
    const int per_tile = g->lanes * g->vecs;
    const size_t size = oct_sparse_f32_size(&s->weights, s->chunks);
    unsigned char *packed = check_out(size, 64);
    float *c = check_out(y_count(s) * sizeof *c, 4);
    oct_sparse_f32_pack(&s->weights, s->chunks, packed);
    CHECK(oct_sparse_f32_given(s->n, packed, size) == size, "sparse_f32 size");
    const oct_sparse_f32_count n = oct_sparse_f32_count_packed(s->n, packed);
    const oct_sparse_f32_count all = oct_sparse_f32_count_of(&s->weights);
    CHECK(s->chunks > 1 || (n.singles == all.singles && n.quads == all.quads), "sparse_f32 count");
    const int32_t most = (int32_t)plane_of(s) * (s->c - 1) + 4 * REACH;
    CHECK(oct_sparse_f32_check(s->n, most, packed, size) == OCT_OK, "%s", oct_last_error());
    const unsigned char *strip = planar(g, s);
    for (int first = 0; first < s->pixels; first += per_tile)
        for (int n0 = 0; n0 < s->n; n0 += NR) {
            const int left = (s->pixels - first) / g->lanes;
            oct_sparse_run run[MOST_RUNS];
            oct_sparse_f32_args t = { .x = strip + 4 * (size_t)first, .run = run, .act = s->act,
                                      .vecs = left < g->vecs ? left : g->vecs, .ldc = s->ldc,
                                      .panel = oct_sparse_f32_panel(packed, n0 / NR),
                                      .chunks = oct_sparse_f32_chunks(packed),
                                      .cols = s->n - n0 < NR ? s->n - n0 : NR, .c = c + n0 };
            if (s->residual) t.residual = s->residual + n0;
            t.n_runs = cut_runs(s, first, t.vecs * g->lanes, run);
            if (every) oct_sparse_f32_every(&t, s->weights.offset, k_of(s), s->weights.rows);
            else g->tile(&t);
        }
    CHECK(check_intact(packed) && check_intact(strip) && check_intact(c) &&
          check_intact(s->weights.rows), "sparse_f32/%s wrote outside", g->isa);
    return c;
}

/* The dense way: every product, in order. */
static float *plain(const sample *s)
{
    float *y = check_out(y_count(s) * sizeof *y, 4);
    const float *w = s->w.data;
    const int k = k_of(s);
    for (int r = 0; r < s->n_runs; r++)
        for (int i = s->run[r].first; i < s->run[r].first + s->run[r].count; i++)
            for (int n = 0; n < s->n; n++) {
                const size_t at = (size_t)i * s->ldc + (size_t)n;
                float sum = 0;
                for (int p = 0; p < k; p++)
                    sum = fmaf(s->x[(i + s->tap[p / s->c]) * s->c + p % s->c],
                               w[n * k + s->weights.perm[p]], sum);
                sum += s->weights.bias ? s->weights.bias[n] + 0.f : 0.f;
                if (s->residual) sum += s->residual[at];
                if (s->act != OCT_ACT_NONE) sum = sum < 0 ? 0 : sum;
                if (s->act == OCT_ACT_RELU6) sum = sum > 6 ? 6 : sum;
                y[at] = sum;
            }
    return y;
}

static int check_case(const oct_sparse_f32 *g, int pixels, int c, int taps, int n, check_fill fx,
                      check_fill fw, pattern kind, int per_cent)
{
    sample s;
    make(&s, pixels, c, taps, n, fx, fw, kind, per_cent);
    const int every = !is_finite(&s);
    const float *want = every || g == &oct_sparse_f32_ref ? plain(&s)
                                                          : compute(&oct_sparse_f32_ref, &s, 0);
    const float *got = compute(g, &s, every);
    const size_t d = check_differ_f32(want, got, y_count(&s));
    CHECK(d == y_count(&s), "sparse_f32/%s %d px, %d channels, %d taps, %d columns, %d %%, kind %d,"
          " %d chunks, residual %d, x %s, w %s: %zu is %a, not %a", g->isa, pixels, c, taps, n,
          per_cent, (int)kind, s.chunks, s.residual != NULL, check_fill_name(fx),
          check_fill_name(fw), d, (double)got[d], (double)want[d]);
    check_reset();
    return 1;
}

static const char *variant(int i, unsigned *needs)
{
    const oct_sparse_f32 *g = oct_sparse_f32_all[i];
    if (!g) return NULL;
    *needs = g->needs;
    return g->isa;
}

/* Of packed weights from a file, whatever is wrong is found. */
static int check_hostile(void)
{
    enum { K = 6, N = 40, SIZE = 8192, NR = OCT_SPARSE_F32_NR, CHUNKS = 2 };
    static _Alignas(64) unsigned char packed[SIZE];
    int32_t offset[K] = { 0, 64, 128, 192, 256, 320 };
    static float b[N * K], rows[(NR + 1) * K];
    for (int i = 0; i < N * K; i++) b[i] = i / K < 4 || i % 5 == 0 ? 1.f : 0.f;
    const oct_tensor t = { .dtype = OCT_F32, .rank = 2, .dim = { N, K }, .data = b };
    oct_sparse_f32_weights w = { .w = &t, .n = N, .k = K, .offset = offset, .rows = rows };
    const size_t size = oct_sparse_f32_size(&w, CHUNKS);
    CHECK(size <= SIZE, "%zu bytes", size);
    oct_sparse_f32_pack(&w, CHUNKS, packed);
    CHECK(oct_sparse_f32_check(N, 320, packed, size) == OCT_OK, "%s", oct_last_error());
    CHECK(oct_sparse_f32_check(N, 316, packed, size) == OCT_ERR_FORMAT, "an offset too large");
    int32_t *head = (void *)packed, *panel = (void *)(packed + head[1]);
    int32_t *const quads = panel + NR, *const singles = quads + CHUNKS * NR / 4;
    int32_t *const records = singles + CHUNKS * NR;
    CHECK(quads[0] == 3 && singles[4] == 1 && records[0] == 0 && records[15] == 64, "layout");
    int32_t *const wrong[] = { &head[0], &head[1], &head[2], quads, singles, records,
                               records + 15 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        static const int32_t values[] = { -1, -64, 1 << 20, 1 << 30, INT32_MAX, 70, INT32_MIN };
        const int32_t before = *wrong[i];
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            *wrong[i] = values[v];
            CHECK(oct_sparse_f32_check(N, 320, packed, size) == OCT_ERR_FORMAT,
                  "sparse_f32: word %zu is %d", i, (int)values[v]);
        }
        *wrong[i] = before;
    }
    head[0] = 0;
    CHECK(oct_sparse_f32_check(N, 320, packed, size) == OCT_ERR_FORMAT, "no chunk");
    head[0] = CHUNKS;
    CHECK(oct_sparse_f32_check(N, 320, packed, size) == OCT_OK, "%s", oct_last_error());
    CHECK(oct_sparse_f32_given(N, packed, 4) == 0, "4 bytes");
    return 1;
}

static int check(int v)
{
    const oct_sparse_f32 *g = oct_sparse_f32_all[v];
    int cases = check_hostile();
    for (int fx = 0; fx < CHECK_FILL_COUNT; fx++)
        for (int fw = 0; fw < CHECK_FILL_COUNT; fw++)
            for (int kind = 0; kind < KINDS; kind++)
                cases += check_case(g, 16, 17, 5, 9, (check_fill)fx, (check_fill)fw,
                                    (pattern)kind, 40);
    for (int vecs = 1; vecs <= 15; vecs++)     /* every number of vectors, of every variant */
        for (int kind = 0; kind < KINDS; kind++)
            cases += check_case(g, 16 * vecs, check_up_to(20), check_up_to(9), check_up_to(40),
                                CHECK_RANDOM, CHECK_RANDOM, (pattern)kind, check_up_to(100));
    for (int n = 1; n <= 2 * OCT_SPARSE_F32_NR + 1; n++)
        cases += check_case(g, 32, check_up_to(9), check_up_to(3), n, CHECK_RANDOM, CHECK_RANDOM,
                            (pattern)(n % KINDS), n % 5 ? check_up_to(100) : n % 2 * 100);
    for (int c = 1; c <= 40; c++)
        cases += check_case(g, 16, c, 1, check_up_to(9), CHECK_WIDE, CHECK_RANDOM,
                            (pattern)(c % KINDS), c % 3 ? 25 : 0);
    return cases;
}

typedef struct timed {
    const oct_sparse_f32 *g;
    oct_sparse_f32_args args;
} timed;

static void run_tile(void *arg)
{
    const timed *t = arg;
    t->g->tile(&t->args);
}

/* A panel of 1x1 convolutions, a quarter of the weights; operations are those of the weights. */
static void bench(int v)
{
    static const char *const names[KINDS] = { "of", "1x4 of", "4x1 of" };
    const oct_sparse_f32 *g = oct_sparse_f32_all[v];
    for (int c = 64; c <= 1024; c *= 4)
        for (int kind = 0; kind < KINDS; kind += 2) {
            const int pixels = g->lanes * g->vecs;
            sample s;
            make(&s, pixels, c, 1, OCT_SPARSE_F32_NR, CHECK_RANDOM, CHECK_RANDOM,
                 (pattern)kind, 25);
            const int chunks = 1 + c * pixels / 8192;
            const oct_sparse_f32_count n = oct_sparse_f32_count_of(&s.weights);
            unsigned char *packed = check_out(oct_sparse_f32_size(&s.weights, chunks), 64);
            oct_sparse_f32_pack(&s.weights, chunks, packed);
            const oct_sparse_run run = { 0, pixels, 0 };
            timed t = { g, { .x = planar(g, &s), .vecs = g->vecs, .run = &run, .n_runs = 1,
                             .panel = oct_sparse_f32_panel(packed, 0), .chunks = chunks,
                             .cols = OCT_SPARSE_F32_NR, .ldc = OCT_SPARSE_F32_NR,
                             .c = check_out((size_t)(pixels * OCT_SPARSE_F32_NR) * 4, 64) } };
            char what[32];
            snprintf(what, sizeof what, "25 %% %s %d inputs", names[kind], c);
            check_bench("sparse_f32", g->isa, what, check_time(run_tile, &t),
                        2 * (n.singles + 4 * n.quads) * pixels, "FLOP");
            check_reset();
        }
}

const check_family check_family_sparse_f32 = { "sparse_f32", variant, check, bench };
