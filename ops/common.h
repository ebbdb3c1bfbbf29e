#ifndef OCT_OPS_COMMON_H
#define OCT_OPS_COMMON_H

#include "ops/kernels/vec.h"
#include "ops/op.h"

/* What every infer() asks first; op is the operator's name, for the message.
 *   f32     x is there, F32, of rank >= 1, every dimension >= 1, its size fits; rank 4 if BLOCKED
 *   image   the same, and BLOCKED
 *   value   as f32, or U8 that is quantized: one scale, 2^-64 <= scale < 2^64, zero in 0 .. max */
OCT_MUST_CHECK oct_status oct_infer_f32(const char *op, const oct_tensor *x);
OCT_MUST_CHECK oct_status oct_infer_image(const char *op, const oct_tensor *x);
OCT_MUST_CHECK oct_status oct_infer_value(const char *op, const oct_tensor *x);
/* Of operators on texts:
 *   rows    f32 and DENSE [m, d]
 *   starts  starts is there, S32 [texts + 1]
 *   param   p is there, F32 [d] */
OCT_MUST_CHECK oct_status oct_infer_rows(const char *op, const oct_tensor *x);
OCT_MUST_CHECK oct_status oct_infer_starts(const char *op, const oct_tensor *starts);
OCT_MUST_CHECK oct_status oct_infer_param(const char *op, const oct_tensor *p, int d);

/* A weight that floating-point kernels can read: F32, F16, BF16 or F64. */
OCT_MUST_CHECK oct_status oct_infer_float_weight(const char *op, const oct_tensor *w);

/* out gets x's dtype, quantization, layout and shape; its data stays.  If a dimension is then made
 * larger, oct_infer_value(op, out) is due. */
void oct_infer_like(oct_tensor *out, const oct_tensor *x);

/* prepare() of an operator that needs row kernels and nothing else: *state is an
 * `const oct_vec *const *` in how->arena. */
OCT_MUST_CHECK oct_status oct_prepare_vec(const char *op, oct_prepare *how, void **state);

/* size bytes of how->arena, or ERR_MEMORY. */
OCT_MUST_CHECK oct_status oct_prepare_alloc(const char *op, oct_prepare *how, size_t size,
                                            void **out);

/* A BLOCKED image's units of work are rows: h of each block of each sample.  Those of [first, end)
 * that lie in the same block of the same sample, from first on: */
typedef struct oct_rows {
    size_t sample;
    int block, width;   /* block of channels, channels in it */
    int row, count;     /* rows of it */
    size_t at;          /* floats from the tensor's begin to the first row's first pixel */
} oct_rows;
oct_rows oct_rows_next(const oct_tensor *image, size_t first, size_t end);
size_t oct_rows_units(const oct_tensor *image, int n);  /* of n samples */
size_t oct_rows_size(const oct_tensor *image);          /* bytes of the widest row */

#endif
