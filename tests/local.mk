TESTS      += tests/check_layers.sh
EXTRA_DIST += tests/check_layers.sh
EXTRA_DIST += tests/test.h tests/suite.h

# Unit tests: one Check suite a file, added to unit_tests; each needs a _SOURCES line.
unit_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
endif

# The kernel checker needs no Check; a family is one more file here and one row in its table.
check_PROGRAMS += tests/check_kernels
tests_check_kernels_SOURCES = tests/test.h tests/check_kernels.h \
	tests/check_kernels.c tests/check_buffers.c tests/check_vec.c

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
