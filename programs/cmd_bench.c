/* octet bench: latency and throughput as a caller sees them. */
#include <stdlib.h>
#include <string.h>

#include "programs/bench.h"
#include "programs/cmd.h"
#include "programs/feed.h"
#include "programs/text_job.h"

enum { DEFAULT_LENGTH = 128 };

typedef struct state {
    bench b;
    const cli_args *a;
    oct_source *source;       /* NULL: random input */
    cli_ints length;          /* of random texts */
} state;

static int out_of_memory(const state *s)
{
    return cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
}

/* ---- images: FP32 [n, c, h, w] ---- */

typedef struct images {
    job job;
    float *in;                /* the caller's */
} images;

/* The first samples of the data, again and again if there are fewer than a batch. */
static int fill_from_data(const state *s, images *x)
{
    const job *j = &x->job;
    feed *f;
    feed_batch b;
    int have = 0, code = CLI_OK;
    const oct_status status = feed_open(j, (char *const *)&s->a->data, 1, s->source, 0, &f);
    if (status) return cli_fail(s->a, s->a->data, status);
    feed_next(f, &b);
    for (int i = 0; i < b.n && !code; i++)
        if (b.item[i].status)
            code = cli_refuse(s->a, b.item[i].name, b.item[i].status, "%s", b.item[i].error);
    for (; !code && have < j->batch; have++)
        memcpy(x->in + (size_t)have * j->sample, b.data + (size_t)(have % b.n) * j->sample,
               j->sample * sizeof *x->in);
    feed_close(f);
    return code;
}

static oct_status run_images(void *from, const float **logits)
{
    images *x = from;
    return job_run(&x->job, x->in, x->job.batch, logits, NULL);
}

static int row_of_images(state *s, job_settings *settings)
{
    images x = { .in = NULL };
    settings->source = s->source;
    int code = job_open(s->a, settings, &x.job);
    if (!code) {
        x.in = job_random(&x.job, x.job.batch);
        if (!x.in) code = out_of_memory(s);
    }
    if (!code && s->source) code = fill_from_data(s, &x);
    if (!code) {
        bench_row r = { .model = x.job.model, .batch = x.job.batch, .run = run_images,
                        .from = &x };
        code = bench_row_run(&s->b, &r);
    }
    free(x.in);
    job_close(&x.job);
    return code;
}

/* ---- texts: their ids, one after the other ---- */

typedef struct texts {
    text_job job;
    int32_t *ids, *starts;    /* the caller's */
} texts;

static oct_status run_texts(void *from, const float **logits)
{
    texts *x = from;
    text_job *j = &x->job;
    const int n = j->batch;
    const size_t size = (size_t)x->starts[n] * sizeof *x->ids;
    memcpy(j->ids, x->ids, size);
    memcpy(j->starts, x->starts, ((size_t)n + 1) * sizeof *x->starts);
    if (j->types) memset(j->types, 0, size);
    j->n = n;
    return text_job_run(j, logits, NULL);
}

/* What the job's inputs hold becomes the caller's. */
static int keep_inputs(const state *s, texts *x)
{
    const text_job *j = &x->job;
    const size_t n = (size_t)j->batch, tokens = (size_t)j->starts[n];
    x->starts = malloc((n + 1) * sizeof *x->starts);
    x->ids = malloc(tokens * sizeof *x->ids);
    if (!x->starts || !x->ids) return out_of_memory(s);
    memcpy(x->starts, j->starts, (n + 1) * sizeof *x->starts);
    memcpy(x->ids, j->ids, tokens * sizeof *x->ids);
    return CLI_OK;
}

/* The first texts of the data, again and again if there are fewer than a batch. */
static int add_data(const state *s, text_job *j)
{
    for (int i = 0, cut; i < j->batch; i++) {
        const char *text = oct_source_text(s->source, i % oct_source_count(s->source));
        const oct_status status = text_job_add(j, text, strlen(text), &cut);
        if (status) return cli_fail(s->a, s->a->arg[0], status);
    }
    return CLI_OK;
}

static int row_of_texts(state *s, job_settings *settings)
{
    texts x = { .ids = NULL };
    text_job *j = &x.job;
    int code = s->source ? text_job_open(s->a, settings, 0, j)
                         : text_job_open_ids(s->a, settings, j);
    if (!code && s->source) code = add_data(s, j);
    uint64_t seed = 1;
    while (!code && j->n < j->batch) text_job_add_random(j, settings->sequence, &seed);
    if (!code) code = keep_inputs(s, &x);
    if (!code) {
        bench_row r = { .model = j->model, .batch = j->batch, .run = run_texts, .from = &x,
                        .tokens = x.starts[j->batch] };
        for (int i = 0; i < j->batch; i++) {
            const double length = x.starts[i + 1] - x.starts[i];
            r.squares += length * length;
        }
        code = bench_row_run(&s->b, &r);
    }
    free(x.ids);
    free(x.starts);
    text_job_close(j);
    return code;
}

/* ---- rows ---- */

/* One for each of --length, if they have no lengths of their own. */
static int row_of_lengths(state *s, job_settings *settings)
{
    int code = CLI_OK;
    if (!s->b.texts) return row_of_images(s, settings);
    if (s->source) return row_of_texts(s, settings);
    for (int i = 0; !code && i < s->length.n; i++) {
        settings->sequence = s->length.v[i];
        code = row_of_texts(s, settings);
    }
    return code;
}

static int rows(state *s, job_settings settings)
{
    const cli_args *a = s->a;
    int code = CLI_OK;
    for (int b = 0; !code && b < (a->batch.n ? a->batch.n : 1); b++)
        for (int t = 0; !code && t < (a->threads.n ? a->threads.n : 1); t++)
            for (int i = 0; !code && i < (a->isa.n ? a->isa.n : 1); i++)
                for (int p = 0; !code && p < (a->precision.n ? a->precision.n : 1); p++) {
                    if (a->batch.n) settings.batch = a->batch.v[b];
                    if (a->threads.n) settings.threads = a->threads.v[t];
                    if (a->isa.n) settings.isa = a->isa.v[i];
                    if (a->precision.n) settings.precision = a->precision.v[p];
                    code = row_of_lengths(s, &settings);
                }
    return code;
}

/* --length, or as long as the model takes, up to DEFAULT_LENGTH. */
static cli_ints lengths(const cli_args *a)
{
    cli_ints out = { 1, { DEFAULT_LENGTH } };
    oct_model *m;
    if (a->length.n) return a->length;
    if (oct_model_describe(a->arg[0], NULL, &m)) return out; /* said when it is loaded */
    if (m->max_length < DEFAULT_LENGTH) out.v[0] = m->max_length;
    oct_model_free(m);
    return out;
}

static int run(const cli_args *a)
{
    state s = { .a = a, .b = { .a = a, .texts = job_takes_texts(a, a->arg[0]) } };
    if (a->length.n && !s.b.texts) return cli_usage(a->command, "--length is for text models");
    if (a->length.n && a->data)
        return cli_usage(a->command, "--length: the texts of --data have their own");
    int code = job_open_source(a, s.b.texts, a->data, &s.source);
    if (!a->data) cli_note(a, "no --data: timing seeded random input");
    if (!code && s.b.texts) s.length = lengths(a);
    if (!code) code = rows(&s, job_defaults(a, a->arg[0], 1));
    oct_source_close(s.source);
    return code;
}

const cli_command cmd_bench = {
    .program = "octet", .name = "bench", .set = CLI_BENCH, .min_args = 1, .max_args = 1, .lists = 1,
    .operands = "MODEL", .run = run,
    .summary = "Latency and throughput over batch sizes, text lengths, threads, instruction sets.",
    .details =
        "Times what a caller sees: FP32 [n, c, h, w] or token ids in, FP32 logits out, both\n"
        "copies included. GOP/s counts two operations a multiply-add of the network, at the\n"
        "median; peak is the share of what these threads can do at most, measured here with the\n"
        "innermost loops of the matrix products, FP32 and INT8. Winograd convolutions need fewer\n"
        "multiply-adds and can go beyond 100 %. With --device, peak is the share of what its tensor\n"
        "cores and FP32 units can do by their number and clock, and memory the share of the bytes\n"
        "a second of its bus that weights and activations take, each read and written once a\n"
        "layer; --by-layer times each layer's launches one after the other, outside the graph. ms\n"
        "device and the figure beside it are without the copies, between two events on the device.\n"
        "Texts have --length tokens each (default 128, or what the model takes at most), those of\n"
        "--data (a TSV of text<TAB>label) their own: then length is the mean of the batch.\n"
        "--json prints one object a row: batch length threads isa precision device ms_min\n"
        "ms_p50 ms_p99 per_second gops peak_share memory_share ms_device per_second_device.",
    .examples =
        "  octet bench mnist_cnn.safetensors\n"
        "  octet bench cifar_cnn.safetensors --batch 1,64 --threads 1,2 --isa avx2,avx512\n"
        "  octet bench cifar_cnn.safetensors --batch 8 --by-layer --data test_batch.bin\n"
        "  octet bench distilbert_sst2 --length 16,128,512 --precision fp32,int8\n"
        "  octet bench resnet50.pth --device cuda --batch 1,8,64,256 --by-layer\n",
};
