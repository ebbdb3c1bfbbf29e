#ifndef OCT_OPS_CONV2D_STRIPS_H
#define OCT_OPS_CONV2D_STRIPS_H

#include "ops/conv2d.h"
#include "ops/kernels/sparse_pixels.h"
#include "ops/sparse.h"

/* A convolution on strips of planes, whatever its elements: how sparse kernels see x and y.
 *
 *   flat     outputs of an image are numbered y * pitch + x; pitch is the width of a map's row with
 *            what its taps reach past it, so that a tap is one offset for all of them.  What lies
 *            between two rows is computed and forgotten.  Without padding, stride and taps the
 *            pitch is ow: nothing lies between
 *   phases   with a stride, pixels of the padded image whose coordinates have the same remainder
 *            are a map of their own, in which neighbours are neighbours
 *   strip    some vectors of flat outputs and all that they read, planar, in the thread's
 *            scratch: [c / per][phase][rows of the flat map], `size` bytes each
 *   items    a strip x some panels, one thread: the strip is made, its panels follow
 *
 * Where the strips begin depends on the shape and the kernel only, as offsets are packed. */

/* Taps with the same remainders of their coordinates by the stride. */
typedef struct oct_conv2d_phase {
    int y, x;
} oct_conv2d_phase;

typedef struct oct_conv2d_strips {
    oct_conv2d_shape c;
    int lanes, per, size;      /* pixels of a vector; channels of a plane; their bytes a pixel */
    int pitch, flat;           /* of the map; outputs of an image, with what lies between rows */
    int vecs, strips;          /* of a strip; of an image */
    int length;                /* pixels of a plane that are read */
    size_t plane;              /* bytes */
    int n_phases;
    oct_conv2d_phase *phase;
    int *phase_of;             /* [taps] */
} oct_conv2d_strips;

/* For a convolution of one group whose input channels `per` divides, batch images, tiles of up to
 * vecs vectors, elements of size / per bytes.  ERR_UNSUPPORTED: too large. */
OCT_MUST_CHECK oct_status oct_conv2d_strips_make(const oct_conv2d_shape *c, int batch, int lanes,
                                                 int vecs, int per, int size, oct_arena *arena,
                                                 oct_conv2d_strips *out);
size_t oct_conv2d_strips_size(const oct_conv2d_strips *s);   /* bytes of a strip */
/* Where plane p (of c / per) at tap t begins, and the largest place at which a tile may read. */
int32_t oct_conv2d_strips_offset(const oct_conv2d_strips *s, int p, int t);
int32_t oct_conv2d_strips_most(const oct_conv2d_strips *s);

/* Strip `strip` of an image; `fill`, each byte of what lies outside of it.  *odd: oct_sparse_in. */
void oct_conv2d_strips_input(const oct_conv2d_strips *s, void (*input)(const oct_sparse_in *in),
                             const unsigned char *image, int strip, int fill,
                             unsigned char *planes, int *odd);

/* Runs of outputs of a strip, for one image and a block of `width` output channels: at most one a
 * row of the map. */
enum { OCT_STRIPS_RUNS = 16 * 16 + 1 };        /* of 16 vectors of 16 lanes */
int oct_conv2d_strips_runs(const oct_conv2d_strips *s, int strip, int width, oct_sparse_run *run);

/* Where a panel of nr output channels from `first` on lies in an image of y. */
typedef struct oct_conv2d_strips_place {
    int cols, width;           /* channels of the panel, of its block */
    size_t at;                 /* elements from y's begin to the channel's pixel 0 */
} oct_conv2d_strips_place;
oct_conv2d_strips_place oct_conv2d_strips_place_of(const oct_conv2d_strips *s, int image, int first,
                                                   int nr);

/* oct_sparse_each of the strips of n images, counted through the images. */
void oct_conv2d_strips_each(const oct_conv2d_strips *s, int n, int n_panels, oct_pool *pool,
                            oct_sparse_body *body, void *arg);

#endif
