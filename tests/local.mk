TESTS      += tests/check_layers.sh
EXTRA_DIST += tests/check_layers.sh
EXTRA_DIST += tests/test.h tests/suite.h

# Unit tests: one Check suite a file, added to unit_tests; each needs a _SOURCES line.
unit_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
endif

# graph/
unit_tests += tests/test_plan
tests_test_plan_SOURCES  = tests/test_plan.c
tests_test_plan_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_plan_LDADD    = $(LDADD) $(CHECK_LIBS)
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

# input: decoding, resizing and recipes against Pillow and torchvision; sources; the loader.
unit_tests += tests/test_image tests/test_resize tests/test_recipe tests/test_input \
	tests/test_lists tests/test_loader
tests_test_image_SOURCES   = tests/files.h tests/test_image.c
tests_test_image_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_image_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_resize_SOURCES  = tests/files.h tests/test_resize.c
tests_test_resize_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_resize_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_recipe_SOURCES  = tests/test_recipe.c
tests_test_recipe_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_recipe_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_input_SOURCES   = tests/files.h tests/sources.h tests/test_input.c
tests_test_input_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_input_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_lists_SOURCES   = tests/files.h tests/sources.h tests/test_lists.c
tests_test_lists_CPPFLAGS  = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_lists_LDADD     = $(LDADD) $(CHECK_LIBS)
tests_test_loader_SOURCES  = tests/files.h tests/test_loader.c
tests_test_loader_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_loader_LDADD    = $(LDADD) $(CHECK_LIBS)
check_PROGRAMS += tests/fuzz_input
tests_fuzz_input_SOURCES   = tests/fuzz_input.c
EXTRA_DIST += tests/corpus/input
