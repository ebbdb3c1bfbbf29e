/* sparse_s8, AVX-VNNI: up to 12 vectors of 8 pixels, a column at a time.  Contract in sparse_s8.h.
 *
 * vpdpbusd on ymm, exact for every byte; the register map is sparse_s8_avx512.c's with 12 sums + 1
 * w + the x in flight, of 16. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

enum { LANES = 8, PACK = LANES, FLIP = 0, SUMS = 12, WAIT = 10, AT_ONCE = 2 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_loadu_si256(p); }
#include "ops/kernels/gemm_s8_ymm.h"
#include "ops/kernels/sparse_s8_ymm.h"

INLINE void vec_store(void *p, vec v) { _mm256_store_si256(p, v); }
INLINE vec vec_dot(vec s, vec x, vec w) { return _mm256_dpbusd_avx_epi32(s, x, w); }
INLINE vec vec_sum(vec a, vec b) { return _mm256_add_epi32(a, b); }

#include "ops/kernels/sparse_s8_4x1.h"
#include "ops/kernels/sparse_s8_dot.h"
#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_avxvnni = {
    .isa = "avxvnni", .needs = OCT_CPU_AVX2 | OCT_CPU_AVXVNNI, .x_max = 255, .share = 1,
    .lanes = LANES, .vecs = VECS, .nr = NR, .pack = PACK, .input = input, .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_avxvnni = {
    .isa = "avxvnni", .needs = OCT_CPU_AVX2 | OCT_CPU_AVXVNNI, .x_max = 255, .share = SHARE,
    .lanes = PIECE, .vecs = PIECES, .nr = NR, .pack = PACK, .input = input_4x1, .tile = tile_4x1 };
