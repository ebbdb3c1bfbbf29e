/* gemm_f32, NEON, tiles of two groups of up to 4 rows x 8 columns.  Contract in gemm_f32.h.
 *
 *                          b: 8 columns, one k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 q
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     16 q
 *   broadcast   1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 16 sums + 2 b + 1 a (ld1r, more in flight) = 19 of 32.   A step of k: 16 FMAs,
 *   2 + 8 loads.  Four chains of 8 columns hide the latency of cores with two FMA pipes. */
#include <arm_neon.h>

#include "ops/kernels/gemm_neon.h"
#include "tensor/cpu.h"

enum { ROWS = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

typedef float elem;
static inline vec vec_b(const elem *p) { return vec_load(p); }
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_neon = {
    "gemm_f32", "neon", OCT_CPU_NEON, OCT_F32, ROWS, NR, tile, gemv, NULL,
};
