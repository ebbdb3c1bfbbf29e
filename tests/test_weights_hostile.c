/* weights/: files that were cut, changed or made to hurt.  Each ends with a status and a sentence;
 * the sanitizers, if built in, see to the rest. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include <sys/resource.h>
#include <time.h>

#include "tests/weights_util.h"

static int fd = -1;

static char *golden(const char *name, size_t *size)
{
    char relative[512];
    snprintf(relative, sizeof relative, "tests/golden/weights/%s", name);
    char *bytes = slurp(source_path(relative), size);
    ck_assert_msg(bytes != NULL, "no %s", name);
    return bytes;
}

static void refused(const void *bytes, size_t size, oct_status want, const char *words)
{
    ck_assert_int_eq(read_everything(memory_file(&fd, bytes, size)), want);
    ck_assert_msg(strstr(oct_last_error(), words) != NULL, "'%s' lacks '%s'", oct_last_error(),
                  words);
    ck_assert(!strchr(oct_last_error(), '\n') && strlen(oct_last_error()) < 256);
}

START_TEST(cut_at_every_byte)
{
    static const char *const names[] = { "types.safetensors", "types.pt", "types_legacy.pt",
                                         "types_legacy_protocol4.pt", "deflated.pt",
                                         "quantized_legacy.pt", "quantized_lists.pt" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        char *bytes = golden(names[i], &size);
        for (size_t n = 0; n < size; n++)
            ck_assert_msg(read_everything(memory_file(&fd, bytes, n)) != OCT_OK,
                          "%s cut to %zu bytes was read", names[i], n);
        free(bytes);
    }
}
END_TEST

/* SHA-256 over all tensors, or the empty string. */
static void content(const char *path, char hex[65])
{
    oct_weights *w;
    oct_sha256 s;
    oct_sha256_init(&s);
    *hex = '\0';
    oct_status status = oct_weights_open(path, &w);
    for (int i = 0; status == OCT_OK && i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        oct_tensor t;
        status = oct_weights_require(w, e->name, -1, NULL, &t);
        if (status != OCT_OK) break;
        oct_sha256_add(&s, e->name, strlen(e->name) + 1);
        oct_sha256_add(&s, e->dim, sizeof e->dim);
        oct_sha256_add(&s, t.data, e->size);
        oct_weights_let_go(w, &t);
    }
    oct_weights_close(w);
    if (status == OCT_OK) oct_sha256_hex(&s, hex);
}

/* Each byte in turn.  A zip archive has checksums: whatever changes, what is read is right. */
static void mutate(const char *name, size_t limit, bool has_checksums)
{
    size_t size = 0;
    char *bytes = golden(name, &size), want[65], got[65];
    content(memory_file(&fd, bytes, size), want);
    ck_assert(*want);
    if (limit > size) limit = size;
    for (size_t i = 0; i < limit; i++) {
        const char old = bytes[i];
        const char values[] = { (char)(old ^ 1), (char)(old ^ 0x80), (char)(old + 1), 0, '\xff',
                                (char)test_rand() };
        for (size_t v = 0; v < sizeof values; v++) {
            bytes[i] = values[v];
            content(memory_file(&fd, bytes, size), got);
            if (has_checksums && *got) ck_assert_msg(!strcmp(got, want), "%s, byte %zu", name, i);
        }
        bytes[i] = old;
    }
    free(bytes);
}

START_TEST(safetensors_mutated) { mutate("types.safetensors", 1100, false); } END_TEST
START_TEST(legacy_mutated) { mutate("types_legacy.pt", 1600, false); } END_TEST
START_TEST(legacy_views_mutated) { mutate("views_legacy.pt", 1800, false); } END_TEST
START_TEST(quantized_mutated) { mutate("quantized_legacy.pt", 2700, false); } END_TEST
START_TEST(zip_mutated) { mutate("types.pt", SIZE_MAX, true); } END_TEST
START_TEST(deflated_mutated) { mutate("deflated.pt", SIZE_MAX, true); } END_TEST

/* A safetensors file with this header and so many bytes of data. */
static void header(const char *text, size_t data, oct_status want, const char *words)
{
    const size_t n = strlen(text);
    char *bytes = calloc(1, 8 + n + data);
    memcpy(bytes, &(uint64_t){ n }, 8);
    memcpy(bytes + 8, text, n);
    refused(bytes, 8 + n + data, want, words);
    free(bytes);
}

START_TEST(safetensors_headers)
{
    static const struct { const char *text; size_t data; const char *words; } table[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7,
          "a: data end at 8, the file has 7 bytes of data" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9,
          "the tensors have 8 bytes, the file has 9 bytes of data" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
          "a: data begin at 4, the tensor before ends at 0" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6,
          "b: data begin at 2, the tensor before ends at 4" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[5,6]}}", 6,
          "b: data begin at 5, the tensor before ends at 4" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
          "a: shape and dtype make 12 bytes, the file gives it 8" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
          "a: data_offsets are not [begin, end]" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
          "a: shape is not a list of sizes" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8,
          "a: shape is not a list of sizes" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536],"
          "\"data_offsets\":[0,0]}}", 0, "a: the product of its dimensions overflows" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,65536,65536,65536,65536],"
          "\"data_offsets\":[0,0]}}", 0, "a: the product of its dimensions overflows" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,0],\"data_offsets\":[0,0]}}", 0,
          "a: dimension 0 is 2147483648, at most 2147483647" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
          "header: too big integer" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
          "header: duplicate object key" },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
          "header: duplicate object key" },
        { "{\"\\u0000\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "header:" },
        { "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "header:" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
          "a: dtype, shape or data_offsets missing" },
        { "{\"a\":[]}", 0, "a: dtype, shape or data_offsets missing" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: a is not a string" },
        { "{\"__metadata__\":[]}", 0, "__metadata__ is not an object" },
        { "{}", 0, "there is no tensor in the file" },
        { "{", 0, "header: " },
        { "{} x", 0, "header: " },
        { "[]", 0, "the header does not begin with '{' (byte 8)" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        header(table[i].text, table[i].data, OCT_ERR_FORMAT, table[i].words);
    header("{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
           OCT_ERR_UNSUPPORTED, "a: dtype F4 is not supported");
    header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
           OCT_ERR_UNSUPPORTED, "a: rank 9, at most 8");
    char deep[20000] = "{\"a\":";
    memset(deep + 5, '[', 15000);
    header(deep, 0, OCT_ERR_FORMAT, "header: maximum parsing depth");
}
END_TEST

START_TEST(files_of_other_kinds)
{
    char bytes[512] = { 0 };
    refused(bytes, 0, OCT_ERR_FORMAT, "the file is empty");
    refused(bytes, 3, OCT_ERR_FORMAT, "file size 3, at least 8");
    refused(bytes, 512, OCT_ERR_FORMAT, "the header does not begin with '{'");
    memcpy(bytes, &(uint64_t){ 8589934592 }, 8);
    refused(bytes, 512, OCT_ERR_FORMAT, "header length 8589934592 exceeds file size 512");
    memcpy(bytes + 257, "ustar", 5);
    refused(bytes, 512, OCT_ERR_UNSUPPORTED, "a tar file");
    refused("PK\3\4 and nothing", 16, OCT_ERR_FORMAT, "zip archive: Not a zip archive");
    refused("\x80\2}.and so on, a pickle", 22, OCT_ERR_FORMAT, "no magic number");
    refused("\x80\2\x80\2cos\nsystem\n.", 16, OCT_ERR_FORMAT, "global 'os.system' is not allowed");
}
END_TEST

START_TEST(cut_while_it_is_open)
{
    static const char *const names[] = { "types.safetensors", "types_legacy.pt", "large.pt",
                                         "large_deflated.pt" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        char *bytes = golden(names[i], &size), hex[65];
        oct_weights *w;
        oct_tensor t;
        int own = -1;
        ck_assert_int_eq(oct_weights_open(memory_file(&own, bytes, size), &w), OCT_OK);
        ck_assert_int_eq(ftruncate(own, 40), 0);
        for (int k = 0; k < oct_weights_count(w); k++) {
            const oct_weights_entry *e = oct_weights_at(w, k);
            if (e->size == 0) continue;
            ck_assert_int_eq(oct_weights_require(w, e->name, -1, NULL, &t), OCT_ERR_IO);
            ck_assert_ptr_nonnull(strstr(oct_last_error(), "the file was cut short"));
        }
        ck_assert_int_eq(oct_weights_sha256(w, hex), OCT_ERR_IO);
        oct_weights_close(w);
        close(own);
        free(bytes);
    }
}
END_TEST

/* A legacy file around the pickle of the object; no storages. */
static size_t legacy(char *to, const char *pickle, size_t n)
{
    static const char head[] = "\x80\2\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}.";
    memcpy(to, head, sizeof head - 1);
    memcpy(to + sizeof head - 1, pickle, n);
    memcpy(to + sizeof head - 1 + n, "\x80\2].", 4);
    return sizeof head - 1 + n + 4;
}

#define KEY "X\x0a\0\0\0state_dict"
#define TENSOR(numel, offset, dim, stride)                                                    \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nLongStorage\nX\1\0\0\0"     \
    "kX\3\0\0\0cpu" numel "tQ" offset dim "\x85" stride "\x85\x89}tR"
#define ONE "K\1"
#define HUGE "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f" /* 2^63 - 1 */

START_TEST(legacy_objects)
{
#define ROW(pickle, words) { pickle, sizeof pickle - 1, words }
    static const struct { const char *pickle; size_t n; const char *words; } table[] = {
        ROW("\x80\2}q\0" KEY "h\0s.", "no dictionary of named tensors"), /* it holds itself */
        ROW("\x80\2N.", "holds a plain value"),
        ROW("\x80\2}" KEY TENSOR(ONE, "K\0", ONE, ONE) "s.", "storage 'k' has no data"),
    };
    char bytes[1024];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        refused(bytes, legacy(bytes, table[i].pickle, table[i].n), OCT_ERR_FORMAT, table[i].words);
}
END_TEST

/* The same with storage 'k' of one element in the file. */
START_TEST(legacy_shapes_against_storage)
{
    static const struct { const char *pickle; size_t n; const char *words; } table[] = {
        ROW("}X\1\0\0\0a" TENSOR("K\2", "K\0", ONE, ONE) "s.", "has 1 elements of I64, expected 2"),
        ROW("}X\1\0\0\0a" TENSOR(HUGE, "K\0", ONE, ONE) "s.", "has 1 elements of I64, expected 92"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, "K\1", ONE, ONE) "s.", "a: needs bytes 8 to 16 of a storage "
            "of 8"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, "K\0", "K\2", ONE) "s.", "a: needs bytes 0 to 16 of a"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, "K\0", "K\2", HUGE) "s.", "a: stride 9223372036854775807"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, HUGE, ONE, ONE) "s.", "a: its offset is out of range"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, "K\0", HUGE, ONE) "s.", "a: dimension 0 is 92233720"),
        ROW("}X\1\0\0\0a" TENSOR(ONE, "K\0", "J\xff\xff\xff\x7f", "K\0") "s.",
            "the tensors claim more than"), /* one element, 2^31 times: 16 GiB */
        ROW("}(X\1\0\0\0a" TENSOR(ONE, "K\0", ONE, ONE) "q\1X\1\0\0\0ah\1u.", "two tensors"),
        ROW("}(X\1\0\0\0\0" TENSOR(ONE, "K\0", ONE, ONE) "u.", "not UTF-8"),
        ROW("}(X\2\0\0\0\xc0\x80" TENSOR(ONE, "K\0", ONE, ONE) "u.", "not UTF-8"),
    };
    static const char key[] = "\x80\2]X\1\0\0\0ka.", data[16] = { 1 };
    char bytes[1024];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = legacy(bytes, table[i].pickle, table[i].n) - 4;
        memcpy(bytes + n, key, sizeof key - 1);
        memcpy(bytes + n + sizeof key - 1, data, sizeof data);
        n += sizeof key - 1 + sizeof data;
        refused(bytes, n, OCT_ERR_FORMAT, table[i].words);
        if (i) continue;
        refused(bytes, n - 1, OCT_ERR_FORMAT, "storage 'k' of 1 elements exceeds file size");
        refused(bytes, n - 9, OCT_ERR_FORMAT, "the file ends before storage 'k'");
        bytes[n - 9] = 0x20; /* 2^61 elements of 8 bytes */
        refused(bytes, n, OCT_ERR_FORMAT, "elements exceeds file size");
    }
}
END_TEST

/* SPEC.md section 2: 100 MB are refused within 2 s and 64 MB + twice the size.  Headers that would
 * make a parser build an object for every byte or two. */
static void costs_little(const char *head, size_t n_head, const char *unit, const char *words)
{
    enum { SIZE = 100000000, PIECE = 1 << 20 };
    if (test_emulated()) return; /* its time and memory are not ours */
    static char piece[PIECE];
    const size_t n = strlen(unit);
    for (size_t i = 0; i < PIECE; i++) piece[i] = unit[i % n];
    const char *path = memory_file(&fd, head, n_head);
    for (size_t at = n_head; at < SIZE; at += PIECE / n * n)
        if (pwrite(fd, piece, PIECE / n * n, (off_t)at) < 0) exit(TEST_ERROR);
    if (ftruncate(fd, SIZE)) exit(TEST_ERROR);
    struct timespec a, b;
    struct rusage before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a); /* what others do meanwhile does not count */
    getrusage(RUSAGE_SELF, &before);
    ck_assert_int_eq(read_everything(path), OCT_ERR_FORMAT);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_msg(strstr(oct_last_error(), words) != NULL, "%s", oct_last_error());
#if !defined __SANITIZE_ADDRESS__
    const double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    const long kib = after.ru_maxrss - before.ru_maxrss;
    ck_assert_msg(s < 2 && kib < (64L << 10) + 2 * (SIZE >> 10),
                  "'%s': %.2f s, %ld MiB", unit, s, kib >> 10);
    printf("%-22.22s %5.2f s %4ld MiB  %s\n", unit, s, kib >> 10, oct_last_error());
#endif
}

static void header_costs_little(const char *open, const char *unit, const char *words)
{
    char head[256];
    memcpy(head, &(uint64_t){ 100000000 - 8 }, 8);
    const int n = snprintf(head + 8, sizeof head - 8, "%s", open);
    costs_little(head, 8 + (size_t)n, unit, words);
}

START_TEST(large_headers) { header_costs_little("{\"a\":[0", ",0", "of memory"); } END_TEST
START_TEST(long_strings) { header_costs_little("{\"", "a", "of memory"); } END_TEST
START_TEST(deep_arrays) { header_costs_little("{\"a\":", "[", "of memory"); } END_TEST

static void pickle_costs_little(const char *unit, const char *words)
{
    char head[256];
    const size_t n = legacy(head, "\x80\2N", 3) - 4;
    costs_little(head, n, unit, words);
}

START_TEST(many_dicts) { pickle_costs_little("}", "on the stack"); } END_TEST
START_TEST(many_memos) { pickle_costs_little("\x94", "in the memo"); } END_TEST
START_TEST(deep_tuples) { pickle_costs_little("\x85", "describing"); } END_TEST
START_TEST(memo_then_frames) { pickle_costs_little("\x80\2", "in the middle"); } END_TEST

START_TEST(many_zip_entries)
{
    char bytes[200] = "PK\3\4";
    memcpy(bytes + 100, "PK\6\6", 4);
    memcpy(bytes + 100 + 32, &(uint64_t){ 2000000 }, 8);
    memcpy(bytes + 156, "PK\6\7", 4);
    memcpy(bytes + 156 + 8, &(uint64_t){ 100 }, 8);
    memcpy(bytes + 176, "PK\5\6\0\0\0\0\xff\xff\xff\xff", 12);
    refused(bytes, 198, OCT_ERR_UNSUPPORTED, "zip archive of 2000000 entries, at most 65535");
}
END_TEST

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "300", 0);
    const TTest *const tests[] = {
        cut_at_every_byte, safetensors_mutated, legacy_mutated, legacy_views_mutated,
        quantized_mutated, zip_mutated,
        deflated_mutated, safetensors_headers, files_of_other_kinds, cut_while_it_is_open,
        legacy_objects, legacy_shapes_against_storage, large_headers, long_strings, deep_arrays,
        many_dicts, many_memos, deep_tuples, memo_then_frames, many_zip_entries,
    };
    return suite_run("weights_hostile", tests, sizeof tests / sizeof *tests);
}
