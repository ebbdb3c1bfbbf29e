/* Every kernel variant this build and this CPU have, against its ref.
 *     check_kernels [--bench] [--seed=N] [--only=ISA[/FAMILY]]
 * Families plug in with one row here and one file, see check_kernels.h. */
#define _GNU_SOURCE
#include "tests/check_kernels.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "tensor/cpu.h"
#include "tests/test.h"

static const check_family *const families[] = {
    &check_family_winograd_f32,
    &check_family_gemm_f32,
    &check_family_gemm_f16w,
    &check_family_gemm_bf16,
    &check_family_gemm_s8,
    &check_family_winograd_s8,
    &check_family_gemm_s8_24,
    &check_family_sparse_s8,
    &check_family_sparse_f32,
    &check_family_vec,
    &check_family_vec_u8,
    NULL,
};

enum { PRINTED = 5, RUNS = 7, MAX_LINES = 64 };

static const char *only;          /* --only=avx2/vec;  NULL: every variant */
static int failures, all_failures; /* of the variant under test, of all before it */

int check_failed(const char *file, int line, const char *cond)
{
    if (++failures > PRINTED) return 0;
    fprintf(stderr, "%s:%d: %s: ", file, line, cond);
    return 1;
}

int check_failures(void) { return failures; }

uint32_t check_rand(void) { return test_rand(); }
int check_up_to(int n) { return 1 + (int)(test_rand() % (uint32_t)n); }
size_t check_odd_stride(size_t n) { return n + (size_t[]){ 0, 1, 3 }[test_rand() % 3]; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double check_time(void (*body)(void *arg), void *arg)
{
    int repeats = 1;
    double t0 = now(), best = INFINITY;
    for (body(arg); now() - t0 < 2e-3; repeats++) body(arg); /* about 2 ms a measurement */
    for (int r = 0; r < RUNS; r++) {
        t0 = now();
        for (int i = 0; i < repeats; i++) body(arg);
        best = fmin(best, (now() - t0) / repeats);
    }
    return best;
}

void check_bench(const char *family, const char *isa, const char *what, double seconds, double work,
                 const char *unit)
{
    static struct { char key[80]; double seconds; } ref[MAX_LINES];
    static int n_refs;
    char key[80];
    double ratio = 1;
    snprintf(key, sizeof key, "%s %s", family, what);
    if (!strcmp(isa, "ref") && n_refs < MAX_LINES) {
        strcpy(ref[n_refs].key, key);
        ref[n_refs++].seconds = seconds;
    }
    for (int i = 0; i < n_refs; i++)
        if (!strcmp(ref[i].key, key)) ratio = ref[i].seconds / seconds;
    printf("  %s/%-8s %-28s %9.3f us  %7.2f G%s/s  %6.2fx ref\n", family, isa, what, seconds * 1e6,
           work / seconds * 1e-9, unit, ratio);
}

/* --only: "avx2" any family, "avx2/vec" one, "/vec" any isa of it. */
static int wanted(const char *isa, const char *family)
{
    if (!only) return 1;
    const char *slash = strchr(only, '/');
    const size_t n = slash ? (size_t)(slash - only) : strlen(only);
    return (n == 0 || (n == strlen(isa) && !strncmp(only, isa, n))) &&
           (!slash || !strcmp(slash + 1, family));
}

static int usable(unsigned needs) { return (needs & oct_cpu_flags()) == needs; }

/* Returns how many variants were checked. */
static int check_family_variants(const check_family *f)
{
    int checked = 0;
    unsigned needs;
    const char *isa;
    for (int i = 0; (isa = f->variant(i, &needs)) != NULL; i++) {
        if (!wanted(isa, f->name)) continue;
        if (!usable(needs)) {
            printf("  %s/%-8s skipped\n", f->name, isa);
            continue;
        }
        failures = 0;
        const int cases = f->check(i);
        printf("  %s/%-8s %s (%d cases)\n", f->name, isa, failures ? "FAILED" : "ok", cases);
        fflush(stdout);
        all_failures += failures;
        checked++;
    }
    return checked;
}

static void bench_family(const check_family *f)
{
    int i = 0;
    unsigned needs;
    const char *isa;
    while (f->variant(i, &needs)) i++;
    while (f->bench && i-- > 0) { /* ref first */
        isa = f->variant(i, &needs);
        if (usable(needs) && (wanted(isa, f->name) || !strcmp(isa, "ref"))) f->bench(i);
    }
}

int main(int argc, char **argv)
{
    int bench = 0, checked = 0;
    test_seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--bench")) bench = 1;
        else if (!strncmp(argv[i], "--seed=", 7)) test_seed = strtoull(argv[i] + 7, NULL, 0);
        else if (!strncmp(argv[i], "--only=", 7)) only = argv[i] + 7;
        else return fprintf(stderr, "usage: %s [--bench] [--seed=N] [--only=ISA[/FAMILY]]\n",
                            argv[0]), TEST_ERROR;
    printf("check_kernels: seed %" PRIu64 ", cpu flags %#x\n", test_seed, oct_cpu_flags());

    for (const check_family *const *f = families; *f; f++) checked += check_family_variants(*f);
    if (only && !checked) return fprintf(stderr, "no variant '%s' here\n", only), TEST_ERROR;
    for (const check_family *const *f = families; bench && *f; f++)
        if (!only || !strchr(only, '/') || !strcmp(strchr(only, '/') + 1, (*f)->name))
            bench_family(*f);
    return all_failures ? TEST_FAIL : TEST_PASS;
}
