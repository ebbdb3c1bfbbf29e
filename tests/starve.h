#ifndef OCT_TESTS_STARVE_H
#define OCT_TESTS_STARVE_H

#include <check.h>

#include "octet.h"
#include "tests/fail_alloc.h"

/* body with its 1st allocation failing, then with its (1 + stride)-th ... until it comes to none
 * that fails: each time it says so, or does without, and frees all it had; at last it is done. */
static inline void starve(long stride, oct_status (*body)(void *arg), void *arg)
{
    oct_status status = OCT_OK;
    if (!fail_alloc_works()) return;
    for (long n = 1, more = 1; more; n += stride) {
        const long live = fail_alloc_live();
        fail_alloc_begin(n, 0);
        status = body(arg);
        more = fail_alloc_end() >= n;
        ck_assert_msg(status == OCT_ERR_MEMORY || status == OCT_OK, "%ld: %s: %s", n,
                      oct_status_name(status), oct_last_error());
        ck_assert_msg(fail_alloc_live() == live, "%ld: %ld blocks more", n,
                      fail_alloc_live() - live);
    }
    ck_assert_msg(status == OCT_OK, "%s", oct_last_error());
}

/* A body: loads a model. */
static inline oct_status starve_load(void *path)
{
    oct_model *m;
    const oct_status status = oct_model_load(path, &(oct_options){ .threads = 1 }, &m);
    oct_model_free(m);
    return status;
}

#endif
