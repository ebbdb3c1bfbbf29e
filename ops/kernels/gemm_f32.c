#include "config.h"
#include "ops/kernels/gemm_f32.h"

#include <string.h>

#include "ops/kernels/gemm_bf16.h"
#include "tensor/f16.h"

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
    const size_t rows = g->type == OCT_F32 ? (size_t)k : ((size_t)k + 1) / 2; /* of four bytes */
    return (size_t)g->nr * (rows + 1);
}

size_t oct_gemm_f32_packed_size(const oct_gemm_f32 *g, int n, int k)
{
    const size_t panels = ((size_t)n + (size_t)g->nr - 1) / (size_t)g->nr;
    return panels * oct_gemm_f32_panel_size(g, k);
}

/* Element k of column j, as g's type; to: the panel after its bias. */
static void put(const oct_gemm_f32 *g, float *to, size_t k, size_t j, float weight)
{
    const size_t nr = (size_t)g->nr;
    uint16_t *half = (uint16_t *)(void *)to;
    if (g->type == OCT_F16) half[k * nr + j] = oct_f16_of_f32(weight);
    else half[(k / 2 * nr + j) * 2 + k % 2] = oct_gemm_bf16_of_f32(weight);
}

/* Column j of a panel: row[] holds the len elements of one row of b. */
static void scatter(const oct_gemm_f32 *g, const float *row, int len, int k, const int32_t *perm,
                    size_t j, float *to)
{
    const size_t nr = (size_t)g->nr;
    for (int p = 0; p < k; p++) {
        const int from = perm ? perm[p] : p;
        const float weight = from >= 0 && from < len ? row[from] : 0;
        if (g->type == OCT_F32) to[(size_t)p * nr + j] = weight;
        else put(g, to, (size_t)p, j, weight);
    }
}

void oct_gemm_f32_pack(const oct_gemm_f32 *g, const oct_tensor *b, int first, int count, int k,
                       const int32_t *perm, const float *bias, float *row, float *packed)
{
    const int len = (int)oct_tensor_sample_count(b);
    memset(packed, 0, oct_gemm_f32_packed_size(g, count, k) * sizeof *packed);
    for (int n0 = 0; n0 < count; n0 += g->nr, packed += oct_gemm_f32_panel_size(g, k))
        for (int j = 0; j < g->nr && n0 + j < count; j++) {
            const size_t n = (size_t)(first + n0 + j);
            oct_tensor_read_f32(b, n * (size_t)len, (size_t)len, row);
            if (bias) packed[j] = bias[n] + 0.f; /* no -0: sparse_f32.h relies on it */
            scatter(g, row, len, k, perm, (size_t)j, packed + g->nr);
        }
}

void oct_gemm_f32_narrow(const oct_gemm_f32 *g, int k, const float *panel, float *to)
{
    const size_t nr = (size_t)g->nr;
    memcpy(to, panel, nr * sizeof *to);
    memset(to + nr, 0, (oct_gemm_f32_panel_size(g, k) - nr) * sizeof *to);
    panel += nr;
    for (size_t row = 0; row < (size_t)k; row++)
        for (size_t j = 0; j < nr; j++) put(g, to + nr, row, j, *panel++);
}
