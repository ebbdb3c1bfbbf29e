#include "quant/replay.h"

#include <stdlib.h>
#include <string.h>

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

static size_t row_size(const oct_tensor *t)
{
    return oct_tensor_sample_count(t) * oct_dtype_size(t->dtype);
}

/* Bytes of n samples, of so many tokens, of input i. */
static size_t input_size(const oct_plan *p, int i, int n, int tokens)
{
    const oct_tensor *t = &p->in[i];
    const int rows = !p->starts ? n : t == p->starts ? n + 1 : tokens;
    return (size_t)rows * row_size(t);
}

/* The same of what step i writes. */
static size_t value_size(const oct_plan *p, int i, int64_t n, int64_t tokens)
{
    const int64_t rows = !p->starts || p->step[i].per_text ? n : tokens;
    return (size_t)rows * row_size(p->step[i].args.out);
}

/* Does step `at` or a later one read the value? */
static int is_read(const oct_plan *p, const oct_tensor *value, int at)
{
    for (int j = at; j < p->n_steps; j++)
        for (int k = 0; k < OCT_MAX_IN; k++)
            if (p->step[j].args.in[k] == value) return 1;
    return 0;
}

static int lives(const oct_plan *p, int i, int at)
{
    return is_read(p, p->step[i].args.out, at);
}

/* Bytes of all that lives before step `at`. */
static size_t living(const oct_plan *p, int at, int64_t n, int64_t tokens)
{
    size_t sum = 0;
    for (int i = 0; i < at; i++)
        if (lives(p, i, at)) sum += value_size(p, i, n, tokens);
    return sum;
}

int oct_replay_fits(const oct_replay *r, int step)
{
    const oct_plan *p = r->plan[OCT_REPLAY_DENSE];
    return living(p, step, r->samples, r->tokens) <= OCT_REPLAY_SIZE / OCT_REPLAY_PLANS;
}

void oct_replay_close(oct_replay *r)
{
    for (int b = 0; b < r->n_batches; b++) {
        free(r->batch[b].in);
        for (int p = 0; p < OCT_REPLAY_PLANS; p++) free(r->batch[b].value[p]);
    }
    free(r->batch);
    *r = (oct_replay){ .pool = NULL };
}

static oct_status make_room(oct_replay *r)
{
    if (r->n_batches < r->max_batches) return OCT_OK;
    const int max = r->max_batches ? 2 * r->max_batches : 64;
    oct_replay_batch *longer = realloc(r->batch, (size_t)max * sizeof *longer);
    if (!longer) return out_of_memory();
    r->batch = longer;
    r->max_batches = max;
    return OCT_OK;
}

oct_status oct_replay_add(oct_replay *r, int n)
{
    const oct_plan *p = r->plan[OCT_REPLAY_DENSE];
    oct_replay_batch b = { .n = n };
    size_t size = 0;
    OCT_TRY(make_room(r));
    if (p->starts) b.tokens = ((const int32_t *)p->starts->data)[n];
    for (int i = 0; i < p->n_ins; i++) size += input_size(p, i, n, b.tokens);
    b.in = malloc(size + 1);
    if (!b.in) return out_of_memory();
    unsigned char *to = b.in;
    for (int i = 0; i < p->n_ins; i++) {
        memcpy(to, p->in[i].data, input_size(p, i, n, b.tokens));
        to += input_size(p, i, n, b.tokens);
    }
    r->samples += n;
    r->tokens += b.tokens;
    r->batch[r->n_batches++] = b;
    return OCT_OK;
}

/* ---- there and back ---- */

static void restore(const oct_plan *p, const oct_replay_batch *b, const unsigned char *value,
                    int at)
{
    const unsigned char *from = b->in;
    for (int i = 0; i < p->n_ins; i++) {
        const size_t size = input_size(p, i, b->n, b->tokens);
        if (&p->in[i] == p->starts || is_read(p, &p->in[i], at)) memcpy(p->in[i].data, from, size);
        from += size;
    }
    for (int i = 0; i < at; i++) {
        if (!lives(p, i, at)) continue;
        const size_t size = value_size(p, i, b->n, b->tokens);
        memcpy(p->step[i].args.out->data, value, size);
        value += size;
    }
}

static oct_status save(const oct_plan *p, const oct_replay_batch *b, int at, unsigned char **out)
{
    unsigned char *to = malloc(living(p, at, b->n, b->tokens) + 1);
    if (!to) return out_of_memory();
    free(*out);
    *out = to;
    for (int i = 0; i < at; i++) {
        if (!lives(p, i, at)) continue;
        const size_t size = value_size(p, i, b->n, b->tokens);
        memcpy(to, p->step[i].args.out->data, size);
        to += size;
    }
    return OCT_OK;
}

oct_status oct_replay_to(oct_replay *r, int batch, int step, int keep)
{
    oct_replay_batch *b = &r->batch[batch];
    for (int i = 0; i < OCT_REPLAY_PLANS; i++) {
        oct_plan *p = r->plan[i];
        restore(p, b, b->value[i], r->at);
        oct_plan_run_between(p, r->pool, b->n, r->at, step, NULL, NULL);
        if (keep) OCT_TRY(save(p, b, step, &b->value[i]));
    }
    return OCT_OK;
}

void oct_replay_kept(oct_replay *r, int step) { r->at = step; }
