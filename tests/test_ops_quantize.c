/* quantize and dequantize against their definition, every byte, on every ISA, 1 to 3 threads. */
#include <math.h>
#include <stdio.h>

#include "ops/attr.h"
#include "tests/run_op.h"
#include "tests/suite.h"

static test_op op;

static void open_op(void) { op = (test_op){ .cpu = 0 }; }
static void close_op(void) { oct_arena_free(&op.arena); }

static void *room(size_t size)
{
    void *p = oct_arena_zalloc(&op.arena, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

START_TEST(quantize_and_back)
{
    static const float odd[] = { 0, -0.f, NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0x1p-149f, .125f,
                                 .375f, -.125f, -.375f, .1249999f, 31.7f, -14.3f };
    for (int count = 1; count < 40; count++)
        for (int k = 0; k < 4; k++) {
            open_op();
            const float s = count % 2 ? .25f : .059168722f; /* by 1 / s, not divided by s */
            const oct_quantize_attr attr = { { s, k & 1 ? 0 : 57, k & 2 ? 255 : 127 } };
            oct_tensor x = { .rank = 2, .dim = { 1, count } }, y = { .rank = 2 }, z = { .rank = 2 };
            test_op_fill(&op, &x);
            float *p = x.data, *back = room((size_t)count * sizeof *back);
            unsigned char *want = room((size_t)count);
            for (int i = 0; i < count; i++) {
                p[i] = i < 15 ? odd[(i + count) % 15] : (float)(i - 20.5) * s;
                const double steps = isnan(p[i]) ? -1e9 : nearbyint((double)(p[i] * (1 / s)));
                want[i] = (unsigned char)fmin(fmax(steps + attr.quant.zero, 0), attr.quant.max);
                back[i] = (float)(want[i] - attr.quant.zero) * s;
            }
            oct_args args = { &attr, { &x }, &y };
            test_op_is(&op, OCT_OP_QUANTIZE, &args, 1, want);
            ck_assert(y.scale == &attr.quant.scale && y.max == attr.quant.max);
            oct_args back_args = { NULL, { &y }, &z };
            test_op_is(&op, OCT_OP_DEQUANTIZE, &back_args, 1, back);
            close_op();
        }
}
END_TEST

/* A factor a column, and what is refused. */
START_TEST(quantize_by_columns)
{
    for (int m = 1; m <= 40; m += 13)
        for (int d = 1; d < 70; d += 4) {
            open_op();
            const oct_quantize_attr attr = { { .059168722f, m & 1 ? 57 : 0, d & 4 ? 127 : 255 } };
            oct_tensor x = { .rank = 2, .dim = { m, d } }, y = { .rank = 2 };
            oct_tensor by = { .rank = 1, .dim = { d } };
            test_op_fill(&op, &x);
            test_op_fill(&op, &by);
            unsigned char *want = room((size_t)(m * d));
            for (int c = 0; c < d; c++) ((float *)by.data)[c] = ldexpf(1, c % 9 - 4);
            for (int i = 0; i < m * d; i++) {
                const float b = ((float *)by.data)[i % d];
                const float v = ((float *)x.data)[i] *= 40 / b;
                const double steps = nearbyint((double)(v * (b / attr.quant.scale)));
                want[i] = (unsigned char)fmin(fmax(steps + attr.quant.zero, 0), attr.quant.max);
            }
            oct_args args = { &attr, { &x, &by }, &y };
            test_op_is(&op, OCT_OP_QUANTIZE, &args, m, want);
            char why[60];
            snprintf(why, sizeof why, "quantize: a parameter is no F32 [%d]", d);
            by.dim[0]++;
            test_op_refused(&op, OCT_OP_QUANTIZE, &args, why);
            close_op();
        }
}
END_TEST

int main(void)
{
    const suite_loop loops[] = { { quantize_and_back, 1 }, { quantize_by_columns, 1 } };
    return suite_run_loops("ops_quantize", loops, sizeof loops / sizeof *loops);
}
