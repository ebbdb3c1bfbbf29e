TESTS      += tests/check_layers.sh
EXTRA_DIST += tests/check_layers.sh
EXTRA_DIST += tests/test.h tests/suite.h

# Unit tests: one Check suite a file, added to unit_tests; each needs a _SOURCES line.
unit_tests =
# Those of them that start threads are thread_tests as well, for the thread sanitizer.
thread_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
check-threads:
	$(MAKE) check-TESTS TESTS="$(thread_tests)"
else
check-threads:
endif
.PHONY: check-threads

# The kernel checker needs no Check; a family is one more file here and one row in its table.
check_PROGRAMS += tests/check_kernels
tests_check_kernels_SOURCES = tests/test.h tests/check_kernels.h \
	tests/check_kernels.c tests/check_buffers.c \
	tests/check_gemm_f32.c tests/check_vec.c
tests_check_kernels_SOURCES += tests/winograd_matrices.h tests/check_winograd_f32.c
# Sample data and stored answers of the originals (Pillow, torchvision, PyTorch).
EXTRA_DIST += tests/data tests/golden

# The Winograd convolution, the whole path.
unit_tests += tests/test_winograd
tests_test_winograd_SOURCES  = tests/test.h tests/suite.h tests/winograd_matrices.h \
	tests/test_winograd.c
tests_test_winograd_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_winograd_LDADD    = $(LDADD) $(CHECK_LIBS)
# Sanitizers answer an impossible size with NULL, as malloc does; Check's own limit of 4 seconds
# is too short for an emulator.
AM_TESTS_ENVIRONMENT = \
	CK_DEFAULT_TIMEOUT=$${CK_DEFAULT_TIMEOUT-300}; export CK_DEFAULT_TIMEOUT; \
	ASAN_OPTIONS=allocator_may_return_null=1:$$ASAN_OPTIONS; export ASAN_OPTIONS; \
	TSAN_OPTIONS=allocator_may_return_null=1:$$TSAN_OPTIONS; export TSAN_OPTIONS;

# tensor: the pool (also as built where there is no futex) and its default size.
unit_tests += tests/test_threads tests/test_threads_cond tests/test_cgroup
thread_tests += tests/test_threads tests/test_threads_cond
test_threads_flags = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
if HAVE_LD_WRAP
test_threads_flags += -DHAVE_LD_WRAP
test_threads_wrap   = -Wl,--wrap=pthread_create
endif
tests_test_threads_SOURCES       = tests/test_threads.c
tests_test_threads_CPPFLAGS      = $(test_threads_flags)
tests_test_threads_LDFLAGS       = $(test_threads_wrap)
tests_test_threads_LDADD         = $(LDADD) $(CHECK_LIBS)
tests_test_threads_cond_SOURCES  = tests/test_threads.c tensor/threads.c
tests_test_threads_cond_CPPFLAGS = $(test_threads_flags) -DOCT_NO_FUTEX
tests_test_threads_cond_LDFLAGS  = $(test_threads_wrap)
tests_test_threads_cond_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_cgroup_SOURCES        = tests/test_cgroup.c
tests_test_cgroup_CPPFLAGS       = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_cgroup_LDADD          = $(LDADD) $(CHECK_LIBS)

# tensor: everything else on the ground floor.
unit_tests += tests/test_tensor tests/test_f16
tests_test_tensor_SOURCES  = tests/test_tensor.c
tests_test_tensor_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_tensor_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_f16_SOURCES     = tests/test_f16.c
tests_test_f16_CPPFLAGS    = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_f16_LDADD       = $(LDADD) $(CHECK_LIBS)

# conv2d and linear.
unit_tests += tests/test_conv
tests_test_conv_SOURCES  = tests/run_op.h tests/run_op.c tests/test_conv.c
tests_test_conv_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
# Links the core alone: it needs nothing but the C library, libm and pthreads.
tests_test_conv_LDADD    = liboctet_core.la $(CHECK_LIBS)
# Allocations that fail; whoever links tests/fail_alloc.c can count and refuse them.
unit_tests += tests/test_oom
tests_test_oom_SOURCES  = tests/test_oom.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_oom_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_oom_LDADD    = $(LDADD) $(CHECK_LIBS)
# weights
unit_tests += tests/test_weights
EXTRA_DIST += tests/weights_util.h tests/golden/make_weights.py tests/golden/weights
tests_test_weights_SOURCES  = tests/test_weights.c
tests_test_weights_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_LDADD    = $(LDADD) $(CHECK_LIBS)
# graph/
EXTRA_DIST += tests/graph_case.h
unit_tests += tests/test_graph tests/test_passes tests/test_plan
tests_test_graph_SOURCES   = tests/test_graph.c tests/graph_case.c
tests_test_graph_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_graph_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_passes_SOURCES  = tests/test_passes.c tests/graph_case.c
tests_test_passes_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_passes_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_plan_SOURCES    = tests/test_plan.c tests/graph_case.c tests/fail_alloc.c
tests_test_plan_CPPFLAGS   = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_plan_LDADD      = $(LDADD) $(CHECK_LIBS)

# models/
unit_tests += tests/test_layers tests/test_builders
tests_test_layers_SOURCES    = tests/test_layers.c
tests_test_layers_CPPFLAGS   = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_layers_LDADD      = $(LDADD) $(CHECK_LIBS)
tests_test_builders_SOURCES  = tests/test_builders.c
tests_test_builders_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_builders_LDADD    = $(LDADD) $(CHECK_LIBS)
EXTRA_DIST += weights/pretrained/mnist_cnn.safetensors weights/pretrained/cifar_cnn.safetensors
unit_tests += tests/test_models
tests_test_models_SOURCES  = tests/test_models.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_models_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(ZLIB_CFLAGS)
tests_test_models_LDADD    = $(LDADD) $(CHECK_LIBS)
# The built programs, as a user runs them.
program_tests = tests/test_cli.sh tests/accuracy_mnist.sh tests/accuracy_mnist_classifier.sh \
	tests/accuracy_cifar.sh tests/accuracy_cifar_resnets.sh tests/bits.sh
TESTS      += $(program_tests)
EXTRA_DIST += $(program_tests) tests/programs.sh
$(program_tests:.sh=.log): cnn_infer$(EXEEXT) octet$(EXEEXT)

# programs/
unit_tests += tests/test_programs
tests_test_programs_SOURCES  = tests/test_programs.c
tests_test_programs_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_programs_CFLAGS   = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
tests_test_programs_LDADD    = libprograms.la $(LDADD) $(CHECK_LIBS)

# Operators: against naive loops, against PyTorch's own numbers.
unit_tests += tests/test_ops
tests_test_ops_SOURCES  = tests/test.h tests/suite.h tests/ops_fixture.h tests/test_ops.c
tests_test_ops_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_ops_LDADD    = $(LDADD) $(CHECK_LIBS)
unit_tests += tests/test_ops_golden
tests_test_ops_golden_SOURCES  = tests/test.h tests/suite.h tests/ops_fixture.h tests/golden/ops.h \
	tests/test_ops_golden.c
tests_test_ops_golden_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_ops_golden_LDADD    = $(LDADD) $(CHECK_LIBS)
EXTRA_DIST += tests/golden/make_ops.py

# input: decoding, resizing and recipes against Pillow and torchvision; sources; the loader.
unit_tests += tests/test_image tests/test_resize tests/test_recipe tests/test_input \
	tests/test_loader
tests_test_image_SOURCES   = tests/files.h tests/test_image.c
tests_test_image_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_image_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_resize_SOURCES  = tests/files.h tests/test_resize.c
tests_test_resize_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_resize_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_recipe_SOURCES  = tests/test_recipe.c
tests_test_recipe_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_recipe_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_input_SOURCES   = tests/files.h tests/test_input.c
tests_test_input_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_input_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_loader_SOURCES  = tests/files.h tests/test_loader.c
tests_test_loader_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_loader_LDADD    = $(LDADD) $(CHECK_LIBS)
check_PROGRAMS += tests/fuzz_input
tests_fuzz_input_SOURCES = tests/fuzz_input.c
EXTRA_DIST += tests/corpus/input
