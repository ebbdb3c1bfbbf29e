/* sparse_f32, NEON: up to 14 vectors of 4 pixels.  Contract in sparse_f32.h, code in
 * sparse_f32_tmpl.h over simd_neon.h.
 *
 *   singles   14 sums + 1 w + the x in flight, of 32
 *   quads     24 sums + 6 x + 1 w = 31 */
#include <arm_neon.h>

#include "ops/kernels/simd_neon.h"
#include "tensor/cpu.h"

enum { WAIT = 8, QUADS = 6 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#include "ops/kernels/sparse_f32_tmpl.h"

const oct_sparse_f32 oct_sparse_f32_neon = {
    .isa = "neon", .needs = OCT_CPU_NEON, .lanes = VW, .vecs = VECS, .input = input,
    .tile = tile };
