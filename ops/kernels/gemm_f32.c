#include "config.h"
#include "ops/kernels/gemm_f32.h"

#include <string.h>

const oct_gemm_f32 *const oct_gemm_f32_all[] = {
#if HAVE_AVX512
    &oct_gemm_f32_avx512,
#endif
#if HAVE_AVX2
    &oct_gemm_f32_avx2,
#endif
#if HAVE_NEON
    &oct_gemm_f32_neon,
#endif
    &oct_gemm_f32_ref,
    NULL,
};

const oct_gemm_f32 *oct_gemm_f32_pick(unsigned cpu_flags)
{
    const oct_gemm_f32 *const *g = oct_gemm_f32_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs) g++; /* ref needs nothing */
    return *g;
}

size_t oct_gemm_f32_panel_size(const oct_gemm_f32 *g, int k)
{
    return (size_t)g->nr * ((size_t)k + 1);
}

size_t oct_gemm_f32_packed_size(const oct_gemm_f32 *g, int n, int k)
{
    const size_t panels = ((size_t)n + (size_t)g->nr - 1) / (size_t)g->nr;
    return panels * oct_gemm_f32_panel_size(g, k);
}

/* Column j of a panel: row[] holds the k elements of one row of b. */
static void scatter(const float *row, int k, const int32_t *perm, size_t nr, float *to)
{
    if (perm)
        for (int p = 0; p < k; p++) to[(size_t)p * nr] = row[perm[p]];
    else
        for (int p = 0; p < k; p++) to[(size_t)p * nr] = row[p];
}

void oct_gemm_f32_pack(const oct_gemm_f32 *g, const oct_tensor *b, int first, int count, int k,
                       const int32_t *perm, const float *bias, float *row, float *packed)
{
    const size_t nr = (size_t)g->nr;
    memset(packed, 0, oct_gemm_f32_packed_size(g, count, k) * sizeof *packed);
    for (int n0 = 0; n0 < count; n0 += g->nr, packed += oct_gemm_f32_panel_size(g, k))
        for (int j = 0; j < g->nr && n0 + j < count; j++) {
            const size_t n = (size_t)(first + n0 + j);
            oct_tensor_read_f32(b, n * (size_t)k, (size_t)k, row);
            if (bias) packed[j] = bias[n];
            scatter(row, k, perm, nr, packed + nr + j);
        }
}
