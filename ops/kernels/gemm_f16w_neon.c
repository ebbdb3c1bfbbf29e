/* gemm_f16w: gemm_f32_neon.c's tiles, the weights widened as they are loaded, two vectors a step
 * of k.  Contract in gemm_f16w.h. */
#include <arm_neon.h>

#include "ops/kernels/gemm_neon.h"
#include "ops/kernels/gemm_f16w.h"
#include "tensor/cpu.h"

enum { ROWS = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

typedef uint16_t elem;
static inline vec vec_b(const elem *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline vec vec_a(const float *p) { return vec_dup(p); }
static inline vec vec_mac(vec a, vec b, vec s) { return vec_fma(a, b, s); }

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f16w_neon = {
    "gemm_f16w", "neon", OCT_CPU_NEON, OCT_F16, ROWS, NR, tile, gemv, NULL,
};
