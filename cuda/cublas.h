#ifndef OCT_CUDA_CUBLAS_H
#define OCT_CUDA_CUBLAS_H

#include "tensor/status.h"

/* cuBLAS: opened when a plan has products for it, so that programs start without it. */
typedef struct oct_cublas oct_cublas;

/* y[i, j] = sum over k of x[i, k] w[j, k];  x, w half, sums and y FP32, pitches in elements */
typedef struct oct_cuda_product {
    int m, n, k;
    const void *x, *w;
    float *y;
    int x_pitch, w_pitch, y_pitch;
} oct_cuda_product;

/* workspace: OCT_CUBLAS_WORKSPACE bytes of device memory, cuBLAS's as long as it is open: it then
 * allocates nothing while it is captured.  32 MiB is what NVIDIA advises for sm_90.
 * ERR_UNSUPPORTED: this build has none, or it cannot be loaded. */
enum { OCT_CUBLAS_WORKSPACE = 32 << 20 };
OCT_MUST_CHECK oct_status oct_cublas_open(void *stream, void *workspace, oct_cublas **out);
void oct_cublas_close(oct_cublas *b); /* NULL is fine */
/* Puts the product on the stream; 0, or an error. */
int oct_cublas_product(const oct_cublas *b, const oct_cuda_product *p);

#endif
