/* The peak is measured with our own tiles, which issue a multiply-add to each port every cycle;
 * a loop written for the purpose would need one variant an ISA and say the same within 2 %. */
#include "programs/peak.h"

#include <stdlib.h>
#include <string.h>

#include "ops/kernels/gemm_f32.h"
#include "ops/kernels/gemm_s8.h"
#include "programs/report.h"

enum { TRIES = 8, TRY_MS = 10, N_DEPTHS = 4, MOST = 512,
       X_MAX = 127 }; /* bytes of 7 bits: for some ISAs there is a faster tile */

static const int depth[N_DEPTHS] = { 64, 128, 256, 512 }; /* panels of 1 to 128 KiB: L1 or L2 */

/* A tile of one of the two kinds. */
typedef struct timed {
    oct_gemm_f32_tile *f32;
    oct_gemm_s8_tile *s8;     /* NULL: f32 */
    const void *args;
    double operations;        /* of a call */
} timed;

static double rate(const timed *t)
{
    const double start = report_now_ms();
    double spent = 0, tiles = 0;
    while (spent < TRY_MS) {
        for (int i = 0; i < 16; i++)
            if (t->s8) t->s8(t->args);
            else t->f32(t->args);
        tiles += 16;
        spent = report_now_ms() - start;
    }
    return tiles * t->operations / spent * 1e-6;
}

static double larger(double a, double b) { return a > b ? a : b; }

double peak_fp32(unsigned cpu_flags)
{
    const oct_gemm_f32 *g = oct_gemm_f32_pick(cpu_flags);
    const int rows = 2 * g->rows;
    const size_t panel = oct_gemm_f32_panel_size(g, MOST);
    const size_t a = (size_t)rows * MOST + 16, c = (size_t)(rows * g->nr);
    float *memory = NULL;
    if (posix_memalign((void **)&memory, 64, (panel + a + c) * sizeof *memory)) return 0;
    for (size_t i = 0; i < panel + a + c; i++) memory[i] = 1.0f / 1024; /* sums stay normal */

    double best = 0;
    for (int t = 0; t < TRIES; t++) {
        const int k = depth[t % N_DEPTHS];
        const oct_gemm_f32_seg seg = { 0, k, k };
        const oct_gemm_f32_args args = {
            .n_segs = 1, .seg = &seg, .a = { memory + panel, memory + panel },
            .pos = { 0, g->rows }, .step = 1, .rows = g->rows, .groups = 2, .cols = g->nr,
            .panel = memory, .c = { memory + panel + a, memory + panel + a + c / 2 },
            .ldc = (size_t)g->nr, .act = OCT_ACT_NONE,
        };
        best = larger(best, rate(&(timed){ g->tile, NULL, &args, 2.0 * rows * g->nr * k }));
    }
    free(memory);
    return best;
}

double peak_int8(unsigned cpu_flags)
{
    const oct_gemm_s8 *g = oct_gemm_s8_pick(cpu_flags, X_MAX);
    const int rows = 2 * g->rows;
    const oct_gemm_s8_seg longest = { 0, MOST, MOST };
    const size_t panel = oct_gemm_s8_panel_size(g, 1, &longest), a = (size_t)rows * MOST + 64;
    const size_t b = (size_t)g->nr * MOST, c = (size_t)(rows * g->nr) * sizeof(int32_t);
    const float scale[OCT_GEMM_S8_MAX_NR] = { 0 };
    unsigned char *memory = NULL;
    if (posix_memalign((void **)&memory, 64, panel + a + c + b)) return 0;
    memset(memory, 1, panel + a + c + b);

    double best = 0;
    for (int t = 0; t < TRIES; t++) {
        const int k = depth[t % N_DEPTHS];
        const oct_gemm_s8_seg seg = { 0, k, k };
        const oct_requant out = { .kind = OCT_REQUANT_S32 };
        unsigned char *x = memory + panel + c;
        const oct_gemm_s8_weights w = { .b = (int8_t *)x + a, .k = k, .n_segs = 1, .seg = &seg,
                                        .scale = scale };
        const oct_gemm_s8_args args = {
            .n_segs = 1, .seg = &seg, .a = { x, x }, .pos = { 0, g->rows }, .step = 1,
            .rows = g->rows, .groups = 2, .cols = g->nr, .panel = memory,
            .c = { memory + panel, memory + panel + c / 2 }, .ldc = (size_t)g->nr, .out = &out,
        };
        oct_gemm_s8_pack(g, &w, 0, g->nr, memory);
        best = larger(best, rate(&(timed){ NULL, g->tile, &args, 2.0 * rows * g->nr * k }));
    }
    free(memory);
    return best;
}
