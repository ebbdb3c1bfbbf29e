/* The default number of threads: affinity mask and control groups, on made-up trees. */
#include "config.h" /* sched_setaffinity, nftw, mkdtemp */

#include "tensor/cgroup.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "tensor/threads.h"
#include "tests/suite.h"

START_TEST(affinity_counts)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all)) return; /* more than 1024 CPUs */
    const int n = oct_threads_default();
    ck_assert_int_ge(n, 1);
    ck_assert_int_le(n, CPU_COUNT(&all));
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(oct_threads_default(), 1);
}
END_TEST

static char tree[64]; /* a made-up root */

static void plant(void)
{
    strcpy(tree, "test_cgroup.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tree));
}

static void put(const char *path, const char *text)
{
    char full[512];
    ck_assert_int_lt(snprintf(full, sizeof full, "%s%s", tree, path), (int)sizeof full);
    for (char *p = full + strlen(tree) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        ck_assert(mkdir(full, 0777) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int harvest(void) /* the answer; the tree is gone afterwards */
{
    const int n = oct_cgroup_cpus(tree);
    nftw(tree, drop, 16, FTW_DEPTH | FTW_PHYS);
    return n;
}

static const char v2_mounts[] =
    "22 1 0:20 / / rw - ext4 /dev/vda rw\n"
    "31 22 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

/* cpu.max of the group, its parent, and the CPUs that makes */
static const struct { const char *own, *parent; int cpus; } v2_cases[] = {
    { "max 100000\n", "max 100000\n", 0 },   { "200000 100000\n", "max 100000\n", 2 },
    { "150000 100000\n", "max 100000\n", 2 }, { "1000 100000\n", "max 100000\n", 1 },
    { "max 100000\n", "300000 100000\n", 3 }, { "400000 100000\n", "300000 100000\n", 3 },
    { "100000 100000\n", "300000 100000\n", 1 }, { "100001 50000\n", "max 1\n", 3 },
    { "", "rubbish", 0 },                     { "-1 100000\n", "0 0\n", 0 },
    { "100000\n", "100000 0\n", 0 },          { "9223372036854775807 1\n", "max 1", 2147483647 },
};

START_TEST(cgroup_v2)
{
    for (size_t i = 0; i < sizeof v2_cases / sizeof *v2_cases; i++) {
        plant();
        put("/proc/self/cgroup", "0::/user.slice/job\n");
        put("/proc/self/mountinfo", v2_mounts);
        put("/sys/fs/cgroup/user.slice/job/cpu.max", v2_cases[i].own);
        put("/sys/fs/cgroup/user.slice/cpu.max", v2_cases[i].parent);
        ck_assert_int_eq(harvest(), v2_cases[i].cpus);
    }
}
END_TEST

START_TEST(cgroup_v2_deep)
{
    plant(); /* the limit is at the mount itself, three levels up; a level without a file between */
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/proc/self/mountinfo", v2_mounts);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "900000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
    put("/sys/fs/cpu.max", "100000 100000\n"); /* above the mount: nobody's limit */
    ck_assert_int_eq(harvest(), 5);
    plant(); /* in a namespace of our own we are the root */
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", v2_mounts);
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    ck_assert_int_eq(harvest(), 3);
    plant(); /* a path that climbs out of its namespace is not followed */
    put("/proc/self/cgroup", "0::/../x\n");
    put("/proc/self/mountinfo", v2_mounts);
    put("/sys/fs/x/cpu.max", "100000 100000\n");
    ck_assert_int_eq(harvest(), 0);
}
END_TEST

static const char v1_mounts[] =
    "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "33 30 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "34 30 0:31 /box/7 /sys/fs/cgroup/cpu\\040all rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";

START_TEST(cgroup_v1)
{
    plant(); /* a container: its group is mounted, and /proc tells the path from outside */
    put("/proc/self/cgroup", "5:cpuset:/box/9\n4:cpuacct,cpu:/box/7/job\n1:name=x:/\n0::/\n");
    put("/proc/self/mountinfo", v1_mounts);
    put("/sys/fs/cgroup/cpuset/box/9/cpu.cfs_quota_us", "100000\n"); /* another controller's */
    put("/sys/fs/cgroup/cpuset/box/9/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu all/job/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu all/job/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu all/cpu.cfs_quota_us", "350000\n");
    put("/sys/fs/cgroup/cpu all/cpu.cfs_period_us", "100000\n");
    ck_assert_int_eq(harvest(), 4);
    plant(); /* a path outside the mount: the mount's own limit */
    put("/proc/self/cgroup", "4:cpu,cpuacct:/box/70\n");
    put("/proc/self/mountinfo", v1_mounts);
    put("/sys/fs/cgroup/cpu all/cpu.cfs_quota_us", "60000\n");
    put("/sys/fs/cgroup/cpu all/cpu.cfs_period_us", "20000\n");
    put("/sys/fs/cgroup/cpu all0/cpu.cfs_quota_us", "20000\n");
    put("/sys/fs/cgroup/cpu all0/cpu.cfs_period_us", "20000\n");
    ck_assert_int_eq(harvest(), 3);
}
END_TEST

START_TEST(cgroup_both_or_none)
{
    plant();
    ck_assert_int_eq(harvest(), 0); /* no /proc at all */
    plant();
    put("/proc/self/cgroup", "junk\n::\n4:cpu\n0::/job\n4:cpu:/\n");
    put("/proc/self/mountinfo", "junk\n - \n1 2 3 / /x rw - cgroup\n"
        "31 30 0:28 / /two rw - cgroup2 none rw\n32 30 0:29 / /one rw - cgroup none rw,cpu\n");
    put("/two/job/cpu.max", "700000 100000");
    put("/one/cpu.cfs_quota_us", "600000");
    put("/one/cpu.cfs_period_us", "100000");
    ck_assert_int_eq(harvest(), 6); /* both versions at once: the lesser */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        affinity_counts, cgroup_v2, cgroup_v2_deep, cgroup_v1, cgroup_both_or_none,
    };
    return suite_run("cgroup", tests, sizeof tests / sizeof *tests);
}
