#include "config.h"
#include "ops/kernels/gemm_bf16.h"

const oct_gemm_f32 *const oct_gemm_bf16_all[] = {
#if HAVE_AVX512BF16
    &oct_gemm_bf16_avx512bf16,
#endif
#if HAVE_AVX512
    &oct_gemm_bf16_avx512,
#endif
#if HAVE_AVX2
    &oct_gemm_bf16_avx2,
#endif
#if HAVE_NEON
    &oct_gemm_bf16_neon,
#endif
    &oct_gemm_bf16_ref,
    NULL,
};

const oct_gemm_f32 *oct_gemm_bf16_pick(unsigned cpu_flags)
{
    const oct_gemm_f32 *const *g = oct_gemm_bf16_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs) g++; /* ref needs nothing */
    return *g;
}
