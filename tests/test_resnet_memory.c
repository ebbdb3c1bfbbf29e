/* The largest memory of resnet_infer, as the system counts it: at most 1.15 times the packed
 * weights and the arenas that the plan shows, and no more for many photographs than for one. */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fail_alloc.h"
#include "tests/seeded_resnet.h"
#include "tests/suite.h"

enum { PEERS = 267 << 20,   /* bytes OpenVINO takes for a ResNet-50, the least of the peers */
       GROWTH = 6 << 20 };  /* bytes: 5 decoded photographs are 3 MB, the allocator's slack */

static const seeded_resnet resnet50 = { "resnet50", { 3, 4, 6, 3 }, 1, 1, 64, 1000, OCT_F32, NULL };
static char path[64];

static const char *at_source(char buf[512], const char *name)
{
    const char *src = getenv("srcdir");
    snprintf(buf, 512, "%s/%s", src ? src : ".", name);
    return buf;
}

/* Bytes that `octet inspect --plan` sums up. */
static double plan_bytes(const char *model)
{
    char command[1024], line[256];
    double bytes = 0;
    snprintf(command, sizeof command, "./octet inspect '%s' --plan --threads 2", model);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "peak memory ");
        if (at) bytes = strtod(at + strlen("peak memory "), NULL);
    }
    ck_assert(pclose(f) == 0 && bytes > 0);
    return bytes;
}

/* Of the program's whole life.  A new process begins with its parent's size: ours stays small. */
static double peak_bytes(const char *model, const char *photos)
{
    struct rusage used;
    int status;
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execl("./resnet_infer", "resnet_infer", model, photos, "--threads", "2",
              (char *)NULL);
        _exit(127);
    }
    ck_assert(child > 0 && wait4(child, &status, 0, &used) == child);
    ck_assert_int_eq(status, 0);
    return (double)used.ru_maxrss * 1024;
}

static void check(const char *model)
{
    char one[512], many[512];
    const double plan = plan_bytes(model);
    at_source(one, "tests/data/photos/n03954731_plane.JPEG");
    at_source(many, "tests/data/imagenette");
    const double first = peak_bytes(model, one), all = peak_bytes(model, many);
    printf("%s: plan %.1f MB, one photograph %.1f, fifty %.1f\n", model, plan / 1e6, first / 1e6,
           all / 1e6);
    ck_assert(first <= 1.15 * plan && all <= 1.15 * plan);
    ck_assert(first < PEERS && all < PEERS);
    ck_assert(all - first <= GROWTH);
}

START_TEST(of_a_file_in_fp32)
{
    int status;
    snprintf(path, sizeof path, "test_memory_%ld.safetensors", (long)getpid());
    const pid_t child = fork(); /* its 100 MB are not ours */
    if (child == 0) _exit(!seeded_resnet_save(&resnet50, path));
    ck_assert(child > 0 && waitpid(child, &status, 0) == child);
    ck_assert_int_eq(status, 0);
    check(path);
}
END_TEST

START_TEST(of_a_file_in_half)
{
    char model[512];
    at_source(model, "../shared/weights/resnet50_imagenette.safetensors");
    if (access(model, R_OK) == 0) check(model);
}
END_TEST

static void teardown(void) { unlink(path); }

int main(void)
{
    const TTest *const tests[] = { of_a_file_in_fp32, of_a_file_in_half };
    /* A sanitizer's and an emulator's own memory would be counted. */
    if (!fail_alloc_works() || test_emulated()) return TEST_SKIP;
    return suite_run_in("resnet memory", tests, sizeof tests / sizeof *tests, NULL, teardown);
}
