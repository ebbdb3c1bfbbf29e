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
