#ifndef OCT_OPS_KERNELS_GEMM_SEG_H
#define OCT_OPS_KERNELS_GEMM_SEG_H

#include <stddef.h>

/* A run of consecutive k of an implicit matrix, gemm_f32.h and gemm_s8.h; sizes in elements. */
typedef struct oct_gemm_seg {
    ptrdiff_t offset;      /* from pixel 0 */
    int len;               /* consecutive k */
    int width;             /* elements of a pixel */
} oct_gemm_seg;

#endif
