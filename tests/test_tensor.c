/* tensor/: status, arena, tensor, half floats, CPU names.  Fast enough for any machine. */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

#include "tensor/arena.h"
#include "tensor/cpu.h"
#include "tensor/f16.h"
#include "tests/suite.h"

/* ---- status ---- */

static oct_status passes_up(oct_status status)
{
    OCT_TRY(status);
    return oct_fail(OCT_ERR_DEVICE, "not reached");
}

START_TEST(status_and_sentence)
{
    ck_assert_str_eq(oct_last_error(), "");
    ck_assert_int_eq(oct_fail(OCT_ERR_SHAPE, "conv '%s': %d, expected %d", "c1", 3, 4),
                     OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "conv 'c1': 3, expected 4");
    ck_assert_int_eq(passes_up(OCT_ERR_IO), OCT_ERR_IO);
    ck_assert_str_eq(oct_last_error(), "conv 'c1': 3, expected 4");
    ck_assert_int_eq(passes_up(OCT_OK), OCT_ERR_DEVICE);
    char longer[4096];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    ck_assert_int_eq(oct_fail(OCT_ERR_FORMAT, "%s", longer), OCT_ERR_FORMAT);
    const size_t kept = strlen(oct_last_error()); /* cut, not overrun */
    ck_assert_uint_ge(kept, 200);
    ck_assert_uint_lt(kept, sizeof longer - 1);
}
END_TEST

START_TEST(status_names)
{
    for (int i = 0; i < OCT_STATUS_COUNT; i++) {
        ck_assert_ptr_nonnull(oct_status_name((oct_status)i));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(oct_status_name((oct_status)i), oct_status_name((oct_status)k));
    }
    ck_assert_str_eq(oct_status_name(OCT_OK), "ok");
    ck_assert_str_eq(oct_status_name(OCT_STATUS_COUNT), "unknown status");
    ck_assert_str_eq(oct_status_name((oct_status)-1), "unknown status");
}
END_TEST

/* ---- arena ---- */

/* How many of n bytes are not `byte`.  (Check writes to a file at every assertion.) */
static size_t others(const unsigned char *p, size_t n, int byte)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += p[i] != byte;
    return count;
}

START_TEST(arena_blocks)
{
    enum { BLOCKS = 300 };
    oct_arena arena = { 0 };
    unsigned char *block[BLOCKS];
    size_t size[BLOCKS], sum = 0;
    test_seed = 1;
    for (int i = 0; i < BLOCKS; i++) {
        size[i] = i < 130 ? (size_t)i : test_rand() % 70000;
        block[i] = oct_arena_alloc(&arena, size[i]);
        ck_assert_ptr_nonnull(block[i]);
        ck_assert_uint_eq((uintptr_t)block[i] % OCT_ALIGN, 0);
        memset(block[i], i & 255, size[i] + OCT_TAIL); /* the tail too is ours to touch */
        sum += size[i];
    }
    ck_assert_uint_ge(arena.size, sum);
    ck_assert_uint_le(arena.size, 2 * sum + (2 << 20));
    for (int i = 0; i < BLOCKS; i++) /* nothing has moved and no two blocks overlap */
        ck_assert_uint_eq(others(block[i], size[i] + OCT_TAIL, i & 255), 0);
    oct_arena_free(&arena);
    ck_assert_uint_eq(arena.size, 0);
    ck_assert_ptr_null(arena.chunk);
    ck_assert_ptr_nonnull(oct_arena_alloc(&arena, 1)); /* as good as new */
    oct_arena_free(&arena);
    oct_arena_free(&arena); /* an empty one is fine */
}
END_TEST

START_TEST(arena_refuses_the_impossible)
{
    static const size_t sizes[] = {
        SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 63, SIZE_MAX - 64, SIZE_MAX - 127, SIZE_MAX - 128,
        SIZE_MAX - 191, SIZE_MAX - 192, SIZE_MAX - 256, SIZE_MAX / 2, SIZE_MAX / 2 + 1,
        SIZE_MAX / 2 - 64, SIZE_MAX / 2 - 191, SIZE_MAX / 2 - 192, SIZE_MAX / 2 - 193,
        SIZE_MAX / 2 - 4096,
    };
    oct_arena arena = { 0 };
    for (int used = 0; used < 2; used++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const size_t before = arena.size;
            ck_assert_ptr_null(oct_arena_alloc(&arena, sizes[i]));
            ck_assert_ptr_null(oct_arena_zalloc(&arena, sizes[i]));
            ck_assert_uint_eq(arena.size, before);
        }
        ck_assert_ptr_nonnull(oct_arena_alloc(&arena, 10)); /* a refusal does no harm */
    }
    oct_arena_free(&arena);
}
END_TEST

/* Each refill of an arena frees rubbish into the heap first, so clean memory is not luck. */
START_TEST(arena_zalloc_and_strdup)
{
    for (int round = 0; round < 3; round++) {
        oct_arena arena = { 0 };
        for (size_t size = 0; size < 2000; size += 37) {
            const unsigned char *p = oct_arena_zalloc(&arena, size);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(others(p, size + OCT_TAIL, 0), 0);
            memset(oct_arena_alloc(&arena, 900), 0xa5, 900);
        }
        char name[] = "conv1";
        char *copy = oct_arena_strdup(&arena, name);
        name[0] = 'x';
        ck_assert_str_eq(copy, "conv1");
        ck_assert_str_eq(oct_arena_strdup(&arena, ""), "");
        for (int i = 0; i < 20; i++) memset(oct_arena_alloc(&arena, 16000), 0xa5, 16000);
        oct_arena_free(&arena);
    }
}
END_TEST

START_TEST(arena_grows_in_few_chunks)
{
    oct_arena arena = { 0 };
    for (int i = 0; i < 10000; i++)
        if (!oct_arena_alloc(&arena, 1000)) ck_abort_msg("out of memory at block %d", i);
    ck_assert_uint_ge(arena.size, 10000 * 1088);     /* 17 lines each */
    ck_assert_uint_le(arena.size, 10000 * 1088 + (2 << 20));
    oct_arena_free(&arena);
    ck_assert_ptr_nonnull(oct_arena_alloc(&arena, 0));
    ck_assert_uint_le(arena.size, 1 << 14);          /* a small arena stays small */
    oct_arena_free(&arena);
}
END_TEST

/* ---- tensor ---- */

START_TEST(dtypes)
{
    static const struct { oct_dtype dtype; const char *name; size_t size; } want[] = {
        { OCT_F32, "F32", 4 }, { OCT_F16, "F16", 2 }, { OCT_BF16, "BF16", 2 },
        { OCT_F64, "F64", 8 }, { OCT_S8, "I8", 1 },   { OCT_U8, "U8", 1 },
        { OCT_S16, "I16", 2 }, { OCT_S32, "I32", 4 }, { OCT_S64, "I64", 8 },
        { OCT_BOOL, "BOOL", 1 },
    };
    ck_assert_uint_eq(sizeof want / sizeof *want, OCT_DTYPE_COUNT);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ck_assert_str_eq(oct_dtype_name(want[i].dtype), want[i].name);
        ck_assert_uint_eq(oct_dtype_size(want[i].dtype), want[i].size);
    }
    ck_assert_str_eq(oct_dtype_name(OCT_DTYPE_COUNT), "unknown dtype");
    ck_assert_str_eq(oct_dtype_name((oct_dtype)-1), "unknown dtype");
}
END_TEST

START_TEST(tensor_sizes)
{
    const oct_tensor t = { .dtype = OCT_F32, .rank = 3, .dim = { 2, 3, 5 } };
    const oct_tensor scalar = { .dtype = OCT_F64 };
    const oct_tensor big = { .dtype = OCT_S8, .rank = 2, .dim = { 1 << 20, 1 << 20 } };
    const oct_tensor empty = { .dtype = OCT_S16, .rank = 2, .dim = { 0, 7 } };
    ck_assert_uint_eq(oct_tensor_count(&t), 30);
    ck_assert_uint_eq(oct_tensor_sample_count(&t), 15);
    ck_assert_uint_eq(oct_tensor_size(&t), 120);
    ck_assert_uint_eq(oct_tensor_count(&scalar), 1);
    ck_assert_uint_eq(oct_tensor_size(&scalar), 8);
    ck_assert_uint_eq(oct_tensor_size(&big), (size_t)1 << 40); /* more than an int holds */
    ck_assert_uint_eq(oct_tensor_size(&empty), 0);
    ck_assert_uint_eq(oct_tensor_sample_count(&empty), 7);
}
END_TEST

/* What a hostile header may claim, and the answer. */
static const struct { oct_tensor t; oct_status status; } checks[] = {
    { { .dtype = OCT_F32, .rank = 0 }, OCT_OK },
    { { .dtype = OCT_F32, .rank = 8, .dim = { 1, 2, 3, 4, 5, 6, 7, 8 } }, OCT_OK },
    { { .dtype = OCT_F32, .rank = 9 }, OCT_ERR_UNSUPPORTED },
    { { .dtype = OCT_F32, .rank = -1 }, OCT_ERR_UNSUPPORTED },
    { { .dtype = OCT_DTYPE_COUNT, .rank = 1, .dim = { 1 } }, OCT_ERR_UNSUPPORTED },
    { { .dtype = (oct_dtype)-1, .rank = 1, .dim = { 1 } }, OCT_ERR_UNSUPPORTED },
    { { .dtype = OCT_S8, .rank = 2, .dim = { 2, -1 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_S8, .rank = 2, .dim = { 0, INT32_MIN } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_S8, .rank = 3, .dim = { INT32_MAX, 0, 3 } }, OCT_OK },
    { { .dtype = OCT_F64, .rank = 3, .dim = { INT32_MAX, INT32_MAX, 2 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_S8, .rank = 3, .dim = { INT32_MAX, INT32_MAX, 2 } }, OCT_OK },
    { { .dtype = OCT_S8, .rank = 3, .dim = { INT32_MAX, INT32_MAX, 3 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_F32, .rank = 3, .dim = { 1 << 30, 1 << 30, 1 << 2 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_F32, .rank = 4, .dim = { 1 << 30, 1 << 30, 1 << 2, 0 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_F32, .rank = 4, .dim = { 0, 1 << 30, 1 << 30, 1 << 2 } }, OCT_ERR_SHAPE },
    { { .dtype = OCT_S64, .rank = 8, .dim = { 1 << 16, 1 << 16, 1 << 16, 1 << 16, 1, 1, 1, 1 } },
      OCT_ERR_SHAPE },
};

START_TEST(tensor_checks)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        ck_assert_msg(oct_tensor_check(&checks[i].t) == checks[i].status, "case %zu: %s", i,
                      oct_last_error());
    ck_assert_int_eq(oct_tensor_check(&checks[6].t), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "dimension 1 is -1"); /* names the thing and its number */
}
END_TEST

START_TEST(tensor_shape_text)
{
    const oct_tensor t = { .rank = 3, .dim = { 2, 30, 400 } }, scalar = { 0 };
    const char *const full = "[2, 30, 400]";
    char buf[64];
    ck_assert_str_eq(oct_tensor_shape(&t, buf, sizeof buf), full);
    ck_assert_str_eq(oct_tensor_shape(&scalar, buf, sizeof buf), "[]");
    for (size_t size = 1; size <= strlen(full) + 1; size++) { /* cut short, always terminated */
        memset(buf, '#', sizeof buf);
        ck_assert_ptr_eq(oct_tensor_shape(&t, buf, size), buf);
        ck_assert_uint_eq(strlen(buf), size - 1);
        ck_assert_int_eq(strncmp(buf, full, size - 1), 0);
        ck_assert_int_eq(buf[size], '#');
    }
}
END_TEST

START_TEST(read_f32)
{
    static uint16_t half[] = { 0x3c00, 0xc000, 0x0001, 0x7bff, 0x3555, 0x8000 };
    static uint16_t brain[] = { 0x3f80, 0xc000, 0x0001, 0x7f7f, 0x3eab, 0x8000 };
    static float single[] = { 1, -2, 3, 0.1f, 5, -0.0f };
    static int8_t byte[] = { 1, -2, 127, -128, 0, -127 };
    static double twice[] = { 1, -2, 1e-40, 0.1, 16777217, -0.0 };
    static const float f16[] = { 1, -2, 0x1p-24f, 65504, 0x1.554p-2f, -0.0f };
    static const float bf16[] = { 1, -2, 0x1p-133f, 0x1.fep127f, 0x1.56p-2f, -0.0f };
    static const float f64[] = { 1, -2, 1e-40f, 0.1f, 16777216, -0.0f }; /* ties to even */
    static const float s8[] = { 1, -2, 127, -128, 0, -127 };
    static const float scale[] = { 1, 0.1f, -3 };
    static const struct { oct_dtype dtype; void *data; const float *want; } cases[] = {
        { OCT_F16, half, f16 }, { OCT_BF16, brain, bf16 }, { OCT_F32, single, single },
        { OCT_F64, twice, f64 }, { OCT_S8, byte, s8 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int scaled = 0; scaled < 2; scaled++)
            for (size_t first = 0; first <= 6; first++) { /* from the middle of a row as well */
                const oct_tensor t = { .dtype = cases[i].dtype, .rank = 2, .dim = { 3, 2 },
                                       .data = cases[i].data, .scale = scaled ? scale : NULL };
                float out[7] = { 9, 9, 9, 9, 9, 9, 9 };
                oct_tensor_read_f32(&t, first, 6 - first, out);
                for (size_t k = first; k < 6; k++) {
                    const float w = cases[i].want[k] * (scaled ? scale[k / 2] : 1);
                    ck_assert_uint_eq(oct_bits_of_f32(out[k - first]), oct_bits_of_f32(w));
                }
                ck_assert_float_eq(out[6 - first], 9); /* and not one more */
            }
}
END_TEST

START_TEST(blocks)
{
    static const int want[][3] = { { 1, 1, 1 }, { 63, 1, 63 }, { 64, 1, 64 }, { 65, 2, 1 },
                                   { 128, 2, 64 }, { 200, 4, 8 } }; /* channels, blocks, last */
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const int n = oct_block_count(want[i][0]);
        ck_assert_int_eq(n, want[i][1]);
        ck_assert_int_eq(oct_block_width(want[i][0], n - 1), want[i][2]);
        if (n > 1) ck_assert_int_eq(oct_block_width(want[i][0], 0), OCT_BLOCK);
    }
}
END_TEST

/* ---- CPU ---- */

START_TEST(cpu_mask_and_names)
{
    static const char *const names[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                         "neoni8mm" };
    const unsigned have = oct_cpu_flags();
    unsigned flags = 77;
    ck_assert_int_eq(oct_cpu_isa("ref", &flags), OCT_OK);
    ck_assert_uint_eq(flags, 0);
    ck_assert_str_eq(oct_cpu_isa_name(0), "ref");
    ck_assert_int_eq(oct_cpu_isa(oct_cpu_isa_name(have), &flags), OCT_OK);
    ck_assert_uint_eq(flags, have); /* the newest hides nothing */
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        if (oct_cpu_isa(names[i], &flags)) continue;
        ck_assert_str_eq(oct_cpu_isa_name(flags), names[i]);
        ck_assert_uint_eq(flags & ~have, 0);
        oct_cpu_set_mask(flags);
        ck_assert_uint_eq(oct_cpu_flags(), flags);
        oct_cpu_set_mask(~0u);
    }
    ck_assert_int_eq(oct_cpu_isa("sse2", &flags), OCT_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(oct_last_error(), "'sse2'"));
    ck_assert_int_eq(oct_cpu_isa("", &flags), OCT_ERR_UNSUPPORTED);
    oct_cpu_set_mask(0); /* now no ISA but ref can be had */
    ck_assert_uint_eq(oct_cpu_flags(), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_int_eq(oct_cpu_isa(names[i], &flags), i ? OCT_ERR_UNSUPPORTED : OCT_OK);
    oct_cpu_set_mask(~0u);
    ck_assert_uint_eq(oct_cpu_flags(), have);
}
END_TEST

/* What this machine's own compiler was told must agree: a binary built for the CPU runs on it. */
START_TEST(cpu_is_what_it_is)
{
#if defined(__aarch64__)
    ck_assert_uint_ne(oct_cpu_flags() & OCT_CPU_NEON, 0);
    ck_assert_uint_eq(oct_cpu_flags() & (OCT_CPU_AVX2 | OCT_CPU_AVX512), 0);
#else
    ck_assert_uint_eq(oct_cpu_flags() & OCT_CPU_NEON, 0);
#endif
#if defined(__x86_64__)
    const unsigned flags = oct_cpu_flags();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vnni");
    ck_assert_int_eq((flags & OCT_CPU_AVX2) != 0, avx2);
    ck_assert_int_eq((flags & OCT_CPU_AVX512) != 0, avx512);
    if (flags & (OCT_CPU_AVXVNNI | OCT_CPU_AVX512)) ck_assert(flags & OCT_CPU_AVX2);
#endif
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        status_and_sentence, status_names, arena_blocks, arena_refuses_the_impossible,
        arena_zalloc_and_strdup, arena_grows_in_few_chunks, dtypes, tensor_sizes, tensor_checks,
        tensor_shape_text, read_f32, blocks, cpu_mask_and_names, cpu_is_what_it_is,
    };
    return suite_run("tensor", tests, sizeof tests / sizeof *tests);
}
