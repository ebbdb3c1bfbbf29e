#ifndef OCT_OPS_CONV2D_TILES_H
#define OCT_OPS_CONV2D_TILES_H

#include "ops/conv2d.h"

/* A convolution by Winograd's F(m x m, 3 x 3), whatever its elements: where the tiles are and how a
 * run walks over them.
 *
 *   tiles      m x m outputs each; those of all images are numbered in one row
 *   items      a block of tiles x some panels of nr output channels, one thread, one region for
 *              the whole layer:
 *                V of the block, all input channels                     stays in L2
 *                  panel: U is read once, in the order of memory, prefetched ahead
 *                    xi: matrix product of V[xi] and U[xi]              sums stay in registers
 *                    output transform of the block
 *   cut        where there are more threads than blocks, several threads take the same block and
 *              different panels: each transforms the block's input for itself, which costs less
 *              than a second parallel region and keeps V in its own L2
 *
 * No result depends on blocks, panels or threads. */
typedef struct oct_conv2d_tiles {
    oct_conv2d_shape c;
    int m, p;                  /* p = m + 2 */
    int across, count;         /* tiles of an image: in a row, in all */
    int capacity;              /* of a block */
    int nr, n_panels;
    double input_cost;         /* of a tile's input transform, see cut in conv2d_tiles.c */
} oct_conv2d_tiles;

/* Blocks: all tiles in one if all of V fits `all` bytes; else as many as fit `block`, so that M
 * fits L2 too, but not fewer than `few`, because each block reads all of U. */
typedef struct oct_conv2d_tiles_cache {
    size_t tile;               /* bytes of V of a tile */
    size_t all, block;
    int few;
} oct_conv2d_tiles_cache;

/* For a 3x3 convolution without stride and dilation and one group. */
OCT_MUST_CHECK oct_status oct_conv2d_tiles_make(const oct_args *args, int m, int nr,
                                                const oct_conv2d_tiles_cache *cache,
                                                oct_conv2d_tiles *out);

typedef struct oct_conv2d_tile_pos { int image, ty, tx; } oct_conv2d_tile_pos;
oct_conv2d_tile_pos oct_conv2d_tile_pos_of(const oct_conv2d_tiles *t, int tile);
void oct_conv2d_tile_next(const oct_conv2d_tiles *t, oct_conv2d_tile_pos *at);

/* Block b of a tile's input: its pixels y0 <= i < y1, x0 <= j < x1 exist, (0, 0) is or would be
 * element `at` of x; pixels are `width` elements. */
typedef struct oct_conv2d_tile_in {
    int y0, y1, x0, x1;
    ptrdiff_t at;
    int width;
} oct_conv2d_tile_in;
oct_conv2d_tile_in oct_conv2d_tile_input(const oct_conv2d_tiles *t, oct_conv2d_tile_pos at, int b);

/* The outputs of a tile that exist in a panel: rows x cols pixels of `width` elements, `lanes`
 * channels of them, the first element `at` of y. */
typedef struct oct_conv2d_tile_out {
    int rows, cols, lanes;
    size_t at;
    int width;
} oct_conv2d_tile_out;
oct_conv2d_tile_out oct_conv2d_tile_output(const oct_conv2d_tiles *t, oct_conv2d_tile_pos at,
                                           int panel);

/* What a run does, in scratch memory of its thread. */
typedef struct oct_conv2d_tiles_job {
    const oct_conv2d_tiles *t;
    const void *own;           /* the caller's */
    void (*input)(const void *own, int first, int n, void *scratch); /* V of n tiles */
    /* M and y of a panel for n tiles; more: the next panel follows */
    void (*panel)(const void *own, int panel, int more, int first, int n, void *scratch);
    double alone;              /* multiply-adds of a product not worth a parallel region */
    int total;                 /* the rest is the walk's own: tiles of all images */
    int blocks, panel_items;   /* items are blocks * panel_items */
    const oct_run *r;
} oct_conv2d_tiles_job;

/* All tiles of r->n images. */
void oct_conv2d_tiles_run(oct_conv2d_tiles_job *job, const oct_run *r);

#endif
