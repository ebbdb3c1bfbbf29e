#include "config.h"
#include "ops/kernels/gemm_s8_24.h"

#include <string.h>

const oct_gemm_s8 *const oct_gemm_s8_24_all[] = {
#if HAVE_AVX512
    &oct_gemm_s8_24_avx512,
#endif
#if HAVE_AVXVNNI
    &oct_gemm_s8_24_avxvnni,
#endif
#if HAVE_AVX2
    &oct_gemm_s8_24_avx2_a7,
    &oct_gemm_s8_24_avx2,
#endif
#if HAVE_NEONDOT
    &oct_gemm_s8_24_neondot,
#endif
#if HAVE_NEON
    &oct_gemm_s8_24_neon,
#endif
    &oct_gemm_s8_24_ref,
    NULL,
};

const oct_gemm_s8 *oct_gemm_s8_24_pick(unsigned cpu_flags, int x_max)
{
    const oct_gemm_s8 *const *g = oct_gemm_s8_24_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs || (*g)->x_max < x_max) g++;
    return *g; /* ref needs nothing and takes every byte */
}

int oct_gemm_s8_is_24(const oct_gemm_s8 *g)
{
    const oct_gemm_s8 *const *own = oct_gemm_s8_24_all;
    while (*own && *own != g) own++;
    return *own != NULL;
}

enum { KR = 8, KEPT = 4, HEADER = 4 }; /* arrays of nr words before the groups */

/* 0: a column has more than KEPT. */
static int halve_group(int nr, int8_t *b)
{
    int8_t w[OCT_GEMM_S8_MAX_NR * KR] = { 0 }, *place = w + nr * KEPT;
    for (int j = 0; j < nr; j++)
        for (int p = 0, n = 0; p < KR; p++) {
            if (!b[j * KR + p]) continue;
            if (n == KEPT) return 0;
            w[j * KEPT + n] = b[j * KR + p];
            place[j * KEPT + n++] = (int8_t)p;
        }
    memcpy(b, w, (size_t)(nr * KR));
    return 1;
}

oct_status oct_gemm_s8_24_halve(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg,
                                void *packed, size_t panel_size, int n)
{
    int groups = 0;
    for (int s = 0; s < n_segs; s++) groups += (seg[s].len + KR - 1) / KR;
    for (int p = 0; p < n; p++) {
        int8_t *b = (int8_t *)packed + (size_t)p * panel_size +
                    HEADER * sizeof(int32_t) * (size_t)g->nr;
        for (int i = 0; i < groups; i++, b += g->nr * KR)
            if (!halve_group(g->nr, b))
                return oct_fail(OCT_ERR_FORMAT, "weights are not 2:4, as the file says");
    }
    return OCT_OK;
}
