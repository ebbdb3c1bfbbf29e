/* conv2d and linear in FP32 with zeros left out have the bits of the dense way, which ref computes:
 * any shape, any x, each ISA, any threads, weights packed here or before. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/conv2d_sparse_f32.h"
#include "ops/sparse.h"
#include "ops/sparse_f32.h"
#include "tensor/cpu.h"
#include "tensor/f16.h"
#include "tests/run_op.h"
#include "tests/suite.h"

typedef struct shape {
    int c, out, h, w, kernel[2], stride[2], pad[2], dilation[2];
    int batch, per_cent;       /* of the weights that are not zero */
    int columns;               /* that have their weights at the same places: 1 or 4 */
    int residual;
} shape;

static const shape shapes[] = {
    { 64, 32, 14, 14, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 25, 1, 0 },
    { 64, 70, 7, 9, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 3, 25, 4, 1 },
    { 67, 40, 9, 11, { 1, 1 }, { 2, 2 }, { 0, 0 }, { 1, 1 }, 2, 50, 4, 1 },
    { 132, 12, 7, 7, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, 2, 10, 1, 1 },
    { 66, 33, 20, 17, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 1 }, 1, 40, 4, 0 },
    { 3, 8, 15, 14, { 7, 7 }, { 2, 2 }, { 3, 3 }, { 1, 1 }, 2, 30, 1, 0 },
    { 4, 1, 5, 6, { 3, 3 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 100, 1, 0 },
    { 8, 9, 13, 12, { 3, 2 }, { 3, 1 }, { 2, 3 }, { 2, 3 }, 2, 60, 4, 1 },
    { 12, 5, 8, 40, { 1, 3 }, { 1, 2 }, { 0, 1 }, { 1, 1 }, 2, 50, 1, 0 },
    { 16, 16, 6, 6, { 5, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 0, 1, 0 },   /* no weight */
    { 16, 16, 6, 6, { 1, 1 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, 1, 50, 4, 0 },  /* padding only, too */
    { 300, 34, 9, 9, { 1, 1 }, { 1, 1 }, { 0, 0 }, { 1, 1 }, 1, 8, 1, 1 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* x with Inf and NaN; weights in half, scaled; products that all underflow, sums of -0 */
enum { FINITE, ODD, HALF, TINY, KINDS };

typedef struct subject {
    oct_conv2d_attr attr;
    test_op op;
    oct_tensor x, w, b, r, y;
    oct_args args;
    float *want;
} subject;

/* One kind of each shape where all is slow. */
static int is_left_out(int i) { return test_brief() && i % KINDS != i / KINDS % KINDS; }

static float any(void) { return (float)((int)(test_rand() % 20001) - 10000) / 10000.f; }

static void make_weights(subject *s, const shape *c, int kind)
{
    const int out = c->out, row = c->c * c->kernel[0] * c->kernel[1];
    s->w = (oct_tensor){ .dtype = OCT_F32, .rank = 4,
                         .dim = { out, c->c, c->kernel[0], c->kernel[1] } };
    test_op_fill(&s->op, &s->w);
    float *w = s->w.data;
    for (int o = 0; o < out; o += c->columns)
        for (int i = 0, zero; i < row; i++) {
            zero = (int)(test_rand() % 100) >= c->per_cent;
            for (int l = o; l < o + c->columns && l < out; l++)
                if (zero) w[l * row + i] = test_rand() % 2 ? 0.f : -0.f;
        }
    s->b = (oct_tensor){ .dtype = OCT_F32, .rank = 1, .dim = { out } };
    test_op_fill(&s->op, &s->b);
    for (int o = 0; o < out; o += 3) ((float *)s->b.data)[o] = -0.f;
    for (int i = 0; i < out * row && kind == TINY; i++) w[i] *= 1e-3f;
    if (kind != HALF) return;
    uint16_t *half = oct_arena_alloc(&s->op.arena, (size_t)(out * row) * sizeof *half);
    float *scale = oct_arena_alloc(&s->op.arena, (size_t)out * sizeof *scale);
    for (int i = 0; i < out * row; i++) half[i] = oct_f16_of_f32(w[i]);
    for (int o = 0; o < out; o++) scale[o] = any();
    s->w.data = half;
    s->w.dtype = OCT_F16;
    s->w.scale = scale;
}

static void fill_x(subject *s, int kind)
{
    test_op_fill(&s->op, &s->x);
    float *x = s->x.data;
    const size_t n = oct_tensor_count(&s->x);
    for (size_t i = 0; i < n; i++) {
        if (kind == TINY) x[i] = i % 2 ? 1e-44f : -1e-44f;
        if (kind == ODD && test_rand() % (unsigned)(n / 2) == 0) x[i] = i % 3 ? INFINITY : NAN;
    }
}

/* The bits, but for those of a NaN. */
static void same(const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) && !(isnan(got[i]) && isnan(want[i])))
            ck_abort_msg("%zu: %a, not %a", i, (double)got[i], (double)want[i]);
}

static void run_one(subject *s)
{
    s->y.data = NULL;
    test_op_run(&s->op, OCT_OP_CONV2D, &s->args, s->x.dim[0]);
    const size_t n = oct_tensor_count(&s->y);
    if (!s->want) {            /* ref, dense: the first */
        s->want = oct_arena_alloc(&s->op.arena, n * sizeof *s->want);
        memcpy(s->want, s->y.data, n * sizeof *s->want);
    }
    same(s->y.data, s->want, n);
}

/* A piece of a file that is not what it should be is refused. */
static void refuse(subject *s, const oct_packed *piece)
{
    unsigned char *copy = oct_arena_alloc(&s->op.arena, oct_packed_size(piece->size));
    memcpy(copy, piece->data, piece->size);
    oct_packed wrong = { copy, piece->size, OCT_F32 };
    oct_prepare how = { .cpu = s->op.cpu, .threads = 1, .arena = &s->op.arena, .given = &wrong,
                        .n_given = 1 };
    void *state;
    ((uint32_t *)(void *)copy)[0] += 1;        /* another number of chunks */
    ck_assert_int_eq(oct_op_conv2d.prepare(&s->args, &how, &state), OCT_ERR_FORMAT);
    ((uint32_t *)(void *)copy)[0] -= 1;
    wrong.size = 8;
    how.n_packed = 0;
    ck_assert_int_eq(oct_op_conv2d.prepare(&s->args, &how, &state), OCT_ERR_FORMAT);
}

static void on_isa(unsigned cpu, void *arg)
{
    subject *s = arg;
    void *const weights = s->w.data, *const biases = s->b.data;
    s->op.cpu = cpu;
    s->attr.sparse = 0;
    run_one(s);
    ck_assert_ptr_null(strstr(s->op.how.kernel, "sparse_f32/"));
    s->attr.sparse = oct_sparse_isa(cpu);
    for (s->op.threads = 1; s->op.threads <= 5; s->op.threads += 2) run_one(s);
    ck_assert(!s->attr.sparse == !strstr(s->op.how.kernel, "sparse_f32/"));
    const oct_packed piece = s->op.how.packed[0];
    s->op.given = &piece, s->op.n_given = 1;
    s->w.data = s->b.data = oct_no_data;
    run_one(s);
    if (s->attr.sparse) refuse(s, &piece);
    s->op.given = NULL, s->op.n_given = 0;
    s->w.data = weights, s->b.data = biases;
}

START_TEST(the_dense_bits)
{
    const shape *c = &shapes[_i / KINDS];
    const int kind = _i % KINDS;
    if (is_left_out(_i)) return;
    subject s = { .op.threads = 1 };
    s.attr = (oct_conv2d_attr){ .stride = { c->stride[0], c->stride[1] }, .groups = 1,
                                .pad = { c->pad[0], c->pad[1] }, .act = (oct_act)(_i % 2),
                                .dilation = { c->dilation[0], c->dilation[1] } };
    make_weights(&s, c, kind);
    s.x = (oct_tensor){ .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4,
                        .dim = { c->batch, c->h, c->w, c->c } };
    fill_x(&s, kind);
    s.args = (oct_args){ &s.attr, { &s.x, &s.w, &s.b }, &s.y };
    ck_assert_int_eq(oct_op_conv2d.infer(&s.args), OCT_OK);
    if (c->residual) {
        s.r = s.y;
        test_op_fill(&s.op, &s.r);
        s.args.in[OCT_CONV2D_RESIDUAL] = &s.r;
    }
    test_each_isa(on_isa, &s);
    oct_arena_free(&s.op.arena);
}
END_TEST

/* linear: rows as pixels, few of them dense; x in order or an image of h x w pixels. */
typedef struct rows {
    int m, n, k, per_cent, columns, side, residual;
    oct_act act;
} rows;

static const rows linears[] = {
    { 133, 70, 67, 25, 1, 0, 0, OCT_ACT_NONE }, { 240, 40, 68, 30, 4, 0, 1, OCT_ACT_RELU },
    { 150, 33, 200, 25, 1, 0, 1, OCT_ACT_GELU }, { 128, 10, 3, 50, 1, 2, 0, OCT_ACT_RELU },
    { 70, 65, 80, 20, 4, 3, 1, OCT_ACT_RELU6 }, { 150, 5, 16, 0, 1, 0, 0, OCT_ACT_TANH },
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
    const size_t count = oct_tensor_count(&s->y);
    s->y.data = NULL;
    test_op_run(&s->op, OCT_OP_LINEAR, &s->args, n);
    if (!s->want) {            /* ref, dense, all rows: the first */
        s->want = oct_arena_alloc(&s->op.arena, count * sizeof *s->want);
        memcpy(s->want, s->y.data, count * sizeof *s->want);
    }
    same(s->y.data, s->want, count / (size_t)t->rows * (size_t)n);
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
        for (int n = t->rows; n > 0; n = n == t->rows ? n - 19 : n / 3) run_rows(t, n);
    ck_assert(!t->attr.sparse == !strstr(s->op.how.kernel, "sparse_f32"));
    ck_assert_int_eq(s->op.how.n_packed, t->attr.sparse ? 2 : 1);
    const oct_packed piece[2] = { s->op.how.packed[0], s->op.how.packed[1] };
    s->op.given = piece, s->op.n_given = s->op.how.n_packed;
    s->w.data = s->b.data = oct_no_data;
    run_rows(t, t->rows);
    s->op.given = NULL, s->op.n_given = 0;
    s->w.data = weights, s->b.data = biases;
}

START_TEST(linear_bits)
{
    const rows *c = &linears[_i / KINDS];
    const int kind = _i % KINDS, pixels = c->side ? c->side * c->side : 1;
    if (is_left_out(_i)) return;
    linear t = { .rows = c->m, .attr.act = c->act };
    subject *s = &t.s;
    s->op.threads = 1;
    make_weights(s, &(shape){ .c = c->k * pixels, .out = c->n, .kernel = { 1, 1 },
                              .per_cent = c->per_cent, .columns = c->columns }, kind);
    s->w.rank = 2;
    s->x = (oct_tensor){ .dtype = OCT_F32, .rank = 2, .dim = { c->m, c->k } };
    if (c->side) s->x = (oct_tensor){ .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4,
                                      .dim = { c->m, c->side, c->side, c->k } };
    fill_x(s, kind);
    s->args = (oct_args){ &t.attr, { &s->x, &s->w, &s->b }, &s->y };
    ck_assert_int_eq(oct_op_linear.infer(&s->args), OCT_OK);
    if (c->residual) {
        s->r = s->y;
        test_op_fill(&s->op, &s->r);
        s->args.in[OCT_LINEAR_RESIDUAL] = &s->r;
    }
    test_each_isa(linear_on_isa, &t);
    oct_arena_free(&s->op.arena);
}
END_TEST

/* Where the dense way is another one, it stays. */
START_TEST(others_stay_dense)
{
    oct_conv2d_shape c = { .c = 64, .h = 14, .w = 14, .out = 64, .oh = 14, .ow = 14,
                           .kernel = { 3, 3 }, .stride = { 1, 1 }, .pad = { 1, 1 },
                           .dilation = { 1, 1 }, .groups = 1 };
    ck_assert(!oct_conv2d_sparse_f32_can(&c)); /* Winograd */
    c.stride[0] = c.stride[1] = 2, c.oh = c.ow = 7;
    ck_assert(oct_conv2d_sparse_f32_can(&c));
    c.groups = 2;
    ck_assert(!oct_conv2d_sparse_f32_can(&c));
}
END_TEST

/* Who writes a file asks the table. */
START_TEST(the_rule)
{
    oct_conv2d_shape c = { .c = 256, .h = 14, .w = 14, .out = 64, .oh = 14, .ow = 14,
                           .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 },
                           .groups = 1 };
    float w[8 * 6] = { 0 };    /* rows 0 .. 3 share their weights, the others do not */
    const oct_tensor t = { .dtype = OCT_F32, .rank = 2, .dim = { 8, 6 }, .data = w };
    oct_sparse_f32_count n = { 0, 0 };
    for (int j = 0; j < 4; j++) w[j * 6 + 1] = w[j * 6 + 4] = 1, w[(4 + j) * 6 + j] = -1;
    w[5 * 6] = -0.f;
    ck_assert_int_eq(oct_sparse_f32_add(&t, &n), OCT_OK);
    ck_assert_int_eq(oct_sparse_f32_add(&t, &n), OCT_OK);
    ck_assert(n.quads == 4 && n.singles == 8); /* twice as many: it adds */
    const oct_sparse_f32_limit limit = oct_conv2d_sparse_f32_limit(&c, OCT_CPU_AVX2);
    ck_assert(limit.singles > 0 && limit.singles <= limit.quads && limit.quads < 1);
    ck_assert(!oct_sparse_f32_pays(limit, &n, 8 + 16));
    ck_assert(oct_sparse_f32_pays(limit, &n, 20 * (8 + 16)));
    ck_assert(!oct_sparse_f32_pays(oct_conv2d_sparse_f32_limit(&c, 0), &n, 1e9));
    ck_assert(oct_sparse_f32_pays(oct_linear_sparse_f32_limit(OCT_CPU_NEON), &n, 1e9));
    c.groups = 2;
    ck_assert(!oct_sparse_f32_pays(oct_conv2d_sparse_f32_limit(&c, OCT_CPU_AVX2), &n, 1e9));
}
END_TEST

int main(void)
{
    const suite_loop loops[] = { { the_dense_bits, KINDS * N_SHAPES },
                                 { linear_bits, KINDS * N_LINEARS }, { others_stay_dense, 1 },
                                 { the_rule, 1 } };
    return suite_run_loops("conv_sparse_f32", loops, sizeof loops / sizeof *loops);
}
