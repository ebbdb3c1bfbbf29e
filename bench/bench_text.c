/* Models of texts at given lengths, one text a run: a JSON object a line, with the logits, so that
 * bench/peers/texts.py can compare both time and answers.
 *     bench_text MODEL [--lengths=16,128 | --batches=FILE] [--threads=N] [--isa=NAME] [--seconds=S]
 * Token i of a text is number (7 i^2 + 31 i + 5) mod the vocabulary; token types are 0.
 * FILE has a text a line, its token ids with blanks between: they run 32 at a time, in order, and
 * ms are of the whole file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/model.h"

enum { MAX_RUNS = 1 << 16, BATCH = 32 };

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

/* ms_min and ms_p50 of calls of run() for so many seconds. */
static oct_status least(oct_status (*run)(oct_model *, const void *), oct_model *m,
                        const void *what, double seconds)
{
    static double ms[MAX_RUNS];
    int n = 0;
    for (int i = 0; i < 2; i++) OCT_TRY(run(m, what));
    for (double t = now_ms(), end = t + 1e3 * seconds; n == 0 || (t < end && n < MAX_RUNS); n++) {
        OCT_TRY(run(m, what));
        const double done = now_ms();
        ms[n] = done - t;
        t = done;
    }
    qsort(ms, (size_t)n, sizeof *ms, by_time);
    printf("{\"threads\":%d,\"ms_min\":%.4f,\"ms_p50\":%.4f", m->pool->threads, ms[0], ms[n / 2]);
    return OCT_OK;
}

static oct_status run_one(oct_model *m, const void *what)
{
    (void)what;
    return oct_model_run(m, 1);
}

static oct_status bench(oct_model *m, int length, double seconds)
{
    write_text(m, length);
    OCT_TRY(least(run_one, m, NULL, seconds));
    const float *logits = oct_model_output(m, 0)->data;
    printf(",\"length\":%d,\"logits\":[", length);
    for (int i = 0; i < m->classes; i++) printf("%s%.9g", i ? "," : "", (double)logits[i]);
    printf("]}\n");
    return OCT_OK;
}

/* ---- batches of a file's texts ---- */

typedef struct texts {
    int32_t *ids, *starts;      /* [starts[n]], [n + 1] */
    int n;
} texts;

static oct_status read_texts(const char *path, texts *out)
{
    enum { MOST = 1 << 20 };
    static char line[1 << 16];
    FILE *f = fopen(path, "r");
    out->ids = calloc(MOST, sizeof *out->ids);
    out->starts = calloc(MOST, sizeof *out->starts);
    if (!f || !out->ids || !out->starts) return oct_fail(OCT_ERR_IO, "%s: cannot be read", path);
    for (int used = 0; fgets(line, sizeof line, f); out->starts[++out->n] = used) {
        char *at = line, *end;
        for (long id; id = strtol(at, &end, 10), end != at && used < MOST; at = end)
            out->ids[used++] = (int32_t)id;
    }
    fclose(f);
    return OCT_OK;
}

static oct_status run_batches(oct_model *m, const void *what)
{
    const texts *t = what;
    int32_t *starts = oct_model_input(m, 1)->data;
    for (int i = 0, n; i < t->n; i += n) {
        n = t->n - i < BATCH ? t->n - i : BATCH;
        for (int k = 0; k <= n; k++) starts[k] = t->starts[i + k] - t->starts[i];
        memcpy(oct_model_input(m, 0)->data, t->ids + t->starts[i],
               (size_t)starts[n] * sizeof *t->ids);
        OCT_TRY(oct_model_run(m, n));
    }
    return OCT_OK;
}

static oct_status bench_batches(oct_model *m, const char *path, double seconds)
{
    texts t = { 0 };
    oct_status status = read_texts(path, &t);
    oct_tensor *types = oct_model_input(m, 2);
    if (types) memset(types->data, 0, oct_tensor_size(types));
    if (!status) status = least(run_batches, m, &t, seconds);
    if (!status) printf("}\n");
    free(t.ids);
    free(t.starts);
    return status;
}

int main(int argc, char **argv)
{
    oct_options o = { 0 };
    oct_model *m = NULL;
    const char *path = NULL, *lengths = "16,32,64,128,256,512", *batches = NULL;
    double seconds = 1;
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--lengths=", 10)) lengths = argv[i] + 10;
        else if (!strncmp(argv[i], "--batches=", 10)) batches = argv[i] + 10, o.batch = BATCH;
        else if (!strncmp(argv[i], "--threads=", 10)) o.threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--isa=", 6)) o.isa = argv[i] + 6;
        else if (!strncmp(argv[i], "--seconds=", 10)) seconds = atof(argv[i] + 10);
        else path = argv[i];
    }
    oct_status status = path ? oct_model_load(path, &o, &m)
                             : oct_fail(OCT_ERR_UNSUPPORTED, "usage: bench_text MODEL ...");
    if (!status && !m->plan->starts) status = oct_fail(OCT_ERR_UNSUPPORTED, "takes no texts");
    if (!status && batches) status = bench_batches(m, batches, seconds);
    while (!status && !batches && *lengths) {
        status = bench(m, atoi(lengths), seconds);
        lengths += strcspn(lengths, ",");
        lengths += *lengths == ',';
    }
    if (status) fprintf(stderr, "bench_text: %s: %s\n", path ? path : "", oct_last_error());
    oct_model_free(m);
    return status ? 1 : 0;
}
