#include "programs/break_even.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "models/model.h"
#include "ops/attr.h"
#include "ops/conv2d_sparse_f32.h"
#include "ops/conv2d_sparse_s8.h"
#include "ops/linear_sparse_s8.h"
#include "ops/sparse_f32.h"
#include "programs/job.h"
#include "programs/measured.h"
#include "programs/report.h"
#include "programs/text_job.h"
#include "tensor/cpu.h"

enum { N_DENSITIES = 5, HALF = 3, TURNS = 7, TOKENS = 128 }; /* HALF: of 2:4, the only one */
static const double densities[N_DENSITIES] = { .05, .1, .25, .5, .75 };
static const double turn_ms = 1.5;

/* What is measured, a table each. */
typedef struct kind {
    const char *structure;
    int f32;                   /* or INT8 */
    int down, across;          /* outputs and inputs of a block */
    int halved;                /* two of four inputs, whatever the density */
} kind;
static const kind kinds[] = { { "1x4", 0, 1, 4, 0 }, { "4x1", 0, 4, 1, 0 },
                              { "2:4", 0, 1, 4, 1 }, { "1x4", 1, 1, 4, 0 },
                              { "4x1", 1, 4, 1, 0 } };
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static int measured(const kind *k, int density) { return !k->halved || density == HALF; }

/* One layer, its operands made up: seeded, so that two runs do the same. */
typedef struct subject {
    oct_arena arena;
    oct_pool *pool;
    unsigned cpu;
    const oct_op *op;
    oct_conv2d_attr conv;
    oct_linear_attr linear;
    int *sparse;               /* of its attr */
    oct_tensor x, w, b, r, y;
    oct_args args;
    uint64_t seed;
} subject;

typedef struct planned {
    void *state;
    oct_prepare how;
    oct_run run;
} planned;

typedef struct row {
    const kind *kind;
    const char *layer;         /* the first of this shape */
    int layers;                /* how many have it */
    int linear;                /* c is 1x1 then, its pixels are rows */
    oct_conv2d_shape c;
    int residual;
    char dense[64];            /* the kernel's name */
    double dense_ms, ms[N_DENSITIES], even, limit;
} row;

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "out of memory"); }

/* ---- operands ---- */

/* Bytes of 7 bits; FP32: these, less 64. */
static oct_status fill(subject *s, oct_tensor *t)
{
    const size_t n = oct_tensor_count(t);
    uint8_t *p = t->data = oct_arena_alloc(&s->arena, oct_tensor_size(t));
    if (!p) return out_of_memory();
    for (size_t i = 0; i < n; i++) {
        const int x = (int)(job_next_random(&s->seed) >> 40 & 127);
        if (t->dtype == OCT_F32) ((float *)t->data)[i] = (float)(x - 64);
        else p[i] = (uint8_t)x;
    }
    return OCT_OK;
}

/* x after a ReLU, 7 bits, y too; or FP32. */
static void make_conv(subject *s, const row *r)
{
    static const float scale = .05f;
    const oct_conv2d_shape *c = &r->c;
    s->op = &oct_op_conv2d;
    s->x = (oct_tensor){ .dtype = OCT_U8, .layout = OCT_BLOCKED, .rank = 4, .scale = &scale,
                         .max = 127, .dim = { 1, c->h, c->w, c->c } };
    s->conv = (oct_conv2d_attr){ .stride = { c->stride[0], c->stride[1] },
                                 .pad = { c->pad[0], c->pad[1] },
                                 .dilation = { c->dilation[0], c->dilation[1] }, .groups = 1,
                                 .act = OCT_ACT_RELU, .quant = { scale, 0, 127 } };
    if (r->kind->f32) {
        s->x.dtype = OCT_F32;
        s->x.scale = NULL;
        s->x.max = 0;
        s->conv.quant = (oct_quant){ .scale = 0 };
    }
    s->args.attr = &s->conv;
    s->sparse = &s->conv.sparse;
}

/* INT8: x quantized at run time. */
static void make_linear(subject *s, const row *r)
{
    s->op = &oct_op_linear;
    s->x = (oct_tensor){ .dtype = OCT_F32, .rank = 2, .dim = { r->c.ow, r->c.c } };
    s->linear = (oct_linear_attr){ .act = OCT_ACT_NONE };
    s->args.attr = &s->linear;
    s->sparse = &s->linear.sparse;
}

static oct_status make_operands(subject *s, const row *r)
{
    const oct_conv2d_shape *c = &r->c;
    const size_t out = (size_t)c->out;
    float *scales = oct_arena_alloc(&s->arena, out * sizeof *scales);
    void *bias = oct_arena_zalloc(&s->arena, out * sizeof(int32_t));
    if (!scales || !bias) return out_of_memory();
    for (size_t i = 0; i < out; i++) scales[i] = .01f;
    if (r->linear) make_linear(s, r);
    else make_conv(s, r);
    s->w = (oct_tensor){ .dtype = r->kind->f32 ? OCT_F32 : OCT_S8, .rank = r->linear ? 2 : 4,
                         .scale = scales,
                         .dim = { c->out, c->c, c->kernel[0], c->kernel[1] } };
    s->b = (oct_tensor){ .dtype = r->linear || r->kind->f32 ? OCT_F32 : OCT_S32, .rank = 1,
                         .dim = { c->out }, .data = bias };
    s->args.in[OCT_CONV2D_X] = &s->x;
    s->args.in[OCT_CONV2D_W] = &s->w;
    s->args.in[OCT_CONV2D_BIAS] = &s->b;
    s->args.out = &s->y;
    OCT_TRY(s->op->infer(&s->args));
    OCT_TRY(fill(s, &s->x));
    OCT_TRY(fill(s, &s->y));
    s->r = s->y;
    if (r->residual) {
        OCT_TRY(fill(s, &s->r));
        s->args.in[OCT_CONV2D_RESIDUAL] = &s->r;
    }
    s->w.data = oct_arena_alloc(&s->arena, oct_tensor_size(&s->w));
    return s->w.data ? OCT_OK : out_of_memory();
}

static double any(subject *s) /* 0 .. 1 */
{
    return (double)(job_next_random(&s->seed) >> 11) * 0x1p-53;
}

/* Weight p of a block of 4 at output o, inputs from q on and tap t; as bell-shaped as a sum of
 * two, or 0. */
static void put_weight(subject *s, const kind *k, int o, int q, int t, int p, int is)
{
    const size_t taps = s->w.rank == 4 ? (size_t)(s->w.dim[2] * s->w.dim[3]) : 1;
    const int n = o + p % k->down, c = q + p % k->across;
    const size_t at = ((size_t)n * (size_t)s->w.dim[1] + (size_t)c) * taps + (size_t)t;
    const uint64_t r = job_next_random(&s->seed);
    const int value = is ? (int)(r & 31) + (int)(r >> 5 & 31) - 31 : 0;
    if (n >= s->w.dim[0] || c >= s->w.dim[1]) return;
    if (k->f32) ((float *)s->w.data)[at] = is ? (float)value + .5f : 0;
    else ((int8_t *)s->w.data)[at] = (int8_t)value;
}

static void make_weights(subject *s, const kind *k, double density)
{
    const int taps = s->w.rank == 4 ? s->w.dim[2] * s->w.dim[3] : 1;
    for (int o = 0; o < s->w.dim[0]; o += k->down)
        for (int q = 0; q < s->w.dim[1]; q += k->across)
            for (int t = 0; t < taps; t++)
                for (int p = 0, is = any(s) < density, zero = (int)(4 * any(s)); p < 4; p++)
                    put_weight(s, k, o, q, t, p, k->halved && density < 1
                                                     ? p != zero && p != (zero + 1) % 4 : is);
}

static oct_status plan(subject *s, int sparse, planned *out)
{
    *s->sparse = sparse ? oct_sparse_isa(s->cpu) : 0;
    *out = (planned){ .how = { .cpu = s->cpu, .threads = s->pool->threads,
                               .arena = &s->arena } };
    OCT_TRY(s->op->prepare(&s->args, &out->how, &out->state));
    const size_t each = (out->how.thread_size + OCT_TAIL + OCT_ALIGN) / OCT_ALIGN * OCT_ALIGN;
    out->run = (oct_run){ .pool = s->pool, .n = s->x.dim[0], .thread_stride = each,
                          .shared = oct_arena_alloc(&s->arena, out->how.shared_size),
                          .thread_base = oct_arena_alloc(&s->arena, each *
                                                         (size_t)s->pool->threads) };
    return out->run.shared && out->run.thread_base ? OCT_OK : out_of_memory();
}

/* ---- time ---- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* The least ms of a run in a turn. */
static double turn(const subject *s, const planned *p)
{
    double best = INFINITY;
    const double begin = now_ms();
    for (double t = begin; t - begin < turn_ms; ) {
        s->op->run(&s->args, p->state, &p->run);
        const double end = now_ms();
        best = fmin(best, end - t);
        t = end;
    }
    return best;
}

/* Dense and all densities in turns, so that what disturbs one disturbs all. */
static oct_status measure(subject *s, row *r)
{
    planned dense, sparse[N_DENSITIES];
    OCT_TRY(make_operands(s, r));
    make_weights(s, r->kind, 1);
    OCT_TRY(plan(s, 0, &dense));
    for (int i = 0; i < N_DENSITIES; i++) {
        if (!measured(r->kind, i)) continue;
        make_weights(s, r->kind, densities[i]);
        OCT_TRY(plan(s, 1, &sparse[i]));
        r->ms[i] = INFINITY;
    }
    snprintf(r->dense, sizeof r->dense, "%s", dense.how.kernel);
    r->dense_ms = INFINITY;
    for (int k = 0; k < TURNS; k++) {
        r->dense_ms = fmin(r->dense_ms, turn(s, &dense));
        for (int i = 0; i < N_DENSITIES; i++)
            if (measured(r->kind, i)) r->ms[i] = fmin(r->ms[i], turn(s, &sparse[i]));
    }
    return OCT_OK;
}

/* The first crossing, on straight lines between the densities; 0: the dense one always wins, 1: the
 * sparse one does. */
static double crossing(const row *r)
{
    if (r->kind->halved) return r->ms[HALF] < r->dense_ms;
    if (r->ms[0] >= r->dense_ms) return 0;
    for (int i = 1; i < N_DENSITIES; i++) {
        if (r->ms[i] < r->dense_ms) continue;
        const double share = (r->dense_ms - r->ms[i - 1]) / (r->ms[i] - r->ms[i - 1]);
        return densities[i - 1] + share * (densities[i] - densities[i - 1]);
    }
    return 1;
}

/* ---- the network's shapes ---- */

/* What a layer would be; 0: it has no sparse kernel. */
static int row_of(const oct_node *node, const kind *k, row *r)
{
    *r = (row){ .kind = k, .layer = node->name, .layers = 1, .linear = node->kind == OCT_OP_LINEAR,
                .residual = node->args.in[OCT_CONV2D_RESIDUAL] != NULL };
    if (node->dead || (node->kind != OCT_OP_CONV2D && !r->linear)) return 0;
    if (!r->linear) {
        r->c = oct_conv2d_shape_of(&node->args);
        return k->f32 ? oct_conv2d_sparse_f32_can(&r->c) : oct_conv2d_sparse_s8_can(&r->c);
    }
    const oct_tensor *x = node->args.in[OCT_LINEAR_X], *w = node->args.in[OCT_LINEAR_W];
    r->c = (oct_conv2d_shape){ .c = w->dim[1], .h = 1, .w = TOKENS, .out = w->dim[0], .oh = 1,
                               .ow = TOKENS, .kernel = { 1, 1 }, .stride = { 1, 1 },
                               .dilation = { 1, 1 }, .groups = 1 };
    return x->dim[0] >= TOKENS && !k->halved && (k->f32 || oct_linear_sparse_s8_can(x, w));
}

static oct_status find_rows(const oct_model *m, const kind *of, oct_arena *arena, row **out,
                            int *n)
{
    row *list = *out = oct_arena_zalloc(arena, ((size_t)m->graph.n_nodes + 1) * sizeof *list);
    if (!list) return out_of_memory();
    *n = 0;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        row r;
        int k = 0;
        if (!row_of(&m->graph.node[i], of, &r)) continue;
        while (k < *n && (list[k].residual != r.residual || list[k].linear != r.linear ||
                          memcmp(&list[k].c, &r.c, sizeof r.c) != 0)) k++;
        if (k == *n) list[(*n)++] = r;
        else list[k].layers++;
    }
    return OCT_OK;
}

static double limit_of(const row *r, int isa)
{
    const oct_sparse_f32_limit f32 = r->linear ? oct_linear_sparse_f32_limit(isa)
                                               : oct_conv2d_sparse_f32_limit(&r->c, isa);
    if (r->kind->f32) return r->kind->down > 1 ? f32.quads : f32.singles;
    const oct_sparse_forms s8 = r->linear ? oct_linear_sparse_s8_limit(isa)
                                          : oct_conv2d_sparse_s8_limit(&r->c, isa, 127);
    if (r->kind->halved) return s8.halved ? 1 : 0;
    return r->kind->down > 1 ? s8.down : s8.across;
}

static oct_status measure_row(const oct_model *m, row *r)
{
    subject s = { .pool = m->pool, .cpu = m->cpu, .seed = 7 };
    const oct_status status = measure(&s, r);
    oct_arena_free(&s.arena);
    r->even = crossing(r);
    r->limit = limit_of(r, oct_sparse_isa(m->cpu));
    return status;
}

/* ---- the table ---- */

static void print_head(const oct_model *m, const kind *k)
{
    printf("%s (%s%s), %s, %d thread%s; ms, and the share of %s that are not zero\n\n"
           "%-24s %3s %-32s %-20s %8s", k->f32 ? "FP32" : "INT8",
           k->f32 ? "" : m->max_length ? "activations quantized at run time, "
                                       : "7-bit activations, ",
           m->max_length ? "128 tokens" : "batch 1", oct_cpu_isa_name(m->cpu),
           m->pool->threads, m->pool->threads > 1 ? "s" : "",
           k->halved ? "weights" : k->down > 1 ? "blocks of 4 outputs" : "blocks of 4 inputs",
           "first layer", "of", "shape",
           "dense kernel", "dense");
    for (int i = 0; i < N_DENSITIES; i++) printf(" %5.0f %%", 100 * densities[i]);
    printf(" %10s %10s\n", "break-even", "used below");
}

static void print_row(const row *r)
{
    char name[100], shape[80];
    const oct_conv2d_shape *c = &r->c;
    cli_escape(r->layer, name, sizeof name);
    if (r->linear)
        snprintf(shape, sizeof shape, "linear %d->%d%s", c->c, c->out, r->residual ? " +r" : "");
    else snprintf(shape, sizeof shape, "%dx%d%s %d->%d @ %dx%d%s", c->kernel[0], c->kernel[1],
             c->stride[0] > 1 ? "/2" : "", c->c, c->out, c->oh, c->ow, r->residual ? " +r" : "");
    printf("%-24s %3d %-32s %-20s %8.4f", name, r->layers, shape, r->dense, r->dense_ms);
    for (int i = 0; i < N_DENSITIES; i++)
        if (measured(r->kind, i)) printf(" %7.4f", r->ms[i]);
        else printf(" %7s", "");
    printf(" %8.0f %% %8.0f %%\n", 100 * r->even, 100 * r->limit);
    fflush(stdout);
}

static void print_json(const oct_model *m, const row *r)
{
    const oct_conv2d_shape *c = &r->c;
    json_t *sparse = json_array();
    for (int i = 0; i < N_DENSITIES; i++) {
        if (!measured(r->kind, i)) continue;
        sparse = oct_json_append(sparse, json_pack("{s:o, s:o}", "density",
                                                   report_number(densities[i]), "ms",
                                                   report_number(r->ms[i])));
    }
    report_json_line(json_pack(
        "{s:o, s:i, s:s, s:i, s:s, s:s, s:[i,i], s:[i,i], s:i, s:i, s:[i,i], s:b, s:s, s:o, s:o,"
        " s:o, s:o}", "layer", report_string(r->layer), "layers", r->layers,
        "isa", oct_cpu_isa_name(m->cpu), "threads", m->pool->threads,
        "precision", r->kind->f32 ? "fp32" : "int8", "structure", r->kind->structure,
        "kernel", c->kernel[0], c->kernel[1], "stride", c->stride[0], c->stride[1],
        "inputs", c->c, "outputs", c->out, "output_size", c->oh, c->ow, "residual", r->residual,
        "dense_kernel", r->dense, "dense_ms", report_number(r->dense_ms), "sparse", sparse,
        "break_even", report_number(r->even), "used_below", report_number(r->limit)));
}

static oct_status measure_kind(const cli_args *a, const oct_model *m, const kind *k, int *n_rows)
{
    oct_arena arena = { 0 };
    row *r = NULL;
    int n = 0;
    oct_status status = find_rows(m, k, &arena, &r, &n);
    if (!status && !a->json && n) {
        if (*n_rows) putchar('\n');
        print_head(m, k);
    }
    for (int i = 0; i < n && !status; i++) {
        status = measure_row(m, &r[i]);
        if (status) break;
        if (a->json) print_json(m, &r[i]);
        else print_row(&r[i]);
    }
    oct_arena_free(&arena);
    *n_rows += n;
    return status;
}

static int measure_all(const cli_args *a, const oct_model *m)
{
    oct_status status = OCT_OK;
    int n = 0;
    for (int i = 0; i < N_KINDS && !status; i++)
        if (!a->structure || !strcmp(a->structure, kinds[i].structure))
            status = measure_kind(a, m, &kinds[i], &n);
    if (!status && n == 0)
        status = oct_fail(OCT_ERR_UNSUPPORTED, "no layer of it has a sparse kernel");
    return status ? cli_fail(a, a->arg[0], status) : CLI_OK;
}

int break_even_run(const cli_args *a)
{
    job j = { .model = NULL };
    text_job t = { .model = NULL };
    job_settings s = job_defaults(a, a->arg[0], 1);
    if (a->structure && strcmp(a->structure, "1x4") && strcmp(a->structure, "4x1") &&
        strcmp(a->structure, "2:4"))
        return cli_usage(a->command, "--break-even: --structure 1x4, 4x1 or 2:4 expected");
    if (a->output || a->amount.n || a->eval)
        return cli_usage(a->command, "--break-even measures kernels: no -o, --amount or --eval");
    if (!strcmp(s.isa ? s.isa : "", "ref"))
        return cli_usage(a->command, "--break-even: --isa ref is always dense");
    const int texts = job_takes_texts(a, a->arg[0]);
    int code = texts ? text_job_open_ids(a, &s, &t) : job_open(a, &s, &j);
    if (!code) code = measure_all(a, texts ? t.model : j.model);
    job_close(&j);
    text_job_close(&t);
    return code;
}
