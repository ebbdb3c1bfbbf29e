/* Row kernels on quantized values, four lanes: vec_u8_tmpl.h over simd_neon.h. */
#include <arm_neon.h>

#include "ops/kernels/simd_neon.h"

#include <string.h>

enum { B = 16 };
typedef uint8x16_t bytes;

static inline bytes b_load(const uint8_t *p) { return vld1q_u8(p); }
static inline void b_store(uint8_t *p, bytes v) { vst1q_u8(p, v); }
static inline bytes b_max(bytes a, bytes b) { return vmaxq_u8(a, b); }

#include "ops/kernels/vec_u8_part.h"

static inline vf v_load_u8(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    const uint16x8_t w = vmovl_u8(vcreate_u8(four));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(w)));
}

static inline void v_store_u8(uint8_t *p, vf v)
{
    const uint16x4_t w = vmovn_u32(vcvtnq_u32_f32(v));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(w, w))), 0);
    memcpy(p, &four, sizeof four);
}

#include "ops/kernels/vec_u8_tmpl.h"
#include "tensor/cpu.h"

const oct_vec_u8 oct_vec_u8_neon = {
    "neon", "vec_u8/neon", OCT_CPU_NEON, dequantize, range, steps, steps_by,
    add, window_max, window_sum,
};
