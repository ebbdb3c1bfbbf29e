#include "config.h"
#include "ops/kernels/vec.h"

const oct_vec *const oct_vec_all[] = {
#if HAVE_AVX512
    &oct_vec_avx512,
#endif
#if HAVE_AVX2
    &oct_vec_avx2,
#endif
#if HAVE_NEON
    &oct_vec_neon,
#endif
    &oct_vec_ref,
    NULL,
};

const oct_vec *oct_vec_pick(unsigned cpu_flags)
{
    const oct_vec *const *v = oct_vec_all;
    while (((*v)->needs & cpu_flags) != (*v)->needs) v++; /* ref needs nothing */
    return *v;
}
