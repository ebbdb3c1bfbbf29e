/* conv2d and linear with sparse blocks have the bytes of the dense way, which ref computes: any
 * shape, each ISA, any threads, weights packed here or before. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/conv2d_sparse_s8.h"
#include "tensor/cpu.h"
#include "tests/run_op.h"
#include "tests/suite.h"

typedef struct shape {
    int c, out, h, w, kernel[2], stride[2], pad[2], dilation[2];
    int batch, per_cent;       /* of the blocks that are not zero */
    int residual, f32;         /* y FP32 */
    enum { ACROSS, DOWN, HALVED } form; /* 1x4, 4x1, 2:4 */
} shape;

static const shape shapes[] = {
    { 64, 32, 14, 14, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 25, 0, 0, 0 },
    { 64, 70, 7, 9, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 3, 25, 1, 0, 0 },
    { 68, 40, 9, 11, { 1, 1 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, 2, 50, 1, 0, 0 },
    { 132, 24, 7, 7, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 2, 10, 1, 0, 0 },
    { 64, 33, 30, 17, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 40, 0, 0, 0 },
    { 72, 8, 15, 14, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, 2, 30, 0, 0, 0 },
    { 4, 1, 5, 6, { 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 100, 0, 0, 0 },
    { 8, 9, 13, 12, { 3, 2 }, { 3, 1 }, { 2, 3 }, { 2, 3 }, 2, 60, 1, 0, 0 },
    { 16, 20, 12, 20, { 5, 7 }, { 2, 3 }, { 2, 3 }, { 1, 1 }, 1, 30, 0, 0, 0 },
    { 12, 5, 8, 40, { 1, 3 }, { 1, 2 }, { 0, 1 }, { 1, 1 }, 2, 50, 0, 0, 0 },
    { 16, 16, 6, 6, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 0, 0, 0, 0 },   /* no block */
    { 16, 16, 6, 6, { 1, 1 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, 1, 50, 0, 0, 0 }, /* padding, too */
    { 20, 34, 9, 9, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 30, 1, 1, 0 },
    { 64, 32, 14, 14, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 25, 0, 0, 1 },
    { 64, 70, 7, 9, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 3, 25, 1, 0, 1 },
    { 68, 40, 9, 11, { 1, 1 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, 2, 50, 1, 0, 1 },
    { 132, 24, 7, 7, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 2, 10, 1, 0, 1 },
    { 64, 33, 30, 17, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 40, 0, 0, 1 },
    { 8, 11, 13, 12, { 3, 2 }, { 3, 1 }, { 2, 3 }, { 2, 3 }, 2, 60, 1, 0, 1 },
    { 16, 20, 12, 20, { 5, 7 }, { 2, 3 }, { 2, 3 }, { 1, 1 }, 1, 30, 0, 0, 1 },
    { 20, 34, 9, 9, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 30, 1, 1, 1 },
    { 64, 32, 14, 14, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 100, 0, 0, 2 },
    { 68, 40, 9, 11, { 1, 1 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, 2, 100, 1, 0, 2 },
    { 132, 24, 7, 7, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 2, 100, 1, 0, 2 },
    { 12, 33, 30, 17, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 100, 0, 0, 2 },
    { 8, 11, 13, 12, { 3, 2 }, { 3, 1 }, { 2, 3 }, { 2, 3 }, 2, 100, 1, 0, 2 },
    { 20, 34, 9, 9, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, 100, 1, 1, 2 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef struct subject {
    oct_conv2d_attr attr;
    test_op op;
    oct_tensor x, w, b, r, y;
    oct_args args;
    unsigned char *want;
    const char *kernel;        /* part of its name, where it is sparse */
} subject;

static void *bytes(subject *s, size_t n, int most)
{
    unsigned char *p = oct_arena_alloc(&s->op.arena, n);
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)(test_rand() % (unsigned)(most + 1));
    return p;
}

static void make_weights(subject *s, const shape *c)
{
    const size_t out = (size_t)c->out, taps = (size_t)(c->kernel[0] * c->kernel[1]);
    const size_t quads = (size_t)c->c / 4;
    float *scale = oct_arena_alloc(&s->op.arena, out * sizeof *scale);
    int32_t *bias = oct_arena_alloc(&s->op.arena, out * sizeof *bias);
    int8_t *w = bytes(s, out * quads * 4 * taps, 255);
    const size_t down = c->form == DOWN ? 4 : 1, across = 4 / down;
    for (size_t o = 0; o < out; o += down)
        for (size_t k = 0; k < quads * 4; k += across)
            for (size_t t = 0; t < taps; t++)
                for (size_t p = 0, zero = (int)(test_rand() % 100) >= c->per_cent; p < 4 && zero;
                     p++)
                    if (o + p % down < out)
                        w[((o + p % down) * quads * 4 + k + p % across) * taps + t] = 0;
    for (size_t i = 0; i < out * quads * 4 * taps && c->form == HALVED; i += 4 * taps)
        for (size_t t = 0; t < taps; t++)
            for (size_t k = test_rand(), p = 0; p < 2; p++) /* two of four, any */
                w[i + (k + p + k / 4 % 2 * p) % 4 * taps + t] = 0;
    for (size_t o = 0; o < out; o++) {
        scale[o] = .02f / (float)(1 + quads * taps * (size_t)c->per_cent / 400);
        bias[o] = (int)(test_rand() % 2001) - 1000;
    }
    s->w = (oct_tensor){ .dtype = OCT_S8, .rank = 4, .scale = scale, .data = w,
                         .dim = { c->out, c->c, c->kernel[0], c->kernel[1] } };
    s->b = (oct_tensor){ .dtype = OCT_S32, .rank = 1, .dim = { c->out }, .data = bias };
}

static void run_one(subject *s)
{
    s->y.data = NULL;
    test_op_run(&s->op, OCT_OP_CONV2D, &s->args, s->x.dim[0]);
    const size_t size = oct_tensor_size(&s->y);
    if (!s->want) {            /* ref, dense: the first */
        s->want = oct_arena_alloc(&s->op.arena, size);
        memcpy(s->want, s->y.data, size);
    }
    ck_assert_mem_eq(s->y.data, s->want, size);
}

static void on_isa(unsigned cpu, void *arg)
{
    subject *s = arg;
    void *const weights = s->w.data, *const biases = s->b.data;
    s->op.cpu = cpu;
    s->attr.sparse = 0;
    run_one(s);
    ck_assert_ptr_null(strstr(s->op.how.kernel, s->kernel));
    s->attr.sparse = oct_sparse_isa(cpu);
    for (s->op.threads = 1; s->op.threads <= 5; s->op.threads += 2) run_one(s);
    ck_assert(!s->attr.sparse == !strstr(s->op.how.kernel, s->kernel));
    const oct_packed piece = s->op.how.packed[0];
    s->op.given = &piece, s->op.n_given = 1;
    s->w.data = s->b.data = oct_no_data;
    run_one(s);
    s->op.given = NULL, s->op.n_given = 0;
    s->w.data = weights, s->b.data = biases;
}

START_TEST(the_dense_bytes)
{
    static const float x_scale = .03f, r_scale = .05f;
    static const char *const kernels[] = { "sparse_s8/", "sparse_s8_4x1/", "sparse_s8_24/" };
    const shape *c = &shapes[_i / 2];
    const int most = _i % 2 ? 255 : 127;
    subject s = { .op.threads = 1, .kernel = kernels[c->form] };
    s.attr = (oct_conv2d_attr){ .stride = { c->stride[0], c->stride[1] }, .groups = 1,
                                .pad = { c->pad[0], c->pad[1] },
                                .dilation = { c->dilation[0], c->dilation[1] },
                                .quant = { c->f32 ? 0 : .05f, 3, most } };
    make_weights(&s, c);
    s.x = (oct_tensor){ .dtype = OCT_U8, .layout = OCT_BLOCKED, .rank = 4, .scale = &x_scale,
                        .zero = most / 3, .max = most, .dim = { c->batch, c->h, c->w, c->c } };
    s.x.data = bytes(&s, oct_tensor_size(&s.x), most);
    s.args = (oct_args){ &s.attr, { &s.x, &s.w, &s.b }, &s.y };
    ck_assert_int_eq(oct_op_conv2d.infer(&s.args), OCT_OK);
    if (c->residual) {
        s.r = s.y;
        s.r.scale = c->f32 ? NULL : &r_scale;
        s.r.zero = c->f32 ? 0 : 7;
        if (c->f32) test_op_fill(&s.op, &s.r);
        else s.r.data = bytes(&s, oct_tensor_size(&s.r), most);
        s.args.in[OCT_CONV2D_RESIDUAL] = &s.r;
    }
    test_each_isa(on_isa, &s);
    oct_arena_free(&s.op.arena);
}
END_TEST

/* linear: rows as pixels, few of them dense; x FP32 is quantized at run time. */
typedef struct rows {
    int m, n, k, per_cent, f32, residual, down;
} rows;

static const rows linears[] = {
    { 33, 70, 68, 4, 0, 0, 0 }, { 300, 40, 132, 4, 0, 1, 0 }, { 230, 33, 768, 4, 1, 1, 0 },
    { 64, 40, 20, 3, 1, 0, 0 }, { 40, 65, 16, 0, 1, 0, 0 }, { 49, 70, 132, 2, 0, 0, 1 },
    { 300, 41, 132, 2, 0, 1, 1 }, { 230, 33, 768, 4, 1, 1, 1 },
};
enum { N_LINEARS = sizeof linears / sizeof *linears };

typedef struct linear {
    subject s;
    oct_linear_attr attr;
    int rows;
} linear;

static void run_rows(linear *t, int n)
{
    subject *s = &t->s;
    const size_t size = oct_tensor_size(&s->y) / (size_t)t->rows * (size_t)n;
    s->y.data = NULL;
    test_op_run(&s->op, OCT_OP_LINEAR, &s->args, n);
    if (!s->want) {            /* ref, dense, all rows: the first */
        s->want = oct_arena_alloc(&s->op.arena, size);
        memcpy(s->want, s->y.data, size);
    }
    ck_assert_mem_eq(s->y.data, s->want, size);
}

static void linear_on_isa(unsigned cpu, void *arg)
{
    linear *t = arg;
    subject *s = &t->s;
    void *const weights = s->w.data, *const biases = s->b.data;
    s->op.cpu = cpu, s->op.threads = 1;
    t->attr.sparse = 0;
    run_rows(t, t->rows);
    t->attr.sparse = oct_sparse_isa(cpu);
    for (s->op.threads = 1; s->op.threads <= 3; s->op.threads += 2)
        for (int n = t->rows; n > 0; n = n > 20 ? n - 19 : n / 3) run_rows(t, n);
    ck_assert(!t->attr.sparse == !strstr(s->op.how.kernel, s->kernel));
    ck_assert_int_eq(s->op.how.n_packed, t->attr.sparse ? 2 : 1);
    const oct_packed piece[2] = { s->op.how.packed[0], s->op.how.packed[1] };
    s->op.given = piece, s->op.n_given = s->op.how.n_packed;
    s->w.data = s->b.data = oct_no_data;
    run_rows(t, t->rows);
    s->op.given = NULL, s->op.n_given = 0;
    s->w.data = weights, s->b.data = biases;
}

START_TEST(linear_bytes)
{
    static const float x_scale = .03f, r_scale = .05f;
    const rows *c = &linears[_i / 2];
    const int most = _i % 2 ? 255 : 127;
    linear t = { .rows = c->m, .attr.act = OCT_ACT_RELU };
    subject *s = &t.s;
    s->op.threads = 1;
    s->kernel = c->down ? "sparse_s8_4x1" : "sparse_s8";
    if (!c->f32) t.attr.quant = (oct_quant){ .05f, 3, most };
    make_weights(s, &(shape){ .c = c->k, .out = c->n, .kernel = { 1, 1 },
                              .per_cent = c->per_cent,
                              .form = c->down ? DOWN : ACROSS });
    s->w.rank = 2;
    s->x = (oct_tensor){ .dtype = c->f32 ? OCT_F32 : OCT_U8, .rank = 2, .dim = { c->m, c->k } };
    if (c->f32) test_op_fill(&s->op, &s->x);
    else s->x.data = bytes(s, oct_tensor_size(&s->x), most);
    if (!c->f32) s->x.scale = &x_scale, s->x.zero = most / 3, s->x.max = most;
    s->args = (oct_args){ &t.attr, { &s->x, &s->w, c->f32 ? NULL : &s->b }, &s->y };
    ck_assert_int_eq(oct_op_linear.infer(&s->args), OCT_OK);
    if (c->residual) {
        s->r = s->y;
        if (c->f32) test_op_fill(&s->op, &s->r);
        else s->r.data = bytes(s, oct_tensor_size(&s->r), most), s->r.scale = &r_scale;
        s->args.in[OCT_LINEAR_RESIDUAL] = &s->r;
    }
    test_each_isa(linear_on_isa, &t);
    oct_arena_free(&s->op.arena);
}
END_TEST

/* What the file says is done, and only on the ISA it says. */
START_TEST(the_rule)
{
    const oct_conv2d_shape one = { .c = 256, .h = 14, .w = 14, .out = 64, .oh = 14, .ow = 14,
                                   .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 },
                                   .groups = 1 };
    oct_conv2d_shape other = one;
    ck_assert_int_eq(oct_sparse_isa(0), 0);
    ck_assert_int_eq(oct_sparse_isa(OCT_CPU_AVX2 | OCT_CPU_AVXVNNI), OCT_CPU_AVXVNNI);
    ck_assert_int_eq(oct_sparse_isa(OCT_CPU_AVX2 | OCT_CPU_AVX512), OCT_CPU_AVX512);
    const oct_sparse_forms limit = oct_conv2d_sparse_s8_limit(&one, OCT_CPU_AVX2, 127);
    ck_assert(limit.across > .05 && limit.across <= 1 && limit.down > .05 && limit.down <= 1);
    ck_assert(limit.halved && !oct_conv2d_sparse_s8_limit(&one, OCT_CPU_AVX2, 255).halved);
    ck_assert(oct_conv2d_sparse_s8_limit(&one, 0, 127).across <= 0);
    other.groups = 2;
    ck_assert(oct_conv2d_sparse_s8_limit(&other, OCT_CPU_AVX2, 127).down <= 0);
    other.groups = 1, other.c = 255;
    ck_assert(oct_conv2d_sparse_s8_limit(&other, OCT_CPU_AVX2, 127).down <= 0);
}
END_TEST

/* What is there twice in a block is one; outputs that 4 does not divide end in a smaller one. */
START_TEST(the_blocks)
{
    int8_t w[6 * 8 * 2] = { 0 }; /* [6, 8, 1, 2]: 24 blocks, and 32 */
    const oct_tensor t = { .dtype = OCT_S8, .rank = 4, .dim = { 6, 8, 1, 2 }, .data = w };
    w[1] = 1, w[3] = -1, w[31] = -128, w[3 + 16] = 5, w[64] = w[80] = 1;
    oct_sparse_forms n = oct_sparse_blocks(&t);
    ck_assert(n.across >= 5 && n.across <= 5 && n.down >= 4 && n.down <= 4);
    ck_assert(oct_sparse_pays(n, (oct_sparse_forms){ .2, .18, 0 }, 96));
    ck_assert(oct_sparse_pays(n, (oct_sparse_forms){ .21, .16, 0 }, 96));
    ck_assert(!oct_sparse_pays(n, (oct_sparse_forms){ .2, .16, 0 }, 96));
    ck_assert(!oct_sparse_pays(n, (oct_sparse_forms){ 0, 0, 0 }, 96));
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ .5, .5, 0 }, 96), 4);
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ .5, .3, 0 }, 96), 1);
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ .5, 0, 0 }, 96), 1);
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ 0, .3, 0 }, 96), 4);
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ .1, 0, 0 }, 96), 4);
    n.down = 6;
    ck_assert_int_eq(oct_sparse_share(n, (oct_sparse_forms){ .01, .2, 0 }, 96), 1);
    ck_assert(n.halved && oct_sparse_pays(n, (oct_sparse_forms){ 0, 0, 1 }, 96));
    w[33] = w[35] = w[39] = 1; /* inputs 0, 1, 3 at tap 1 */
    ck_assert(!oct_sparse_blocks(&t).halved);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = { { the_dense_bytes, 2 * N_SHAPES }, { linear_bytes, 2 * N_LINEARS },
                                 { the_rule, 1 }, { the_blocks, 1 } };
    return suite_run_loops("conv_sparse_s8", loops, sizeof loops / sizeof *loops);
}
