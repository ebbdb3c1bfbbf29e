/* octet bench: latency and throughput as a caller sees them. */
#include <stdlib.h>
#include <string.h>

#include "programs/cmd.h"
#include "programs/feed.h"
#include "programs/peak.h"
#include "programs/report.h"
#include "tensor/cpu.h"

enum { MIN_RUNS = 10, WARM_RUNS = 3 };

typedef struct state {
    const cli_args *a;
    oct_source *source;       /* NULL: random input */
    int header_done;
    int n_peaks;              /* measured, one an ISA */
    struct { unsigned cpu; double gops; } peak[CLI_MAX_LIST];
} state;

/* One row: a combination of settings and its times. */
typedef struct row {
    job job;
    float *in, *out;          /* the caller's side: [batch, c, h, w], [batch, classes] */
    double *ms;               /* of each run */
    int n;
    double gops, peak;        /* of a batch, 2 multiply-adds; of the core, GFLOP/s */
} row;

static double peak_of(state *s, unsigned cpu)
{
    for (int i = 0; i < s->n_peaks; i++)
        if (s->peak[i].cpu == cpu) return s->peak[i].gops;
    const double gops = peak_fp32(cpu);
    if (s->n_peaks < CLI_MAX_LIST) {
        s->peak[s->n_peaks].cpu = cpu;
        s->peak[s->n_peaks++].gops = gops;
    }
    return gops;
}

/* The first samples of the data, again and again if there are fewer than a batch. */
static int fill_from_data(const state *s, row *r)
{
    const job *j = &r->job;
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
        memcpy(r->in + (size_t)have * j->sample, b.data + (size_t)(have % b.n) * j->sample,
               j->sample * sizeof *r->in);
    feed_close(f);
    return code;
}

static double seconds(const cli_args *a) { return a->seconds.n ? a->seconds.v[0] : 1.0; }

static int out_of_memory(const state *s)
{
    return cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
}

/* From the caller's FP32 input to the caller's FP32 logits, both copies included. */
static int measure(const state *s, row *r)
{
    const job *j = &r->job;
    const size_t out_size = (size_t)j->batch * (size_t)j->classes * sizeof *r->out;
    const double started = report_now_ms();
    for (int i = -WARM_RUNS; i < MIN_RUNS || report_now_ms() - started < 1e3 * seconds(s->a); i++) {
        const float *logits;
        const double start = report_now_ms();
        const oct_status status = job_run(&r->job, r->in, j->batch, &logits, NULL);
        if (status) return cli_fail(s->a, s->a->arg[0], status);
        memcpy(r->out, logits, out_size);
        const double ms = report_now_ms() - start;
        if (i >= 0 && !report_push(&r->ms, r->n++, ms)) return out_of_memory(s);
    }
    report_sort(r->ms, r->n);
    return CLI_OK;
}

static void print_row(state *s, const row *r)
{
    const job *j = &r->job;
    const double p50 = report_percentile(r->ms, r->n, 0.50);
    const double p99 = report_percentile(r->ms, r->n, 0.99);
    const double rate = r->gops / p50 * 1e3, threads = j->model->pool->threads;
    const double share = r->peak > 0 ? rate / (r->peak * threads) : 0;
    const char *isa = oct_cpu_isa_name(j->model->cpu);
    if (s->a->json) {
        report_json_line(json_pack(
            "{s:i, s:n, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "batch", j->batch,
            "length", "threads", j->model->pool->threads, "isa", isa, "precision",
            j->model->precision,
            "device", "cpu", "ms_min", report_number(r->ms[0]), "ms_p50", report_number(p50),
            "ms_p99", report_number(p99), "per_second", report_number(j->batch / p50 * 1e3),
            "gops", report_number(rate), "peak_share", report_number(share)));
        return;
    }
    if (!s->header_done)
        printf("%5s %7s %-8s %-9s %-6s %9s %9s %9s %11s %8s %6s\n", "batch", "threads", "isa",
               "precision", "device", "ms min", "ms p50", "ms p99", "per second", "GOP/s", "peak");
    s->header_done = 1;
    printf("%5d %7.0f %-8s %-9s %-6s %9.4f %9.4f %9.4f %11.1f %8.1f %4.0f %%\n", j->batch, threads,
           isa, j->model->precision, "cpu", r->ms[0], p50, p99, j->batch / p50 * 1e3, rate,
           100 * share);
}

/* ---- layer by layer ---- */

typedef struct clock {
    double **ms;              /* [step], a growing list each */
    report_laps laps;         /* of this run so far */
    int n, failed;
} clock;

static void print_layers(const state *s, const row *r, clock *c)
{
    const oct_plan *plan = r->job.model->plan;
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_step *step = &plan->step[i];
        report_sort(c->ms[i], c->n);
        const double ms = report_percentile(c->ms[i], c->n, 0.5);
        const double rate = ms > 0 ? 2e-6 * step->macs * r->job.batch / ms : 0;
        const double share = r->peak > 0 ? rate / (r->peak * r->job.model->pool->threads) : 0;
        if (s->a->json) {
            report_json_line(json_pack(
                "{s:o, s:s, s:o, s:o, s:o, s:o}", "layer", report_string(step->node->name),
                "op", step->op->name, "kernel", report_string(step->kernel),
                "ms", report_number(ms), "gops", report_number(rate),
                "peak_share", report_number(share)));
            continue;
        }
        char name[200];
        cli_escape(step->node->name, name, sizeof name);
        printf("    %-24s %-11s %9.4f ms %8.1f GOP/s %4.0f %%  %s\n", name, step->op->name, ms,
               rate, 100 * share, step->kernel ? step->kernel : "");
    }
}

static int by_layer(const state *s, row *r)
{
    oct_model *m = r->job.model;
    const int steps = m->plan->n_steps;
    clock c = { .ms = calloc((size_t)steps, sizeof *c.ms), .n = -WARM_RUNS,
                .laps.ms = calloc((size_t)steps, sizeof *c.laps.ms) };
    if (!c.ms || !c.laps.ms) return out_of_memory(s);
    const double started = report_now_ms();
    for (; c.n < MIN_RUNS || report_now_ms() - started < 1e3 * seconds(s->a); c.n++) {
        if (c.failed) break;
        memset(c.laps.ms, 0, (size_t)steps * sizeof *c.laps.ms);
        c.laps.last = report_now_ms();
        oct_plan_run(m->plan, m->pool, r->job.batch, report_lap, &c.laps);
        for (int i = 0; i < steps && c.n >= 0; i++)
            c.failed |= !report_push(&c.ms[i], c.n, c.laps.ms[i]);
    }
    if (!c.failed) print_layers(s, r, &c);
    for (int i = 0; i < steps; i++) free(c.ms[i]);
    free(c.ms);
    free(c.laps.ms);
    return c.failed ? out_of_memory(s) : CLI_OK;
}

/* ---- rows ---- */

static int bench_job(state *s, row *r)
{
    const job *j = &r->job;
    r->in = job_random(j, j->batch);
    r->out = calloc((size_t)j->batch * (size_t)j->classes, sizeof *r->out);
    if (!r->in || !r->out) return out_of_memory(s);
    int code = s->source ? fill_from_data(s, r) : CLI_OK;
    for (int i = 0; i < j->model->plan->n_steps; i++)
        r->gops += 2e-9 * j->model->plan->step[i].macs * j->batch;
    r->peak = peak_of(s, j->model->cpu);
    if (!code) code = measure(s, r);
    if (code) return code;
    print_row(s, r);
    code = s->a->by_layer ? by_layer(s, r) : CLI_OK;
    fflush(stdout);
    return code;
}

static int bench_row(state *s, const job_settings *settings)
{
    row r = { .n = 0 };
    int code = job_open(s->a, settings, &r.job);
    if (!code) code = bench_job(s, &r);
    free(r.in);
    free(r.out);
    free(r.ms);
    job_close(&r.job);
    return code;
}

static int run(const cli_args *a)
{
    state s = { .a = a };
    job_settings settings = job_defaults(a, a->arg[0], 1);
    if (a->length.n) return cli_usage(a->command, "--length is for text models");
    if (a->data) {
        const oct_status status = oct_source_open(a->data, &s.source);
        if (status) return cli_fail(a, a->data, status);
        settings.source = s.source;
    } else {
        cli_note(a, "no --data: timing seeded random input");
    }
    int code = CLI_OK;
    for (int b = 0; !code && b < (a->batch.n ? a->batch.n : 1); b++)
        for (int t = 0; !code && t < (a->threads.n ? a->threads.n : 1); t++)
            for (int i = 0; !code && i < (a->isa.n ? a->isa.n : 1); i++)
                for (int p = 0; !code && p < (a->precision.n ? a->precision.n : 1); p++) {
                    if (a->batch.n) settings.batch = a->batch.v[b];
                    if (a->threads.n) settings.threads = a->threads.v[t];
                    if (a->isa.n) settings.isa = a->isa.v[i];
                    if (a->precision.n) settings.precision = a->precision.v[p];
                    code = bench_row(&s, &settings);
                }
    oct_source_close(s.source);
    return code;
}

const cli_command cmd_bench = {
    .program = "octet", .name = "bench", .set = CLI_BENCH, .min_args = 1, .max_args = 1, .lists = 1,
    .operands = "MODEL", .run = run,
    .summary = "Latency and throughput over batch sizes, threads and instruction sets.",
    .details =
        "Times what a caller sees: FP32 [n, c, h, w] in, FP32 logits out, both copies\n"
        "included. GOP/s counts two operations a multiply-add of the network, at the median;\n"
        "peak is the share of what these threads can do at most, measured here with the\n"
        "innermost loop of the matrix product. Winograd convolutions need fewer multiply-adds\n"
        "and can go beyond 100 %.\n"
        "--json prints one object a row: batch length threads isa precision device ms_min\n"
        "ms_p50 ms_p99 per_second gops peak_share.",
    .examples =
        "  octet bench mnist_cnn.safetensors\n"
        "  octet bench cifar_cnn.safetensors --batch 1,64 --threads 1,2 --isa avx2,avx512\n"
        "  octet bench cifar_cnn.safetensors --batch 8 --by-layer --data test_batch.bin\n",
};
