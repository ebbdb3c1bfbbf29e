/* weights/: zip archives made to hurt.  The archives are written by hand, so that they can lie;
 * their checksums are 0, which means unchecked. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include <string.h>
#include <zlib.h>

#include "tests/weights_util.h"

typedef struct entry {
    const char *name;
    const void *data;
    size_t size;            /* of data, in the archive */
    uint32_t claim;         /* uncompressed; 0: size */
    int method, flags;
} entry;

typedef struct buffer { uint8_t *p; size_t n; } buffer;

static void put(buffer *b, const void *data, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void put_le(buffer *b, uint32_t value, size_t bytes) { put(b, &value, bytes); }

/* The fields that local and central headers share: version needed ... length of the name. */
static void put_common(buffer *b, const entry *e)
{
    put_le(b, 20, 2);
    put_le(b, (uint32_t)e->flags, 2);
    put_le(b, (uint32_t)e->method, 2);
    put_le(b, 0, 4);                         /* time, date */
    put_le(b, 0, 4);                         /* crc */
    put_le(b, (uint32_t)e->size, 4);
    put_le(b, e->claim ? e->claim : (uint32_t)e->size, 4);
    put_le(b, (uint32_t)strlen(e->name), 2);
    put_le(b, 0, 2);
}

static buffer archive(const entry *list, size_t n)
{
    buffer b = { 0 };
    uint32_t at[32];
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint32_t)b.n;
        put(&b, "PK\3\4", 4);
        put_common(&b, &list[i]);
        put(&b, list[i].name, strlen(list[i].name));
        put(&b, list[i].data, list[i].size);
    }
    const uint32_t begin = (uint32_t)b.n;
    for (size_t i = 0; i < n; i++) {
        put(&b, "PK\1\2\x14\0", 6);
        put_common(&b, &list[i]);
        put(&b, "\0\0\0\0\0\0\0\0\0\0", 10); /* comment, disk, attributes */
        put_le(&b, at[i], 4);
        put(&b, list[i].name, strlen(list[i].name));
    }
    const uint32_t size = (uint32_t)b.n - begin;
    put(&b, "PK\5\6\0\0\0\0", 8);
    put_le(&b, (uint32_t)n, 2);
    put_le(&b, (uint32_t)n, 2);
    put_le(&b, size, 4);
    put_le(&b, begin, 4);
    put_le(&b, 0, 2);
    return b;
}

static void check(const entry *list, size_t n, oct_status want, const char *words)
{
    static int fd = -1;
    buffer b = archive(list, n);
    const oct_status got = read_everything(memory_file(&fd, b.p, b.n));
    ck_assert_msg(got == want, "status %d, '%s' expected", (int)got, words);
    if (want != OCT_OK)
        ck_assert_msg(strstr(oct_last_error(), words) != NULL, "'%s' lacks '%s'",
                      oct_last_error(), words);
    free(b.p);
}

#define TENSOR(numel)                                                                             \
    "\x80\2}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\n" \
    "X\1\0\0\0" "0X\3\0\0\0cpuJ" numel "tQK\0J" numel "\x85K\1\x85\x89}tRs."
#define LITERAL(text) text, sizeof text - 1
#define PICKLE(text) { "a/data.pkl", LITERAL(text), 0, 0, 0 }

static const char floats[8] = { 0, 0, (char)0x80, 0x3f };

START_TEST(archives)
{
    const entry good[] = { PICKLE(TENSOR("\2\0\0\0")), { "a/data/0", floats, 8, 0, 0, 0 },
                           { "a/byteorder", LITERAL("little"), 0, 0, 0 },
                           { "a/version", LITERAL("3\n"), 0, 0, 0 } };
    entry e[5];
    check(good, 4, OCT_OK, "");
    check(good, 1, OCT_ERR_FORMAT, "data/0: not in the archive");
    check(good + 1, 3, OCT_ERR_FORMAT, "with 0 data.pkl in it, expected 1");
#define WITH(index, ...) (memcpy(e, good, sizeof good), e[index] = (entry){ __VA_ARGS__ }, e)
    check(WITH(3, "b/data.pkl", LITERAL("N."), 0, 0, 0), 4, OCT_ERR_FORMAT, "with 2 data.pkl");
    check(WITH(3, "a/data/0", floats, 8, 0, 0, 0), 4, OCT_ERR_FORMAT, "zip archive:");
    check(WITH(2, "a/byteorder", LITERAL("big"), 0, 0, 0), 4, OCT_ERR_UNSUPPORTED, "'big'");
    check(WITH(2, "a/byteorder", LITERAL("little or big, who knows"), 0, 0, 0), 4, OCT_ERR_FORMAT,
          "byteorder: 24 bytes, at most 15");
    check(WITH(3, "a/version", LITERAL("11\n"), 0, 0, 0), 4, OCT_ERR_UNSUPPORTED, "version 11");
    check(WITH(1, "a/data/0", floats, 4, 0, 0, 0), 4, OCT_ERR_FORMAT, "data/0: 4 bytes, expected");
    check(WITH(1, "a/data/0", floats, 8, 12, 0, 0), 4, OCT_ERR_FORMAT, "12 bytes made of 8");
    check(WITH(1, "a/data/0", floats, 8, 0, 9, 0), 4, OCT_ERR_UNSUPPORTED, "compression method 9");
    check(WITH(1, "a/data/0", floats, 8, 0, 0, 1), 4, OCT_ERR_UNSUPPORTED, "a/data/0: encrypted");
    check(WITH(1, "a/data/0", floats, 8, 10000, 8, 0), 4, OCT_ERR_FORMAT, "10000 bytes made of 8");
    check(WITH(1, "a/data/0", "\xff", 1, 8, 8, 0), 4, OCT_ERR_FORMAT, "zip archive: Zlib error");
    check(WITH(1, "a/data/0", "\3\0", 2, 8, 8, 0), 4, OCT_ERR_FORMAT, "a/data/0: its data do not");
    check(WITH(0, "a/data.pkl", "\3\0", 2, 8, 8, 0), 4, OCT_ERR_FORMAT, "a/data.pkl: its data");
}
END_TEST

static buffer deflated(const void *data, size_t size)
{
    buffer b = { malloc(size / 100 + 1000), 0 };
    z_stream z = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = b.p,
                   .avail_out = (uInt)(size / 100 + 1000) };
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.n = z.total_out;
    deflateEnd(&z);
    return b;
}

START_TEST(bombs)
{
    enum { SIZE = 200 << 20 };
    char *zeros = calloc(1, SIZE);
    buffer b = deflated(zeros, SIZE);
    const entry tensor[] = { PICKLE(TENSOR("\0\0\x20\3")),
                             { "a/data/0", b.p, b.n, SIZE, 8, 0 } };
    check(tensor, 2, OCT_ERR_FORMAT, "the tensors claim more than");
    free(b.p);
    memset(zeros, '}', SIZE);
    b = deflated(zeros, SIZE);
    const entry pickle[] = { { "a/data.pkl", b.p, b.n, SIZE, 8, 0 } };
    check(pickle, 1, OCT_ERR_FORMAT, "more than 524288 values on the stack");
    free(b.p);
    free(zeros);
}
END_TEST

#define OBJECT "c__torch__\nM\n)\x81" /* of a TorchScript module */

static void check_modules(buffer b, const char *words)
{
    const entry list[] = { { "a/data.pkl", b.p, b.n, 0, 0, 0 },
                           { "a/constants.pkl", LITERAL("\x80\2)."), 0, 0, 0 } };
    check(list, 2, OCT_ERR_FORMAT, words);
    free(b.p);
}

START_TEST(modules_that_never_end)
{
    enum { LEVELS = 40, LONG = 600 };
    buffer b = { 0 };
    put(&b, LITERAL(OBJECT "q\0}X\1\0\0\0ah\0sb.")); /* m.a = m */
    check_modules(b, "modules are nested deeper than 64");

    b = (buffer){ 0 }; /* 40 modules, a and b of each are the next one: 2^40 names */
    for (int i = 0; i < LEVELS; i++) put(&b, LITERAL(OBJECT "}(X\1\0\0\0a"));
    put(&b, LITERAL(OBJECT));
    for (uint8_t i = 0; i < LEVELS; i++) {
        put(&b, LITERAL("\x94X\1\0\0\0bh"));
        put(&b, &i, 1);
        put(&b, LITERAL("ub"));
    }
    put(&b, LITERAL("."));
    check_modules(b, "modules with more than 1048576 attributes");

    b = (buffer){ 0 };
    put(&b, LITERAL(OBJECT "}X"));
    put_le(&b, LONG, 4);
    for (int i = 0; i < LONG; i++) put(&b, "x", 1);
    put(&b, LITERAL(OBJECT "sb."));
    check_modules(b, "the name of a tensor is longer than 512");

    b = (buffer){ 0 };
    put(&b, LITERAL(OBJECT "}b."));
    check_modules(b, "there is no tensor in the file");
}
END_TEST

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    const TTest *const tests[] = { archives, bombs, modules_that_never_end };
    return suite_run("weights_zip", tests, sizeof tests / sizeof *tests);
}
