#ifndef OCT_OPS_OP_H
#define OCT_OPS_OP_H

#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

/* The list of operators.  Enum, table and dump names all come from here. */
#define OCT_OP_LIST(X)         \
    X(LAYOUT, layout)          \
    X(CONV2D, conv2d)          \
    X(LINEAR, linear)          \
    X(BATCHNORM, batchnorm)    \
    X(ACTIVATION, activation)  \
    X(POOL, pool)              \
    X(ADD, add)                \
    X(CONCAT, concat)          \
    X(PAD, pad)                \
    X(FLATTEN, flatten)        \
    X(SOFTMAX, softmax)        \
    X(EMBEDDING, embedding)    \
    X(LAYERNORM, layernorm)    \
    X(ATTENTION, attention)    \
    X(FIRST, first)            \
    X(QUANTIZE, quantize)      \
    X(DEQUANTIZE, dequantize)

typedef enum oct_op_kind {
#define X(KIND, name) OCT_OP_##KIND,
    OCT_OP_LIST(X)
#undef X
    OCT_OP_COUNT
} oct_op_kind;

enum { OCT_MAX_IN = 8 };

/* Operands of one node; no graph in sight, so an operator is tested alone. */
typedef struct oct_args {
    const void *attr;           /* the operator's own struct, see ops/attr.h; NULL: it has none */
    oct_tensor *in[OCT_MAX_IN]; /* absent optional operands are NULL */
    oct_tensor *out;
} oct_args;

/* C[m,n] = A[m,k] * B[n,k]^T, row-major, no gaps: another provider of FP32 matrix products. */
typedef void oct_sgemm(int m, int n, int k, const float *a, const float *b, float *c);

/* A piece of packed weights: what an operator made of constants, in the layout of its kernel.  It
 * starts on a 64-byte line; size bytes of it are readable, oct_packed_size of what was asked
 * for. */
typedef struct oct_packed {
    const void *data;
    size_t size;
    oct_dtype type;             /* what its weights are held in: F32, F16, BF16, S8 */
} oct_packed;

enum { OCT_MAX_PACKED = 4, /* pieces of one step */
       OCT_PACKING = 5 };  /* of plans and layouts: a file with another number is refused */

/* What prepare may use, and what it says about the step it made. */
typedef struct oct_prepare {
    unsigned cpu;         /* OCT_CPU_* flags the plan may use */
    int threads;          /* of the pool the plan will run on */
    oct_dtype precision;  /* of conv2d and linear: F32; F16: weights in half; BF16: both operands */
    oct_sgemm *sgemm;     /* does the FP32 matrix products; NULL: our own kernels */
    oct_arena *arena;     /* lives as long as the plan */
    const oct_packed *given; /* packed before, in the order prepare asks, and there as long as */
    int n_given;             /* the plan; NULL: prepare packs */

    oct_packed packed[OCT_MAX_PACKED]; /* out: what oct_prepare_packed gave, in order */
    int n_packed;
    const char *kernel;   /* out: what runs, "gemm_f32/avx512"; a literal or in arena */
    oct_dtype type;       /* out: what its weights are held in; a layer may stay F32 */
    double macs;          /* out: multiply-adds of one sample */
    float ours_ms;        /* out: of a device that timed the step's product, our kernel's; and */
    float library_ms;     /* its library's, where that can do it; else 0 */
    size_t weight_size;   /* out: bytes of packed weights read by a run */
    size_t shared_size;   /* out: bytes of workspace, all threads together */
    size_t thread_size;   /* out: bytes of workspace of each thread */
} oct_prepare;

/* What a run may use.  n is the number of samples, 1 <= n <= dim[0] of every activation: run
 * computes these and leaves the others alone.  Of texts (ops/attr.h) it is the number of tokens, or
 * that of texts where the output has a row for each text.  Workspace starts on a 64-byte line,
 * holds what prepare asked for and rubbish from other steps, and is followed by 64 readable
 * bytes. */
typedef struct oct_run {
    oct_pool *pool;
    int n;
    int texts;              /* entries of `starts` that are written, less one; 0: no texts */
    void *shared;
    unsigned char *thread_base;
    size_t thread_stride;
} oct_run;

static inline void *oct_run_scratch(const oct_run *r, int thread)
{
    return r->thread_base + (size_t)thread * r->thread_stride;
}

/* For prepare: room for size bytes of packed weights.  *ready 0: the operator fills all of it; the
 * 64 bytes behind it and the rest of their line are zeros.  *ready 1: it is the piece of a compiled
 * file, packed, read-only, and the constants have no data.  Everything that an operator keeps of
 * its constants' values goes through here, in an order that depends on shapes and how->cpu only.
 * how->type is the piece's, chosen before by ops/precision.h.
 * ERR_FORMAT: a given piece has another size, or there is none. */
OCT_MUST_CHECK oct_status oct_prepare_packed(const char *op, oct_prepare *how, size_t size,
                                             void **out, int *ready);
/* size with the 64 readable bytes, up to the end of their line: what a file keeps. */
size_t oct_packed_size(size_t size);

/* Where the data of a constant would be, of which there is only the packed form. */
extern unsigned char oct_no_data[];

/*  infer    shapes, dtype and layout of out, or why they do not fit; touches no data
 *  prepare  choose the kernel, pack the weights, into *state; data of constants is there
 *           unless they come packed (oct_prepare_packed)
 *  run      compute; cannot fail, allocates nothing, called many times                    */
typedef struct oct_op {
    const char *name;
    OCT_MUST_CHECK oct_status (*infer)(oct_args *args);
    OCT_MUST_CHECK oct_status (*prepare)(const oct_args *args, oct_prepare *how, void **state);
    void (*run)(const oct_args *args, const void *state, const oct_run *r);
} oct_op;

#define X(KIND, name) extern const oct_op oct_op_##name;
OCT_OP_LIST(X)
#undef X

extern const oct_op *const oct_ops[OCT_OP_COUNT];

/* What a device can do at most, 10^9 a second: operations (two a multiply-add) of each type, bytes
 * from and to its memory; 0 where that is not known. */
typedef struct oct_peaks {
    double fp32, fp16, int8, bytes;
    int overlap;           /* a launch may begin while the one before it ends */
} oct_peaks;

/* A device other than the CPU that runs a plan's steps: cuda/ fills such a record,
 * models/backends.c knows its name, graph/plan.c asks it in this order.
 *   open     the device.  ERR_DEVICE: there is none, or it is of no use.  ERR_UNSUPPORTED: there is
 *            no library for products
 *   widen    value t is held as FP32, whatever floats is: half has no room for it
 *   size     bytes of a value in the device's memory; as the caller has it if it is an input
 *   place    *base: device memory for all values, size bytes; freed by close
 *   input    *host: where the caller writes t, an input at its place in the device's memory
 *   prepare  as oct_op's; activations of args are at their places in the device's memory, constants
 *            have data.  per_text: the output has a row for each text.  Fills how's kernel, type,
 *            macs and weight_size.  ERR_UNSUPPORTED: the device has no kernel for it
 *   output   *host: where the caller reads t
 *   seal     no more steps will come
 *   run      from host to host: rows samples or tokens, texts of them or 0.  ERR_DEVICE also if a
 *            value that was finite is not as a half; not if the device watches
 *   watched  *nan, *infinite: how many values of prepared step `step` were so in the last run
 *   time     as run, but ms[i] is what prepared step i took; nothing is given back
 *   time_run as run, but *ms is what it took on the device, copies left out; nothing is given back
 *   peaks    what the device can do
 *   close    frees everything; NULL is fine */
typedef enum oct_library { OCT_LIBRARY_NEVER, OCT_LIBRARY_ALWAYS, OCT_LIBRARY_FASTER } oct_library;
typedef struct oct_device_options {
    oct_dtype floats;      /* F16 or F32: what it holds FP32 values as */
    int watch;             /* runs count, see watched */
    oct_library library;   /* its maker's library does the products of halves that it can do; */
                           /* FASTER: where it is there and was the faster one when timed, as is
                            * what our own kernels can choose without another bit; NEVER: nothing
                            * is timed */
} oct_device_options;
typedef struct oct_device oct_device;
typedef struct oct_backend {
    const char *name;      /* "cuda" */
    OCT_MUST_CHECK oct_status (*open)(const oct_device_options *options, oct_device **out);
    OCT_MUST_CHECK oct_status (*widen)(oct_device *d, const oct_tensor *t);
    size_t (*size)(const oct_device *d, const oct_tensor *t, int is_input);
    OCT_MUST_CHECK oct_status (*place)(oct_device *d, size_t size, unsigned char **base);
    OCT_MUST_CHECK oct_status (*input)(oct_device *d, const oct_tensor *t, void **host);
    OCT_MUST_CHECK oct_status (*prepare)(oct_device *d, oct_op_kind kind, const oct_args *args,
                                         int per_text, oct_prepare *how);
    OCT_MUST_CHECK oct_status (*output)(oct_device *d, const oct_tensor *t, int per_text,
                                        void **host);
    OCT_MUST_CHECK oct_status (*seal)(oct_device *d);
    OCT_MUST_CHECK oct_status (*run)(oct_device *d, int rows, int texts);
    void (*watched)(const oct_device *d, int step, int *nan, int *infinite);
    OCT_MUST_CHECK oct_status (*time)(oct_device *d, int rows, int texts, float *ms);
    OCT_MUST_CHECK oct_status (*time_run)(oct_device *d, int rows, int texts, float *ms);
    oct_peaks (*peaks)(const oct_device *d);
    void (*close)(oct_device *d);
} oct_backend;

/* For prepare: how->kernel = "family/isa", in how->arena. */
OCT_MUST_CHECK oct_status oct_kernel_name(oct_prepare *how, const char *family, const char *isa);

#endif
