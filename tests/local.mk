TESTS      += tests/check_layers.sh
EXTRA_DIST += tests/check_layers.sh
EXTRA_DIST += tests/test.h tests/suite.h

# Unit tests: one Check suite a file, added to unit_tests; each needs a _SOURCES line.
unit_tests =
if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
endif

# weights
unit_tests += tests/test_weights tests/test_weights_hostile tests/test_weights_save
unit_tests += tests/test_weights_zip tests/test_pickle
EXTRA_DIST += tests/weights_util.h tests/golden/make_weights.py tests/golden/weights
check_PROGRAMS += tests/fuzz_weights
EXTRA_DIST += tests/fuzz_main.h tests/corpus/weights
tests_fuzz_weights_SOURCES  = tests/fuzz_weights.c
tests_test_weights_SOURCES  = tests/test_weights.c
tests_test_weights_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_weights_hostile_SOURCES  = tests/test_weights_hostile.c
tests_test_weights_hostile_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_hostile_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_weights_save_SOURCES  = tests/test_weights_save.c
tests_test_weights_save_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_save_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_pickle_SOURCES  = tests/test_pickle.c
tests_test_pickle_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_pickle_LDADD    = $(LDADD) $(CHECK_LIBS)
tests_test_weights_zip_SOURCES  = tests/test_weights_zip.c
tests_test_weights_zip_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_weights_zip_LDADD    = $(LDADD) $(CHECK_LIBS)
