#include "tests/quantize_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input/input.h"

static void ok(oct_status status, const char *what)
{
    if (status == OCT_OK) return;
    fprintf(stderr, "%s: %s\n", what, oct_last_error());
    exit(99);
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) exit(99);
    return p;
}

void samples_read(const char *model, const char *data, int first, int n, samples *out)
{
    oct_model *m;
    oct_source *source;
    oct_recipe recipe;
    ok(oct_model_describe(model, &(oct_options){ 0 }, &m), model);
    ok(oct_source_open(data, &source), data);
    ok(oct_recipe_parse(m->recipe, &recipe), model);
    const oct_tensor *in = m->graph.in[0];
    const int count = oct_source_count(source) - first;
    *out = (samples){ .n = n ? n : count, .sample = oct_tensor_sample_count(in) };
    out->x = room((size_t)out->n * out->sample, sizeof *out->x);
    out->label = room((size_t)out->n, sizeof *out->label);
    for (int i = 0; i < out->n; i++) {
        const int k = first + (int)((long long)i * count / out->n);
        ok(oct_source_read(source, k, &recipe, in->dim[2], in->dim[3],
                           out->x + (size_t)i * out->sample), data);
        out->label[i] = oct_source_label(source, k);
    }
    oct_source_close(source);
    oct_model_free(m);
}

void samples_free(samples *s)
{
    free(s->x);
    free(s->label);
}

typedef struct feed {
    const samples *s;
    int next;
} feed;

static oct_status fill(void *arg, oct_tensor *in, int batch, int *n)
{
    feed *f = arg;
    *n = f->s->n - f->next < batch ? f->s->n - f->next : batch;
    memcpy(in->data, f->s->x + (size_t)f->next * f->s->sample,
           (size_t)*n * f->s->sample * sizeof *f->s->x);
    f->next += *n;
    return OCT_OK;
}

oct_calibration *quantize_calibrate(const char *model, const samples *s, int threads)
{
    oct_model *m;
    oct_calibration *c;
    feed f = { s, 0 };
    ok(oct_model_load(model, &(oct_options){ .batch = 8, .threads = threads }, &m), model);
    ok(oct_calibrate(m->plan, m->pool, &(oct_calibrate_options){ .means = 1 }, fill, &f, &c),
       model);
    oct_model_free(m);
    return c;
}

void quantized_open(const char *model, const oct_calibration *c, const oct_quantize_options *o,
                    unsigned cpu, int threads, int batch, quantized *out)
{
    *out = (quantized){ .layers = 0 };
    const oct_options options = { .batch = batch, .passes = "fold_bn,fuse,dce" };
    ok(oct_model_describe(model, &options, &out->m), model);
    if (c) ok(oct_pass_quantize(&out->m->graph, c, o, NULL, &out->layers), model);
    else if (o) ok(oct_pass_dynamic(&out->m->graph, (oct_keep){ o->keep, o->n_keep },
                                    &out->layers), model);
    ok(oct_pool_open(threads, &out->pool), model);
    const oct_plan_options how = { .cpu = cpu, .threads = threads };
    ok(oct_plan_build(&out->m->graph, &how, &out->plan), model);
}

void quantized_close(quantized *q)
{
    oct_plan_free(q->plan);
    oct_pool_close(q->pool);
    oct_model_free(q->m);
}

int quantized_run(const quantized *q, const samples *s, float *logits)
{
    const oct_tensor *y = &q->plan->out[0];
    const int batch = q->plan->in[0].dim[0], classes = y->dim[1];
    int right = 0, n = 0;
    feed f = { s, 0 };
    for (int at = 0; at < s->n; at += n) {
        ok(fill(&f, q->plan->in, batch, &n), "run");
        oct_plan_run(q->plan, q->pool, n, NULL, NULL);
        for (int i = 0; i < n; i++) {
            const float *row = (const float *)y->data + (size_t)i * (size_t)classes;
            int top = 0;
            for (int k = 1; k < classes; k++) top = row[k] > row[top] ? k : top;
            right += top == s->label[at + i];
            if (logits)
                memcpy(logits + (size_t)(at + i) * (size_t)classes, row,
                       (size_t)classes * sizeof *row);
        }
    }
    return right;
}
