#include "config.h"
#include "ops/kernels/vec_u8.h"

const oct_vec_u8 *const oct_vec_u8_all[] = {
#if HAVE_AVX512
    &oct_vec_u8_avx512,
#endif
#if HAVE_AVX2
    &oct_vec_u8_avx2,
#endif
#if HAVE_NEON
    &oct_vec_u8_neon,
#endif
    &oct_vec_u8_ref,
    NULL,
};

const oct_vec_u8 *oct_vec_u8_pick(unsigned cpu_flags)
{
    const oct_vec_u8 *const *v = oct_vec_u8_all;
    while (((*v)->needs & cpu_flags) != (*v)->needs) v++; /* ref needs nothing */
    return *v;
}
