#ifndef OCT_CUDA_STEPS_H
#define OCT_CUDA_STEPS_H

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "ops/op.h"

/* What backend.c, prepare*.c and pack.c share: the device and its steps. */

/* One launch, with everything it is told. */
typedef struct oct_cuda_step oct_cuda_step;
struct oct_cuda_step {
    int (*launch)(void *stream, const oct_cuda_step *s);
    oct_cuda_rows rows;
    oct_cuda_value x, b, y;
    const float *raw;            /* FP32 without pitch, of the caller */
    float *to;                   /* for the caller */
    const float *gamma, *beta;   /* or a table, in gamma */
    const float *inverse;        /* quantize: of each column, or NULL */
    const int32_t *starts;
    oct_qparams *sample;
    uint8_t *fill;
    int *bad;                    /* counters of oct_cuda_count_bad */
    int owner;                   /* the plan's step that it belongs to; -1: none */
    oct_act act;
    float eps, scale_a;
    int zero_a, pixels;
    oct_quant quant;
    oct_requant out;
    oct_cuda *cuda;              /* that does the product first, whose epilogue u.conv is */
    oct_cuda_product product;
    float ours_ms, library_ms;   /* of our kernel and of cuBLAS; 0: not timed */
    union {
        oct_cuda_conv conv;
        oct_cuda_pool pool;
        oct_cuda_embedding embedding;
        oct_cuda_attention attention;
        oct_cuda_copy copy;
    } u;
};

enum { OCT_CUDA_MAX_PORTS = 8 };

/* An input or output: where the caller has it and where the device does. */
typedef struct oct_cuda_port {
    const oct_tensor *tensor;
    void *host, *device;
    size_t row;                  /* bytes of a sample, token or text */
    int per_text, extra;         /* rows of each run beyond their number: starts has one */
} oct_cuda_port;

/* OCT_CUDA_ISLAND + k: operand k of a step in FP32, OCT_MAX_IN: its output. */
typedef enum oct_cuda_use { OCT_CUDA_BYTES, OCT_CUDA_PARTS, OCT_CUDA_ISLAND,
                            OCT_CUDA_SCRATCHES = OCT_CUDA_ISLAND + OCT_MAX_IN + 1 } oct_cuda_use;

struct oct_device {
    oct_cuda *cuda;
    oct_dtype floats;            /* of FP32 values that are not wide */
    oct_dtype step_floats;       /* of the step that is being prepared: F32 in an island */
    const oct_tensor **wide;     /* [n_wide] */
    int n_wide, max_wide;
    const unsigned char *values; /* [value_size] on the device, all of the plan's */
    size_t value_size;
    oct_library library;
    enum { OCT_CUDA_UNKNOWN, OCT_CUDA_OPEN, OCT_CUDA_MISSING } library_state;
    int watch, *bad, *host_bad;  /* [n_prepared][2]: NaN, infinite; on the device, pinned */
    int n_prepared;              /* steps of the plan */
    int *count, *host_count;     /* see backend.c; on the device, pinned */
    int *arrived;                /* [OCT_CUDA_BLOCKS] on the device: oct_cuda_conv's */
    oct_cuda_step *step;
    int n_steps, max_steps;
    oct_cuda_port in[OCT_CUDA_MAX_PORTS], out[OCT_CUDA_MAX_PORTS];
    int n_ins, n_outs;
    void *scratch[OCT_CUDA_SCRATCHES];
    size_t scratch_size[OCT_CUDA_SCRATCHES];
};

/* Memory that a step writes and it or the next one alone reads, one of two. */
OCT_MUST_CHECK oct_status oct_cuda_scratch(oct_device *d, oct_cuda_use use, size_t size,
                                           void **out);

/* *out: a new step, all zeros but rows, which are y's, and y; valid until the next one. */
OCT_MUST_CHECK oct_status oct_cuda_add_step(oct_device *d, const oct_tensor *y, int per_text,
                                            oct_cuda_step **out);

/* Rows of FP32 without pitch, raw, become y. */
int oct_cuda_launch_import(void *stream, const oct_cuda_step *s);

/* How t lies on the device: while a step is prepared FP32 values are step_floats. */
oct_cuda_value oct_cuda_value_of(const oct_device *d, const oct_tensor *t);
oct_cuda_rows oct_cuda_rows_of(const oct_device *d, const oct_tensor *t, int per_text);
int oct_cuda_pitch(oct_dtype type, int cols);

/* Is t the caller's: as it has it, without pitch. */
int oct_cuda_is_input(const oct_device *d, const oct_tensor *t);
/* *x: operand t as a value; an FP32 input of the caller's is turned into one first. */
OCT_MUST_CHECK oct_status oct_cuda_operand(oct_device *d, const oct_tensor *t, int per_text,
                                           oct_cuda_value *x);

/* count floats of a constant, or of host memory, on the device. */
OCT_MUST_CHECK oct_status oct_cuda_constant(oct_device *d, const oct_tensor *t, oct_prepare *how,
                                            const float **out);
OCT_MUST_CHECK oct_status oct_cuda_put(oct_device *d, const void *from, size_t size,
                                       oct_prepare *how, const void **out);

/* prepare_conv.c: conv2d and linear */
OCT_MUST_CHECK oct_status oct_cuda_prepare_conv(oct_device *d, oct_op_kind kind,
                                                const oct_args *args, int per_text,
                                                oct_prepare *how);
/* The memory of c's parts of k, c->partial. */
OCT_MUST_CHECK oct_status oct_cuda_parts(oct_device *d, oct_cuda_conv *c);
/* product.c: the step of conv2d or linear, made for our kernel, gets another tile or is cuBLAS's
 * from now on, as d->library says; how's kernel and times, too. */
OCT_MUST_CHECK oct_status oct_cuda_choose_product(oct_device *d, oct_cuda_step *step,
                                                  oct_prepare *how);
/* prepare.c: all operators, in step_floats */
OCT_MUST_CHECK oct_status oct_cuda_prepare_op(oct_device *d, oct_op_kind kind,
                                              const oct_args *args, int per_text,
                                              oct_prepare *how);
int oct_cuda_is_wide(const oct_device *d, const oct_tensor *t);
/* island.c: the same; a step with a wide operand or a wide output is computed in FP32, and what is
 * not wide is converted before or after. */
OCT_MUST_CHECK oct_status oct_cuda_prepare(oct_device *d, oct_op_kind kind, const oct_args *args,
                                           int per_text, oct_prepare *how);

/* pack.c: a layer's shape as an implicit GEMM, and its weights. */
typedef struct oct_cuda_shape {
    const char *op;
    int c, h, w, out, groups;    /* c: channels that a sum reads, of a group */
    int kernel[2], stride[2], pad[2], dilation[2];
    int winograd;                /* 4 or 2: F(4x4) or F(2x2), of FP32; else 0 */
} oct_cuda_shape;

/* pack_winograd.c: c->w of a layer that is Winograd's; c->n_pad is there. */
OCT_MUST_CHECK oct_status oct_cuda_pack_winograd(oct_device *d, const oct_cuda_shape *s,
                                                 const oct_tensor *w, oct_prepare *how,
                                                 oct_cuda_conv *c);
/* c->w, bias, scale, fbias, fill, chunks, steps, n_pad, tiles for values of `type` (F16, F32, U8).
 * ERR_FORMAT: a weight of an F16 layer is not finite. */
OCT_MUST_CHECK oct_status oct_cuda_pack(oct_device *d, const oct_cuda_shape *s, oct_dtype type,
                                        const oct_args *args, oct_prepare *how, oct_cuda_conv *c);

#endif
