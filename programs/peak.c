/* The peak is measured with our own tile, which issues a multiply-add to each port every cycle;
 * a loop written for the purpose would need one variant an ISA and say the same within 2 %. */
#include "programs/peak.h"

#include <stdlib.h>

#include "ops/kernels/gemm_f32.h"
#include "programs/report.h"

enum { TRIES = 8, TRY_MS = 10 };

/* GFLOP/s of full tiles of depth k, for about ms milliseconds. */
static double rate(const oct_gemm_f32 *g, const oct_gemm_f32_args *args, int k, double ms)
{
    const double tile = 2.0 * g->rows * args->groups * g->nr * k; /* flops */
    const double start = report_now_ms();
    double spent = 0, tiles = 0;
    while (spent < ms) {
        for (int i = 0; i < 16; i++) g->tile(args);
        tiles += 16;
        spent = report_now_ms() - start;
    }
    return tiles * tile / spent * 1e-6;
}

double peak_fp32(unsigned cpu_flags)
{
    static const int depth[] = { 64, 128, 256, 512 }; /* panels of 4 to 128 KiB: L1 or L2 */
    const oct_gemm_f32 *g = oct_gemm_f32_pick(cpu_flags);
    const int most = 512, rows = 2 * g->rows;
    const size_t panel = oct_gemm_f32_panel_size(g, most);
    const size_t a = (size_t)rows * (size_t)most + 16, c = (size_t)(rows * g->nr);
    float *memory = NULL;
    if (posix_memalign((void **)&memory, 64, (panel + a + c) * sizeof *memory)) return 0;
    for (size_t i = 0; i < panel + a + c; i++) memory[i] = 1.0f / 1024; /* sums stay normal */

    double best = 0;
    for (int t = 0; t < TRIES; t++) {
        const int k = depth[t % 4];
        const oct_gemm_f32_seg seg = { 0, k, k };
        const oct_gemm_f32_args args = {
            .n_segs = 1, .seg = &seg, .a = { memory + panel, memory + panel },
            .pos = { 0, g->rows }, .step = 1, .rows = g->rows, .groups = 2, .cols = g->nr,
            .panel = memory, .c = { memory + panel + a, memory + panel + a + c / 2 },
            .ldc = (size_t)g->nr, .act = OCT_ACT_NONE,
        };
        const double now = rate(g, &args, k, TRY_MS);
        if (now > best) best = now;
    }
    free(memory);
    return best;
}
