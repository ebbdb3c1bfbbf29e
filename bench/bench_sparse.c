/* A model as its octet.sparse has it against all of it dense, in turns:
 *     bench_sparse MODEL [--isa=avx512,avx2] [--batch=1,8 | --lengths=16,128] [--threads=N]
 *                  [--seconds=S]
 * A line a row where some layer is sparse: isa, batch (of a model of texts: tokens of one text),
 * layers that run sparse, ms dense and as decided (least), and as decided / dense, the median of
 * the turns' ratios.  A turn runs both, in changing order, so that what disturbs one disturbs
 * both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/model.h"

enum { MAX_LIST = 16, MAX_TURNS = 4096 };

typedef struct options {
    const char *path;
    char *isa;
    int size[MAX_LIST], n_sizes, lengths;
    int threads;
    double seconds;
} options;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_sparse: %s: %s\n", what, oct_last_error());
    exit(99);
}

/* The same file with another name for octet.sparse, of the same length, so that all is dense. */
static void write_dense(const char *from, const char *to)
{
    static const char key[] = "\"octet.sparse\"", other[] = "\"octet.sparsf\"";
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    static char all[1 << 20];
    size_t n;
    if (!in || !out) exit(fprintf(stderr, "bench_sparse: %s or %s cannot be opened\n", from, to));
    for (int first = 1; (n = fread(all, 1, sizeof all, in)) > 0; first = 0) {
        for (size_t i = 0; first && i + sizeof key <= n; i++)
            if (memcmp(all + i, key, sizeof key - 1) == 0) memcpy(all + i, other, sizeof key - 1);
        if (fwrite(all, 1, n, out) != n) exit(99);
    }
    fclose(in);
    if (fclose(out)) exit(99);
}

static oct_model *load(const options *o, const char *path, const char *isa, int size,
                       oct_pool *pool)
{
    oct_model *m;
    const oct_options how = { .isa = isa, .pool = pool, .batch = o->lengths ? 1 : size,
                              .sequence = o->lengths ? size : 0 };
    if (oct_model_load(path, &how, &m)) fail(path);
    return m;
}

/* Images: uniform in -2 .. 2; a text: any ids. */
static void fill(const options *o, oct_model *m, int size)
{
    uint64_t seed = 1;
    oct_tensor *x = oct_model_input(m, 0);
    for (size_t i = 0; i < oct_tensor_count(x); i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (o->lengths) ((int32_t *)x->data)[i] = (int32_t)((seed >> 33) % (uint64_t)m->vocabulary);
        else ((float *)x->data)[i] = (float)(seed >> 40) * 0x1p-22f - 2;
    }
    if (!o->lengths) return;
    int32_t *starts = oct_model_input(m, 1)->data;
    starts[0] = 0, starts[1] = size;
    oct_tensor *types = oct_model_input(m, 2);
    if (types) memset(types->data, 0, oct_tensor_size(types));
}

static double run_ms(oct_model *m, int n)
{
    const double t = now_ms();
    if (oct_model_run(m, n)) fail("run");
    return now_ms() - t;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int count_sparse(const oct_model *m)
{
    int n = 0;
    for (int i = 0; i < m->plan->n_steps; i++)
        n += m->plan->step[i].kernel && strstr(m->plan->step[i].kernel, "sparse_") != NULL;
    return n;
}

static void row(const options *o, const char *dense_path, const char *isa, int size, oct_pool *pool)
{
    static double ratio[MAX_TURNS];
    oct_model *m[2] = { load(o, dense_path, isa, size, pool), load(o, o->path, isa, size, pool) };
    double best[2] = { 1e30, 1e30 };
    const int n = o->lengths ? 1 : size;
    int turns = 0;
    for (int i = 0; i < 2; i++) fill(o, m[i], size), run_ms(m[i], n);
    const oct_tensor *y[2] = { oct_model_output(m[0], 0), oct_model_output(m[1], 0) };
    const int same = memcmp(y[0]->data, y[1]->data, oct_tensor_size(y[0])) == 0;
    if (!count_sparse(m[1])) { /* the same plan twice */
        for (int i = 0; i < 2; i++) oct_model_free(m[i]);
        return;
    }
    for (const double end = now_ms() + 1e3 * o->seconds;
         turns < MAX_TURNS && (now_ms() < end || turns < 5); turns++) {
        double ms[2];
        for (int k = 0; k < 2; k++) ms[k ^ (turns & 1)] = run_ms(m[k ^ (turns & 1)], n);
        for (int i = 0; i < 2; i++) best[i] = ms[i] < best[i] ? ms[i] : best[i];
        ratio[turns] = ms[1] / ms[0];
    }
    qsort(ratio, (size_t)turns, sizeof *ratio, by_size);
    printf("%s %d %d %.4f %.4f %.4f%s\n", isa, size, count_sparse(m[1]), best[0], best[1],
           ratio[turns / 2], same ? "" : " OTHER RESULTS");
    fflush(stdout);
    for (int i = 0; i < 2; i++) oct_model_free(m[i]);
}

static void read_sizes(options *o, char *words)
{
    o->n_sizes = 0;
    for (char *w = strtok(words, ","); w && o->n_sizes < MAX_LIST; w = strtok(NULL, ","))
        o->size[o->n_sizes++] = atoi(w);
}

int main(int argc, char **argv)
{
    options o = { .size = { 1 }, .n_sizes = 1, .threads = 1, .seconds = 1 };
    char dense[4096];
    oct_pool *pool;
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--isa=", 6)) o.isa = argv[i] + 6;
        else if (!strncmp(argv[i], "--batch=", 8)) read_sizes(&o, argv[i] + 8);
        else if (!strncmp(argv[i], "--lengths=", 10)) o.lengths = 1, read_sizes(&o, argv[i] + 10);
        else if (!strncmp(argv[i], "--threads=", 10)) o.threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--seconds=", 10)) o.seconds = atof(argv[i] + 10);
        else o.path = argv[i];
    }
    if (!o.path || !o.isa || !o.n_sizes)
        return fprintf(stderr, "Usage: bench_sparse MODEL --isa=LIST [--batch=LIST | "
                               "--lengths=LIST] [--threads=N] [--seconds=S]\n");
    snprintf(dense, sizeof dense, "%s.dense", o.path);
    write_dense(o.path, dense);
    if (oct_pool_open(o.threads, &pool)) fail("pool");
    for (char *isa = strtok(o.isa, ","); isa; isa = strtok(NULL, ",")) {
        for (int i = 0; i < o.n_sizes; i++) row(&o, dense, isa, o.size[i], pool);
    }
    remove(dense);
    oct_pool_close(pool);
    return 0;
}
