/* Time of a model in FP32 and quantized in memory (kl, 7 bits), both in turns:
 *     bench_quantized MODEL CALIBRATION [--samples=N] [--batch=1,8] [--threads=1,2]
 *                     [--isa=avx512,avx2] [--seconds=S] [--by-layer]
 *     bench_quantized MODEL CALIBRATION --serve
 * Least ms of a run; ratio: INT8 / FP32.  --by-layer: a row a step of the quantized model instead.
 * --serve: each line of standard input, "fp32|int8 ISA BATCH THREADS SECONDS", is answered by one
 * number, ms, for bench/peers/bench.py; the plan stays while the settings do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor/cpu.h"
#include "tests/quantize_case.h"

enum { MAX_LIST = 16, TURN_MS = 60 };

static const oct_quantize_options how = { .method = OCT_METHOD_KL, .qmax = 127 };

typedef struct list {
    int n;
    char *word[MAX_LIST];
} list;

typedef struct options {
    const char *path[2];
    int samples, by_layer, serve;
    double seconds;
    list batch, threads, isa;
} options;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int usage(void)
{
    fprintf(stderr, "Usage: bench_quantized MODEL CALIBRATION [--samples=N] [--batch=LIST] "
                    "[--threads=LIST] [--isa=LIST] [--seconds=S] [--by-layer] [--serve]\n");
    return 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, oct_last_error());
    exit(99);
}

static list split(char *words)
{
    list l = { 0 };
    for (char *w = strtok(words, ","); w && l.n < MAX_LIST; w = strtok(NULL, ","))
        l.word[l.n++] = w;
    return l;
}

static void open_plan(const options *o, const oct_calibration *c, const char *isa, int threads,
                      int batch, quantized *q)
{
    unsigned cpu;
    if (oct_cpu_isa(isa, &cpu) != OCT_OK) fail(isa);
    quantized_open(o->path[0], c, &how, cpu, threads, batch, q);
    float *x = q->plan->in[0].data; /* the speed does not depend on the values */
    const size_t n = oct_tensor_count(&q->plan->in[0]);
    unsigned seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = (float)(seed >> 8) * 0x1p-22f - 2;
    }
}

/* Least time of a run in one turn, but at least three runs. */
static double turn(const quantized *q, double ms)
{
    const double end = now_ms() + ms;
    double best = 1e30;
    for (int i = 0; i < 3 || now_ms() < end; i++) {
        const double start = now_ms();
        oct_plan_run(q->plan, q->pool, q->plan->in[0].dim[0], NULL, NULL);
        const double took = now_ms() - start;
        if (took < best) best = took;
    }
    return best;
}

static void compare(const options *o, const oct_calibration *c, const char *isa, int threads,
                    int batch)
{
    quantized q[2];
    double best[2] = { 1e30, 1e30 };
    for (int k = 0; k < 2; k++) open_plan(o, k ? c : NULL, isa, threads, batch, &q[k]);
    const double end = now_ms() + 2e3 * o->seconds;
    do {
        for (int k = 0; k < 2; k++) {
            const double ms = turn(&q[k], TURN_MS);
            if (ms < best[k]) best[k] = ms;
        }
    } while (now_ms() < end);
    printf("| %s | %d | %d | %.4g | %.4g | %.2f |\n", isa, threads, batch, best[0], best[1],
           best[1] / best[0]);
    fflush(stdout);
    for (int k = 0; k < 2; k++) quantized_close(&q[k]);
}

typedef struct laps {
    double last, *run;         /* of this run so far, by step */
} laps;

static void lap(void *arg, const oct_plan *plan, int step, int n)
{
    laps *l = arg;
    const double now = now_ms();
    (void)plan, (void)n;
    l->run[step] += now - l->last;
    l->last = now_ms();
}

static void by_layer(const options *o, const oct_calibration *c, const char *isa, int threads,
                     int batch)
{
    quantized q;
    open_plan(o, c, isa, threads, batch, &q);
    const int n = q.plan->n_steps;
    double *best = calloc((size_t)n, sizeof *best), *run = calloc((size_t)n, sizeof *run), sum = 0;
    if (!best || !run) exit(99);
    for (int i = 0; i < n; i++) best[i] = 1e30;
    turn(&q, TURN_MS);
    const double end = now_ms() + 1e3 * o->seconds;
    while (now_ms() < end) {
        memset(run, 0, (size_t)n * sizeof *run);
        laps l = { now_ms(), run };
        oct_plan_run(q.plan, q.pool, batch, lap, &l);
        for (int i = 0; i < n; i++)
            if (run[i] < best[i]) best[i] = run[i];
    }
    printf("%s, %d threads, batch %d\n", isa, threads, batch);
    for (int i = 0; i < n; i++) {
        const oct_step *s = &q.plan->step[i];
        const oct_tensor *y = s->args.out;
        sum += best[i];
        printf("%9.4f ms %7.1f GOP/s  %-26s %-24s", best[i], 2e-6 * s->macs * batch / best[i],
               s->kernel ? s->kernel : oct_ops[s->node->kind]->name, s->node->name);
        for (int k = 1; k < y->rank; k++) printf(" %d", y->dim[k]);
        printf("\n");
    }
    printf("%9.4f ms in all\n", sum);
    free(best);
    free(run);
    quantized_close(&q);
}

static void serve(const options *o, const oct_calibration *c)
{
    char line[80], last[80] = "", isa[16], precision[8];
    int batch, threads, at;
    quantized q = { .layers = -1 };
    while (fgets(line, sizeof line, stdin) &&
           sscanf(line, "%7s %15s %d %d %n", precision, isa, &batch, &threads, &at) == 4) {
        const double seconds = atof(line + at);
        line[at] = 0;
        if (strcmp(line, last) != 0) { /* another plan than the last one's */
            if (q.layers >= 0) quantized_close(&q);
            open_plan(o, strcmp(precision, "int8") == 0 ? c : NULL, isa, threads, batch, &q);
            strcpy(last, line);
        }
        printf("%.6f\n", turn(&q, 1e3 * seconds));
        fflush(stdout);
    }
    if (q.layers >= 0) quantized_close(&q);
}

int main(int argc, char **argv)
{
    char batch[] = "1", threads[] = "1", *list_of[3] = { batch, threads, NULL };
    static const char *const name[3] = { "--batch=", "--threads=", "--isa=" };
    options o = { .samples = 200, .seconds = 1 };
    int given = 0;
    for (int i = 1; i < argc; i++) {
        int known = sscanf(argv[i], "--samples=%d", &o.samples) == 1 ||
                    sscanf(argv[i], "--seconds=%lf", &o.seconds) == 1;
        for (int k = 0; k < 3; k++)
            if (strncmp(argv[i], name[k], strlen(name[k])) == 0)
                known = 1, list_of[k] = argv[i] + strlen(name[k]);
        if (strcmp(argv[i], "--by-layer") == 0) known = o.by_layer = 1;
        if (strcmp(argv[i], "--serve") == 0) known = o.serve = 1;
        if (!known && given < 2) o.path[given++] = argv[i];
        else if (!known) return usage();
    }
    if (given < 2 || o.samples < 1) return usage();
    o.batch = split(list_of[0]);
    o.threads = split(list_of[1]);
    if (list_of[2]) o.isa = split(list_of[2]);
    else o.isa = (list){ 1, { (char *)(uintptr_t)oct_cpu_isa_name(oct_cpu_flags()) } };

    samples calib;
    samples_read(o.path[0], o.path[1], 0, o.samples, &calib);
    oct_calibration *c = quantize_calibrate(o.path[0], &calib, 2);
    samples_free(&calib);
    if (o.serve) serve(&o, c);
    else if (!o.by_layer) printf("| isa | threads | batch | fp32 | int8 | ratio |\n"
                                 "|---|---|---|---|---|---|\n");
    for (int i = 0; i < o.isa.n && !o.serve; i++)
        for (int t = 0; t < o.threads.n; t++)
            for (int b = 0; b < o.batch.n; b++)
                (o.by_layer ? by_layer : compare)(&o, c, o.isa.word[i], atoi(o.threads.word[t]),
                                                  atoi(o.batch.word[b]));
    oct_calibration_close(c);
    return 0;
}
