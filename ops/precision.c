#include "ops/precision.h"

#include <math.h>

#include "ops/kernels/gemm_bf16.h"
#include "ops/kernels/gemm_f16w.h"

/* The largest |w|; infinity if one is not finite. */
static float largest(const oct_tensor *w)
{
    enum { RUN = 1024 };
    float run[RUN], most = 0;
    const size_t count = oct_tensor_count(w);
    for (size_t i = 0; i < count; i += RUN) {
        const size_t n = count - i < RUN ? count - i : RUN;
        oct_tensor_read_f32(w, i, n, run);
        for (size_t k = 0; k < n; k++) {
            const float a = fabsf(run[k]);
            if (!(a < INFINITY)) return INFINITY;
            most = a > most ? a : most;
        }
    }
    return most;
}

oct_dtype oct_precision_choose(const oct_prepare *how, const oct_tensor *w, float gain)
{
    if (how->given) return how->n_packed < how->n_given ? how->given[how->n_packed].type : OCT_F32;
    if (how->precision != OCT_F16 && how->precision != OCT_BF16) return OCT_F32;
    const int half = how->precision == OCT_F16;
    const float most = largest(w);
    if (most < (half ? 0x1p-14f : 0x1p-64f)) return OCT_F32;
    return gain * most <= (half ? 65504.f : 0x1p126f) ? how->precision : OCT_F32;
}

const oct_gemm_f32 *oct_precision_gemm(oct_dtype type, unsigned cpu_flags)
{
    if (type == OCT_F16) return oct_gemm_f16w_pick(cpu_flags);
    return type == OCT_BF16 ? oct_gemm_bf16_pick(cpu_flags) : oct_gemm_f32_pick(cpu_flags);
}
