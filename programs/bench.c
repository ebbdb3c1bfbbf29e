#include "programs/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "programs/peak.h"
#include "programs/report.h"
#include "tensor/cpu.h"

enum { MIN_RUNS = 10, WARM_RUNS = 3 };

static double seconds(const cli_args *a) { return a->seconds.n ? a->seconds.v[0] : 1.0; }

static int out_of_memory(const bench *b)
{
    return cli_refuse(b->a, NULL, OCT_ERR_MEMORY, "out of memory");
}

/* ---- operations ---- */

/* A text of n tokens has 2 n d multiply-adds of attention for each query, and n queries or one;
 * everything else takes as many for a row as for another. */
double bench_macs(const bench_row *r, const oct_step *step)
{
    if (r->tokens <= 0) return step->macs * r->batch;
    if (step->node->kind != OCT_OP_ATTENTION)
        return step->macs * (step->per_text ? r->batch : r->tokens);
    const oct_attention_attr *attr = step->node->args.attr;
    return step->macs / attr->length * (step->per_text ? r->tokens : r->squares);
}

static const bench_peaks *peaks_of(bench *b, unsigned cpu)
{
    int i = 0;
    while (i < b->n_peaks && b->peak[i].cpu != cpu) i++;
    if (i == b->n_peaks)
        b->peak[b->n_peaks++] = (bench_peaks){ cpu, peak_fp32(cpu), peak_int8(cpu) };
    return &b->peak[i];
}

/* What the machine of a row does at most: these threads, or the device. */
static oct_peaks peaks_of_row(bench *b, const bench_row *r)
{
    const oct_plan *plan = r->model->plan;
    if (plan->backend) return plan->backend->peaks(plan->device);
    const bench_peaks *core = peaks_of(b, r->model->cpu);
    const int threads = r->model->pool->threads;
    return (oct_peaks){ .fp32 = core->fp32 * threads, .fp16 = core->fp32 * threads,
                        .int8 = core->int8 * threads };
}

/* ms that the step's multiply-adds take at the peak of their kind; NAN: it is not known. */
static double least_ms(const oct_peaks *peak, const bench_row *r, const oct_step *step)
{
    const double gops = step->type == OCT_S8    ? peak->int8
                        : step->type == OCT_F16 ? peak->fp16 : peak->fp32;
    const double operations = 2e-6 * bench_macs(r, step);
    return gops > 0 ? operations / gops : operations > 0 ? NAN : 0;
}

/* ms that a device's memory takes to give the step's weights and operands and to take its output,
 * as if none stayed in a cache; NAN: not known. */
static double least_ms_of_bytes(const oct_peaks *peak, const oct_plan *plan, const oct_step *step)
{
    double bytes = (double)step->weight_size;
    if (!plan->backend || !(peak->bytes > 0)) return NAN;
    for (int v = 0; v < plan->n_values; v++) {
        const oct_tensor *t = plan->value[v].tensor;
        int uses = step->args.out == t;
        for (int k = 0; k < OCT_MAX_IN; k++) uses += step->args.in[k] == t;
        if (uses) bytes += uses * (double)plan->backend->size(plan->device, t, v < plan->n_ins);
    }
    return bytes / peak->bytes * 1e-6;
}

/* ---- a row ---- */

/* The caller's copy of the logits included. */
static int measure(const bench *b, bench_row *r)
{
    const size_t size = (size_t)r->batch * (size_t)r->model->classes * sizeof *r->out;
    const double started = report_now_ms();
    for (int i = -WARM_RUNS; i < MIN_RUNS || report_now_ms() - started < 1e3 * seconds(b->a); i++) {
        const float *logits;
        const double start = report_now_ms();
        const oct_status status = r->run(r->from, &logits);
        if (status) return cli_fail(b->a, b->a->arg[0], status);
        memcpy(r->out, logits, size);
        const double ms = report_now_ms() - start;
        if (i >= 0 && !report_push(&r->ms, r->n++, ms)) return out_of_memory(b);
    }
    report_sort(r->ms, r->n);
    return CLI_OK;
}

/* Of texts all their tokens. */
static int rows_of(const bench_row *r) { return r->tokens > 0 ? (int)r->tokens : r->batch; }
static int texts_of(const bench_row *r) { return r->tokens > 0 ? r->batch : 0; }

/* As measure, after it: on the inputs of its last run, and no run is the first. */
static int measure_device(const bench *b, bench_row *r)
{
    const oct_plan *plan = r->model->plan;
    const double started = report_now_ms();
    double *ms = NULL;
    int n = 0, pushed = 1;
    oct_status status = OCT_OK;
    r->device_ms = NAN;
    if (!plan->backend) return CLI_OK;
    while (n < MIN_RUNS || report_now_ms() - started < 1e3 * seconds(b->a)) {
        float took = 0;
        status = plan->backend->time_run(plan->device, rows_of(r), texts_of(r), &took);
        if (!status) pushed = report_push(&ms, n++, (double)took);
        if (status || !pushed) break;
    }
    if (!status && pushed) {
        report_sort(ms, n);
        r->device_ms = report_percentile(ms, n, 0.50);
    }
    free(ms);
    if (status) return cli_fail(b->a, b->a->arg[0], status);
    return pushed ? CLI_OK : out_of_memory(b);
}

static void print_header(bench *b)
{
    if (b->header_done) return;
    b->header_done = 1;
    printf("%5s %s%7s %-8s %-9s %-6s %9s %9s %9s %11s %8s %6s%s\n", "batch",
           b->texts ? "length " : "", "threads", "isa", "precision", "device", "ms min", "ms p50",
           "ms p99", "per second", "GOP/s", "peak",
           b->a->device ? " memory ms device  per second" : "");
}

static void print_share(double share)
{
    if (share >= 0) printf(" %4.0f %%", 100 * share);
    else printf(" %6s", "-");
}

/* share, memory: of the peak of operations, of bytes; NAN: not known. */
static void print_row(bench *b, const bench_row *r, double gops, double share, double memory)
{
    const oct_model *m = r->model;
    const double p50 = report_percentile(r->ms, r->n, 0.50);
    const double p99 = report_percentile(r->ms, r->n, 0.99);
    const double length = r->tokens / r->batch, per_second = r->batch / p50 * 1e3;
    const double of_device = r->batch / r->device_ms * 1e3;
    const int whole = floor(length) == length;
    const char *isa = oct_model_isa(m), *device = b->a->device ? b->a->device : "cpu";
    if (b->a->json) {
        report_json_line(json_pack(
            "{s:i, s:o, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
            "batch", r->batch, "length", r->tokens <= 0 ? json_null() : whole ? report_count(length)
            : report_number(length), "threads", m->pool->threads, "isa", isa, "precision",
            m->precision, "device", device, "ms_min", report_number(r->ms[0]), "ms_p50",
            report_number(p50), "ms_p99", report_number(p99), "per_second",
            report_number(per_second), "gops", report_number(gops), "peak_share",
            report_number(share), "memory_share", report_number(memory), "ms_device",
            report_number(r->device_ms), "per_second_device", report_number(of_device)));
        return;
    }
    print_header(b);
    printf("%5d ", r->batch);
    if (b->texts) printf("%6.4g ", length);
    printf("%7d %-8s %-9s %-6s %9.4f %9.4f %9.4f %11.1f %8.1f", m->pool->threads, isa,
           m->precision, device, r->ms[0], p50, p99, per_second, gops);
    print_share(share);
    if (b->a->device) print_share(memory);
    if (b->a->device) printf(" %9.4f %11.1f", r->device_ms, of_device);
    putchar('\n');
}

/* ---- layer by layer ---- */

typedef struct clock {
    double **ms;              /* [step], a growing list each */
    report_laps laps;         /* of this run so far */
    float *of_device;         /* [step], as a device tells them */
    int n, failed;
} clock;

static void print_layers(const bench *b, const bench_row *r, const oct_peaks *peak, clock *c)
{
    const oct_plan *plan = r->model->plan;
    char name[200];
    int width = REPORT_NAME;
    for (int i = 0; i < plan->n_steps; i++)
        width = report_wider(width, plan->step[i].node->name);
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_step *step = &plan->step[i];
        report_sort(c->ms[i], c->n);
        const double ms = report_percentile(c->ms[i], c->n, 0.5);
        const double rate = ms > 0 ? 2e-6 * bench_macs(r, step) / ms : 0;
        const double share = ms > 0 ? least_ms(peak, r, step) / ms : 0;
        if (b->a->json) {
            report_json_line(json_pack(
                "{s:o, s:s, s:o, s:o, s:o, s:o}", "layer", report_string(step->node->name),
                "op", step->op->name, "kernel", report_string(step->kernel),
                "ms", report_number(ms), "gops", report_number(rate),
                "peak_share", report_number(share)));
            continue;
        }
        cli_escape(step->node->name, name, sizeof name);
        printf("    %-*s %-11s %9.4f ms %8.1f GOP/s", width, name, step->op->name, ms, rate);
        print_share(share);
        printf("  %s\n", step->kernel ? step->kernel : "");
    }
}

/* One run; its laps in c. */
static oct_status run_laps(const bench_row *r, clock *c)
{
    oct_model *m = r->model;
    const oct_plan *plan = m->plan;
    memset(c->laps.ms, 0, (size_t)plan->n_steps * sizeof *c->laps.ms);
    if (!plan->backend) {
        c->laps.last = report_now_ms();
        oct_plan_run(m->plan, m->pool, r->batch, report_lap, &c->laps);
        return OCT_OK;
    }
    OCT_TRY(plan->backend->time(plan->device, rows_of(r), texts_of(r), c->of_device));
    for (int i = 0; i < plan->n_steps; i++) c->laps.ms[i] = (double)c->of_device[i];
    return OCT_OK;
}

static int by_layer(const bench *b, const bench_row *r, const oct_peaks *peak)
{
    const int steps = r->model->plan->n_steps;
    clock c = { .ms = calloc((size_t)steps, sizeof *c.ms), .n = -WARM_RUNS,
                .laps.ms = calloc((size_t)steps, sizeof *c.laps.ms),
                .of_device = calloc((size_t)steps, sizeof *c.of_device) };
    oct_status status = OCT_OK;
    c.failed = !c.ms || !c.laps.ms || !c.of_device;
    const double started = report_now_ms();
    for (; c.n < MIN_RUNS || report_now_ms() - started < 1e3 * seconds(b->a); c.n++) {
        if (c.failed || (status = run_laps(r, &c))) break;
        for (int i = 0; i < steps && c.n >= 0; i++)
            c.failed |= !report_push(&c.ms[i], c.n, c.laps.ms[i]);
    }
    if (!c.failed && !status) print_layers(b, r, peak, &c);
    for (int i = 0; c.ms && i < steps; i++) free(c.ms[i]);
    free(c.ms);
    free(c.laps.ms);
    free(c.of_device);
    if (status) return cli_fail(b->a, b->a->arg[0], status);
    return c.failed ? out_of_memory(b) : CLI_OK;
}

int bench_row_run(bench *b, bench_row *r)
{
    const oct_plan *plan = r->model->plan;
    double operations = 0, least = 0, least_of_bytes = 0; /* 10^6 of them; ms */
    r->out = calloc((size_t)r->batch * (size_t)r->model->classes, sizeof *r->out);
    if (!r->out) return out_of_memory(b);
    const oct_peaks peak = peaks_of_row(b, r);
    int code = measure(b, r);
    if (!code) code = measure_device(b, r);
    if (!code) {
        for (int i = 0; i < plan->n_steps; i++) {
            operations += 2e-6 * bench_macs(r, &plan->step[i]);
            least += least_ms(&peak, r, &plan->step[i]);
            least_of_bytes += least_ms_of_bytes(&peak, plan, &plan->step[i]);
        }
        const double ms = report_percentile(r->ms, r->n, 0.5);
        print_row(b, r, operations / ms, least / ms, least_of_bytes / ms);
        if (b->a->by_layer) code = by_layer(b, r, &peak);
        fflush(stdout);
    }
    free(r->out);
    free(r->ms);
    return code;
}
