#ifndef OCT_TESTS_RUN_OP_H
#define OCT_TESTS_RUN_OP_H

#include "ops/op.h"

/* One operator, alone: infer, prepare, run, for tests.  Everything lives in arena. */
typedef struct test_op {
    unsigned cpu;
    int texts;             /* of r->texts */
    int threads;           /* ids handed to bodies; all work is done by the caller, in odd order */
    oct_dtype precision;
    oct_sgemm *sgemm;
    const oct_packed *given; /* as in oct_prepare */
    int n_given;
    oct_prepare how;       /* what prepare said */
    oct_arena arena;
} test_op;

/* Runs the first n samples.  args->out->data is allocated if NULL; workspace is filled with NaN
 * bytes first, so that what a run reads without having written shows.  Asserts on failures. */
void test_op_run(test_op *t, oct_op_kind kind, oct_args *args, int n);

/* On every ISA, with 1 to 3 threads: args->out becomes want's bytes. */
void test_op_is(test_op *t, oct_op_kind kind, oct_args *args, int n, const void *want);

/* infer or, if that accepts them, prepare refuses these operands, with this message. */
void test_op_refused(test_op *t, oct_op_kind kind, oct_args *args, const char *message);

/* data of a tensor, filled with seeded uniform values in -1 .. 1 (F32 only), in t's arena. */
void test_op_fill(test_op *t, oct_tensor *x);

/* BLOCKED [n,h,w,c]: index of an element. */
size_t test_blocked(const oct_tensor *x, int n, int y, int xx, int c);

/* Calls body for ref and for every ISA this CPU has: flags for oct_prepare. */
void test_each_isa(void (*body)(unsigned cpu, void *arg), void *arg);

#endif
