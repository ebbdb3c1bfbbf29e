/* octet bench and inspect --device cuda as a user runs them, on the GPU that a CPU plays. */
#include <string.h>
#include <unistd.h>

#include "programs/cmd.h"
#include "tests/cuda_case.h"

static char said[1 << 16];

/* octet COMMAND MODEL --device cuda OPTION...; what it printed is in said. */
static void octet(const cli_command *command, const char *model, const char *options)
{
    char line[512], *argv[32];
    int argc = 0;
    const char *src = getenv("srcdir");
    snprintf(line, sizeof line, "%s %s/%s --device cuda %s", command->name, src ? src : ".", model,
             options);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    argv[argc] = NULL;
    FILE *to = tmpfile();
    ck_assert(to != NULL);
    fflush(stdout);
    const int kept = dup(1);
    dup2(fileno(to), 1);
    const int code = cli_main(command, argc, argv);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    rewind(to);
    said[fread(said, 1, sizeof said - 1, to)] = 0;
    fclose(to);
    ck_assert_msg(code == 0, "exit %d: %s", code, said);
}

static void bench(const char *model, const char *options)
{
    char all[256];
    snprintf(all, sizeof all, "--seconds 0.001 --quiet %s", options);
    octet(&cmd_bench, model, all);
}

static int lines(void)
{
    int n = 0;
    for (const char *s = said; *s; s++) n += *s == '\n';
    return n;
}

static void has(const char *what)
{
    ck_assert_msg(strstr(said, what) != NULL, "no %s in: %s", what, said);
}

static void has_not(const char *what)
{
    ck_assert_msg(strstr(said, what) == NULL, "%s in: %s", what, said);
}

/* A row for each length, then one for each of the plan's steps. */
START_TEST(rows_and_layers)
{
    bench("tests/golden/encoders/distilbert", "--length 5,9");
    ck_assert_int_eq(lines(), 1 + 2);
    has(" memory ms device  per second\n");
    has("    0.5000      2000.0\n");
    has(" fp16 ");
    has_not(" - ");
    bench("tests/golden/encoders/distilbert", "--length 5 --by-layer");
    ck_assert_int_gt(lines(), 2 + 15);
    has("conv2d_f16_64x64/cuda\n");
}
END_TEST

START_TEST(rows_and_layers_as_json)
{
    bench("tests/golden/encoders/distilbert", "--length 9 --batch 2 --by-layer --json");
    has("\"precision\": \"fp16\", \"device\": \"cuda\"");
    has("\"memory_share\": 0.");
    has("\"ms_device\": 0.5, \"per_second_device\": 4000.0}\n");
    has("\"kernel\": \"attention");
    has("\"kernel\": \"conv2d_f16_64x64/cuda\"");
    has_not("\"memory_share\": null");
    has_not("\"peak_share\": null");
}
END_TEST

/* --gemm, or the clock, says who multiplies, and it is told. */
START_TEST(products_are_told)
{
    const char *model = "tests/golden/encoders/distilbert";
    bench(model, "--length 5 --by-layer --gemm cublas");
    has("conv2d_f16/cublas\n");
    has_not("conv2d_f16_");
    cuda_library.ms = 0.25f;
    bench(model, "--length 5 --by-layer --gemm ours");
    has_not("conv2d_f16/cublas\n");
    bench(model, "--length 5 --by-layer");
    has("conv2d_f16/cublas\n");
    octet(&cmd_inspect, model, "--plan");
    has("conv2d_f16/cublas (ours 1.0000 ms, cublas 0.2500)");
    octet(&cmd_inspect, model, "--plan --gemm ours");
    has_not("cublas");
    has("launches: overlap\n");
    cuda_library.ms = 4;
    octet(&cmd_inspect, model, "--plan --gemm auto --json");
    has("\"kernel\": \"conv2d_f16_64x64/cuda\"");
    has("\"ours_ms\": 1");
    has("\"cublas_ms\": 4");
    has("\"launches_overlap\": true");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { rows_and_layers, rows_and_layers_as_json, products_are_told };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run("cuda_bench", tests, sizeof tests / sizeof *tests);
}
