/* weights/: every allocation of reading and saving fails once. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include "tests/fail_alloc.h"
#include "tests/weights_util.h"

static char path[1024];

static oct_status read_it(void) { return read_everything(path); }

static oct_status save_it(void)
{
    static uint8_t bytes[64];
    const oct_tensor t = { .dtype = OCT_U8, .rank = 2, .dim = { 4, 16 }, .data = bytes };
    const oct_save_tensor list[] = { { "a", &t }, { "b", &t } };
    const oct_save_meta meta[] = { { "k", "v" }, { "l", "w" } };
    return oct_weights_save(path, list, 2, meta, 2);
}

/* May a failed allocation be survived, and how many blocks may stay behind?  None and none for
 * what we allocate.  The C library and libzip do without some buffers; libzip 1.7 forgets one
 * block when zip_fopen_index runs out of memory. */
static void each_fails(oct_status (*body)(void), int survives, long leaks)
{
    ck_assert_msg(body() == OCT_OK, "%s", oct_last_error()); /* what is allocated once for all */
    for (long n = 1;; n++) {
        const long before = fail_alloc_live();
        fail_alloc_begin(n, 0);
        const oct_status status = body();
        if (fail_alloc_end() < n) break;
        ck_assert_msg(status == OCT_ERR_MEMORY || (survives && status == OCT_OK),
                      "%s, allocation %ld: status %d, %s", path, n, (int)status, oct_last_error());
        const long lost = fail_alloc_live() - before;
        ck_assert_msg(lost >= -leaks && lost <= leaks, "%s, allocation %ld: %ld blocks", path, n,
                      lost);
    }
    ck_assert_int_eq(body(), OCT_OK);
}

static void each_read_fails(const char *name, int survives, long leaks)
{
    char relative[512];
    snprintf(relative, sizeof relative, "tests/golden/weights/%s", name);
    snprintf(path, sizeof path, "%s", source_path(relative));
    each_fails(read_it, survives, leaks);
}

START_TEST(reading_safetensors) { each_read_fails("types.safetensors", 0, 0); } END_TEST
START_TEST(reading_legacy) { each_read_fails("views_legacy.pt", 0, 0); } END_TEST
START_TEST(reading_zip) { each_read_fails("pruned_F16.pt", 1, 1); } END_TEST
START_TEST(reading_deflated) { each_read_fails("deflated.pt", 1, 1); } END_TEST
START_TEST(reading_torchscript) { each_read_fails("script.pt", 1, 1); } END_TEST

START_TEST(saving) /* what survives is the whole file */
{
    char dir[] = "/tmp/octet-test-XXXXXX";
    size_t size = 0, again = 0;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/m", dir);
    ck_assert_int_eq(save_it(), OCT_OK);
    char *want = slurp(path, &size);
    each_fails(save_it, 0, 0);
    char *got = slurp(path, &again);
    ck_assert(again == size && memcmp(got, want, size) == 0);
    free(got);
    free(want);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0); /* no temporary file is left */
}
END_TEST

int main(void)
{
    if (!fail_alloc_works()) return TEST_SKIP;
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    const TTest *const tests[] = { reading_safetensors, reading_legacy, reading_zip,
                                   reading_deflated, reading_torchscript, saving };
    return suite_run("weights_oom", tests, sizeof tests / sizeof *tests);
}
