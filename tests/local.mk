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

# Allocations that fail; whoever links tests/fail_alloc.c can count and refuse them.
unit_tests += tests/test_oom
tests_test_oom_SOURCES  = tests/test_oom.c tests/fail_alloc.c tests/fail_alloc.h
tests_test_oom_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_test_oom_LDADD    = $(LDADD) $(CHECK_LIBS)
