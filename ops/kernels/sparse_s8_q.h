/* The vocabulary of sparse_s8_tmpl.h and sparse_s8_dot.h on q registers; NEON and dotprod have
 * their own vec_dot.  Bytes of the strip are x ^ 128, signed. */
enum { LANES = 4, PACK = 0, SUMS = 24, WAIT = 12, AT_ONCE = 4 };
#define FLIP 0x80808080u
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

typedef int32x4_t vec;
#include "ops/kernels/gemm_s8_q.h"

INLINE vec vec_rows(const void *p, size_t step)
{
    (void)step;
    return vreinterpretq_s32_u8(vld1q_u8(p));
}
INLINE vec vec_input(const void *p, size_t step)
{
    (void)step;
    return vreinterpretq_s32_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
}
INLINE void vec_put(void *p, vec v) { vst1q_u8(p, vreinterpretq_u8_s32(v)); }
INLINE vec vec_low32(vec a, vec b) { return vzip1q_s32(a, b); }
INLINE vec vec_high32(vec a, vec b) { return vzip2q_s32(a, b); }
INLINE vec vec_low16(vec a, vec b)
{
    return vreinterpretq_s32_u16(vzip1q_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
}
INLINE vec vec_high16(vec a, vec b)
{
    return vreinterpretq_s32_u16(vzip2q_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
}
INLINE vec vec_low8(vec a, vec b)
{
    return vreinterpretq_s32_u8(vzip1q_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
INLINE vec vec_high8(vec a, vec b)
{
    return vreinterpretq_s32_u8(vzip2q_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
INLINE vec vec_low64(vec a, vec b)
{
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}
INLINE vec vec_high64(vec a, vec b)
{
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

typedef vec part;
#define part_input vec_input
#define part_put   vec_put
#define part_low8 vec_low8
#define part_high8 vec_high8
#define part_low32 vec_low32
#define part_high32 vec_high32
#define part_low64 vec_low64
#define part_high64 vec_high64

INLINE vec vec_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE void vec_store(void *p, vec v) { vst1q_s32(p, v); }
INLINE vec vec_dup(int32_t x) { return vdupq_n_s32(x); }
INLINE vec vec_sum(vec a, vec b) { return vaddq_s32(a, b); }
