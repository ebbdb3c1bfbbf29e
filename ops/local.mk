liboctet_core_la_SOURCES += \
	ops/op.h ops/op.c ops/attr.h ops/attr_table.h ops/attr_table.c \
	ops/quantized.h ops/quantized.c ops/quantize.c ops/conv2d_geometry.h ops/conv2d_geometry.c \
	ops/conv2d_s8.c ops/linear.h ops/linear_s8.c ops/kernels/gemm_seg.h \
	ops/kernels/vec_u8.h ops/kernels/vec_u8.c ops/kernels/vec_u8_ref.c ops/kernels/vec_u8_tmpl.h \
	ops/kernels/vec_u8_part.h \
	ops/common.h ops/common.c ops/spread.h ops/spread.c ops/channels.h ops/channels.c \
	ops/conv2d.h ops/conv2d.c ops/conv2d_direct.c ops/conv2d_im2col.c \
	ops/conv2d_winograd.h ops/conv2d_winograd.c ops/conv2d_tiles.h ops/conv2d_tiles.c \
	ops/conv2d_winograd_s8.h ops/conv2d_winograd_s8.c \
	ops/sgemm.h ops/sgemm.c ops/linear.c ops/precision.h ops/precision.c \
	ops/layout.c ops/batchnorm.c ops/activation.c ops/pool.c ops/add.c ops/concat.c \
	ops/pad.c ops/flatten.c ops/softmax.c \
	ops/embedding.c ops/layernorm.c ops/attention.c ops/first.c \
	ops/kernels/gemm_f32.h ops/kernels/gemm_f32.c ops/kernels/gemm_f32_ref.c \
	ops/kernels/gemm_f32_tmpl.h ops/kernels/requant.h \
	ops/kernels/gemm_s8.h ops/kernels/gemm_s8.c ops/kernels/gemm_s8_ref.c \
	ops/kernels/gemm_s8_sort.h ops/kernels/gemm_s8_sort.c \
	ops/kernels/gemm_s8_tmpl.h ops/kernels/gemm_s8_zmm.h ops/kernels/gemm_s8_ymm.h \
	ops/kernels/gemm_s8_q.h ops/kernels/gemm_s8_rows.h \
	ops/kernels/winograd_s8.h ops/kernels/winograd_s8.c ops/kernels/winograd_s8_ref.c \
	ops/kernels/winograd_s8_tmpl.h \
	ops/kernels/winograd_f32.h ops/kernels/winograd_f32.c ops/kernels/winograd_f32_ref.c \
	ops/kernels/winograd_f32_pass.h ops/kernels/winograd_f32_tmpl.h \
	ops/kernels/vec.h ops/kernels/vec.c ops/kernels/vec_ref.c ops/kernels/vec_tmpl.h \
	ops/kernels/math_f32.h ops/kernels/simd_math.h ops/kernels/simd_avx2.h \
	ops/kernels/simd_avx512.h ops/kernels/simd_neon.h

# One small library per instruction set: the only place its flags appear.
if HAVE_AVX2
noinst_LTLIBRARIES         += liboctet_avx2.la
liboctet_core_la_LIBADD    += liboctet_avx2.la
liboctet_avx2_la_CFLAGS     = $(AM_CFLAGS) $(AVX2_CFLAGS)
liboctet_avx2_la_SOURCES    = ops/kernels/gemm_f32_avx2.c ops/kernels/winograd_f32_avx2.c \
	ops/kernels/vec_avx2.c ops/kernels/vec_u8_avx2.c \
	ops/kernels/gemm_s8_avx2.c ops/kernels/gemm_s8_a7_avx2.c \
	ops/kernels/winograd_s8_avx2.c
endif
if HAVE_AVXVNNI
noinst_LTLIBRARIES         += liboctet_avxvnni.la
liboctet_core_la_LIBADD    += liboctet_avxvnni.la
liboctet_avxvnni_la_CFLAGS  = $(AM_CFLAGS) $(AVXVNNI_CFLAGS)
liboctet_avxvnni_la_SOURCES = ops/kernels/gemm_s8_avxvnni.c ops/kernels/winograd_s8_avxvnni.c
endif
if HAVE_AVX512
noinst_LTLIBRARIES         += liboctet_avx512.la
liboctet_core_la_LIBADD    += liboctet_avx512.la
liboctet_avx512_la_CFLAGS   = $(AM_CFLAGS) $(AVX512_CFLAGS)
liboctet_avx512_la_SOURCES  = ops/kernels/gemm_f32_avx512.c ops/kernels/winograd_f32_avx512.c \
	ops/kernels/vec_avx512.c ops/kernels/vec_u8_avx512.c ops/kernels/gemm_s8_avx512.c \
	ops/kernels/winograd_s8_avx512.c
endif
if HAVE_NEON
noinst_LTLIBRARIES         += liboctet_neon.la
liboctet_core_la_LIBADD    += liboctet_neon.la
liboctet_neon_la_CFLAGS     = $(AM_CFLAGS) $(NEON_CFLAGS)
liboctet_neon_la_SOURCES    = ops/kernels/gemm_f32_neon.c ops/kernels/winograd_f32_neon.c \
	ops/kernels/vec_neon.c ops/kernels/vec_u8_neon.c \
	ops/kernels/gemm_s8_neon.c ops/kernels/gemm_s8_a7_neon.c \
	ops/kernels/winograd_s8_neon.c
endif
if HAVE_NEONDOT
noinst_LTLIBRARIES         += liboctet_neondot.la
liboctet_core_la_LIBADD    += liboctet_neondot.la
liboctet_neondot_la_CFLAGS  = $(AM_CFLAGS) $(NEONDOT_CFLAGS)
liboctet_neondot_la_SOURCES = ops/kernels/gemm_s8_neondot.c
endif
if HAVE_NEONI8MM
noinst_LTLIBRARIES         += liboctet_neoni8mm.la
liboctet_core_la_LIBADD    += liboctet_neoni8mm.la
liboctet_neoni8mm_la_CFLAGS = $(AM_CFLAGS) $(NEONI8MM_CFLAGS)
liboctet_neoni8mm_la_SOURCES = ops/kernels/gemm_s8_neoni8mm.c
endif

# Sparse weights: blocks of 4, any zeros (FP32), 2:4.
liboctet_core_la_SOURCES += \
	ops/sparse.h ops/sparse.c ops/linear_sparse_s8.h ops/linear_sparse_s8.c \
	ops/conv2d_strips.h ops/conv2d_strips.c ops/kernels/sparse_pixels.h \
	ops/conv2d_sparse_s8.h ops/conv2d_sparse_s8.c ops/conv2d_sparse_rule.c \
	ops/kernels/sparse_s8.h ops/kernels/sparse_s8.c \
	ops/kernels/sparse_s8_ref.c ops/kernels/sparse_s8_tmpl.h ops/kernels/sparse_s8_dot.h \
	ops/kernels/sparse_s8_4x1.h \
	ops/kernels/sparse_s8_xmm.h ops/kernels/sparse_s8_ymm.h ops/kernels/sparse_s8_q.h \
	ops/conv2d_sparse_f32.h ops/conv2d_sparse_f32.c \
	ops/linear_sparse_f32.h ops/linear_sparse_f32.c ops/sparse_f32.h ops/sparse_f32_rule.c \
	ops/kernels/sparse_f32.h ops/kernels/sparse_f32.c ops/kernels/sparse_f32_ref.c \
	ops/kernels/sparse_f32_tmpl.h \
	ops/kernels/gemm_s8_24.h ops/kernels/gemm_s8_24.c ops/kernels/gemm_s8_24_ref.c \
	ops/kernels/gemm_s8_24_tmpl.h ops/kernels/gemm_s8_24_ymm.h ops/kernels/gemm_s8_24_q.h
if HAVE_AVX512
liboctet_avx512_la_SOURCES += ops/kernels/sparse_s8_avx512.c \
	ops/kernels/sparse_f32_avx512.c ops/kernels/gemm_s8_24_avx512.c
endif
if HAVE_AVXVNNI
liboctet_avxvnni_la_SOURCES += ops/kernels/sparse_s8_avxvnni.c ops/kernels/gemm_s8_24_avxvnni.c
endif
if HAVE_AVX2
liboctet_avx2_la_SOURCES += ops/kernels/sparse_s8_avx2.c ops/kernels/sparse_s8_a7_avx2.c \
	ops/kernels/sparse_f32_avx2.c ops/kernels/gemm_s8_24_avx2.c ops/kernels/gemm_s8_24_a7_avx2.c
endif
if HAVE_NEON
liboctet_neon_la_SOURCES += ops/kernels/sparse_s8_neon.c \
	ops/kernels/sparse_f32_neon.c ops/kernels/gemm_s8_24_neon.c
endif
if HAVE_NEONDOT
liboctet_neondot_la_SOURCES += ops/kernels/sparse_s8_neondot.c ops/kernels/gemm_s8_24_neondot.c
endif

# Activations quantized at run time.
liboctet_core_la_SOURCES += ops/qparams.h ops/conv2d_s8.h ops/conv2d_dynamic.c

# Products of smaller operands: gemm_f32's tiles on half and bfloat16.
liboctet_core_la_SOURCES += \
	ops/kernels/gemm_ref_tmpl.h ops/kernels/gemm_avx2.h ops/kernels/gemm_avx512.h \
	ops/kernels/gemm_neon.h ops/kernels/gemm_bf16_tmpl.h \
	ops/kernels/gemm_f16w.h ops/kernels/gemm_f16w.c ops/kernels/gemm_f16w_ref.c \
	ops/kernels/gemm_bf16.h ops/kernels/gemm_bf16.c ops/kernels/gemm_bf16_ref.c
if HAVE_AVX2
liboctet_avx2_la_SOURCES += ops/kernels/gemm_f16w_avx2.c ops/kernels/gemm_bf16_avx2.c
endif
if HAVE_AVX512
liboctet_avx512_la_SOURCES += ops/kernels/gemm_f16w_avx512.c ops/kernels/gemm_bf16_avx512.c
endif
if HAVE_AVX512BF16
noinst_LTLIBRARIES             += liboctet_avx512bf16.la
liboctet_core_la_LIBADD        += liboctet_avx512bf16.la
liboctet_avx512bf16_la_CFLAGS   = $(AM_CFLAGS) $(AVX512BF16_CFLAGS)
liboctet_avx512bf16_la_SOURCES  = ops/kernels/gemm_bf16_avx512bf16.c
endif
if HAVE_NEON
liboctet_neon_la_SOURCES += ops/kernels/gemm_f16w_neon.c ops/kernels/gemm_bf16_neon.c
endif
