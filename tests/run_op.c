#include "tests/run_op.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/cpu.h"

/* A pool that does everything itself, last item first, with changing thread numbers: what depends
 * on order or on the number of a thread shows. */
static void backwards(oct_pool *self, int n, oct_body *body, void *arg)
{
    for (int i = n; i-- > 0; ) body(arg, i, i * 7 % self->threads);
}

void test_op_run(test_op *t, oct_op_kind kind, oct_args *args, int n)
{
    const oct_op *op = oct_ops[kind];
    oct_pool pool = { t->threads ? t->threads : 1, backwards };
    void *state = NULL;
    ck_assert_msg(op->infer(args) == OCT_OK, "%s", oct_last_error());
    t->how = (oct_prepare){ .cpu = t->cpu, .threads = pool.threads,
                            .precision = t->precision, .sgemm = t->sgemm, .given = t->given,
                            .n_given = t->n_given, .arena = &t->arena };
    ck_assert_msg(op->prepare(args, &t->how, &state) == OCT_OK, "%s", oct_last_error());
    const size_t size = oct_tensor_size(args->out);
    if (!args->out->data) args->out->data = oct_arena_alloc(&t->arena, size);
    memset(args->out->data, 0xff, size);
    const size_t stride = (t->how.thread_size + OCT_TAIL + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
    oct_run r = { .pool = &pool, .n = n, .texts = t->texts,
                  .shared = oct_arena_alloc(&t->arena, t->how.shared_size),
                  .thread_base = oct_arena_alloc(&t->arena, (size_t)pool.threads * stride),
                  .thread_stride = stride };
    memset(r.shared, 0xff, t->how.shared_size);
    memset(r.thread_base, 0xff, (size_t)pool.threads * stride);
    op->run(args, state, &r);
}

void test_op_refused(test_op *t, oct_op_kind kind, oct_args *args, const char *message)
{
    void *state;
    oct_prepare how = { .cpu = 0, .threads = 1, .arena = &t->arena };
    oct_status status = oct_ops[kind]->infer(args);
    if (status == OCT_OK) status = oct_ops[kind]->prepare(args, &how, &state);
    ck_assert_int_ne(status, OCT_OK);
    ck_assert_str_eq(oct_last_error(), message);
}

void test_op_fill(test_op *t, oct_tensor *x)
{
    const size_t n = oct_tensor_count(x);
    float *p = oct_arena_alloc(&t->arena, n * sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) p[i] = (float)(rand() % 20001 - 10000) / 10000.f;
    x->data = p;
}

size_t test_blocked(const oct_tensor *x, int n, int y, int xx, int c)
{
    const size_t h = (size_t)x->dim[1], w = (size_t)x->dim[2];
    const int b = c / OCT_BLOCK;
    return (size_t)n * oct_tensor_sample_count(x) + (size_t)b * OCT_BLOCK * h * w +
           ((size_t)y * w + (size_t)xx) * (size_t)oct_block_width(x->dim[3], b) +
           (size_t)(c % OCT_BLOCK);
}

void test_each_isa(void (*body)(unsigned cpu, void *arg), void *arg)
{
    static const unsigned sets[] = { 0, OCT_CPU_AVX2, OCT_CPU_AVX2 | OCT_CPU_AVXVNNI,
                                     OCT_CPU_AVX2 | OCT_CPU_AVX512,
                                     OCT_CPU_AVX2 | OCT_CPU_AVX512 | OCT_CPU_AVX512BF16,
                                     OCT_CPU_NEON,
                                     OCT_CPU_NEON | OCT_CPU_NEONDOT,
                                     OCT_CPU_NEON | OCT_CPU_NEONDOT | OCT_CPU_NEONI8MM };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if ((sets[i] & oct_cpu_flags()) == sets[i]) body(sets[i], arg);
}

typedef struct expected {
    test_op *op;
    oct_op_kind kind;
    oct_args *args;
    int n;
    const void *want;
} expected;

static void is_on_isa(unsigned cpu, void *arg)
{
    const expected *e = arg;
    const oct_tensor *out = e->args->out;
    e->op->cpu = cpu;
    for (e->op->threads = 1; e->op->threads <= 3; e->op->threads++) {
        test_op_run(e->op, e->kind, e->args, e->n);
        ck_assert_msg(memcmp(out->data, e->want, oct_tensor_size(out)) == 0,
                      "%s on %s, %d threads", oct_ops[e->kind]->name, e->op->how.kernel,
                      e->op->threads);
    }
}

void test_op_is(test_op *t, oct_op_kind kind, oct_args *args, int n, const void *want)
{
    expected e = { t, kind, args, n, want };
    test_each_isa(is_on_isa, &e);
}
