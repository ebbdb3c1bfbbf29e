TESTS      += tests/check_layers.sh
CLEANFILES += test_compile-* test_quantizer-*
EXTRA_DIST += tests/check_layers.sh tests/test.h tests/suite.h tests/golden_sha256.h \
	tests/data tests/golden tests/corpus

# Sanitizers answer an impossible size with NULL, as malloc does; Check's own limit of 4 seconds
# is too short for an emulator.
AM_TESTS_ENVIRONMENT = \
	CK_DEFAULT_TIMEOUT=$${CK_DEFAULT_TIMEOUT-300}; export CK_DEFAULT_TIMEOUT; \
	ASAN_OPTIONS=allocator_may_return_null=1:$$ASAN_OPTIONS; export ASAN_OPTIONS; \
	TSAN_OPTIONS=allocator_may_return_null=1:$$TSAN_OPTIONS; export TSAN_OPTIONS;

# ---- need no Check ----

# The kernel checker: a family is one more file here and one row in its table.
check_PROGRAMS += tests/check_kernels
tests_check_kernels_SOURCES = tests/check_kernels.h tests/check_kernels.c \
	tests/check_buffers.c tests/check_gemm_f32.c tests/check_vec.c \
	tests/check_gemm_s8.h tests/check_gemm_s8.c tests/check_gemm_s8_pack.c \
	tests/check_vec_u8.c \
	tests/check_winograd_f32.c tests/check_winograd_s8.c tests/check_sparse_s8.c \
	tests/check_sparse_f32.c \
	tests/winograd_matrices.h

# Readers of files against what fuzzing found; with libFuzzer, the fuzzers themselves.
check_PROGRAMS += tests/fuzz_input tests/fuzz_weights tests/fuzz_wordpiece
tests_fuzz_wordpiece_SOURCES = tests/fuzz_main.h tests/fuzz_wordpiece.c
tests_fuzz_weights_SOURCES = tests/fuzz_main.h tests/fuzz_weights.c

# The built programs, as a user runs them.
program_tests = tests/test_cli.sh tests/accuracy_mnist.sh tests/accuracy_mnist_classifier.sh \
	tests/accuracy_cifar.sh tests/accuracy_cifar_resnets.sh tests/accuracy_resnet.sh \
	tests/accuracy_resnet_fp32.sh tests/accuracy_int8.sh tests/accuracy_distilbert.sh \
	tests/test_resnet_cli.sh tests/bits.sh tests/compile.sh tests/lint.sh tests/quantize.sh \
	tests/bits_int8.sh tests/text.sh tests/text_tools.sh tests/prune.sh tests/eval_ranges.sh \
	tests/cuda_sass.sh
TESTS      += $(program_tests)
EXTRA_DIST += $(program_tests) tests/programs.sh
$(program_tests:.sh=.log): cnn_infer$(EXEEXT) resnet_infer$(EXEEXT) distilbert_infer$(EXEEXT) \
	octet$(EXEEXT)

# ---- Check suites, one a file: tests/test_<what>.c ----

# Those that start threads stand in thread_tests as well, for the thread sanitizer.
unit_tests   =
thread_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
check-threads:
	$(MAKE) check-TESTS TESTS="$(thread_tests)"
else
check-threads:
endif
.PHONY: check-threads check-cuda

# tensor: the pool also as it is built where there is no futex.
unit_tests   += tests/test_tensor tests/test_f16 tests/test_cgroup tests/test_oom \
	tests/test_threads tests/test_threads_cond
thread_tests += tests/test_threads tests/test_threads_cond
tests_test_tensor_LDADD  = $(LDADD) $(CHECK_LIBS)
tests_test_f16_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_cgroup_LDADD  = $(LDADD) $(CHECK_LIBS)
tests_test_oom_SOURCES   = tests/test_oom.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_oom_LDADD     = $(LDADD) $(CHECK_LIBS)
if HAVE_LD_WRAP
test_threads_flags = -DHAVE_LD_WRAP
test_threads_wrap  = -Wl,--wrap=pthread_create
endif
tests_test_threads_CPPFLAGS      = $(AM_CPPFLAGS) $(test_threads_flags)
tests_test_threads_LDFLAGS       = $(test_threads_wrap)
tests_test_threads_LDADD         = $(LDADD) $(CHECK_LIBS)
tests_test_threads_cond_SOURCES  = tests/test_threads.c tensor/threads.c
tests_test_threads_cond_CPPFLAGS = $(AM_CPPFLAGS) $(test_threads_flags) -DOCT_NO_FUTEX
tests_test_threads_cond_LDFLAGS  = $(test_threads_wrap)
tests_test_threads_cond_LDADD    = $(LDADD) $(CHECK_LIBS)

# ops: against naive loops, against PyTorch's own numbers.  test_conv links the core alone: it needs
# nothing but the C library, libm and pthreads.
unit_tests += tests/test_conv tests/test_winograd tests/test_ops tests/test_ops_golden \
	tests/test_ops_s8 tests/test_ops_quantize tests/test_ops_dynamic tests/test_conv_s8_way \
	tests/test_conv_sparse_s8 tests/test_conv_sparse_f32
tests_test_ops_quantize_SOURCES = tests/run_op.h tests/run_op.c tests/test_ops_quantize.c
tests_test_ops_quantize_LDADD   = liboctet_core.la $(CHECK_LIBS)
tests_test_ops_dynamic_SOURCES = tests/run_op.h tests/run_op.c tests/test_ops_dynamic.c
tests_test_ops_dynamic_LDADD   = liboctet_core.la $(CHECK_LIBS)
tests_test_ops_s8_SOURCES     = tests/run_op.h tests/run_op.c tests/test_ops_s8.c
tests_test_ops_s8_LDADD       = liboctet_core.la $(CHECK_LIBS)
tests_test_conv_sparse_f32_SOURCES = tests/run_op.h tests/run_op.c tests/test_conv_sparse_f32.c
tests_test_conv_sparse_f32_LDADD   = liboctet_core.la $(CHECK_LIBS)
tests_test_conv_sparse_s8_SOURCES = tests/run_op.h tests/run_op.c tests/test_conv_sparse_s8.c
tests_test_conv_sparse_s8_LDADD   = liboctet_core.la $(CHECK_LIBS)
tests_test_conv_s8_way_SOURCES = tests/run_op.h tests/run_op.c tests/test_conv_s8_way.c
tests_test_conv_s8_way_LDADD   = liboctet_core.la $(CHECK_LIBS)
tests_test_conv_SOURCES       = tests/run_op.h tests/run_op.c tests/test_conv.c
tests_test_conv_LDADD         = liboctet_core.la $(CHECK_LIBS)
tests_test_winograd_SOURCES   = tests/winograd_matrices.h tests/test_winograd.c
tests_test_winograd_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_ops_SOURCES        = tests/ops_fixture.h tests/test_ops.c
tests_test_ops_LDADD          = $(LDADD) $(CHECK_LIBS)
tests_test_ops_golden_SOURCES = tests/ops_fixture.h tests/test_ops_golden.c
tests_test_ops_golden_LDADD   = $(LDADD) $(CHECK_LIBS)

unit_tests += tests/test_ops_text
tests_test_ops_text_SOURCES = tests/run_op.h tests/run_op.c tests/test_ops_text.c
tests_test_ops_text_LDADD   = liboctet_core.la $(CHECK_LIBS)

# graph
unit_tests += tests/test_graph tests/test_passes tests/test_plan
tests_test_graph_SOURCES  = tests/graph_case.h tests/graph_case.c tests/test_graph.c
tests_test_graph_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_passes_SOURCES = tests/graph_case.h tests/graph_case.c tests/test_passes.c
tests_test_passes_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_plan_SOURCES   = tests/graph_case.h tests/graph_case.c tests/fail_alloc.h \
	tests/fail_alloc.c tests/test_plan.c
tests_test_plan_LDADD     = $(LDADD) $(CHECK_LIBS)

# ... and what pruning leaves of a layer, against PyTorch's masks.
unit_tests += tests/test_mask
tests_test_mask_SOURCES = tests/test_mask.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_mask_LDADD   = liboctet_core.la $(CHECK_LIBS)

# quant: against plain loops and numpy; calibration of a whole model.
unit_tests   += tests/test_quant tests/test_calibrate tests/test_quantize
thread_tests += tests/test_calibrate tests/test_quantize
tests_test_quantize_SOURCES  = tests/graph_case.h tests/graph_case.c tests/quantize_case.h \
	tests/quantize_case.c tests/test_quantize.c
tests_test_quantize_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_quant_LDADD       = $(LDADD) $(CHECK_LIBS)
tests_test_calibrate_SOURCES = tests/graph_case.h tests/graph_case.c tests/fail_alloc.h \
	tests/fail_alloc.c tests/test_calibrate.c
tests_test_calibrate_LDADD   = $(LDADD) $(CHECK_LIBS)

# weights
unit_tests += tests/test_weights tests/test_weights_blocks tests/test_weights_hostile \
	tests/test_weights_save \
	tests/test_weights_zip tests/test_weights_oom tests/test_pickle
tests_test_weights_SOURCES       = tests/weights_util.h tests/test_weights.c
tests_test_weights_LDADD         = $(LDADD) $(CHECK_LIBS)
tests_test_weights_hostile_LDADD = $(LDADD) $(CHECK_LIBS)
tests_test_weights_blocks_LDADD  = $(LDADD) $(CHECK_LIBS)
tests_test_weights_save_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_weights_zip_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_weights_oom_SOURCES   = tests/test_weights_oom.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_weights_oom_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_pickle_LDADD          = $(LDADD) $(CHECK_LIBS)

# input: decoding, resizing and recipes against Pillow and torchvision; sources; the loader.
unit_tests   += tests/test_image tests/test_resize tests/test_recipe tests/test_input \
	tests/test_lists tests/test_loader tests/test_wordpiece tests/test_vocab
thread_tests += tests/test_loader
tests_test_image_SOURCES  = tests/files.h tests/test_image.c
tests_test_image_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_resize_SOURCES = tests/files.h tests/test_resize.c
tests_test_resize_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_recipe_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_input_SOURCES  = tests/files.h tests/sources.h tests/test_input.c
tests_test_input_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_lists_SOURCES  = tests/files.h tests/sources.h tests/test_lists.c
tests_test_lists_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_loader_SOURCES = tests/files.h tests/test_loader.c
tests_test_loader_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_wordpiece_SOURCES = tests/files.h tests/wordpiece_case.h tests/test_wordpiece.c
tests_test_wordpiece_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_vocab_SOURCES     = tests/files.h tests/wordpiece_case.h tests/fail_alloc.c \
	tests/fail_alloc.h tests/test_vocab.c
tests_test_vocab_LDADD       = $(LDADD) $(CHECK_LIBS)

# models
unit_tests += tests/test_layers tests/test_builders tests/test_models tests/test_compile \
	tests/test_compile_texts tests/test_quantizer
tests_test_layers_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_builders_LDADD  = $(LDADD) $(CHECK_LIBS)
tests_test_models_SOURCES  = tests/test_models.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_models_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
tests_test_models_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_compile_SOURCES = tests/weights_util.h tests/chain_case.h tests/chain_case.c \
	tests/test_compile.c tests/header_change.h tests/header_change.c tests/fail_alloc.c \
	tests/fail_alloc.h
tests_test_compile_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_compile_texts_SOURCES = tests/weights_util.h tests/header_change.h \
	tests/header_change.c tests/fail_alloc.h tests/fail_alloc.c tests/test_compile_texts.c
tests_test_compile_texts_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_quantizer_SOURCES = tests/weights_util.h tests/chain_case.h tests/chain_case.c \
	tests/test_quantizer.c
tests_test_quantizer_LDADD = $(LDADD) $(CHECK_LIBS)

unit_tests += tests/test_prune
CLEANFILES += test_prune-*
tests_test_prune_SOURCES = tests/chain_case.h tests/chain_case.c tests/fail_alloc.h \
	tests/fail_alloc.c tests/starve.h tests/test_prune.c
tests_test_prune_LDADD   = $(LDADD) $(CHECK_LIBS)
unit_tests += tests/test_repair
CLEANFILES += test_repair-*
tests_test_repair_SOURCES = tests/chain_case.h tests/chain_case.c tests/fail_alloc.h \
	tests/fail_alloc.c tests/same_pruned.h tests/starve.h tests/test_repair.c
tests_test_repair_LDADD   = $(LDADD) $(CHECK_LIBS)

# ... and without whole channels, against PyTorch with zeros in their place.
unit_tests += tests/test_groups tests/test_channels
CLEANFILES += test_channels-*
tests_test_groups_SOURCES   = tests/graph_case.h tests/graph_case.c tests/test_groups.c
tests_test_groups_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_channels_SOURCES = tests/seeded_resnet.h tests/seeded_resnet.c tests/fail_alloc.h \
	tests/fail_alloc.c tests/same_pruned.h tests/starve.h tests/test_channels.c
tests_test_channels_LDADD   = $(LDADD) $(CHECK_LIBS)

# ResNets with seeded weights against torchvision.
unit_tests += tests/test_resnets tests/test_resnet_memory
tests_test_resnets_SOURCES = tests/test_resnets.c tests/seeded_resnet.c tests/seeded_resnet.h \
	tests/fail_alloc.c tests/fail_alloc.h
tests_test_resnets_LDADD   = $(LDADD) $(CHECK_LIBS)
tests_test_resnet_memory_SOURCES = tests/test_resnet_memory.c tests/seeded_resnet.c \
	tests/seeded_resnet.h tests/fail_alloc.c tests/fail_alloc.h
tests_test_resnet_memory_LDADD   = $(LDADD) $(CHECK_LIBS)

# Networks that PyTorch quantized, against PyTorch.
unit_tests   += tests/test_quantized
thread_tests += tests/test_quantized
tests_test_quantized_SOURCES  = tests/files.h tests/test_quantized.c
tests_test_quantized_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
tests_test_quantized_LDADD    = $(LDADD) $(CHECK_LIBS)

# Encoders of texts with seeded weights against transformers.
unit_tests   += tests/test_bert
thread_tests += tests/test_bert
tests_test_bert_SOURCES = tests/test_bert.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_bert_LDADD   = $(LDADD) $(CHECK_LIBS)

# ... and in one file.
unit_tests   += tests/test_text_file
tests_test_text_file_SOURCES  = tests/files.h tests/test_text_file.c
tests_test_text_file_CFLAGS   = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_text_file_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
tests_test_text_file_LDADD    = libprograms.la $(LDADD) $(CHECK_LIBS)

# ... on samples.
unit_tests   += tests/test_text_static
tests_test_text_static_SOURCES  = tests/files.h tests/header_change.h tests/header_change.c \
	tests/text_case.h tests/text_case.c tests/test_text_static.c
tests_test_text_static_CFLAGS   = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_text_static_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
tests_test_text_static_LDADD    = $(LDADD) $(CHECK_LIBS)

unit_tests += tests/test_smooth
tests_test_smooth_SOURCES  = tests/files.h tests/header_change.h tests/header_change.c \
	tests/text_case.h tests/text_case.c tests/test_smooth.c
tests_test_smooth_CFLAGS   = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_smooth_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
tests_test_smooth_LDADD    = $(LDADD) $(CHECK_LIBS)

# The largest memory of a stream of texts.
unit_tests += tests/test_text_memory
tests_test_text_memory_SOURCES = tests/test_text_memory.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_text_memory_LDADD   = $(LDADD) $(CHECK_LIBS)

# programs
unit_tests += tests/test_programs tests/test_output tests/test_evaluate
tests_test_programs_CFLAGS = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_programs_LDADD  = libprograms.la $(LDADD) $(CHECK_LIBS)
tests_test_evaluate_CFLAGS = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_evaluate_LDADD  = libprograms.la $(LDADD) $(CHECK_LIBS)
tests_test_output_LDADD    = libprograms.la $(LDADD) $(CHECK_LIBS)

# The report of quantize.
unit_tests += tests/test_quant_report
tests_test_quant_report_SOURCES = tests/xml.h tests/test_quant_report.c tests/fail_alloc.c \
	tests/fail_alloc.h
tests_test_quant_report_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_quant_report_LDADD   = libprograms.la $(LDADD) $(CHECK_LIBS)

# lint: quant's verdicts, through files and the programs' loader.
unit_tests += tests/test_lint tests/test_lint_texts
tests_test_lint_texts_LDADD = $(LDADD) $(CHECK_LIBS)
tests_test_lint_CFLAGS = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_lint_LDADD  = libprograms.la $(LDADD) $(CHECK_LIBS)

# The CUDA backend: its kernels' sources on the CPU, on a device that is memory.
EXTRA_DIST += tests/cuda_emulate.h tests/cuda_emulate.cc
if HAVE_CUDA
cuda_tests = tests/test_cuda tests/test_cuda_layers tests/test_cuda_islands tests/test_cuda_bench \
	tests/test_cuda_products tests/test_cuda_rows tests/device_cuda tests/device_cuda_layers \
	tests/device_cuda_islands tests/device_cuda_products tests/device_cuda_rows
unit_tests += $(cuda_tests)
check-cuda:
	$(MAKE) check-TESTS TESTS="$(cuda_tests) tests/cuda_sass.sh"
cuda_emulated = $(cuda_kernels:.cu=.emu) tests/cuda_emulate.emu
CLEANFILES += $(cuda_emulated) test_cuda-*
cuda_host = $(NVCC) -I$(top_srcdir) -std=c++17 -O2 -g -x c++ \
	-Xcompiler -fno-exceptions,-fno-rtti,-fno-threadsafe-statics,-ffp-contract=off \
	-Xcompiler -fno-strict-aliasing -Xcompiler -U_FORTIFY_SOURCE,-Wno-unknown-pragmas
$(cuda_emulated): $(srcdir)/tests/cuda_emulate.h $(srcdir)/cuda/common.cuh \
	$(srcdir)/cuda/kernels.h $(srcdir)/cuda/mma.cuh $(srcdir)/cuda/norm.cuh \
	$(srcdir)/cuda/conv2d.cuh $(srcdir)/cuda/conv2d_mma.cuh
SUFFIXES += .cc .emu
.cu.emu:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(cuda_host) -include $(top_srcdir)/tests/cuda_emulate.h -c -o $@ $<
.cc.emu:
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(cuda_host) -c -o $@ $<
cuda_emulation = tests/cuda_device_fake.c cuda/backend.c cuda/island.c cuda/pack.c \
	cuda/pack_winograd.c \
	cuda/prepare.c cuda/prepare_conv.c cuda/product.c
tests_test_cuda_SOURCES = tests/test_cuda.c tests/cuda_case.h $(cuda_emulation)
tests_test_cuda_LDADD   = $(cuda_emulated) $(LDADD) $(CHECK_LIBS)
tests_test_cuda_layers_SOURCES = tests/graph_case.h tests/graph_case.c tests/test_cuda_layers.c \
	$(cuda_emulation)
tests_test_cuda_islands_SOURCES = tests/graph_case.h tests/graph_case.c tests/test_cuda_islands.c \
	$(cuda_emulation)
tests_test_cuda_islands_LDADD  = $(cuda_emulated) $(LDADD) $(CHECK_LIBS)
tests_test_cuda_layers_LDADD   = $(cuda_emulated) $(LDADD) $(CHECK_LIBS)
tests_test_cuda_products_SOURCES = tests/graph_case.h tests/graph_case.c \
	tests/test_cuda_products.c $(cuda_emulation)
tests_test_cuda_products_LDADD  = $(cuda_emulated) $(LDADD) $(CHECK_LIBS)
tests_test_cuda_rows_SOURCES = tests/test_cuda_rows.c tests/cuda_rows_case.h $(cuda_emulation)
tests_test_cuda_rows_LDADD   = $(cuda_emulated) $(LDADD) $(CHECK_LIBS)
tests_test_cuda_bench_SOURCES = tests/test_cuda_bench.c programs/cmd_bench.c programs/bench.c \
	programs/cmd_inspect.c programs/inspect_runs.c $(cuda_emulation)
tests_test_cuda_bench_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_cuda_bench_LDADD   = $(cuda_emulated) libprograms.la $(LDADD) $(CHECK_LIBS)

# The same tests of the real device; skipped where there is none.
tests_device_cuda_SOURCES  = tests/test_cuda.c
tests_device_cuda_CPPFLAGS = $(AM_CPPFLAGS) -DOCT_CUDA_DEVICE
tests_device_cuda_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_device_cuda_layers_SOURCES  = tests/graph_case.c tests/test_cuda_layers.c
tests_device_cuda_layers_CPPFLAGS = $(AM_CPPFLAGS) -DOCT_CUDA_DEVICE
tests_device_cuda_layers_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_device_cuda_products_SOURCES  = tests/graph_case.c tests/test_cuda_products.c
tests_device_cuda_products_CPPFLAGS = $(AM_CPPFLAGS) -DOCT_CUDA_DEVICE
tests_device_cuda_products_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_device_cuda_rows_SOURCES  = tests/test_cuda_rows.c
tests_device_cuda_rows_CPPFLAGS = $(AM_CPPFLAGS) -DOCT_CUDA_DEVICE
tests_device_cuda_rows_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_device_cuda_islands_SOURCES  = tests/graph_case.c tests/test_cuda_islands.c
tests_device_cuda_islands_CPPFLAGS = $(AM_CPPFLAGS) -DOCT_CUDA_DEVICE
tests_device_cuda_islands_LDADD    = $(LDADD) $(CHECK_LIBS)
endif
