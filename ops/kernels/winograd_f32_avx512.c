/* winograd_f32, AVX-512: 16 channels a vector.  Contract in winograd_f32.h, code in
 * winograd_f32_tmpl.h.  Registers of a pass of F(4): 6 values + 6 results or halves + 5 constants
 * = 17 of 32; F(2)'s tile: 16 values + 4 = 20. */
#include <immintrin.h>

#include "ops/kernels/winograd_f32.h"
#include "tensor/cpu.h"

enum { LANES = 16 };
typedef __m512 vec;

static inline __mmask16 first(int n) { return (__mmask16)((1u << n) - 1); }

static inline vec load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, vec x) { _mm512_storeu_ps(p, x); }
static inline vec set1(float x) { return _mm512_set1_ps(x); }
static inline vec load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void store_n(float *p, vec x, int n) { _mm512_mask_storeu_ps(p, first(n), x); }

static inline vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec madd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline vec nmadd(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }

/* max(a, b) is a > b ? a : b, min(a, b) is a < b ? a : b, on x86: NaN and -0 as the contract says */
static inline vec relu(vec x) { return _mm512_max_ps(_mm512_setzero_ps(), x); }
static inline vec min6(vec x) { return _mm512_min_ps(_mm512_set1_ps(6.0f), x); }

#include "ops/kernels/winograd_f32_tmpl.h"

const oct_winograd_f32 oct_winograd_f32_avx512 = { "avx512", OCT_CPU_AVX512, input, output };
