/* The vocabulary of gemm_s8_24_tmpl.h on q registers, but for vec_dot.  There is no product of
 * unsigned by signed bytes: the kernels take a - 128, and the packed bias gives 128 * colsum
 * back. */
enum { ROWS = 8, LANES = 4, PACK = 0 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

typedef int32x4_t vec;
static inline vec vec_load(const void *p) { return vld1q_s32(p); }
static inline void vec_store(void *p, vec v) { vst1q_s32(p, v); }
static inline vec vec_eight(const uint8_t *p)
{
    const uint8x8_t eight = vld1_u8(p);
    return vreinterpretq_s32_u8(veorq_u8(vcombine_u8(eight, eight), vdupq_n_u8(128)));
}
static inline vec vec_pick(vec x, vec at)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(x), vreinterpretq_u8_s32(at)));
}
#include "ops/kernels/gemm_s8_q.h"
