#ifndef OCT_OPS_PRECISION_H
#define OCT_OPS_PRECISION_H

#include "ops/kernels/gemm_f32.h"
#include "ops/op.h"

/* What the weights w of a layer (with their scale) are held in when how->precision is asked for;
 * gain: by how much they may grow before they are stored, 1 where they are stored as they are.
 *   F32    asked for, or the weights do not fit what was asked for: one is not finite, or
 *          overflows, or the largest is so small that denormals would lose what is promised:
 *   F16    gain * largest <= 65504, largest >= 2^-14: each |f16(w) - w| <= 2^-11 largest
 *   BF16   gain * largest <= 2^126, largest >= 2^-64
 * A compiled file has decided already, and is hostile: an operator may get any of the three, but
 * the size of the packed weights, then checked, differs. */
oct_dtype oct_precision_choose(const oct_prepare *how, const oct_tensor *w, float gain);

/* The kernels for these weights: gemm_f32, gemm_f16w, gemm_bf16. */
const oct_gemm_f32 *oct_precision_gemm(oct_dtype type, unsigned cpu_flags);

#endif
