#ifndef OCT_OPS_KERNELS_GEMM_S8_24_H
#define OCT_OPS_KERNELS_GEMM_S8_24_H

#include "ops/kernels/gemm_s8.h"

/* gemm_s8 for weights that have at most 4 of each 8 k of a column, as 2:4 has: one dot product of 4
 * bytes where that takes two.  Each column's places pick its 4 of the 8 bytes of a row.
 *
 * Records, arguments, panels and segments are gemm_s8.h's, with kr 8 and groups of k like this:
 *     int8 w[nr][4]      uint8 place[nr][4], 0 .. 7      columns in the order of the sums
 * A column with fewer has weights of 0 at place 0.
 *
 * Limits, exactness: gemm_s8.h's; sums are the same integers, so every variant gives its bytes.
 * Places from a file may be any bytes: a kernel picks from what it has loaded, whatever they are.
 * Source: NVIDIA's 2:4 (A. Mishra et al., Accelerating Sparse Deep Neural Networks, 2021); layout
 * our own. */
extern const oct_gemm_s8 oct_gemm_s8_24_ref, oct_gemm_s8_24_avx2_a7, oct_gemm_s8_24_avx2,
                         oct_gemm_s8_24_avxvnni, oct_gemm_s8_24_avx512, oct_gemm_s8_24_neon,
                         oct_gemm_s8_24_neondot;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_gemm_s8 *const oct_gemm_s8_24_all[];
const oct_gemm_s8 *oct_gemm_s8_24_pick(unsigned cpu_flags, int x_max);

/* One of these records? */
int oct_gemm_s8_is_24(const oct_gemm_s8 *g);

/* Of n panels that oct_gemm_s8_pack has filled, panel_size bytes apart: groups of k into the form
 * above.  ERR_FORMAT: there is a column with more than 4 of 8. */
OCT_MUST_CHECK oct_status oct_gemm_s8_24_halve(const oct_gemm_s8 *g, int n_segs,
                                               const oct_gemm_s8_seg *seg, void *packed,
                                               size_t panel_size, int n);

/* A record's place() before halving: the k of a column side by side. */
static inline int oct_gemm_s8_24_place(int lanes, int j, int p)
{
    return oct_pack_order(lanes, j) * 8 + p;
}

#endif
