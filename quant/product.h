#ifndef OCT_QUANT_PRODUCT_H
#define OCT_QUANT_PRODUCT_H

#include "ops/op.h"

/* C[m,n] = A[m,k] B[n,k]^T (+ C)      FP32, dense, row-major
 *
 * The linear operator, for matrices that are no layer: B is packed once and multiplied with many
 * A.  Its promise is linear's: a sum over k is one chain in rising order, so C has the same bits on
 * every ISA and for every number of threads.
 *   a, c   64 readable bytes behind them (an arena's); c may not overlap a */
typedef struct oct_product oct_product;

/* For up to m rows of A.  b may go after this.  *out is the caller's. */
OCT_MUST_CHECK oct_status oct_product_open(int m, int n, int k, const float *b, unsigned cpu,
                                           oct_pool *pool, oct_product **out);
/* add 1: to what c holds */
void oct_product_run(oct_product *p, int rows, const float *a, int add, float *c);
void oct_product_close(oct_product *p); /* NULL is fine */

#endif
