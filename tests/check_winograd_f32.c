/* winograd_f32: variants against ref byte for byte, ref and the weights against double. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/kernels/winograd_f32.h"
#include "tests/check_kernels.h"
#include "tests/winograd_matrices.h"

static int round_up(int n, int to) { return (n + to - 1) / to * to; }

static int some_lanes(void)
{
    static const int often[] = { 64, 64, 32, 20, 16, 8, 3, 1 };
    return check_rand() % 2 ? often[check_rand() % 8] : check_up_to(64);
}

/* ---- input ---- */

/* A tile of which only the pixels in [y0, y1) x [x0, x1) are in the buffer; between them lie NaNs,
 * and the last one ends where reading more than 64 bytes past it would fault. */
static oct_winograd_f32_in make_input(int m, const int box[4], int lanes, check_fill fill)
{
    const int p = m + 2;
    const size_t pixel = check_odd_stride((size_t)lanes);
    const size_t row = check_odd_stride((size_t)p * pixel);
    oct_winograd_f32_in in = { .m = m, .y0 = box[0], .y1 = box[1], .x0 = box[2], .x1 = box[3],
                               .row = row, .pixel = pixel, .lanes = lanes };
    in.step = check_odd_stride((size_t)round_up(lanes, 16));
    const int h = in.y1 - in.y0, w = in.x1 - in.x0;
    const size_t first = (size_t)in.y0 * row + (size_t)in.x0 * pixel;
    const size_t last = (size_t)(in.y1 - 1) * row + (size_t)(in.x1 - 1) * pixel;
    const size_t span = h && w ? last - first + (size_t)lanes : 0;
    float *x = check_in(span * sizeof *x, sizeof *x);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
            check_fill_f32(x + (size_t)i * row + (size_t)j * pixel, (size_t)lanes, fill);
    in.x = x - first;
    return in;
}

static float *make_v(oct_winograd_f32_in *in)
{
    const int p = in->m + 2;
    const size_t n = (size_t)(p * p - 1) * in->step + (size_t)round_up(in->lanes, 16);
    return in->v = check_out(n * sizeof(float), sizeof(float));
}

static void check_input(const oct_winograd_f32 *k, int m, const int box[4], int lanes,
                        check_fill fill)
{
    oct_winograd_f32_in in = make_input(m, box, lanes, fill);
    const float *want = make_v(&in);
    oct_winograd_f32_ref.input(&in);
    const float *got = make_v(&in);
    k->input(&in);
    size_t bad = 0;
    for (int xi = 0; xi < (m + 2) * (m + 2); xi++) {
        const size_t at = (size_t)xi * in.step, n = (size_t)lanes;
        bad += check_differ_f32(want + at, got + at, n) != n;
        for (size_t l = (size_t)round_up(lanes, 16); l < in.step && xi + 1 < (m + 2) * (m + 2); l++)
            bad += memcmp(got + at + l, want + at + l, sizeof *got) != 0; /* ref never goes there */
    }
    CHECK(!bad && check_intact(got), "input m=%d y %d..%d x %d..%d lanes %d fill %s", m, box[0],
          box[1], box[2], box[3], lanes, check_fill_name(fill));
    check_reset();
}

/* Every box, the inner one with every number of lanes and every fill. */
static int check_inputs(const oct_winograd_f32 *k, int m)
{
    const int p = m + 2;
    int cases = 0;
    for (int lanes = 1; lanes <= 64; lanes++)
        for (int fill = 0; fill < CHECK_FILL_COUNT; fill++, cases++)
            check_input(k, m, (int[]){ 0, p, 0, p }, lanes, (check_fill)fill);
    for (int y0 = 0; y0 <= p; y0++)
        for (int y1 = y0; y1 <= p; y1++)
            for (int x0 = 0; x0 <= p; x0++)
                for (int x1 = x0; x1 <= p; x1++, cases++)
                    check_input(k, m, (int[]){ y0, y1, x0, x1 }, some_lanes(), check_any_fill());
    return cases;
}

/* ---- output ---- */

static float *make_y(oct_winograd_f32_out *out, size_t n, const float *residual, int in_place)
{
    out->y = check_out(n * sizeof(float), sizeof(float));
    out->residual = residual;
    if (residual && in_place) {
        memcpy(out->y, residual, n * sizeof(float));
        out->residual = out->y;
    }
    return out->y;
}

static void check_output(const oct_winograd_f32 *k, int m, int rows, int cols, int lanes,
                         check_fill fill)
{
    const int n_xi = (m + 2) * (m + 2), with = (int)(check_rand() % 3);
    oct_winograd_f32_out out = { .m = m, .rows = rows, .cols = cols, .lanes = lanes,
                                 .act = (oct_act)(check_rand() % 3) };
    out.step = check_odd_stride((size_t)lanes);
    out.pixel = check_odd_stride((size_t)lanes);
    out.row = check_odd_stride((size_t)m * out.pixel);
    const size_t l = (size_t)lanes;
    const size_t span = (size_t)(rows - 1) * out.row + (size_t)(cols - 1) * out.pixel + l;
    float *mm = check_in(((size_t)(n_xi - 1) * out.step + l) * sizeof *mm, sizeof *mm);
    for (int xi = 0; xi < n_xi; xi++) check_fill_f32(mm + (size_t)xi * out.step, l, fill);
    out.mm = mm;
    out.bias = check_in_f32(l, check_rand() % 2 ? fill : CHECK_RANDOM);
    const float *residual = with ? check_in_f32(span, check_any_fill()) : NULL;
    const float *want = make_y(&out, span, residual, with == 2);
    oct_winograd_f32_ref.output(&out);
    const float *got = make_y(&out, span, residual, with == 2);
    k->output(&out);
    CHECK(check_differ_f32(want, got, span) == span && check_intact(got),
          "output m=%d %dx%d lanes %d fill %s act %s residual %d", m, rows, cols, lanes,
          check_fill_name(fill), oct_act_name(out.act), with);
    check_reset();
}

static int check_outputs(const oct_winograd_f32 *k, int m)
{
    int cases = 0;
    for (int lanes = 1; lanes <= 64; lanes++)
        for (int fill = 0; fill < CHECK_FILL_COUNT; fill++, cases++)
            check_output(k, m, m, m, lanes, (check_fill)fill);
    for (int rows = 1; rows <= m; rows++)
        for (int cols = 1; cols <= m; cols++)
            for (int n = 0; n < 40; n++, cases++)
                check_output(k, m, rows, cols, some_lanes(), check_any_fill());
    return cases;
}

/* ---- ref against double: the bounds of winograd_f32.h ---- */

static const double EPS = 0x1p-24, TINY = 0x1p-140; /* TINY: what denormals lose, 2^-150 each */

/* d: p x p.  Roundings: of one value, as the contract counts them. */
static void check_near(const char *what, int m, const float *got, const double *want,
                       const double *size, int n, int roundings)
{
    for (int i = 0; i < n; i++) {
        const double bound = roundings * EPS * size[i] * (1 + 1e-5) + TINY;
        CHECK(fabs((double)got[i] - want[i]) <= bound, "%s m=%d value %d: %.9g, want %.9g +- %.2g",
              what, m, i, (double)got[i], want[i], bound);
    }
}

static void check_ref_input(int m, check_fill fill)
{
    const int p = m + 2;
    float x[36], v[36 * 16];
    double d[36], want[36], size[36];
    float got[36];
    check_fill_f32(x, (size_t)(p * p), fill);
    for (int i = 0; i < p * p; i++) d[i] = (double)x[i];
    const oct_winograd_f32_in in = { .m = m, .y1 = p, .x1 = p, .x = x, .row = (size_t)p, .pixel = 1,
                                     .lanes = 1, .v = v, .step = 16 };
    oct_winograd_f32_ref.input(&in);
    for (int i = 0; i < p * p; i++) got[i] = v[i * 16];
    winograd_both(WINOGRAD_BT, m, 0, d, want);
    winograd_both(WINOGRAD_BT, m, 1, d, size);
    check_near("input", m, got, want, size, p * p, m == 4 ? 6 : 2);
}

static void check_ref_output(int m, check_fill fill)
{
    const int p = m + 2;
    float mm[36], y[16], bias;
    double d[36], want[16], size[16];
    check_fill_f32(mm, (size_t)(p * p), fill);
    check_fill_f32(&bias, 1, CHECK_RANDOM);
    for (int i = 0; i < p * p; i++) d[i] = (double)mm[i];
    const oct_winograd_f32_out out = { .m = m, .rows = m, .cols = m, .mm = mm, .step = 1,
                                       .bias = &bias, .lanes = 1, .y = y, .row = (size_t)m,
                                       .pixel = 1 };
    oct_winograd_f32_ref.output(&out);
    winograd_both(WINOGRAD_AT, m, 0, d, want);
    winograd_both(WINOGRAD_AT, m, 1, d, size);
    for (int i = 0; i < m * m; i++) want[i] += (double)bias, size[i] += fabs((double)bias);
    check_near("output", m, y, want, size, m * m, m == 4 ? 9 : 5);
}

static void check_weights(int m, int lanes)
{
    enum { N = OCT_WINOGRAD_F32_FILTERS };
    const int n_xi = (m + 2) * (m + 2);
    const size_t step = check_odd_stride((size_t)lanes), n = (size_t)(n_xi - 1) * step;
    const float *w = check_in_f32(9 * N, CHECK_RANDOM);
    float *u = check_out((n + (size_t)lanes) * sizeof *u, sizeof *u), one[36], canary;
    oct_winograd_f32_weights(m, lanes, w, u, step);
    memset(&canary, CHECK_CANARY, sizeof canary);
    for (int l = 0; l < lanes; l++) {
        double d[9], want[36], size[36];
        for (int q = 0; q < 9; q++) d[q] = (double)w[q * N + l];
        for (int xi = 0; xi < n_xi; xi++) one[xi] = u[(size_t)xi * step + (size_t)l];
        winograd_both(WINOGRAD_G, m, 0, d, want);
        for (int xi = 0; xi < n_xi; xi++) size[xi] = fabs(want[xi]) + 1e-7; /* double's own */
        check_near("weights", m, one, want, size, n_xi, 1);
    }
    for (size_t i = 0; i < n; i++) CHECK(i % step < (size_t)lanes || !memcmp(u + i, &canary, 4),
                                         "weights m=%d lanes %d wrote past a row", m, lanes);
    CHECK(check_intact(u), "weights m=%d lanes %d", m, lanes);
    check_reset();
}

static int check_ref(int m)
{
    static const check_fill fills[] = { CHECK_RANDOM, CHECK_CANCEL, CHECK_SAME, CHECK_DENORMAL,
                                        CHECK_ZERO };
    int cases = 0;
    for (int n = 0; n < 2000; n++, cases += 2) {
        check_ref_input(m, fills[n % 5]);
        check_ref_output(m, fills[n % 5]);
    }
    for (int lanes = 1; lanes <= OCT_WINOGRAD_F32_FILTERS; lanes++, cases++)
        check_weights(m, lanes);
    return cases;
}

/* ---- the family ---- */

static const char *variant(int i, unsigned *needs)
{
    const oct_winograd_f32 *k = oct_winograd_f32_all[i];
    if (k) *needs = k->needs;
    return k ? k->isa : NULL;
}

static int check(int i)
{
    const oct_winograd_f32 *k = oct_winograd_f32_all[i];
    int cases = 0;
    for (int m = 2; m <= 4; m += 2) {
        if (k == &oct_winograd_f32_ref) cases += check_ref(m);
        cases += check_inputs(k, m) + check_outputs(k, m);
    }
    return cases;
}

enum { TILES = 14, LINE = 16 };

typedef struct job {
    const oct_winograd_f32 *k;
    oct_winograd_f32_in in;
    oct_winograd_f32_out out;
} job;

static void bench_input(void *arg)
{
    job *j = arg;
    float *v = j->in.v;
    for (int t = 0; t < TILES; t++, j->in.v += 64) j->k->input(&j->in);
    j->in.v = v;
}

static void bench_output(void *arg)
{
    job *j = arg;
    const float *mm = j->out.mm;
    for (int t = 0; t < TILES; t++, j->out.mm += 64) j->k->output(&j->out);
    j->out.mm = mm;
}

/* TILES tiles of 64 channels that lie in L1 and L2, one FMA or addition counted as one. */
static void bench(int i)
{
    static float x[6 * 6 * 64], v[36 * (TILES * 64 + LINE)], bias[64], y[4 * 4 * 64];
    for (int m = 2; m <= 4; m += 2) {
        const int p = m + 2;
        const size_t step = TILES * 64 + LINE;
        const double ops_in = m == 4 ? 12 * 12 : 8 * 4, ops_out = m == 4 ? 10 * 14 : 6 * 4;
        char what[32];
        job j = { oct_winograd_f32_all[i],
                  { m, 0, p, 0, p, x, (size_t)p * 64, 64, 64, v, step },
                  { m, m, m, v, step, bias, NULL, OCT_ACT_RELU, 64, y, (size_t)m * 64, 64 } };
        snprintf(what, sizeof what, "input m=%d", m);
        check_bench("winograd_f32", j.k->isa, what, check_time(bench_input, &j),
                    TILES * 64 * ops_in, "OP");
        snprintf(what, sizeof what, "edge m=%d", m);
        j.in.y0 = j.in.x0 = 1;
        check_bench("winograd_f32", j.k->isa, what, check_time(bench_input, &j),
                    TILES * 64 * ops_in, "OP");
        snprintf(what, sizeof what, "output m=%d", m);
        check_bench("winograd_f32", j.k->isa, what, check_time(bench_output, &j),
                    TILES * 64 * ops_out, "OP");
    }
}

const check_family check_family_winograd_f32 = { "winograd_f32", variant, check, bench };
