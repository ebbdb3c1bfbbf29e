/* FP32 against activations quantized at run time, in turns: ms a run, best of many rounds.
 *     bench_dynamic [--isa=NAME] [--threads=N] [--rounds=N] [--batch=N] [MODEL]
 * Without MODEL: the linear layers of DistilBERT-base, 768 wide, 6 times 4 of 768 -> 768, one
 * 768 -> 3072 and one 3072 -> 768, one after the other; --batch is the number of tokens. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/model.h"
#include "ops/attr.h"
#include "quant/pass_dynamic.h"
#include "tensor/cpu.h"

static void ok(oct_status status)
{
    if (status == OCT_OK) return;
    fprintf(stderr, "bench_dynamic: %s\n", oct_last_error());
    exit(3);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Four uniform numbers, added: a bell, as trained weights have. */
static float next(uint32_t *seed)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        sum += (float)(*seed >> 8) * 0x1p-23f - 1;
    }
    return sum; /* -4 .. 4, deviation 1.15 */
}

static oct_tensor *constant(oct_arena *arena, int rank, int n, int k, float size)
{
    static uint32_t seed = 1;
    oct_tensor *t = oct_arena_zalloc(arena, sizeof *t);
    if (!t) exit(3);
    *t = (oct_tensor){ .dtype = OCT_F32, .rank = rank, .dim = { n, k } };
    float *p = t->data = oct_arena_alloc(arena, oct_tensor_size(t));
    if (!p) exit(3);
    for (size_t i = 0; i < oct_tensor_count(t); i++) p[i] = next(&seed) * size;
    return t;
}

static void stack(oct_graph *g, oct_arena *arena, int tokens)
{
    static const int width[] = { 768, 768, 768, 768, 768, 3072, 768 };
    const oct_tensor shape = { .dtype = OCT_F32, .rank = 2, .dim = { tokens, 768 } };
    const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    oct_tensor *x;
    *g = (oct_graph){ .arena = arena };
    ok(oct_graph_input(g, &shape, &x));
    for (int i = 0; i < 36; i++) {
        const int k = width[i % 6], n = width[i % 6 + 1];
        oct_tensor *in[OCT_MAX_IN] = { x, constant(arena, 2, n, k, .87f / sqrtf((float)k)),
                                       constant(arena, 1, n, 0, .1f) };
        ok(oct_graph_add(g, OCT_OP_LINEAR, "linear", &attr, sizeof attr, in, &x));
    }
    ok(oct_graph_output(g, x));
}

typedef struct subject {
    oct_arena arena;
    oct_model *m;
    oct_graph own, *g;
    oct_plan *plan;
    double best;
} subject;

static void open_subject(subject *s, const char *path, int batch, int dynamic, unsigned cpu,
                         int threads)
{
    const oct_options options = { .batch = batch, .passes = "fold_bn,fuse,dce" };
    const oct_plan_options how = { .cpu = cpu, .threads = threads };
    uint32_t seed = 7;
    int changes = 0;
    *s = (subject){ .g = &s->own, .best = INFINITY };
    if (path) ok(oct_model_describe(path, &options, &s->m));
    if (path) s->g = &s->m->graph;
    else stack(s->g, &s->arena, batch);
    if (dynamic) ok(oct_pass_dynamic(s->g, (oct_keep){ NULL, 0 }, &changes));
    ok(oct_plan_build(s->g, &how, &s->plan));
    float *x = s->plan->in[0].data;
    for (size_t i = 0; i < oct_tensor_count(&s->plan->in[0]); i++) x[i] = next(&seed);
}

int main(int argc, char **argv)
{
    unsigned cpu = oct_cpu_flags();
    int threads = 1, batch = 1, rounds = 20;
    const char *path = NULL;
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--isa=", 6) && oct_cpu_isa(argv[i] + 6, &cpu) == OCT_OK) continue;
        else if (!strncmp(argv[i], "--threads=", 10)) threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--batch=", 8)) batch = atoi(argv[i] + 8);
        else if (!strncmp(argv[i], "--rounds=", 9)) rounds = atoi(argv[i] + 9);
        else path = argv[i];
    oct_pool *pool;
    if (threads < 1 || batch < 1) return 1;
    ok(oct_pool_open(threads, &pool));
    subject s[2];
    for (int k = 0; k < 2; k++) open_subject(&s[k], path, batch, k, cpu, threads);
    for (int i = 0; i < rounds; i++)
        for (int k = 0; k < 2; k++) {
            const double start = now();
            int runs = 0;
            for (double last = start; runs < 2 || last - start < 20; runs++) {
                oct_plan_run(s[k].plan, pool, batch, NULL, NULL);
                const double t = now();
                s[k].best = fmin(s[k].best, t - last);
                last = t;
            }
        }
    printf("%-8s threads %d batch %4d  FP32 %9.3f ms  dynamic %9.3f ms  %5.2fx\n",
           oct_cpu_isa_name(cpu), threads, batch, s[0].best, s[1].best, s[0].best / s[1].best);
    for (int k = 0; k < 2; k++) {
        oct_plan_free(s[k].plan);
        oct_model_free(s[k].m);
        oct_arena_free(&s[k].arena);
    }
    oct_pool_close(pool);
    return 0;
}
