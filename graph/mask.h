#ifndef OCT_GRAPH_MASK_H
#define OCT_GRAPH_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/status.h"

/* Pruning by magnitude: which weights of conv2d and linear stay.
 *
 *   keep[i] = 0 for the round(amount * units) units with the smallest scores, else 1
 *
 *   w     float [out, in, taps], row-major: conv2d's [out, in, kh, kw] with taps = kh * kw,
 *         linear's [out, in] with taps = 1; in of a grouped convolution is that of a group
 *   keep  a byte each for w[i], in w's order
 *
 *   structure      unit, at one tap                       score
 *   unstructured   a weight                               |w|
 *   1x4            4 consecutive inputs of an output      mean of their |w|
 *   4x1            4 consecutive outputs of an input      mean of their |w|
 *   2:4            in each 4 consecutive inputs of an output at least 2 go, the smallest |w|
 *
 * Where 4 do not divide the inputs (1x4, 2:4) or outputs (4x1), the last unit of a row has the 1 to
 * 3 that are left.  Among whole blocks the mean orders as the L1 norm does; by the norm itself a
 * short block would go first just for being short.  2:4 takes what is missing for zeros that went
 * already: of 3 one weight goes, of 2 or 1 none.
 * Units are counted over all layers that are given together, and the number that goes is rounded
 * half to even: unstructured, one layer is torch.nn.utils.prune.l1_unstructured, several are
 * global_unstructured(pruning_method=L1Unstructured), down to the mask wherever the largest score
 * that goes is not also the smallest that stays.  Of equal scores the first go: layers in order,
 * in a layer units in row-major order of [out, in, taps].
 * Exact: a mean is summed in double in rising order and divided once, so masks are the same on
 * every machine.  -0 is 0; a NaN is larger than everything.  What was 0 before is a weight like
 * any other: it has the smallest score.
 * layer[] and keep may not overlap. */
typedef enum oct_mask_structure {
    OCT_MASK_UNSTRUCTURED, OCT_MASK_2_4, OCT_MASK_1X4, OCT_MASK_4X1
} oct_mask_structure;

typedef struct oct_mask_layer {
    const float *w;
    int out, in, taps;      /* each >= 1 */
} oct_mask_layer;

/* Units with a smaller key go, and of those with this one the first `ties`. */
typedef struct oct_mask_cut {
    uint64_t key;
    size_t ties;
} oct_mask_cut;

/* "unstructured", "2:4", "1x4", "4x1"; ERR_UNSUPPORTED: another name. */
OCT_MUST_CHECK oct_status oct_mask_find(const char *name, oct_mask_structure *out);
const char *oct_mask_name(oct_mask_structure s);

/* amount in 0 .. 1, of all units of layer[0..n); 2:4 does not ask for it. */
OCT_MUST_CHECK oct_status oct_mask_cut_find(oct_mask_structure s, double amount,
                                            const oct_mask_layer *layer, int n, oct_mask_cut *out);
/* The mask of one layer, of those the cut was made for in their order: ties are used up. */
void oct_mask_fill(oct_mask_structure s, const oct_mask_layer *layer, oct_mask_cut *cut,
                   unsigned char *keep);

#endif
