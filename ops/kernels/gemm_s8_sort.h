#ifndef OCT_OPS_KERNELS_GEMM_S8_SORT_H
#define OCT_OPS_KERNELS_GEMM_S8_SORT_H

#include "ops/kernels/gemm_s8.h"

/* Panels whose groups of 4 k are sorted by what vpmaddubsw may do with them (record.order).  k may
 * be summed in any order, so this is free but for a table of where in A each group lies.
 *
 * vpmaddubsw sums two products of a byte x and a weight in an int16 lane.  Its sum, and every part
 * of it, lies in [-x_max N, x_max P], P and N the sums of the lane's positive and negative weights.
 *
 *   PAIRS  x_max 127.  A group alone is always exact: 127 * 2 * 128 = 32,512.  Two groups are added
 *          in int16 before they widen, 64 products for 3 multiplier operations where a group alone
 *          takes 4, if P and N over both are <= 258 in all lanes: 258 * 127 = 32,766.  Any two
 *          groups may be paired; those left run alone
 *   SAFE   x_max 255.  A group is exact if P and N are <= 128 in all lanes: 128 * 255 = 32,640; the
 *          others are widened to int16 before they are multiplied
 *
 * Trained weights are small with few exceptions, so nearly all are paired and more than half are
 * safe.
 *
 * The table lies between the arrays of columns and b.  Offsets are from a row's first byte, and
 * that depends on the width of a pixel, so groups are sorted into parts, one for each width of a
 * segment:
 *
 *     int32 parts, offset of b in bytes from the panel
 *     parts times: int32 width, fast, slow       fast: pairs of groups, or safe groups
 *     int32 offset[groups]    in the order of b: of each part the fast, then the slow
 *
 * The segments of a tile must be those the panel was packed with. */
enum {
    OCT_GEMM_S8_PAIR_SUM = 258,    /* 32767 / 127 */
    OCT_GEMM_S8_SAFE_SUM = 128,    /* 32767 / 255 */
    OCT_GEMM_S8_PART     = 3,      /* words of a part */
};

/* Bytes of the table, a multiple of 64. */
size_t oct_gemm_s8_table_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg);

/* Turns a panel whose groups lie behind the table in the order of the segments into a sorted one:
 * writes the table and moves the groups. */
void oct_gemm_s8_sort(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg, void *panel);

/* 1: the table of a panel from a file is one that oct_gemm_s8_sort may have written for these
 * segments, so no kernel reads past what they span. */
int oct_gemm_s8_sorted(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg,
                       const void *panel);

#endif
