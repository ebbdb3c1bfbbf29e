/* gemm_f32, AVX-512, tiles of two groups of up to 7 rows x 32 columns.  Contract in gemm_f32.h.
 *
 * 56, 28, 14 and 7 are multiples of 7: on a ResNet's maps no row of a tile is idle.  A group is a
 * run of neighbours, pixel floats apart, so all its rows are reached from three registers.
 *
 *                          b: 32 columns, one k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 zmm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     28 zmm
 *   broadcast   1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 28 sums + 2 b + 1 a = 31 of 32.   A step of k: 28 FMAs (14 cycles on two ports),
 *   2 + 14 loads, 2 prefetches.
 */
#include <immintrin.h>

#include "ops/kernels/gemm_avx512.h"
#include "tensor/cpu.h"

enum { ROWS = 7 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2)

typedef float elem;
static inline vec vec_b(const elem *p) { return vec_load(p); }
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_avx512 = {
    "gemm_f32", "avx512", OCT_CPU_AVX512, OCT_F32, ROWS, NR, tile, gemv, NULL,
};
