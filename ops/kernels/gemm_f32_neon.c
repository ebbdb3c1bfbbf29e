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
 *   2 + 8 loads.  Four chains of 8 columns hide the latency of cores with two FMA pipes.
 *
 * fmax would differ from x < 0 ? 0 : x on NaN and -0: compare and select instead. */
#include <arm_neon.h>

#include "ops/kernels/gemm_f32.h"
#include "tensor/cpu.h"

enum { ROWS = 4, LANES = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

typedef float32x4_t vec;
static inline vec vec_zero(void) { return vdupq_n_f32(0); }
static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline vec vec_dup(const float *p) { return vld1q_dup_f32(p); }
static inline vec vec_fma(vec a, vec b, vec s) { return vfmaq_f32(s, a, b); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }

static inline vec vec_clamp(vec y, oct_act act)
{
    const vec zero = vdupq_n_f32(0), six = vdupq_n_f32(6);
    if (act != OCT_ACT_NONE) y = vbslq_f32(vcltq_f32(y, zero), zero, y);
    if (act == OCT_ACT_RELU6) y = vbslq_f32(vcgtq_f32(y, six), six, y);
    return y;
}

static inline vec vec_load_n(const float *p, int n) /* there is no masked load: lane by lane */
{
    if (n >= LANES) return vld1q_f32(p);
    float part[LANES] = { 0 };
    for (int l = 0; l < n; l++) part[l] = p[l];
    return vld1q_f32(part);
}
static inline void vec_store_n(float *p, int n, vec v)
{
    if (n >= LANES) {
        vst1q_f32(p, v);
        return;
    }
    float part[LANES];
    vst1q_f32(part, v);
    for (int l = 0; l < n; l++) p[l] = part[l];
}

#include "ops/kernels/gemm_f32_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_neon = { "neon", OCT_CPU_NEON, ROWS, NR, tile, gemv };
