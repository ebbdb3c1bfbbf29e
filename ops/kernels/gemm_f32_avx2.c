/* gemm_f32, AVX2 + FMA, tiles of two groups of up to 3 rows x 16 columns.  Contract in gemm_f32.h.
 *
 *                          b: 16 columns, one k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   broadcast   1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a = 15 of 16.   A step of k: 12 FMAs (6 cycles on two ports),
 *   2 + 6 loads, 1 prefetch.
 */
#include <immintrin.h>

#include "ops/kernels/gemm_avx2.h"
#include "tensor/cpu.h"

enum { ROWS = 3 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef float elem;
static inline vec vec_b(const elem *p) { return vec_load(p); }
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_avx2 = {
    "gemm_f32", "avx2", OCT_CPU_AVX2, OCT_F32, ROWS, NR, tile, gemv, NULL,
};
