/* The record that graph/plan.c asks: values, ports, the captured run.  What an operator becomes is
 * in prepare.c and prepare_conv.c. */
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/steps.h"

enum { SAMPLES, TEXTS, OVERFLOW, COUNTS }; /* what a run is told, and tells */

static oct_status open(const oct_device_options *options, oct_device **out)
{
    const size_t arrived_size = OCT_CUDA_BLOCKS * sizeof(int);
    void *count = NULL, *host = NULL, *arrived = NULL;
    *out = NULL;
    oct_device *d = calloc(1, sizeof *d);
    if (!d) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    d->floats = d->step_floats = options->floats;
    d->watch = options->watch;
    d->library = options->library;
    oct_status status = oct_cuda_open(&d->cuda);
    if (!status && d->library == OCT_LIBRARY_ALWAYS) status = oct_cuda_open_cublas(d->cuda);
    if (!status) status = oct_cuda_alloc(d->cuda, COUNTS * sizeof *d->count, &count);
    if (!status) status = oct_cuda_pin(d->cuda, 2 * COUNTS * sizeof *d->count, &host);
    if (!status) status = oct_cuda_alloc(d->cuda, arrived_size, &arrived);
    if (!status) status = oct_cuda_clear(d->cuda, arrived, arrived_size);
    d->arrived = arrived;
    d->count = count;
    d->host_count = host;
    if (status) oct_backend_cuda.close(d);
    else *out = d;
    return status;
}

static void close(oct_device *d)
{
    if (!d) return;
    oct_cuda_close(d->cuda);
    free(d->wide);
    free(d->step);
    free(d);
}

/* ---- values ---- */

static oct_dtype type_of(const oct_device *d, const oct_tensor *t)
{
    if (t->dtype != OCT_F32) return t->dtype;
    return oct_cuda_is_wide(d, t) ? OCT_F32 : d->step_floats;
}

static oct_status widen(oct_device *d, const oct_tensor *t)
{
    if (d->floats == OCT_F32) return OCT_OK;
    if (d->n_wide == d->max_wide) {
        const int most = d->max_wide ? 2 * d->max_wide : 16;
        const oct_tensor **list = realloc(d->wide, (size_t)most * sizeof *list);
        if (!list) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
        d->wide = list;
        d->max_wide = most;
    }
    d->wide[d->n_wide++] = t;
    return OCT_OK;
}

int oct_cuda_pitch(oct_dtype type, int cols)
{
    const int each = OCT_CUDA_CHUNK / (int)oct_dtype_size(type);
    return (cols + each - 1) / each * each;
}

oct_cuda_value oct_cuda_value_of(const oct_device *d, const oct_tensor *t)
{
    const oct_dtype type = type_of(d, t);
    const int cols = t->dim[t->rank - 1];
    return (oct_cuda_value){ t->data, type, cols, oct_cuda_pitch(type, cols) };
}

oct_cuda_rows oct_cuda_rows_of(const oct_device *d, const oct_tensor *t, int per_text)
{
    int per = 1;
    for (int i = 1; i + 1 < t->rank; i++) per *= t->dim[i];
    return (oct_cuda_rows){ d->count + (per_text ? TEXTS : SAMPLES), t->dim[0], per,
                            d->count + OVERFLOW };
}

static size_t size(const oct_device *d, const oct_tensor *t, int is_input)
{
    if (is_input || !t->rank) return oct_tensor_size(t);
    const size_t rows = oct_tensor_count(t) / (size_t)t->dim[t->rank - 1];
    const oct_cuda_value v = oct_cuda_value_of(d, t);
    return rows * (size_t)v.pitch * oct_dtype_size(v.type);
}

static oct_status place(oct_device *d, size_t bytes, unsigned char **base)
{
    void *memory;
    OCT_TRY(oct_cuda_alloc(d->cuda, bytes, &memory));
    *base = memory;
    d->values = memory;
    d->value_size = bytes;
    return OCT_OK;
}

/* ---- steps ---- */

oct_status oct_cuda_add_step(oct_device *d, const oct_tensor *y, int per_text, oct_cuda_step **out)
{
    if (d->n_steps == d->max_steps) {
        const int most = d->max_steps ? 2 * d->max_steps : 64;
        oct_cuda_step *list = realloc(d->step, (size_t)most * sizeof *list);
        if (!list) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
        d->step = list;
        d->max_steps = most;
    }
    *out = &d->step[d->n_steps++];
    memset(*out, 0, sizeof **out);
    (*out)->y = oct_cuda_value_of(d, y);
    (*out)->rows = oct_cuda_rows_of(d, y, per_text);
    (*out)->owner = d->n_prepared;
    return OCT_OK;
}

int oct_cuda_is_input(const oct_device *d, const oct_tensor *t)
{
    for (int i = 0; i < d->n_ins; i++)
        if (d->in[i].tensor == t) return 1;
    return 0;
}

oct_status oct_cuda_operand(oct_device *d, const oct_tensor *t, int per_text, oct_cuda_value *x)
{
    oct_cuda_step *s;
    void *memory;
    *x = oct_cuda_value_of(d, t);
    if (!oct_cuda_is_input(d, t) || t->dtype != OCT_F32) return OCT_OK;
    if (t->rank != 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device 'cuda': an input of rank %d that is no image",
                        t->rank);
    OCT_TRY(oct_cuda_alloc(d->cuda, size(d, t, 0), &memory));
    OCT_TRY(oct_cuda_add_step(d, t, per_text, &s));
    x->data = s->y.data = memory;
    s->raw = t->data;
    s->launch = oct_cuda_launch_import;
    return OCT_OK;
}

oct_status oct_cuda_scratch(oct_device *d, oct_cuda_use use, size_t bytes, void **out)
{
    if (d->scratch_size[use] < bytes) {
        OCT_TRY(oct_cuda_alloc(d->cuda, bytes, &d->scratch[use]));
        d->scratch_size[use] = bytes;
    }
    *out = d->scratch[use];
    return OCT_OK;
}

oct_status oct_cuda_put(oct_device *d, const void *from, size_t bytes, oct_prepare *how,
                        const void **out)
{
    void *memory;
    OCT_TRY(oct_cuda_alloc(d->cuda, bytes, &memory));
    OCT_TRY(oct_cuda_upload(d->cuda, memory, from, bytes));
    how->weight_size += bytes;
    *out = memory;
    return OCT_OK;
}

oct_status oct_cuda_constant(oct_device *d, const oct_tensor *t, oct_prepare *how,
                             const float **out)
{
    const size_t count = oct_tensor_count(t);
    const void *there = NULL;
    *out = NULL;
    float *values = malloc((count ? count : 1) * sizeof *values);
    if (!values) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    oct_tensor_read_f32(t, 0, count, values);
    const oct_status status = oct_cuda_put(d, values, count * sizeof *values, how, &there);
    free(values);
    *out = there;
    return status;
}

static int launch_count(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_count_bad(stream, s->rows, s->x, s->bad);
}

static oct_status prepare(oct_device *d, oct_op_kind kind, const oct_args *args, int per_text,
                          oct_prepare *how)
{
    oct_cuda_step *s;
    OCT_TRY(oct_cuda_prepare(d, kind, args, per_text, how));
    if (d->watch && args->out->dtype == OCT_F32) {
        OCT_TRY(oct_cuda_add_step(d, args->out, per_text, &s));
        s->x = s->y;
        s->launch = launch_count;
    }
    d->n_prepared++;
    return OCT_OK;
}

/* ---- ports ---- */

static oct_status add_port(oct_cuda_port *list, int *n, const oct_tensor *t, size_t row,
                           oct_cuda_port **out)
{
    *out = NULL;
    if (*n == OCT_CUDA_MAX_PORTS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device 'cuda': more than %d inputs or outputs",
                        OCT_CUDA_MAX_PORTS);
    *out = &list[(*n)++];
    **out = (oct_cuda_port){ .tensor = t, .row = row };
    return OCT_OK;
}

static size_t sample_size(const oct_tensor *t)
{
    return oct_tensor_sample_count(t) * oct_dtype_size(t->dtype);
}

/* The begins of texts are the input that attention and embedding call starts: they mark it. */
static oct_status input(oct_device *d, const oct_tensor *t, void **host)
{
    oct_cuda_port *p;
    OCT_TRY(add_port(d->in, &d->n_ins, t, sample_size(t), &p));
    p->device = t->data;
    OCT_TRY(oct_cuda_pin(d->cuda, oct_tensor_size(t), &p->host));
    *host = p->host;
    return OCT_OK;
}

static int launch_export(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_export(stream, s->rows, s->x, s->to);
}

static oct_status output(oct_device *d, const oct_tensor *t, int per_text, void **host)
{
    oct_cuda_port *p;
    oct_cuda_step *s;
    if (t->dtype != OCT_F32 || t->layout != OCT_DENSE || t->rank != 2 || oct_cuda_is_input(d, t))
        return oct_fail(OCT_ERR_UNSUPPORTED, "device 'cuda': an output that is no FP32 [n, k]");
    OCT_TRY(add_port(d->out, &d->n_outs, t, sample_size(t), &p));
    p->per_text = per_text;
    OCT_TRY(oct_cuda_alloc(d->cuda, oct_tensor_size(t), &p->device));
    OCT_TRY(oct_cuda_pin(d->cuda, oct_tensor_size(t), &p->host));
    OCT_TRY(oct_cuda_add_step(d, t, per_text, &s));
    s->x = s->y;
    s->to = p->device;
    s->owner = -1;
    s->launch = launch_export;
    *host = p->host;
    return OCT_OK;
}

/* ---- run ---- */

static int launch_all(void *arg, void *stream)
{
    const oct_device *d = arg;
    for (int i = 0; i < d->n_steps; i++) {
        const int error = d->step[i].launch(stream, &d->step[i]);
        if (error) return error;
    }
    return 0;
}

/* Which input the texts' begins are: they have a row for each text and one more. */
static void mark_starts(oct_device *d)
{
    for (int i = 0; i < d->n_steps; i++)
        for (int k = 0; d->step[i].starts && k < d->n_ins; k++)
            if (d->in[k].device == (const void *)d->step[i].starts)
                d->in[k].per_text = d->in[k].extra = 1;
}

static size_t bad_size(const oct_device *d) { return 2 * (size_t)d->n_prepared * sizeof *d->bad; }

static oct_status make_counters(oct_device *d)
{
    void *bad, *host;
    if (!d->watch) return OCT_OK;
    OCT_TRY(oct_cuda_alloc(d->cuda, bad_size(d), &bad));
    OCT_TRY(oct_cuda_pin(d->cuda, bad_size(d), &host));
    d->bad = bad;
    d->host_bad = host;
    for (int i = 0; i < d->n_steps; i++)
        if (d->step[i].owner >= 0) d->step[i].bad = d->bad + 2 * d->step[i].owner;
    return OCT_OK;
}

static oct_status seal(oct_device *d)
{
    static const int nothing[COUNTS]; /* rows: the first launches find none and end */
    mark_starts(d);
    OCT_TRY(make_counters(d));
    OCT_TRY(oct_cuda_upload(d->cuda, d->count, nothing, sizeof nothing));
    return oct_cuda_capture(d->cuda, launch_all, d);
}

static oct_status send_all(oct_device *d, int rows, int texts)
{
    d->host_count[SAMPLES] = rows;
    d->host_count[TEXTS] = texts;
    d->host_count[OVERFLOW] = 0;
    OCT_TRY(oct_cuda_send(d->cuda, d->count, d->host_count, COUNTS * sizeof *d->count));
    for (const oct_cuda_port *p = d->in; p < d->in + d->n_ins; p++) {
        const int n = (p->per_text ? texts : rows) + p->extra;
        OCT_TRY(oct_cuda_send(d->cuda, p->device, p->host, (size_t)n * p->row));
    }
    if (!d->watch) return OCT_OK;
    memset(d->host_bad, 0, bad_size(d));
    return oct_cuda_send(d->cuda, d->bad, d->host_bad, bad_size(d));
}

static oct_status run(oct_device *d, int rows, int texts)
{
    OCT_TRY(send_all(d, rows, texts));
    OCT_TRY(oct_cuda_replay(d->cuda));
    for (const oct_cuda_port *p = d->out; p < d->out + d->n_outs; p++) {
        const int n = p->per_text ? texts : rows;
        OCT_TRY(oct_cuda_receive(d->cuda, p->host, p->device, (size_t)n * p->row));
    }
    const int *told = d->host_count + COUNTS;
    if (d->floats == OCT_F16)
        OCT_TRY(oct_cuda_receive(d->cuda, d->host_count + COUNTS, d->count,
                                 COUNTS * sizeof *told));
    if (d->watch) OCT_TRY(oct_cuda_receive(d->cuda, d->host_bad, d->bad, bad_size(d)));
    OCT_TRY(oct_cuda_wait(d->cuda));
    return d->floats == OCT_F16 && told[OVERFLOW] && !d->watch
        ? oct_fail(OCT_ERR_DEVICE, "device 'cuda': %d values are beyond FP16's 65504 "
                   "(--precision fp32 has room for them, octet eval -o finds out which)",
                   told[OVERFLOW])
        : OCT_OK;
}

static void watched(const oct_device *d, int step, int *nan, int *infinite)
{
    *nan = d->host_bad[2 * step];
    *infinite = d->host_bad[2 * step + 1];
}

static int launch_one(void *arg, void *stream, int i)
{
    const oct_device *d = arg;
    return d->step[i].launch(stream, &d->step[i]);
}

static oct_status time_steps(oct_device *d, int rows, int texts, float *ms)
{
    float *each = calloc((size_t)d->n_steps + 1, sizeof *each);
    if (!each) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    oct_status status = send_all(d, rows, texts);
    if (!status) status = oct_cuda_time(d->cuda, launch_one, d, d->n_steps, each);
    for (int i = 0; i < d->n_prepared; i++) ms[i] = 0;
    for (int i = 0; i < d->n_steps; i++)
        if (d->step[i].owner >= 0) ms[d->step[i].owner] += each[i];
    free(each);
    return status;
}

static oct_status time_run(oct_device *d, int rows, int texts, float *ms)
{
    OCT_TRY(send_all(d, rows, texts));
    return oct_cuda_time_replay(d->cuda, ms);
}

static oct_peaks peaks(const oct_device *d) { return oct_cuda_peaks(d->cuda); }

const oct_backend oct_backend_cuda = {
    .name = "cuda", .open = open, .widen = widen, .size = size, .place = place, .input = input,
    .prepare = prepare, .output = output, .seal = seal, .run = run, .watched = watched,
    .time = time_steps, .time_run = time_run, .peaks = peaks, .close = close,
};
