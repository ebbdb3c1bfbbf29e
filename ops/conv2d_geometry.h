#ifndef OCT_OPS_CONV2D_GEOMETRY_H
#define OCT_OPS_CONV2D_GEOMETRY_H

#include "ops/conv2d.h"
#include "ops/kernels/gemm_seg.h"

/* A convolution as an implicit GEMM, whatever its elements: which rows, columns and segments of k
 * there are, and how a run walks over them.  Rows are output pixels, columns output channels, k is
 * (block of 64 channels, kh, kw, c).
 *
 *   padding    with pad > 0 the input is copied once into a frame of zeros (shared workspace), a
 *              few images at a time, so that the kernel knows no edges
 *   tiles      a row of the map is cut into runs of up to `rows` pixels, nearly equal; two runs of
 *              equal length make a tile.  The table is made once, for one image
 *   panels     nr output channels that lie in one block of the output and one group
 *   loops      item: some tiles, counted through the images, x some panels, one thread
 *                chunk of tiles whose input stays in L2, of several images where they are small
 *                  panel: its weights stay in L1 and L2
 *                    tile: sums stay in registers */
typedef struct oct_conv2d_tile {
    int in[2], out[2];         /* pixel of each run's start, padded input and output */
    int rows, groups;          /* groups: 1 or 2 runs */
} oct_conv2d_tile;

typedef struct oct_conv2d_panel {
    int first, cols;           /* output channels */
    int group;
} oct_conv2d_panel;

typedef struct oct_conv2d_segs {
    int n;
    oct_gemm_seg *seg;
} oct_conv2d_segs;

typedef struct oct_conv2d_geometry {
    oct_conv2d_shape c;
    int rows, nr;              /* of the kernel's tile, one group of it */
    int ph, pw;                /* padded image */
    int k;                     /* of a row of weights */
    int n_tiles, n_panels;
    oct_conv2d_segs *segs;     /* [groups] */
    oct_conv2d_tile *tile;
    oct_conv2d_panel *panel;
    size_t x_size;             /* bytes of an element of x */
    int images;                /* padded at a time; 0: no padding */
} oct_conv2d_geometry;

/* Elements of a padded image; how many of `batch` are worth being padded at a time. */
size_t oct_conv2d_frame_count(const oct_conv2d_geometry *g);
int oct_conv2d_frames(const oct_conv2d_geometry *g, int batch);

/* Everything but the weights, in how->arena, for a kernel of rows x nr and an x of x_size bytes an
 * element; asks for the frames' shared workspace. */
OCT_MUST_CHECK oct_status oct_conv2d_geometry_make(const oct_args *args, oct_prepare *how,
                                                   int rows, int nr, size_t x_size,
                                                   oct_conv2d_geometry *g);

/* perm[k]: element of a row of weights [c / groups, kh, kw] that is k-th in the order of segments,
 * the same for all panels of a group. */
void oct_conv2d_geometry_perm(const oct_conv2d_geometry *g, int group, int32_t *perm);

/* One run; strides in elements of x and y. */
typedef struct oct_conv2d_job oct_conv2d_job;

/* Consecutive tiles of one image under one panel. */
typedef struct oct_conv2d_stretch {
    const oct_conv2d_panel *panel;
    const oct_conv2d_segs *segs;
    const oct_conv2d_tile *tile;  /* [n] */
    int n;
    int last;                     /* no tile of the image follows */
    const void *packed;
    const char *ahead;            /* into the next panel: the first n_ahead tiles prefetch */
    int n_ahead, ahead_parts;     /* panel_size / ahead_parts bytes each */
    int image;                    /* of the job */
    const void *x;                /* the image, padded */
    size_t at;                    /* of its output pixel 0, from the job's y, elements */
    size_t width;                 /* elements from a pixel of y to the next */
} oct_conv2d_stretch;

typedef void oct_conv2d_do(const oct_conv2d_job *job, const oct_conv2d_stretch *stretch);

struct oct_conv2d_job {
    const oct_conv2d_geometry *g;
    oct_conv2d_do *tiles;
    const void *own;           /* the caller's, for tiles */
    const void *packed;        /* panels */
    size_t panel_size;         /* bytes */
    double alone;              /* multiply-adds that are not worth a parallel region */
    int fill;                  /* byte that padding is made of */
    const void *x, *residual;  /* first image; residual or NULL */
    void *y;
    size_t y_size;             /* bytes of an element of y and residual */
    int images;                /* the rest is the walk's own */
    int tile_items, panel_items;
    size_t x_count, y_count;   /* elements of an image, padded if it is */
};

/* All tiles and panels of the r->n images. */
void oct_conv2d_walk(oct_conv2d_job *job, const oct_run *r);

/* The same of job->images images, which the caller has padded: x is their frames, residual and y
 * begin with the first of them. */
void oct_conv2d_walk_frames(oct_conv2d_job *job, const oct_run *r);

#endif
