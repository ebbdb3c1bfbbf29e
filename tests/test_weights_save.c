/* weights/save.c and weights/sha256.c. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/weights_util.h"

static void check_sha(const char *text, size_t size, size_t times, const char *want)
{
    for (size_t step = 1; step < 130; step += 21) { /* however it is cut */
        oct_sha256 s;
        char hex[65];
        oct_sha256_init(&s);
        for (size_t i = 0; i < times; i++)
            for (size_t at = 0; at < size; at += step)
                oct_sha256_add(&s, text + at, size - at < step ? size - at : step);
        oct_sha256_hex(&s, hex);
        ck_assert_str_eq(hex, want);
    }
}

START_TEST(sha256_of_nist_vectors) /* FIPS 180-4 examples; SHA256ShortMsg of CAVS 11 */
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char four[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
                               "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    check_sha("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha(two, 56, 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha(four, 112, 1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    check_sha("a", 1, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    check_sha("\xd3", 1, 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
}
END_TEST

static char dir[64], path[128];

static void make_folder(void)
{
    strcpy(dir, "/tmp/octet-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/m.safetensors", dir);
}

static int files_in_folder(void)
{
    DIR *d = opendir(dir);
    int n = -2; /* . and .. */
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(files_in_folder(), 0);
    rmdir(dir);
}

/* Tensors of every dtype, sizes that are multiples of 64 and that are not, in no order. */
static float f32[16] = { 1, -2, 3.5f };
static double f64[3] = { 1e300, -0.0 };
static uint8_t u8[128] = { 7, 9 };
static uint16_t f16[5] = { 0x3c00 };
static int64_t s64[1] = { -1 };
static oct_tensor samples[] = {
    { .dtype = OCT_U8, .rank = 1, .dim = { 3 }, .data = u8 },
    { .dtype = OCT_F16, .rank = 2, .dim = { 1, 5 }, .data = f16 },
    { .dtype = OCT_F32, .rank = 2, .dim = { 4, 4 }, .data = f32 },   /* 64 */
    { .dtype = OCT_F64, .rank = 1, .dim = { 3 }, .data = f64 },
    { .dtype = OCT_F32, .rank = 1, .dim = { 3 }, .data = f32 },
    { .dtype = OCT_S64, .rank = 0, .data = s64 },
    { .dtype = OCT_U8, .rank = 2, .dim = { 2, 64 }, .data = u8 },    /* 128 */
    { .dtype = OCT_F32, .rank = 2, .dim = { 0, 7 }, .data = NULL },  /* 0: a multiple of 64 too */
};
static const oct_save_tensor list[] = {
    { "u8", &samples[0] }, { "f16", &samples[1] }, { "z.f32", &samples[2] }, { "f64", &samples[3] },
    { "a.f32", &samples[4] }, { "s64", &samples[5] }, { "y.u8", &samples[6] },
    { "empty \"\n\xc3\xa4", &samples[7] },
};
static const oct_save_meta meta[] = { { "octet.format", "1" }, { "b", "\"\\\n\x01" }, { "a", "" } };
enum { N = 8, N_META = 3 };

START_TEST(bytes_are_as_specified)
{
    static const char want[] =
        "{\"__metadata__\":{\"a\":\"\",\"b\":\"\\\"\\\\\\n\\u0001\",\"octet.format\":\"1\"},"
        "\"empty \\\"\\n\xc3\xa4\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]},"
        "\"y.u8\":{\"dtype\":\"U8\",\"shape\":[2,64],\"data_offsets\":[0,128]},"
        "\"z.f32\":{\"dtype\":\"F32\",\"shape\":[4,4],\"data_offsets\":[128,192]},"
        "\"f64\":{\"dtype\":\"F64\",\"shape\":[3],\"data_offsets\":[192,216]},"
        "\"s64\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[216,224]},"
        "\"a.f32\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[224,236]},"
        "\"f16\":{\"dtype\":\"F16\",\"shape\":[1,5],\"data_offsets\":[236,246]},"
        "\"u8\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[246,249]}}";
    make_folder();
    ck_assert_msg(oct_weights_save(path, list, N, meta, N_META) == OCT_OK, "%s", oct_last_error());
    size_t size = 0;
    char *text = slurp(path, &size);
    uint64_t length;
    memcpy(&length, text, 8);
    ck_assert_uint_eq((8 + length) % 64, 0);
    ck_assert_uint_eq(size, 8 + length + 249);
    ck_assert_int_eq(memcmp(text + 8, want, sizeof want - 1), 0);
    ck_assert_uint_lt(length - (sizeof want - 1), 64);
    for (size_t i = sizeof want - 1; i < length; i++) ck_assert_int_eq(text[8 + i], ' ');
    ck_assert_int_eq(memcmp(text + 8 + length + 128, f32, 64), 0);
    struct stat st;
    stat(path, &st);
    const mode_t mask = umask(0);
    umask(mask);
    ck_assert_int_eq(st.st_mode & 0777, 0666 & ~mask);

    /* The same in another order of arguments: the same bytes. */
    oct_save_tensor other[N];
    oct_save_meta other_meta[N_META];
    for (int i = 0; i < N; i++) other[i] = list[N - 1 - i];
    for (int i = 0; i < N_META; i++) other_meta[i] = meta[(i + 1) % N_META];
    ck_assert_int_eq(oct_weights_save(path, other, N, other_meta, N_META), OCT_OK);
    size_t again = 0;
    char *twin = slurp(path, &again);
    ck_assert(again == size && memcmp(twin, text, size) == 0);
    free(twin);
    free(text);
    remove_folder();
}
END_TEST

START_TEST(round_trip)
{
    make_folder();
    ck_assert_int_eq(oct_weights_save(path, list, N, meta, N_META), OCT_OK);
    oct_weights *w;
    ck_assert_int_eq(oct_weights_open(path, &w), OCT_OK);
    ck_assert_int_eq(oct_weights_count(w), N);
    for (int i = 0; i < N; i++) {
        oct_tensor t;
        ck_assert_int_eq(oct_weights_require(w, list[i].name, samples[i].rank, samples[i].dim, &t),
                         OCT_OK);
        ck_assert_int_eq(t.dtype, samples[i].dtype);
        if (samples[i].data)
            ck_assert_int_eq(memcmp(t.data, samples[i].data, oct_tensor_size(&t)), 0);
    }
    for (int i = 0; i < N_META; i++)
        ck_assert_str_eq(oct_weights_meta(w, meta[i].key), meta[i].value);
    oct_weights_close(w);
    ck_assert_int_eq(oct_weights_save(path, list, 1, NULL, 0), OCT_OK); /* over the old file */
    ck_assert_int_eq(oct_weights_open(path, &w), OCT_OK);
    ck_assert_int_eq(oct_weights_count(w), 1);
    oct_weights_close(w);
    remove_folder();
}
END_TEST

/* Every failure: a status, and the folder as it was. */
static void fails(const char *where, const oct_save_tensor *t, int n, const oct_save_meta *m,
                  int n_meta, oct_status want, const char *words)
{
    const int before = files_in_folder();
    ck_assert_int_eq(oct_weights_save(where, t, n, m, n_meta), want);
    ck_assert_msg(strstr(oct_last_error(), words) != NULL, "'%s' lacks '%s'", oct_last_error(),
                  words);
    ck_assert_int_eq(files_in_folder(), before);
}

START_TEST(failures_leave_nothing)
{
    make_folder();
    char other[256];
    oct_tensor blocked = samples[2];
    blocked.layout = OCT_BLOCKED;
    const oct_save_tensor twice[] = { list[0], list[0] };
    const oct_save_tensor reserved = { "__metadata__", &samples[0] };
    const oct_save_tensor latin = { "\xe4", &samples[0] }, layout = { "a", &blocked };
    const oct_save_meta keys[] = { { "k", "1" }, { "k", "2" } }, bad = { "k", "\xff" };
    fails(path, twice, 2, NULL, 0, OCT_ERR_FORMAT, "u8: twice");
    fails(path, &reserved, 1, NULL, 0, OCT_ERR_FORMAT, "__metadata__");
    fails(path, &latin, 1, NULL, 0, OCT_ERR_FORMAT, "is not UTF-8");
    fails(path, &layout, 1, NULL, 0, OCT_ERR_UNSUPPORTED, "only dense");
    fails(path, list, 1, keys, 2, OCT_ERR_FORMAT, "k: twice");
    fails(path, list, 1, &bad, 1, OCT_ERR_FORMAT, "is not UTF-8");
    fails(dir, list, 1, NULL, 0, OCT_ERR_IO, "not a regular file");
    snprintf(other, sizeof other, "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    fails(other, list, 1, NULL, 0, OCT_ERR_IO, "not a regular file");
    unlink(other);
    fails("", list, 1, NULL, 0, OCT_ERR_IO, "no file name");
    snprintf(other, sizeof other, "%s/none/m", dir);
    fails(other, list, 1, NULL, 0, OCT_ERR_IO, "No such file or directory");

    /* The disk is full: an existing file stays as it was. */
    size_t size = 0, again = 0;
    ck_assert_int_eq(oct_weights_save(path, list, N, meta, N_META), OCT_OK);
    char *text = slurp(path, &size);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ size - 1, RLIM_INFINITY });
    fails(path, list, N, meta, N_META, OCT_ERR_IO, "writing: File too large");
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
    char *twin = slurp(path, &again);
    ck_assert(again == size && memcmp(twin, text, size) == 0);
    free(twin);
    free(text);
    remove_folder();
}
END_TEST

/* Another process may be at it: neither its file nor ours changes. */
START_TEST(a_temporary_file_that_is_there_stays)
{
    make_folder();
    char other[256];
    struct stat st;
    snprintf(other, sizeof other, "%s" OCT_SAVE_SUFFIX, path);
    FILE *f = fopen(other, "w");
    ck_assert(f && fputs("theirs", f) >= 0 && fclose(f) == 0);
    ck_assert_int_eq(oct_weights_save(path, list, N, NULL, 0), OCT_ERR_IO);
    ck_assert_msg(strstr(oct_last_error(), "m.safetensors.tmp is there already"), "%s",
                  oct_last_error());
    ck_assert(stat(other, &st) == 0 && st.st_size == 6 && files_in_folder() == 1);
    unlink(other);
    remove_folder();
}
END_TEST

START_TEST(a_link_is_followed)
{
    make_folder();
    char link[256];
    struct stat st;
    snprintf(link, sizeof link, "%s/link", dir);
    ck_assert_int_eq(oct_weights_save(path, list, 1, NULL, 0), OCT_OK);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(oct_weights_save(link, list, N, NULL, 0), OCT_OK);
    ck_assert(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    oct_weights *w;
    ck_assert_int_eq(oct_weights_open(path, &w), OCT_OK);
    ck_assert_int_eq(oct_weights_count(w), N);
    oct_weights_close(w);
    unlink(link);
    remove_folder();
}
END_TEST

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    const TTest *const tests[] = { sha256_of_nist_vectors, bytes_are_as_specified, round_trip,
                                   failures_leave_nothing,
                                   a_temporary_file_that_is_there_stays, a_link_is_followed };
    return suite_run("weights_save", tests, sizeof tests / sizeof *tests);
}
