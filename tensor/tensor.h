#ifndef OCT_TENSOR_TENSOR_H
#define OCT_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* enum, name in safetensors files, bytes of one element */
#define OCT_DTYPE_LIST(X) \
    X(F32, "F32", 4)      \
    X(F16, "F16", 2)      \
    X(BF16, "BF16", 2)    \
    X(F64, "F64", 8)      \
    X(S8, "I8", 1)        \
    X(U8, "U8", 1)        \
    X(S16, "I16", 2)      \
    X(S32, "I32", 4)      \
    X(S64, "I64", 8)      \
    X(BOOL, "BOOL", 1)

typedef enum oct_dtype {
#define X(KIND, name, size) OCT_##KIND,
    OCT_DTYPE_LIST(X)
#undef X
    OCT_DTYPE_COUNT
} oct_dtype;

const char *oct_dtype_name(oct_dtype dtype);  /* "F32", as safetensors writes it */
size_t oct_dtype_size(oct_dtype dtype);       /* bytes of one element */

/* How the elements lie in memory.
 *
 *   DENSE    row-major, last dim fastest; what files and callers have
 *   BLOCKED  images between operators: rank 4, dim = n, h, w, c.  Channels are cut into blocks of
 *            OCT_BLOCK (the last one may be narrower) and each block is an image of its own with
 *            channels innermost:
 *                data[n][c / 64][h][w][c % 64]     last block: [h][w][c - 64 * (c / 64)]
 *            so there is no padding, an image of up to 64 channels is plain NHWC, and element
 *            (n,y,x,ch) is at  n*h*w*c + b*64*h*w + (y*w + x)*width + ch%64
 *            where b = ch/64 and width = min(64, c - 64*b). */
typedef enum oct_layout { OCT_DENSE, OCT_BLOCKED } oct_layout;

enum { OCT_MAX_RANK = 8, OCT_BLOCK = 64 };

/* A description; it never owns `data`.  Of an activation, dim[0] is the batch the plan was made
 * for; a run may use fewer.  A constant has its data from the start and is never written. */
typedef struct oct_tensor {
    oct_dtype dtype;
    oct_layout layout;
    int rank;
    int dim[OCT_MAX_RANK];
    void *data;
    const float *scale; /* real = scale * (q - zero);  1 entry, or dim[0] for weights; NULL: 1 */
    int zero;
    int max;            /* of a U8 activation: no q is larger; 127 or 255 */
} oct_tensor;

/* Elements of t, of one sample of t (dim[0] left out); dims were checked by oct_tensor_check. */
size_t oct_tensor_count(const oct_tensor *t);
size_t oct_tensor_sample_count(const oct_tensor *t);
size_t oct_tensor_size(const oct_tensor *t);         /* bytes */

/* Rank and dims in range, and the size fits size_t and PTRDIFF_MAX. */
OCT_MUST_CHECK oct_status oct_tensor_check(const oct_tensor *t);

/* "[2, 3]" into buf, always terminated; returns buf. */
const char *oct_tensor_shape(const oct_tensor *t, char *buf, size_t size);

/* out[0..count) = elements first.. of t as FP32, dtype F32, F16, BF16, F64 or S8.  With t->scale,
 * row r (of dim[0]) is multiplied by scale[r], rounded once: how a folded batch norm is applied,
 * and what quantized weights stand for (zero is not looked at). */
void oct_tensor_read_f32(const oct_tensor *t, size_t first, size_t count, float *out);

/* The other way: elements first.. of t, dtype F32, F16, BF16 or F64 without a scale, from FP32,
 * rounded to nearest even. */
void oct_tensor_write_f32(const oct_tensor *t, size_t first, size_t count, const float *in);

/* Channels of block b of a BLOCKED image of c channels. */
static inline int oct_block_width(int c, int b)
{
    const int left = c - b * OCT_BLOCK;
    return left < OCT_BLOCK ? left : OCT_BLOCK;
}
static inline int oct_block_count(int c) { return (c + OCT_BLOCK - 1) / OCT_BLOCK; }

#ifdef __cplusplus
}
#endif
#endif
