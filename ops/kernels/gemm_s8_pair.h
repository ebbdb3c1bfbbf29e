#ifndef OCT_OPS_KERNELS_GEMM_S8_PAIR_H
#define OCT_OPS_KERNELS_GEMM_S8_PAIR_H

#include "ops/kernels/gemm_s8.h"

/* Panels of kernels that add two groups of 4 k in int16 before they widen (record.paired): 64
 * products for 3 multiplier operations, where a group alone takes 4.
 *
 * An int16 lane then sums 4 products x * w of two groups g and h.  With 0 <= x <= 127 all its partial
 * sums lie in [-127 N, 127 P], P and N the sums of the lane's positive and negative weights: exact
 * if both are <= 258, as 258 * 127 = 32,766.  A group alone has 2 * 128 at most.  k may be summed in
 * any order, so any two groups may be paired that fit in all columns; those left run alone.
 *
 * A table in the panel, between the arrays of columns and b, says where in A each group lies.  Its
 * offsets are from a row's first byte, and a row's first byte depends on the width of a pixel, so
 * groups are sorted into parts, one for each width of a segment:
 *
 *     int32 parts, offset of b in bytes from the panel
 *     parts times: int32 width, pairs, singles
 *     int32 offset[groups]    of each group, in the order of b: of each part the pairs, then the others
 *
 * The segments of a tile must be those the panel was packed with. */
enum {
    OCT_GEMM_S8_PAIR_SUM  = 258,   /* 32767 / 127 */
    OCT_GEMM_S8_PAIR_PART = 3,     /* words of a part */
};

/* Bytes of the table, a multiple of 64. */
size_t oct_gemm_s8_pair_table_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg);

/* Turns a panel whose groups lie in the order of the segments from `b` on into a paired one: writes
 * the table at `table` and moves the groups. */
void oct_gemm_s8_pair(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg, void *panel);

#endif
