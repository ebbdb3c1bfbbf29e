#ifndef OCT_OPS_LINEAR_H
#define OCT_OPS_LINEAR_H

#include "ops/attr.h"
#include "ops/op.h"

/* The ways to compute a linear layer; ops/linear.c chooses by x's dtype.  Each has a prepare and a
 * run with the meaning they have in oct_op. */

/* ops/linear_s8.c: x U8 or, quantized at run time, F32; w S8. */
OCT_MUST_CHECK oct_status oct_linear_s8_prepare(const oct_args *args, oct_prepare *how,
                                                void **state);
void oct_linear_s8_run(const oct_args *args, const void *state, const oct_run *r);

/* Where element k of x, in the order it lies in memory, is in PyTorch's c, h, w, and -1 at the end;
 * NULL: same. */
OCT_MUST_CHECK oct_status oct_linear_order(const oct_tensor *x, oct_arena *arena, int32_t **perm);

/* Rows of a tile at row i of `rows` for a kernel of two groups of up to `most`: all tiles about
 * equal, 9 rows of 14 are better two of 4 and 1 than 7 and 2. */
typedef struct oct_linear_rows {
    int rows, groups;
} oct_linear_rows;
oct_linear_rows oct_linear_next(int i, int rows, int most);

#endif
