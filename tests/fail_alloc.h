#ifndef OCT_TESTS_FAIL_ALLOC_H
#define OCT_TESTS_FAIL_ALLOC_H

/* Link tests/fail_alloc.c into a test and every malloc, calloc, realloc, aligned_alloc of the
 * process, other libraries' and the C library's own (fopen, getline, pthread_create) included,
 * goes through here.
 *
 *     for (long n = 1;; n++) {
 *         fail_alloc_begin(n, 0);
 *         const oct_status status = operation();
 *         if (fail_alloc_end() < n) break;      // it no longer comes to an n-th allocation
 *         ck_assert_int_eq(status, OCT_ERR_MEMORY);
 *     }
 *
 * No assertion between begin and end: Check allocates.  Threads are counted together. */

/* 0 where it cannot be done, then nothing is counted and nothing fails: under a sanitizer that
 * has its own malloc, or with a C library other than glibc.  Such a test skips itself. */
int fail_alloc_works(void);

/* From now on count allocations; the n-th (1 is the next) fails, with lasting all after it too;
 * 0: none fails. */
void fail_alloc_begin(long n, int lasting);
long fail_alloc_end(void);  /* how many there were since begin; none fails any more */

long fail_alloc_live(void); /* blocks of the whole process not yet freed: before == after */

#endif
