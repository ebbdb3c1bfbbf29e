/* weights/blocks.c: what is compressed comes back as it was; files that lie are refused. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include <stdlib.h>

#include "tests/weights_util.h"

enum { OUT = 16, IN = 24, TAPS = 9, N = OUT * IN * TAPS };
enum { ROWS, COLUMNS, PAIRS, N_FORMS };

static char path[] = "/tmp/octet-blocks-XXXXXX";

/* Element p of block i of 4 in the tap, inputs or outputs. */
static size_t place(int form, size_t i, size_t t, size_t p)
{
    const size_t a = i / IN * 4 * IN + i % IN; /* the first of 4 outputs */
    return form == COLUMNS ? (a + p * IN) * TAPS + t : (i * 4 + p) * TAPS + t;
}

/* Zeros where blocks are not kept, of two of each 4; nothing is zero by chance. */
static void fill(char *data, size_t unit, int form, int per_cent)
{
    for (size_t i = 0; i < N * unit; i++) data[i] = (char)(test_rand() | 1);
    for (size_t i = 0; i < OUT * IN / 4; i++)
        for (size_t t = 0; t < TAPS; t++) {
            const int zero = (int)(test_rand() % 100) >= per_cent;
            const size_t at = test_rand() % 4, other = (at + 1 + test_rand() % 3) % 4;
            for (size_t p = 0; p < 4; p++)
                if (zero || (form == PAIRS && per_cent < 100 && p != at && p != other))
                    memset(data + place(form, i, t, p) * unit, 0, unit);
        }
}

static oct_status save(const oct_tensor *t, int *compressed)
{
    oct_arena arena = { 0 };
    const oct_save_tensor list[] = { { "a", t }, { "z.bias", t } };
    oct_save_tensor *small;
    oct_save_meta form;
    int n;
    oct_status status = oct_weights_compress(list, 2, &arena, &small, &n, &form);
    ck_assert_int_eq(status, OCT_OK);
    ck_assert(n == 2 || n == 4);
    ck_assert((n == 4) == (form.value != NULL));
    *compressed = n == 4;
    status = oct_weights_save(path, small, n, &form, *compressed);
    oct_arena_free(&arena);
    return status;
}

static const oct_dtype types[] = { OCT_F32, OCT_F16, OCT_BF16, OCT_S8, OCT_S32 };

/* The share of its bytes that is kept: 0, 5, 50 per cent of the blocks, or 98: two of each four. */
START_TEST(there_and_back)
{
    static char data[N * 4];
    const oct_dtype type = types[_i % 5];
    const int form = _i / 5 % N_FORMS, per_cent = (int[]){ 0, 5, 50, 98, 100 }[_i / 5 / N_FORMS];
    const size_t unit = oct_dtype_size(type);
    oct_tensor t = { .dtype = type, .rank = 4, .dim = { OUT, IN, 3, 3 }, .data = data }, got;
    oct_weights *w;
    int compressed;
    fill(data, unit, form, per_cent);
    ck_assert_int_eq(save(&t, &compressed), OCT_OK);
    ck_assert_int_eq(compressed, type != OCT_S32 && per_cent < (form == PAIRS ? 100 : 98));
    ck_assert_msg(oct_weights_open(path, &w) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(oct_weights_count(w), 2);
    ck_assert_str_eq(oct_weights_at(w, 0)->name, "a");
    ck_assert_str_eq(oct_weights_at(w, 1)->name, "z.bias");
    ck_assert_msg(oct_weights_require(w, "a", 4, t.dim, &got) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(got.dtype, type);
    ck_assert_mem_eq(got.data, data, N * unit);
    if (compressed) { /* the other tensor is dense */
        const double most = N * ((per_cent == 98 ? 50 : per_cent + 5) / 100. * (double)unit + .125);
        ck_assert_double_le((double)oct_weights_file_size(w), N * (double)unit + most + 1000);
    }
    oct_weights_close(w);
    unlink(path);
}
END_TEST

/* A file of several forms, and a tensor in none. */
START_TEST(each_its_own)
{
    static char data[4][N];
    static const char *const names[] = { "a", "b", "c", "d" };
    oct_arena arena = { 0 };
    oct_tensor t[4], got;
    oct_save_tensor list[4], *small;
    oct_save_meta form;
    oct_weights *w;
    int n;
    for (int i = 0; i < 4; i++) {
        fill(data[i], 1, i % N_FORMS, i == 3 ? 100 : i == PAIRS ? 98 : 20);
        t[i] = (oct_tensor){ .dtype = OCT_S8, .rank = 4, .dim = { OUT, IN, 3, 3 },
                             .data = data[i] };
        list[i] = (oct_save_tensor){ names[i], &t[i] };
    }
    ck_assert_int_eq(oct_weights_compress(list, 4, &arena, &small, &n, &form), OCT_OK);
    ck_assert_int_eq(n, 7);
    ck_assert_str_eq(form.value, "1x4,4x1,2:4");
    ck_assert_int_eq(oct_weights_save(path, small, n, &form, 1), OCT_OK);
    ck_assert_msg(oct_weights_open(path, &w) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(oct_weights_count(w), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(oct_weights_require(w, names[i], 4, t[i].dim, &got), OCT_OK);
        ck_assert_mem_eq(got.data, data[i], N);
    }
    oct_weights_close(w);
    unlink(path);
    oct_arena_free(&arena);
}
END_TEST

/* A file with octet.compressed and what follows; its data are 64 bytes of 0x01. */
static void refused(const char *form, const char *tensors, const char *message)
{
    static int fd = -1;
    char header[600], file[800] = { 0 };
    const int n = snprintf(header, sizeof header,
                           "{\"__metadata__\":{\"octet.compressed\":\"%s\"},%s}", form, tensors);
    const uint64_t size = (uint64_t)n;
    memcpy(file, &size, 8);
    memcpy(file + 8, header, size);
    memset(file + 8 + size, 1, 64);
    oct_weights *w = NULL;
    oct_tensor t;
    oct_status status = oct_weights_open(memory_file(&fd, file, 8 + size + 64), &w);
    if (status == OCT_OK) status = oct_weights_require(w, "a", -1, NULL, &t);
    ck_assert_msg(status != OCT_OK, "%s", tensors);
    ck_assert_msg(strstr(oct_last_error(), message) != NULL, "%s", oct_last_error());
    oct_weights_close(w);
}

#define INDEX(form, shape, from, to) \
    "\"a.index" form "\":{\"dtype\":\"U8\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
#define VALUES(type, shape, from, to) \
    "\"a.values\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

START_TEST(files_that_lie)
{
    /* 32 bytes of 1: 32 blocks; 32 bytes of values are 8 */
    static const char not[] = "not of compressed";
    static const char blocks[] = "a: its index has 32 blocks, its values 8";
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), blocks);
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("F32", "[2,4]", 32, 64), "its values 2");
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[4,8]", 32, 64), not);
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[32]", 32, 64), not);
    refused("1x4", INDEX("", "[32]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), not);
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("I32", "[2,4]", 32, 64), not);
    refused("1x4", INDEX("", "[64,1]", 0, 64), not);
    refused("1x4", VALUES("I8", "[16,4]", 0, 64), "a: no such tensor");
    refused("1x4", INDEX("", "[1073741824,0]", 0, 0) "," VALUES("I8", "[16,4]", 0, 64), "overflows");
    refused("1x4", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[6,4]", 32, 56)
            ",\"a\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[56,64]}", "two tensors");
    refused("4x2", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), "this octet reads");
    refused("1x4,", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), "this octet reads");
    refused("1x4,2:4", INDEX("", "[4,8]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), blocks);
    refused("4x1", INDEX(".4x1", "[8,4]", 0, 32) "," VALUES("I8", "[8,4]", 32, 64), blocks);
    refused("4x1", INDEX(".4x1", "[8,0]", 0, 0) "," VALUES("I8", "[16,4]", 0, 64), "0 blocks");
    /* 8 bytes of 1: 16 fours of inputs, at 1 and 0 each */
    refused("2:4", INDEX(".2:4", "[4,2]", 0, 8) "," VALUES("I8", "[4,8]", 8, 40)
            ",\"b\":{\"dtype\":\"I8\",\"shape\":[24],\"data_offsets\":[40,64]}", "in order");
    refused("2:4", INDEX(".2:4", "[4,2]", 0, 8) "," VALUES("I8", "[8,7]", 8, 64), not);
    refused("2:4", INDEX(".2:4", "[4,2]", 0, 8) "," VALUES("I8", "[7,8]", 8, 64), not);
    refused("2:4", INDEX(".2:4", "[8]", 0, 8) "," VALUES("I8", "[7,8]", 8, 64), not);
    refused("2:4", INDEX(".2:4", "[1,268435456,0]", 0, 0) "," VALUES("I8", "[8,8]", 0, 64),
            "overflows");
    refused("1x4,2:4", INDEX("", "[4,2]", 0, 8) "," INDEX(".2:4", "[1,8]", 8, 16) ","
            VALUES("I8", "[12,4]", 16, 64), not);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = { { there_and_back, 25 * N_FORMS }, { each_its_own, 1 },
                                 { files_that_lie, 1 } };
    const int fd = mkstemp(path);
    if (fd < 0) return TEST_ERROR;
    close(fd);
    const int result = suite_run_loops("weights_blocks", loops, 3);
    unlink(path);
    return result;
}
