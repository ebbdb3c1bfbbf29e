/* The largest memory of distilbert_infer on a stream, as the system counts it: after thousands of
 * texts of random lengths what it was after the first of the longest, and no more for a hundred
 * thousand short lines than for a few. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fail_alloc.h"
#include "tests/suite.h"

enum { LONGEST = 512, TEXTS = 10000, BIG_TEXTS = 60, LINES = 100000, TOGETHER = 100 };

static const double growth = 1.02;
static char folder[64];

/* A program with a pipe to it and one from it. */
typedef struct child {
    pid_t pid;
    FILE *to, *from;
} child;

static child start(const char *model, const char *threads, const char *batch)
{
    int in[2], out[2];
    ck_assert(pipe(in) == 0 && pipe(out) == 0);
    const child c = { .pid = fork(), .to = fdopen(in[1], "w"), .from = fdopen(out[0], "r") };
    if (c.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) close(in[i]), close(out[i]);
        execl("./distilbert_infer", "distilbert_infer", model, "--quiet", "--threads", threads,
              "--batch", batch, (char *)NULL);
        _exit(127);
    }
    ck_assert(c.pid > 0 && c.to && c.from);
    close(in[0]);
    close(out[1]);
    return c;
}

static void stop(child *c)
{
    int status;
    fclose(c->to);
    ck_assert_int_eq(fgetc(c->from), EOF);
    fclose(c->from);
    ck_assert(waitpid(c->pid, &status, 0) == c->pid);
    ck_assert_int_eq(status, 0);
}

static void write_text(const child *c, int words)
{
    for (int i = 0; i < words; i++) fputs(i % 3 ? "so " : "good ", c->to);
    fputc('\n', c->to);
    ck_assert_int_eq(fflush(c->to), 0);
}

static void read_answers(const child *c, int n)
{
    char line[8192];
    while (n--) ck_assert_ptr_nonnull(fgets(line, sizeof line, c->from));
}

/* VmHWM of proc(5), bytes. */
static double peak(const child *c)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)c->pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) kib = strtod(line + 6, NULL);
    fclose(f);
    ck_assert(kib > 0);
    return kib * 1024;
}

/* The longest text, then n of random lengths, each answered before the next. */
static void check_lengths(const char *model, const char *threads, int n)
{
    child c = start(model, threads, "1");
    write_text(&c, LONGEST); /* cut to it */
    read_answers(&c, 1);
    const double first = peak(&c);
    test_seed = 3;
    for (int i = 0; i < n; i++) {
        write_text(&c, (int)(test_rand() % (LONGEST - 1)));
        read_answers(&c, 1);
    }
    const double last = peak(&c);
    stop(&c);
    printf("%s, %s threads: %.2f MB after one text, %.2f MB after %d\n", model, threads,
           first / 1e6, last / 1e6, n + 1);
    ck_assert(last <= growth * first);
}

START_TEST(random_lengths)
{
    check_lengths(folder, "1", TEXTS);
}
END_TEST

/* With another thread some of its own workspace is first needed by a later text. */
START_TEST(random_lengths_of_a_larger_model)
{
    char model[512];
    const char *src = getenv("srcdir");
    snprintf(model, sizeof model, "%s/../shared/weights/distilbert_sst2", src ? src : ".");
    if (access(model, R_OK) == 0) check_lengths(model, "2", BIG_TEXTS);
}
END_TEST

START_TEST(many_short_lines)
{
    child c = start(folder, "2", _i ? "32" : "1");
    double first = 0;
    for (int i = 0; i < LINES; i += TOGETHER) {
        for (int k = 0; k < TOGETHER; k++) fprintf(c.to, "so good %d\n", i + k);
        ck_assert_int_eq(fflush(c.to), 0);
        read_answers(&c, TOGETHER);
        if (i == LINES / 100) first = peak(&c);
    }
    const double last = peak(&c);
    stop(&c);
    printf("%d lines: %.2f MB after %d, %.2f MB at the end\n", LINES, first / 1e6, LINES / 100,
           last / 1e6);
    ck_assert(last <= growth * first);
}
END_TEST

/* The small model of tests/golden beside as many tokens as it has rows. */
static int make_folder(void)
{
    char command[1024];
    const char *src = getenv("srcdir");
    if (!src) src = ".";
    snprintf(folder, sizeof folder, "test_text-memory-%ld", (long)getpid());
    snprintf(command, sizeof command, "mkdir %s && cp %s/tests/golden/encoders/distilbert/* %s && "
             "head -n 999 %s/tests/golden/wordpiece/vocab.txt >%s/vocab.txt", folder, src, folder,
             src, folder);
    return system(command) == 0;
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command)) puts("the folder is still there");
}

int main(void)
{
    const suite_loop loops[] = {
        { random_lengths, 1 }, { random_lengths_of_a_larger_model, 1 }, { many_short_lines, 2 },
    };
    /* A sanitizer's and an emulator's own memory would be counted. */
    if (!fail_alloc_works() || test_emulated()) return TEST_SKIP;
    signal(SIGPIPE, SIG_IGN);
    if (!make_folder()) return TEST_ERROR;
    const int result = suite_run_loops("text memory", loops, sizeof loops / sizeof *loops);
    remove_folder();
    return result;
}
