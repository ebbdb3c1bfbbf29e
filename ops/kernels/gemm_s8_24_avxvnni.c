/* gemm_s8_24, AVX-VNNI, rows of 5 x 16 columns.  Contract in gemm_s8_24.h.
 *
 *   registers: 10 sums + 4 w and places + 1 a + 1 picked = 16 of 16.   8 k: 10 vpdpbusd on two
 *   ports, 10 vpshufb on a third one and one of these; the dense kernel has 20 vpdpbusd. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

enum { ROWS = 5, LANES = 8, PACK = LANES };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5)

#include "ops/kernels/gemm_s8_24_ymm.h"
static inline vec vec_dot(vec s, vec x, vec w) { return _mm256_dpbusd_avx_epi32(s, x, w); }
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_avxvnni = {
    .isa = "avxvnni", .needs = OCT_CPU_AVX2 | OCT_CPU_AVXVNNI, .x_max = 255, .rows = ROWS,
    .nr = NR, .kr = KR, .lanes = LANES, .place = place, .tile = tile };
