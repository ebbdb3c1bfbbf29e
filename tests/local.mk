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
	tests/check_gemm_f32.c
# Sample data and stored answers of the originals (Pillow, torchvision, PyTorch).
EXTRA_DIST += tests/data tests/golden
