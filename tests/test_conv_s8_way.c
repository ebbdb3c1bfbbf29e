/* conv2d on integers: which way is taken on each ISA, and that it is the same, with the same bytes,
 * where the weights come packed.  ref does it directly, so its bytes are what is expected. */
#include <string.h>

#include "ops/attr.h"
#include "tensor/cpu.h"
#include "tests/run_op.h"
#include "tests/suite.h"

enum { OUT = 160, MAX_C = 128, MAX_SIDE = 16, MAX_BATCH = 5 };

static const char direct[] = "conv2d_s8/", f2[] = "winograd2x2_s8/", f4[] = "winograd4x4_s8/";

/* The way on each ISA, by the start of its kernel's name. */
typedef struct choice {
    int c, side, weight;       /* input channels; of the map; all weights, 0: small ones */
    const char *avx512, *avxvnni, *avx2, *neondot, *neon;
} choice;

static const choice choices[] = {
    { 64, 16, 0, f4, f4, f4, direct, f4 },
    { 128, 16, 0, direct, f4, f4, direct, f4 },       /* 128 * 160 filters */
    { 16, 16, 0, direct, direct, f4, direct, f4 },
    { 64, 15, 0, f4, f4, f4, direct, f4 },            /* the last tiles have 3 outputs */
    { 64, 14, 0, f4, f4, f4, direct, f4 },            /* or 2 */
    { 64, 13, 0, f4, f4, f4, direct, f4 },            /* or 1 */
    { 128, 16, 127, direct, direct, f2, direct, f2 }, /* 2^25 < 127 * 1152 * 255 < 2^29 */
    { 128, 16, -128, direct, direct, f2, direct, f2 },
    { 64, 5, 0, direct, direct, f2, direct, f2 },     /* F(4x4): 100 products for 25 */
    { 64, 8, 0, direct, f4, f4, direct, f4 },         /* too few tiles for AVX-512 */
};
enum { N_CHOICES = sizeof choices / sizeof *choices };

typedef struct subject {
    const choice *way;
    test_op op;
    oct_tensor x, w, b, y;
    oct_args args;
    unsigned char *want;
} subject;

static uint8_t pixels[MAX_C * MAX_SIDE * MAX_SIDE + OCT_TAIL];
static int8_t weights[OUT * MAX_C * 9];
static int32_t biases[OUT];
static float scales[OUT];

static const char *expected(const choice *w, unsigned cpu)
{
    if (cpu & OCT_CPU_AVX512) return w->avx512;
    if (cpu & OCT_CPU_AVXVNNI) return w->avxvnni;
    if (cpu & OCT_CPU_AVX2) return w->avx2;
    if (cpu & OCT_CPU_NEONDOT) return w->neondot;
    return cpu & OCT_CPU_NEON ? w->neon : direct;
}

/* One image of a plan for `batch`; its bytes are as wanted. */
static void run_one(subject *s, int batch)
{
    s->x.dim[0] = batch;
    s->y.data = NULL;
    test_op_run(&s->op, OCT_OP_CONV2D, &s->args, 1);
    const size_t size = oct_tensor_size(&s->y) / (size_t)batch;
    if (!s->want) {            /* ref, the first */
        s->want = oct_arena_alloc(&s->op.arena, size);
        memcpy(s->want, s->y.data, size);
    }
    ck_assert_mem_eq(s->y.data, s->want, size);
}

/* Packed for one batch and used for another, in which another way may be faster. */
static void on_isa(unsigned cpu, void *arg)
{
    subject *s = arg;
    s->op.cpu = cpu;
    for (int batch = 1; batch <= MAX_BATCH; batch += MAX_BATCH - 1) {
        run_one(s, batch);
        const char *want = expected(s->way, cpu), *kernel = s->op.how.kernel;
        ck_assert_msg(batch > 1 || strncmp(kernel, want, strlen(want)) == 0, "%s, expected %s",
                      kernel, want);
        const oct_packed piece = s->op.how.packed[0];
        s->op.given = &piece, s->op.n_given = 1;
        s->w.data = s->b.data = oct_no_data;
        run_one(s, MAX_BATCH + 1 - batch);
        s->op.given = NULL, s->op.n_given = 0;
        s->w.data = weights, s->b.data = biases;
        ck_assert_str_eq(s->op.how.kernel, kernel);
    }
}

START_TEST(the_way)
{
    static const float x_scale = .03f;
    const choice *c = &choices[_i];
    const oct_conv2d_attr attr = { .stride = { 1, 1 }, .pad = { 1, 1 }, .dilation = { 1, 1 },
                                   .groups = 1, .act = OCT_ACT_NONE, .quant = { 2, 128, 255 } };
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)test_rand();
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (int8_t)(c->weight ? c->weight : (int)(test_rand() % 61) - 30);
    for (int o = 0; o < OUT; o++) {
        biases[o] = (int)(test_rand() % 2001) - 1000;
        scales[o] = c->weight ? .0004f : .05f;
    }
    subject s = { .way = c, .op.threads = 1 };
    s.x = (oct_tensor){ .dtype = OCT_U8, .layout = OCT_BLOCKED, .rank = 4, .scale = &x_scale,
                        .zero = 90, .max = 255, .dim = { 1, c->side, c->side, c->c },
                        .data = pixels };
    s.w = (oct_tensor){ .dtype = OCT_S8, .rank = 4, .scale = scales, .dim = { OUT, c->c, 3, 3 },
                        .data = weights };
    s.b = (oct_tensor){ .dtype = OCT_S32, .rank = 1, .dim = { OUT }, .data = biases };
    s.args = (oct_args){ &attr, { &s.x, &s.w, &s.b }, &s.y };
    test_each_isa(on_isa, &s);
    size_t inside = 0;
    const size_t n = oct_tensor_sample_count(&s.y);
    for (size_t i = 0; i < n; i++) inside += s.want[i] > 0 && s.want[i] < 255;
    ck_assert_msg(inside * 8 > n, "%zu inside", inside);
    oct_arena_free(&s.op.arena);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { the_way, N_CHOICES },
    };
    return suite_run_loops("conv_s8_way", loops, sizeof loops / sizeof *loops);
}
