TESTS      += tests/check_layers.sh
EXTRA_DIST += tests/check_layers.sh
EXTRA_DIST += tests/test.h tests/suite.h

# Unit tests: one Check suite a file, added to unit_tests; each needs a _SOURCES line.
unit_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
endif

# weights
unit_tests += tests/test_weights
EXTRA_DIST += tests/weights_util.h tests/golden/make_weights.py tests/golden/weights
tests_test_weights_SOURCES  = tests/test_weights.c
tests_test_weights_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_LDADD    = $(LDADD) $(CHECK_LIBS)
