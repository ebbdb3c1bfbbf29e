/* Convolution layers of our models, one by one: direct, F(4x4), F(2x2); * marks what pick takes.
 *     bench_conv [--isa=NAME] [--threads=N] [--batch=N] [--precision=fp16|bf16]
 *                [--only=TEXT | --shape=C,OUT,SIDE]
 * ms are the best of many runs.  "warm": the same weights every run; "cold": COLD_BYTES of other
 * weights in between, as in a network.  x peak: multiply-adds of the direct convolution / time /
 * the FMA rate the same threads reach on registers alone, measured beside the row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ops/conv2d_winograd.h"
#include "ops/kernels/gemm_f32.h"
#include "tensor/cpu.h"

enum { COLD_BYTES = 96 << 20 /* three times an L3 of 32 MB */, MAX_COPIES = 64 };

typedef struct layer {
    const char *name;
    int c, out, side;
} layer;

static const layer layers[] = {
    { "resnet50 64@56", 64, 64, 56 },     { "resnet50 128@28", 128, 128, 28 },
    { "resnet50 256@14", 256, 256, 14 },  { "resnet50 512@7", 512, 512, 7 },
    { "cifar 32-64@32", 32, 64, 32 },     { "cifar 64-128@16", 64, 128, 16 },
    { "cifar 128@16", 128, 128, 16 },     { "cifar 128-256@8", 128, 256, 8 },
    { "cifar 256@8", 256, 256, 8 },       { "resnet20 16@32", 16, 16, 32 },
    { "resnet20 32@16", 32, 32, 16 },     { "resnet20 64@8", 64, 64, 8 },
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6; /* ms */
}

typedef struct run {
    oct_args args;
    oct_run r;
    void *state[MAX_COPIES];
    void (*go)(const oct_args *args, const void *state, const oct_run *r);
} run;

static void *get(oct_arena *arena, size_t size)
{
    void *p = oct_arena_zalloc(arena, size);
    if (!p) exit(3);
    return p;
}

/* Best of many, in ms; every run takes the next copy of the weights. */
static double best_ms(const run *c, int copies, double budget)
{
    double best = INFINITY, start = now();
    for (int n = 0; n < 2 * copies || now() - start < budget; n++) {
        const double t = now();
        c->go(&c->args, c->state[n % copies], &c->r);
        best = fmin(best, now() - t);
    }
    return best;
}

/* A long product whose operands stay in L1 runs at the FMA peak less a percent or two: the
 * yardstick. */
enum { K = 256, TILES = 100 };
typedef struct yard { const oct_gemm_f32 *g; float *panel; } yard;

static void yard_body(void *arg, int i, int thread)
{
    const yard *y = arg;
    const oct_gemm_f32_seg seg = { 0, K, K };
    float c[2 * 8 * 64];
    (void)i, (void)thread;
    oct_gemm_f32_args a = { .n_segs = 1, .seg = &seg, .a = { y->panel, y->panel }, .step = 1,
                            .rows = y->g->rows, .groups = 2, .cols = y->g->nr, .panel = y->panel,
                            .c = { c, c + 8 * 64 }, .ldc = 64, .act = OCT_ACT_NONE };
    for (int n = 0; n < TILES; n++) y->g->tile(&a);
}

static double peak(oct_pool *pool, unsigned cpu, oct_arena *arena) /* multiply-adds / ms */
{
    yard y = { oct_gemm_f32_pick(cpu), get(arena, (K + 1) * 64 * sizeof(float)) };
    double best = INFINITY;
    for (int n = 0; n < 30; n++) {
        const double t = now();
        oct_parallel_for(pool, pool->threads, yard_body, &y);
        best = fmin(best, now() - t);
    }
    return (double)TILES * K * 2 * y.g->rows * y.g->nr * pool->threads / best;
}

static oct_tensor image(oct_arena *arena, int n, int side, int c)
{
    oct_tensor t = { .dtype = OCT_F32, .layout = OCT_BLOCKED, .rank = 4 };
    t.dim[0] = n, t.dim[1] = t.dim[2] = side, t.dim[3] = c;
    t.data = get(arena, oct_tensor_size(&t));
    for (size_t i = 0; i < oct_tensor_count(&t); i++)
        ((float *)t.data)[i] = (float)(i * 2654435761u % 1000) * 1e-3f;
    return t;
}

static oct_dtype precision = OCT_F32;

static void measure(const layer *l, int m, oct_pool *pool, unsigned cpu, int batch)
{
    oct_arena arena = { 0 };
    oct_tensor x = image(&arena, batch, l->side, l->c), y = image(&arena, batch, l->side, l->out);
    oct_tensor w = { .dtype = OCT_F32, .rank = 4, .dim = { l->out, l->c, 3, 3 } };
    oct_tensor bias = { .dtype = OCT_F32, .rank = 1, .dim = { l->out } };
    w.data = get(&arena, oct_tensor_size(&w));
    bias.data = get(&arena, oct_tensor_size(&bias));
    for (size_t i = 0; i < oct_tensor_count(&w); i++)
        ((float *)w.data)[i] = (float)(i * 2654435761u % 1000) * 1e-4f - 0.05f;
    oct_conv2d_attr attr = { { 1, 1 }, { 1, 1 }, { 1, 1 }, 1, .act = OCT_ACT_RELU };
    oct_prepare how = { .cpu = cpu, .threads = pool->threads, .precision = precision,
                        .arena = &arena };
    run c = { .args = { &attr, { &x, &w, &bias }, &y } };
    int copies = 1;
    double pack = now();
    for (int i = 0; i < copies; i++) {
        how.n_packed = 0;
        const oct_status s = m ? oct_conv2d_winograd_prepare(&c.args, &how, m, &c.state[i])
                               : oct_conv2d_direct_prepare(&c.args, &how, &c.state[i]);
        if (s) exit(3);
        if (i) continue;
        pack = now() - pack;
        copies = 1 + (int)(COLD_BYTES / how.weight_size);
        if (copies > MAX_COPIES) copies = MAX_COPIES;
    }
    c.go = m ? oct_conv2d_winograd_run : oct_conv2d_direct_run;
    c.r = (oct_run){ .pool = pool, .n = batch, .shared = get(&arena, how.shared_size + 64),
                     .thread_stride = (how.thread_size + 127) / 64 * 64 };
    c.r.thread_base = get(&arena, c.r.thread_stride * (size_t)pool->threads + 64);
    const double top = peak(pool, cpu, &arena), warm = best_ms(&c, 1, 150);
    const double macs = 9.0 * l->c * l->out * l->side * l->side * batch;
    const oct_conv2d_shape shape = oct_conv2d_shape_of(&c.args);
    printf("%-16s %-6s%c%9.4f %9.4f %7.2f %7.1f %7.2f %8.2f\n", l->name,
           m == 4 ? "F(4x4)" : m == 2 ? "F(2x2)" : "direct",
           oct_conv2d_winograd_pick(&shape) == m ? '*' : ' ', warm, best_ms(&c, copies, 150),
           macs / warm / top, top * 2e-6, (double)how.weight_size * 1e-6, pack);
    fflush(stdout);
    oct_arena_free(&arena);
}

int main(int argc, char **argv)
{
    unsigned cpu = oct_cpu_flags();
    int threads = 1, batch = 1;
    const char *only = "";
    layer own = { "", 0, 0, 0 };
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--isa=", 6) && oct_cpu_isa(argv[i] + 6, &cpu) == OCT_OK) continue;
        else if (!strncmp(argv[i], "--threads=", 10)) threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--batch=", 8)) batch = atoi(argv[i] + 8);
        else if (!strcmp(argv[i], "--precision=fp16")) precision = OCT_F16;
        else if (!strcmp(argv[i], "--precision=bf16")) precision = OCT_BF16;
        else if (!strncmp(argv[i], "--only=", 7)) only = argv[i] + 7;
        else if (sscanf(argv[i], "--shape=%d,%d,%d", &own.c, &own.out, &own.side) == 3)
            own.name = argv[i] + 8;
        else return fprintf(stderr, "usage: %s [--isa=NAME] [--threads=N] [--batch=N] "
                            "[--precision=fp16|bf16] [--only=TEXT | --shape=C,OUT,SIDE]\n",
                            argv[0]), 1;
    oct_pool *pool;
    if (threads < 1 || batch < 1 || oct_pool_open(threads, &pool)) return 3;
    printf("%s, threads %d, batch %d\n%-16s %-6s %9s %9s %7s %7s %7s %8s\n",
           oct_cpu_isa_name(cpu), threads, batch, "layer", "way", "warm ms", "cold ms", "x peak",
           "GFLOP/s", "U MB", "pack ms");
    for (size_t i = 0; i < sizeof layers / sizeof *layers && !own.side; i++)
        for (int m = 0; m <= 4 && strstr(layers[i].name, only); m += 2)
            measure(&layers[i], m, pool, cpu, batch);
    for (int m = 0; m <= 4 && own.side; m += 2) measure(&own, m, pool, cpu, batch);
    oct_pool_close(pool);
    return 0;
}
