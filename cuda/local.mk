# The CUDA backend: only with --with-cuda.  nvcc's flags: FMA only where it is written, as on the
# CPU; SASS for A100 and H100, PTX for what comes later; no C++ run-time library.  What ptxas says
# of each kernel stays in a .ptxas beside its object: tests/cuda_sass.sh reads it.
cuda_kernels = cuda/conv2d_f16.cu cuda/conv2d_s8.cu cuda/conv2d_groups.cu \
	cuda/conv2d_f32.cu cuda/winograd_f32.cu cuda/eltwise.cu \
	cuda/pool.cu cuda/norm.cu cuda/norm_f16.cu cuda/attention.cu cuda/attention_f16.cu \
	cuda/quantize.cu
cuda_headers = cuda/cuda.h cuda/cublas.h cuda/device.h cuda/kernels.h cuda/steps.h \
	cuda/common.cuh cuda/mma.cuh cuda/norm.cuh cuda/conv2d.cuh cuda/conv2d_mma.cuh
cuda_nvcc = $(LIBTOOL) $(AM_V_lt) --tag=CC --mode=compile $(SHELL) \
	$(top_srcdir)/build-aux/nvcc.sh $(NVCC)
cuda_flags = -I$(top_srcdir) -std=c++17 -fmad=false \
	-Xcompiler -fno-exceptions,-fno-rtti,-fno-threadsafe-statics,-ffp-contract=off
cuda_targets = -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]

SUFFIXES = .cu
.cu.lo:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(cuda_nvcc) $(cuda_flags) $(cuda_targets) $(NVCCFLAGS) -Xptxas -v -c -o $@ $< \
	  2>$(@:.lo=.ptxas) || { cat $(@:.lo=.ptxas); exit 1; }

EXTRA_DIST += $(cuda_kernels) build-aux/nvcc.sh
CLEANFILES += cuda/*.ptxas
if HAVE_CUDA
noinst_LTLIBRARIES       += liboctet_cuda.la
liboctet_all_la_LIBADD   += liboctet_cuda.la
liboctet_cuda_la_SOURCES  = $(cuda_headers) cuda/backend.c cuda/cublas.c cuda/device.c \
	cuda/island.c cuda/pack.c cuda/pack_winograd.c \
	cuda/prepare.c cuda/prepare_conv.c cuda/product.c
liboctet_cuda_la_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_CPPFLAGS)
liboctet_cuda_la_LIBADD   = $(cuda_kernels:.cu=.lo) $(CUDA_LIBS)
$(cuda_kernels:.cu=.lo): $(srcdir)/cuda/common.cuh $(srcdir)/cuda/kernels.h \
	$(srcdir)/cuda/mma.cuh $(srcdir)/cuda/norm.cuh \
	$(srcdir)/cuda/conv2d.cuh $(srcdir)/cuda/conv2d_mma.cuh \
	$(srcdir)/ops/kernels/math_f32.h \
	$(srcdir)/ops/kernels/requant.h
endif
