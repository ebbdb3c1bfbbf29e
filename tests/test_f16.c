/* Half and bfloat16 against an oracle that knows no bit tricks: it decodes by the definition,
 * (-1)^s 2^(e-bias) (1 + m / 2^bits), and rounds by looking at every value there is. */
#include "tensor/f16.h"

#include <math.h>

#include "tests/suite.h"

typedef struct format {
    int exponent, mantissa; /* bits */
    float (*decode)(uint16_t);
    uint16_t (*encode)(float);
} format;

static const format f16 = { 5, 10, oct_f32_of_f16, oct_f16_of_f32 };
static const format bf16 = { 8, 7, oct_f32_of_bf16, oct_bf16_of_f32 };

/* The value of code u without its sign, as a double; infinity's code gives the next power of two,
 * which is where rounding to infinity is decided. */
static double value(const format *f, int u)
{
    const int bias = (1 << (f->exponent - 1)) - 1;
    const int e = u >> f->mantissa, m = u & ((1 << f->mantissa) - 1);
    return e ? ldexp(m + (1 << f->mantissa), e - bias - f->mantissa)
             : ldexp(m, 1 - bias - f->mantissa);
}

static int infinity_code(const format *f) { return ((1 << f->exponent) - 1) << f->mantissa; }

/* Nearest code to |x|, ties to the even one, by bisection over all codes. */
static int nearest(const format *f, double x)
{
    int low = 0, high = infinity_code(f);
    if (x >= value(f, high)) return high;
    while (high - low > 1) { /* value(low) <= x < value(high) */
        const int mid = (low + high) / 2;
        if (value(f, mid) <= x) low = mid; else high = mid;
    }
    const double below = x - value(f, low), above = value(f, high) - x; /* exact in double */
    if (below != above) return below < above ? low : high;
    return low % 2 ? high : low;
}

static void check_encode(const format *f, float x)
{
    const uint16_t got = f->encode(x);
    const int want = nearest(f, fabs((double)x)) | (signbit(x) ? 0x8000 : 0);
    if (got != want) /* not an assertion each time: Check writes to a file for it */
        ck_abort_msg("%a: %04x, expected %04x", (double)x, got, (unsigned)want);
}

static void check_all_codes(const format *f)
{
    const int inf = infinity_code(f);
    for (int u = 0; u < 65536; u++) {
        const int a = u & 0x7fff;
        const float x = f->decode((uint16_t)u);
        const int back = f->encode(x);
        int good = (signbit(x) != 0) == u >> 15;
        if (a > inf) /* comes back as a NaN of the same sign, and quiet */
            good &= isnan(x) && (back & 0x7fff) > inf && back >> 15 == u >> 15 &&
                    back & 1 << (f->mantissa - 1);
        else
            good &= back == u && (a == inf ? isinf(x) : !(fabs((double)x) != value(f, a)));
        if (!good) ck_abort_msg("%04x is %a, and back %04x", (unsigned)u, (double)x,
                                (unsigned)back);
    }
}

/* Between each pair of neighbours: the tie, the floats on both sides of it, and some others. */
static void check_rounding(const format *f)
{
    for (int u = 0; u < infinity_code(f); u++) {
        const double a = value(f, u), b = value(f, u + 1);
        const float tie = (float)((a + b) / 2); /* exact, but below the least float */
        const float at[] = { (float)a, nextafterf((float)a, INFINITY), nextafterf(tie, 0), tie,
                             nextafterf(tie, INFINITY), (float)(a + (b - a) * 0.3),
                             (float)(a + (b - a) * 0.8) };
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            if (isinf(at[i])) continue;
            check_encode(f, at[i]);
            check_encode(f, -at[i]);
        }
    }
}

static void check_random(const format *f)
{
    const int n = test_emulated() ? 100000 : 3000000;
    test_seed = 16;
    for (int i = 0; i < n; i++) {
        const float x = oct_f32_of_bits(test_rand());
        if (isfinite(x)) check_encode(f, x);
    }
}

static void check_ends(const format *f)
{
    const uint16_t inf = (uint16_t)infinity_code(f);
    ck_assert_int_eq(f->encode(INFINITY), inf);
    ck_assert_int_eq(f->encode(-INFINITY), 0x8000 | inf);
    ck_assert_int_eq(f->encode(3.402823466e38f), inf);
    ck_assert_int_eq(f->encode(0x1p-149f), 0);
    ck_assert_int_eq(f->encode(-0x1p-149f), 0x8000);
    ck_assert_int_eq(f->encode(-0.0f), 0x8000);
    int lost = 0;
    for (uint32_t u = 0x7f800001; u < 0x80000000; u += 0x1357) /* payloads of every size */
        lost += (f->encode(oct_f32_of_bits(u)) & 0x7fff) <= inf ||
                (f->encode(oct_f32_of_bits(u | 0x80000000)) & 0x7fff) <= inf;
    ck_assert_int_eq(lost, 0);
    ck_assert_int_gt(f->encode(oct_f32_of_bits(0x7f800001)) & 0x7fff, inf);
    ck_assert_int_gt(f->encode(oct_f32_of_bits(0x7fffffff)) & 0x7fff, inf);
}

START_TEST(half_all_codes) { check_all_codes(&f16); } END_TEST
START_TEST(half_rounding) { check_rounding(&f16); } END_TEST
START_TEST(half_random) { check_random(&f16); } END_TEST
START_TEST(half_ends) { check_ends(&f16); } END_TEST
START_TEST(bfloat_all_codes) { check_all_codes(&bf16); } END_TEST
START_TEST(bfloat_rounding) { check_rounding(&bf16); } END_TEST
START_TEST(bfloat_random) { check_random(&bf16); } END_TEST
START_TEST(bfloat_ends) { check_ends(&bf16); } END_TEST

/* A few by hand, so that the oracle is not alone. */
START_TEST(known_values)
{
    static const struct { float x; uint16_t half, bfloat; } known[] = {
        { 0, 0, 0 },               { 1, 0x3c00, 0x3f80 },       { -2, 0xc000, 0xc000 },
        { 65504, 0x7bff, 0x4780 }, { 65519, 0x7bff, 0x4780 },   { 65520, 0x7c00, 0x4780 },
        { 0.1f, 0x2e66, 0x3dcd },  { 0x1p-24f, 1, 0x3380 },     { 0x1p-25f, 0, 0x3300 },
        { 0x1.8p-25f, 1, 0x3340 }, { 0x1p-14f, 0x400, 0x3880 }, { 3.14159274f, 0x4248, 0x4049 },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ck_assert_int_eq(oct_f16_of_f32(known[i].x), known[i].half);
        ck_assert_int_eq(oct_bf16_of_f32(known[i].x), known[i].bfloat);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        half_all_codes, half_rounding, half_random, half_ends, bfloat_all_codes, bfloat_rounding,
        bfloat_random, bfloat_ends, known_values,
    };
    return suite_run("f16", tests, sizeof tests / sizeof *tests);
}
