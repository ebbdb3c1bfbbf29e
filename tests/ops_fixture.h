#ifndef OCT_TESTS_OPS_FIXTURE_H
#define OCT_TESTS_OPS_FIXTURE_H

/* What tests of operators share: tensors in an arena, images addressed as PyTorch addresses them,
 * and a run that does every ISA x 1, 2, 3 threads and wants the same bytes. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/kernels/vec.h"
#include "ops/op.h"
#include "tensor/cpu.h"
#include "tests/test.h"

static oct_arena fixture_arena;

static inline void *fixture_alloc(size_t size)
{
    void *p = oct_arena_alloc(&fixture_arena, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* A pool of its own making: bodies run in any order, in threads that come and go. */
typedef struct fixture_work {
    oct_body *body;
    void *arg;
    int n;
    atomic_int next, thread;
} fixture_work;

static inline void *fixture_worker(void *arg)
{
    fixture_work *w = arg;
    const int thread = atomic_fetch_add(&w->thread, 1);
    for (int i; (i = atomic_fetch_sub(&w->next, 1)) >= 0;) w->body(w->arg, i, thread);
    return NULL;
}

static inline void fixture_run(oct_pool *pool, int n, oct_body *body, void *arg)
{
    pthread_t thread[8];
    fixture_work w = { .body = body, .arg = arg, .n = n };
    atomic_init(&w.next, n - 1);
    atomic_init(&w.thread, 0);
    for (int t = 1; t < pool->threads; t++)
        ck_assert_int_eq(pthread_create(&thread[t], NULL, fixture_worker, &w), 0);
    fixture_worker(&w);
    for (int t = 1; t < pool->threads; t++) pthread_join(thread[t], NULL);
}

/* Rank 4: [a, b, c, d] as the layout orders them; 0 ends a shorter shape. */
static inline oct_tensor *fixture_tensor(oct_layout layout, int a, int b, int c, int d)
{
    oct_tensor *t = fixture_alloc(sizeof *t);
    *t = (oct_tensor){ .layout = layout, .rank = 1 + (b > 0) + (c > 0) + (d > 0),
                       .dim = { a, b, c, d } };
    ck_assert_int_eq(oct_tensor_check(t), OCT_OK);
    t->data = fixture_alloc(oct_tensor_size(t));
    float *p = t->data;
    for (size_t i = 0; i < oct_tensor_count(t); i++) /* -4 .. 4 in steps that floats have */
        p[i] = (float)((int)(test_rand() % 8193) - 4096) * 0x1p-10f;
    return t;
}
static inline oct_tensor *fixture_image(int n, int c, int h, int w)
{
    return fixture_tensor(OCT_BLOCKED, n, h, w, c);
}

/* Element (s, ch, y, x) of a BLOCKED image: tensor.h's formula, written out again. */
static inline float *fixture_at(const oct_tensor *t, int s, int ch, int y, int x)
{
    const int h = t->dim[1], w = t->dim[2], c = t->dim[3], b = ch / 64;
    const int width = c - 64 * b < 64 ? c - 64 * b : 64;
    return (float *)t->data + s * h * w * c + b * 64 * h * w + (y * w + x) * width + ch % 64;
}

static inline int fixture_same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return 0;
    return 1;
}

/* infer, then prepare and run for every ISA and 1, 2, 3 threads, n samples of the batch: the bytes
 * must be the same, those after them untouched.  The last run's output stays in args->out. */
static inline void fixture_op(const oct_op *op, oct_args *args, int n)
{
    enum { RUBBISH = 0x7b };
    oct_tensor *y = args->out;
    ck_assert_msg(op->infer(args) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(oct_tensor_check(y), OCT_OK);
    const size_t all = oct_tensor_count(y), used = oct_tensor_sample_count(y) * (size_t)n;
    const size_t size = all * sizeof(float) + OCT_TAIL;
    float *want = fixture_alloc(size);
    int seen = 0;
    y->data = fixture_alloc(size);
    for (const oct_vec *const *v = oct_vec_all; *v; v++) {
        if (((*v)->needs & oct_cpu_flags()) != (*v)->needs) continue;
        for (int threads = 1; threads <= 3; threads++) {
            oct_prepare how = { .cpu = (*v)->needs, .threads = threads, .arena = &fixture_arena };
            void *state = NULL;
            oct_pool pool = { threads, fixture_run };
            ck_assert_msg(op->prepare(args, &how, &state) == OCT_OK, "%s", oct_last_error());
            ck_assert_ptr_nonnull(how.kernel);
            memset(y->data, RUBBISH, size);
            op->run(args, state, &(oct_run){ .pool = &pool, .n = n });
            if (!seen++) memcpy(want, y->data, size);
            ck_assert_msg(fixture_same(want, (const float *)y->data, used),
                          "%s: %s with %d threads differs", op->name, how.kernel, threads);
        }
        const unsigned char *p = y->data;
        int touched = 0; /* ck_assert is too slow for every byte */
        for (size_t i = used * sizeof(float); i < size; i++) touched |= p[i] != RUBBISH;
        ck_assert_int_eq(touched, 0);
    }
    ck_assert_int_gt(seen, 0);
}

#endif
