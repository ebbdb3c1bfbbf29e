/* Models of texts at given lengths, one text a run: a JSON object a line, with the logits, so that
 * bench/peers/texts.py can compare both time and answers.
 *     bench_text MODEL [--lengths=16,128] [--threads=N] [--isa=NAME] [--seconds=S]
 * Token i of a text is number (7 i^2 + 31 i + 5) mod the vocabulary; token types are 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/model.h"

enum { MAX_RUNS = 1 << 16 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_text(oct_model *m, int length)
{
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    for (long long i = 0; i < length; i++)
        ids[i] = (int32_t)((7 * i * i + 31 * i + 5) % m->vocabulary);
    starts[0] = 0;
    starts[1] = length;
    oct_tensor *types = oct_model_input(m, 2);
    if (types) memset(types->data, 0, (size_t)length * sizeof(int32_t));
}

static oct_status bench(oct_model *m, int length, double seconds)
{
    static double ms[MAX_RUNS];
    int n = 0;
    write_text(m, length);
    for (int i = 0; i < 3; i++) OCT_TRY(oct_model_run(m, 1));
    for (double t = now_ms(), end = t + 1e3 * seconds; n == 0 || (t < end && n < MAX_RUNS); n++) {
        OCT_TRY(oct_model_run(m, 1));
        const double done = now_ms();
        ms[n] = done - t;
        t = done;
    }
    qsort(ms, (size_t)n, sizeof *ms, by_time);
    const float *logits = oct_model_output(m, 0)->data;
    printf("{\"length\":%d,\"threads\":%d,\"ms_min\":%.4f,\"ms_p50\":%.4f,\"logits\":[", length,
           m->pool->threads, ms[0], ms[n / 2]);
    for (int i = 0; i < m->classes; i++) printf("%s%.9g", i ? "," : "", (double)logits[i]);
    printf("]}\n");
    return OCT_OK;
}

int main(int argc, char **argv)
{
    oct_options o = { 0 };
    oct_model *m = NULL;
    const char *path = NULL, *lengths = "16,32,64,128,256,512";
    double seconds = 1;
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--lengths=", 10)) lengths = argv[i] + 10;
        else if (!strncmp(argv[i], "--threads=", 10)) o.threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--isa=", 6)) o.isa = argv[i] + 6;
        else if (!strncmp(argv[i], "--seconds=", 10)) seconds = atof(argv[i] + 10);
        else path = argv[i];
    }
    oct_status status = path ? oct_model_load(path, &o, &m)
                             : oct_fail(OCT_ERR_UNSUPPORTED, "usage: bench_text MODEL ...");
    if (!status && !m->plan->starts) status = oct_fail(OCT_ERR_UNSUPPORTED, "takes no texts");
    while (!status && *lengths) {
        status = bench(m, atoi(lengths), seconds);
        lengths += strcspn(lengths, ",");
        lengths += *lengths == ',';
    }
    if (status) fprintf(stderr, "bench_text: %s: %s\n", path ? path : "", oct_last_error());
    oct_model_free(m);
    return status ? 1 : 0;
}
