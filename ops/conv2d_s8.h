#ifndef OCT_OPS_CONV2D_S8_H
#define OCT_OPS_CONV2D_S8_H

#include "ops/conv2d_geometry.h"
#include "ops/kernels/gemm_s8.h"

/* A convolution on gemm_s8, packed: what conv2d_s8.c and conv2d_dynamic.c share. */
typedef struct oct_conv2d_s8 {
    oct_conv2d_geometry g;
    const oct_gemm_s8 *gemm;
    oct_requant out;
    char *packed;
    size_t panel_size;         /* the largest */
} oct_conv2d_s8;

/* All of it, with a record of gemm_s8.h or gemm_s8_24.h.  x FP32: panels packed with zero 0. */
OCT_MUST_CHECK oct_status oct_conv2d_s8_make(const oct_args *args, oct_prepare *how,
                                             const char *family, const oct_gemm_s8 *gemm,
                                             oct_conv2d_s8 *s);

/* A job of all images, padding made of byte `fill`; own: for tiles. */
oct_conv2d_job oct_conv2d_s8_job(const oct_args *args, const oct_conv2d_s8 *s,
                                 oct_conv2d_do *tiles, const void *own, int fill);

/* What the tiles of a stretch share, their rows without a scale and zero of their own; then all of
 * them, which changes the rest of *t. */
oct_gemm_s8_args oct_conv2d_s8_args(const oct_conv2d_s8 *s, const oct_conv2d_stretch *at);
void oct_conv2d_s8_tiles(const oct_conv2d_s8 *s, const oct_conv2d_job *job,
                         const oct_conv2d_stretch *at, oct_gemm_s8_args *t);

#endif
