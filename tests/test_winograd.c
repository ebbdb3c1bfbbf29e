/* conv2d_winograd, the whole path: against a naive convolution in double under the derived bound of
 * winograd_f32.h, and the same bits on every ISA, for any threads, batch and block of tiles. */
#include <string.h>

#include "ops/conv2d_winograd.h"
#include "ops/kernels/winograd_f32.h"
#include "tensor/cpu.h"
#include "tensor/f16.h"
#include "tests/suite.h"
#include "tests/winograd_matrices.h"

enum { SLACK = 16 }; /* floats around buffers */
static const uint32_t RUBBISH = 0xffa5a5a5; /* a NaN */

/* One convolution with all its data; everything is freed with the arena. */
typedef struct conv {
    oct_arena arena;
    oct_tensor x, w, bias, residual, y;
    oct_conv2d_attr attr;
    int m, batch, has_bias, has_residual;
    int half;               /* U in half */
} conv;

typedef struct shape {
    int c, out, h, w, pad[2];
} shape;

static const shape shapes[] = {
    { 16, 16, 8, 8, { 1, 1 } },    { 20, 20, 7, 7, { 1, 1 } },   { 64, 64, 9, 13, { 1, 1 } },
    { 70, 33, 5, 6, { 2, 2 } },    { 130, 96, 6, 7, { 0, 2 } },  { 1, 1, 3, 3, { 0, 0 } },
    { 3, 70, 1, 1, { 1, 1 } },     { 17, 129, 2, 11, { 2, 0 } }, { 32, 64, 14, 12, { 1, 1 } },
    { 64, 40, 4, 4, { 0, 0 } },    { 5, 16, 1, 9, { 2, 2 } },    { 128, 32, 3, 5, { 1, 2 } },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Room with rubbish on both sides, so that a missing store and one too many show. */
static float *room(oct_arena *arena, size_t n)
{
    float *p = oct_arena_alloc(arena, (n + 2 * SLACK) * sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n + 2 * SLACK; i++) p[i] = oct_f32_of_bits(RUBBISH);
    return p + SLACK;
}

static int clean(const float *p, size_t n)
{
    for (size_t i = 0; i < SLACK; i++)
        if (oct_bits_of_f32(p[n + i]) != RUBBISH || oct_bits_of_f32((p - SLACK)[i]) != RUBBISH)
            return 0;
    return 1;
}

static float uniform(void) { return (float)(int32_t)test_rand() * 0x1p-31f; }

static oct_tensor image(oct_arena *arena, int n, int h, int w, int c)
{
    oct_tensor t = { .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4, .dim = { n, h, w, c } };
    t.data = room(arena, oct_tensor_count(&t));
    return t;
}

static void fill(const oct_tensor *t)
{
    for (size_t i = 0; i < oct_tensor_count(t); i++) ((float *)t->data)[i] = uniform();
}

static void conv_make(conv *v, const shape *s, int m, int batch)
{
    *v = (conv){ .m = m, .batch = batch, .has_bias = test_rand() % 4 != 0,
                 .has_residual = test_rand() % 2 };
    v->attr = (oct_conv2d_attr){ { 1, 1 }, { s->pad[0], s->pad[1] }, { 1, 1 }, 1,
                                 .act = (oct_act)(test_rand() % 3) };
    v->x = image(&v->arena, batch, s->h, s->w, s->c);
    const int oh = s->h + 2 * s->pad[0] - 2, ow = s->w + 2 * s->pad[1] - 2;
    v->y = image(&v->arena, batch, oh, ow, s->out);
    v->residual = image(&v->arena, batch, oh, ow, s->out);
    v->w = (oct_tensor){ .dtype = OCT_F32, .rank = 4, .dim = { s->out, s->c, 3, 3 } };
    v->w.data = room(&v->arena, oct_tensor_count(&v->w));
    v->bias = (oct_tensor){ .dtype = OCT_F32, .rank = 1, .dim = { s->out } };
    v->bias.data = room(&v->arena, (size_t)s->out);
    fill(&v->x), fill(&v->residual), fill(&v->w), fill(&v->bias);
}

static oct_args conv_args(conv *v)
{
    return (oct_args){ &v->attr, { &v->x, &v->w, v->has_bias ? &v->bias : NULL,
                                   v->has_residual ? &v->residual : NULL }, &v->y };
}

/* Items in falling order, each on another thread's scratch: what any pool may do. */
static void backwards(oct_pool *self, int n, oct_body *body, void *arg)
{
    for (int i = n; i-- > 0;) body(arg, i, i % self->threads);
}

/* Plans v for `cpu` and `threads`, runs n samples into out (NULL: v->y). */
static void conv_run(conv *v, unsigned cpu, int threads, int n, float *out)
{
    oct_pool pool = { threads, backwards };
    oct_arena plan = { 0 };
    oct_prepare how = { .cpu = cpu, .threads = threads, .arena = &plan,
                        .precision = v->half ? OCT_F16 : OCT_F32 };
    float *own = v->y.data;
    void *state;
    if (out) v->y.data = out;
    const oct_args args = conv_args(v);
    ck_assert_int_eq(oct_conv2d_winograd_prepare(&args, &how, v->m, &state), OCT_OK);
    ck_assert_int_eq((int)(how.thread_size % 64), 0);
    const size_t stride = how.thread_size / sizeof(float) + 2 * SLACK;
    float *scratch = room(&plan, stride * (size_t)threads);
    const oct_run r = { .pool = &pool, .n = n, .thread_base = (unsigned char *)scratch,
                        .thread_stride = stride * sizeof(float) };
    oct_conv2d_winograd_run(&args, state, &r);
    for (int t = 0; t < threads; t++) /* 2 * SLACK floats of rubbish after each thread's */
        ck_assert(clean(scratch + (size_t)(t + 1) * stride - SLACK, 0));
    v->y.data = own;
    oct_arena_free(&plan);
}

/* ---- the naive convolution, and S of the error bound ---- */

static size_t at(const oct_tensor *t, int n, int y, int x, int ch)
{
    const int h = t->dim[1], w = t->dim[2], c = t->dim[3], b = ch / OCT_BLOCK;
    return (size_t)n * (size_t)h * (size_t)w * (size_t)c +
           (size_t)b * OCT_BLOCK * (size_t)h * (size_t)w +
           (size_t)(y * w + x) * (size_t)oct_block_width(c, b) + (size_t)(ch % OCT_BLOCK);
}

static double pixel(const oct_tensor *t, int n, int y, int x, int ch)
{
    if (y < 0 || x < 0 || y >= t->dim[1] || x >= t->dim[2]) return 0;
    return (double)((const float *)t->data)[at(t, n, y, x, ch)];
}

/* S of one tile and output channel: |A^T| (sum of |G w G^T| .* |B^T d B|) |A|, absolute within; in
 * half |f16(U) - U| <= 2^-11 (|U| + 2^-14), so U counts for that much. */
static void tile_size(const conv *v, int n, int ty, int tx, int k, double *size)
{
    const int m = v->m, p = m + 2, c_all = v->x.dim[3];
    double sum[36] = { 0 }, d[36], db[36], w[9], wg[36];
    for (int c = 0; c < c_all; c++) {
        for (int i = 0; i < p * p; i++)
            d[i] = pixel(&v->x, n, ty * m - v->attr.pad[0] + i / p, tx * m - v->attr.pad[1] + i % p,
                         c);
        for (int q = 0; q < 9; q++)
            w[q] = (double)((const float *)v->w.data)[((size_t)k * (size_t)c_all + (size_t)c) * 9 +
                                                      (size_t)q];
        winograd_both(WINOGRAD_BT, m, 1, d, db);
        winograd_both(WINOGRAD_G, m, 1, w, wg);
        for (int i = 0; i < p * p; i++) sum[i] += db[i] * (wg[i] + (v->half ? 0x1p-14 : 0));
    }
    winograd_both(WINOGRAD_AT, m, 1, sum, size);
}

static double naive(const conv *v, int n, int y, int x, int k)
{
    const int c_all = v->x.dim[3];
    double sum = 0;
    for (int c = 0; c < c_all; c++)
        for (int q = 0; q < 9; q++)
            sum += pixel(&v->x, n, y - v->attr.pad[0] + q / 3, x - v->attr.pad[1] + q % 3, c) *
                   (double)((const float *)v->w.data)[((size_t)k * (size_t)c_all + (size_t)c) * 9 +
                                                      (size_t)q];
    return sum;
}

static double activate(oct_act act, double y)
{
    if (act != OCT_ACT_NONE && y < 0) y = 0;
    return act == OCT_ACT_RELU6 && y > 6 ? 6 : y;
}

/* One pixel in a few: every tile of a few channels. */
static void check_bound(const conv *v, int n)
{
    const int m = v->m, oh = v->y.dim[1], ow = v->y.dim[2];
    const double c = (double)v->x.dim[3];
    for (int k = (int)(test_rand() % 5); k < v->y.dim[3]; k += 1 + (int)(test_rand() % 40))
        for (int y0 = 0; y0 < oh; y0 += m)
            for (int x0 = 0; x0 < ow; x0 += m) {
                double size[16];
                tile_size(v, n, y0 / m, x0 / m, k, size);
                for (int i = 0; i < m * m; i++) {
                    const int y = y0 + i / m, x = x0 + i % m;
                    if (y >= oh || x >= ow) continue;
                    const double b = v->has_bias ? (double)((float *)v->bias.data)[k] : 0;
                    const double r = v->has_residual ? pixel(&v->residual, n, y, x, k) : 0;
                    const double want = activate(v->attr.act, naive(v, n, y, x, k) + b + r);
                    const double eps = (c + 17) * 0x1p-24 + (v->half ? 0x1p-11 : 0);
                    const double bound = eps * (size[i] + fabs(b) + fabs(r));
                    const double got = pixel(&v->y, n, y, x, k);
                    if (!(fabs(got - want) <= bound))
                        ck_abort_msg("F(%d) %d->%d: [%d,%d,%d,%d] is %.9g, want %.9g +- %.2g", m,
                                     v->x.dim[3], v->y.dim[3], n, y, x, k, got, want, bound);
                }
            }
}

START_TEST(close_to_double)
{
    for (int i = 0; i < N_SHAPES; i += test_brief() ? 3 : 1)
        for (int m = 2; m <= 4; m += 2) {
            conv v;
            conv_make(&v, &shapes[i], m, 2);
            for (v.half = 0; v.half < 2; v.half++) {
                conv_run(&v, 0, 1, 2, NULL);
                check_bound(&v, 0);
                check_bound(&v, 1);
                ck_assert(clean(v.y.data, oct_tensor_count(&v.y)));
            }
            oct_arena_free(&v.arena);
        }
}
END_TEST

/* ---- the same bits ---- */

static void same_bits(const char *what, const conv *v, const float *want, const float *got,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (oct_bits_of_f32(want[i]) != oct_bits_of_f32(got[i]) &&
            !(isnan(want[i]) && isnan(got[i])))
            ck_abort_msg("%s: F(%d) %d->%d @%dx%d: element %zu is %a, want %a", what, v->m,
                         v->x.dim[3], v->y.dim[3], v->x.dim[1], v->x.dim[2], i, (double)got[i],
                         (double)want[i]);
}

/* Every ISA, threads, batch against ref with one thread. */
static void check_variants(conv *v)
{
    const size_t all = oct_tensor_count(&v->y), one = oct_tensor_sample_count(&v->y);
    conv_run(v, 0, 1, v->batch, NULL);
    for (const oct_winograd_f32 *const *k = oct_winograd_f32_all; *k; k++) {
        if (((*k)->needs & oct_cpu_flags()) != (*k)->needs) continue;
        for (int threads = 1; threads <= 7; threads += threads < 3 ? 1 : 4) {
            float *got = room(&v->arena, all);
            const int n = 1 + (int)(test_rand() % (uint32_t)v->batch);
            conv_run(v, (*k)->needs, threads, n, got);
            same_bits((*k)->isa, v, v->y.data, got, (size_t)n * one);
            ck_assert(clean(got, all));
            size_t i = (size_t)n * one; /* samples that were not asked for */
            while (i < all && oct_bits_of_f32(got[i]) == RUBBISH) i++;
            ck_assert_uint_eq(i, all);
        }
    }
}

START_TEST(same_on_every_isa)
{
    for (int i = 0; i < N_SHAPES; i += test_brief() ? 3 : 1)
        for (int m = 2; m <= 4; m += 2)
            for (int batch = 1; batch <= 3; batch++) {
                conv v;
                conv_make(&v, &shapes[i], m, batch);
                v.half = batch == 3;
                for (size_t at = 0; batch == 2 && at < oct_tensor_count(&v.x); at += 97)
                    ((float *)v.x.data)[at] = at % 2 ? INFINITY : 1e-42f;
                check_variants(&v);
                oct_arena_free(&v.arena);
            }
}
END_TEST

/* More tiles than a block holds, and a sample is the same alone and among others. */
START_TEST(blocks_do_not_matter)
{
    const shape big = { 128, 16, 33, 31, { 1, 1 } };
    for (int m = 2; m <= 4; m += 2) {
        conv v, alone;
        conv_make(&v, &big, m, 3);
        check_variants(&v);
        alone = v;
        alone.x.dim[0] = alone.y.dim[0] = alone.residual.dim[0] = alone.batch = 1;
        for (int n = 0; n < 3; n++) {
            const size_t in = (size_t)n * oct_tensor_sample_count(&v.x);
            const size_t to = (size_t)n * oct_tensor_sample_count(&v.y);
            alone.x.data = (float *)v.x.data + in;
            alone.residual.data = (float *)v.residual.data + to;
            float *got = room(&v.arena, oct_tensor_count(&alone.y));
            conv_run(&alone, oct_cpu_flags(), 2, 1, got);
            same_bits("alone", &v, (float *)v.y.data + to, got, oct_tensor_count(&alone.y));
        }
        oct_arena_free(&v.arena);
    }
}
END_TEST

START_TEST(residual_in_place)
{
    conv v;
    conv_make(&v, &shapes[2], 4, 2);
    v.has_residual = 1;
    conv_run(&v, oct_cpu_flags(), 2, 2, NULL);
    conv_run(&v, oct_cpu_flags(), 2, 2, v.residual.data);
    same_bits("in place", &v, v.y.data, v.residual.data, oct_tensor_count(&v.y));
    oct_arena_free(&v.arena);
}
END_TEST

/* BF16 weights with a scale per row are their products as FP32. */
START_TEST(half_weights_and_scales)
{
    conv v;
    conv_make(&v, &shapes[3], 4, 1);
    const size_t n = oct_tensor_count(&v.w), row = (size_t)v.w.dim[1] * 9;
    uint16_t *half = oct_arena_alloc(&v.arena, n * sizeof *half);
    float *scale = oct_arena_alloc(&v.arena, n * sizeof *scale), *f32 = v.w.data;
    for (size_t k = 0; k < n / row; k++) scale[k] = 1 + uniform();
    for (size_t i = 0; i < n; i++) {
        half[i] = oct_bf16_of_f32(f32[i]);
        f32[i] = scale[i / row] * oct_f32_of_bf16(half[i]);
    }
    conv_run(&v, oct_cpu_flags(), 1, 1, NULL);
    v.w.dtype = OCT_BF16, v.w.data = half, v.w.scale = scale;
    float *got = room(&v.arena, oct_tensor_count(&v.y));
    conv_run(&v, oct_cpu_flags(), 1, 1, got);
    same_bits("bf16", &v, v.y.data, got, oct_tensor_count(&v.y));
    oct_arena_free(&v.arena);
}
END_TEST

START_TEST(takes_only_what_it_can)
{
    const oct_conv2d_shape good = { .c = 64, .h = 56, .w = 56, .out = 64, .oh = 56, .ow = 56,
                                    .kernel = { 3, 3 }, .stride = { 1, 1 }, .pad = { 1, 1 },
                                    .dilation = { 1, 1 }, .groups = 1 };
    oct_conv2d_shape c = good;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 4);
    c.oh = 6, c.ow = 60;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 2);
    c.oh = c.ow = 7;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 4);
    c.c = c.out = 512; /* 38 MB of weights for 4 tiles */
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 2);
    c.oh = c.ow = 3;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 0);
    c.oh = c.ow = 1 << 20;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 0);
    int *const must[] = { &c.stride[0], &c.stride[1], &c.dilation[0], &c.dilation[1], &c.groups,
                          &c.kernel[0], &c.kernel[1], &c.c };
    for (size_t i = 0; i < sizeof must / sizeof *must; i++) {
        c = good;
        *must[i] = 2;
        ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 0);
    }
    c = good;
    c.pad[1] = 3;
    ck_assert_int_eq(oct_conv2d_winograd_pick(&c), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { close_to_double, same_on_every_isa, blocks_do_not_matter,
                                   residual_in_place, half_weights_and_scales,
                                   takes_only_what_it_can };
    return suite_run("winograd", tests, sizeof tests / sizeof *tests);
}
