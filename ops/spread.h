#ifndef OCT_OPS_SPREAD_H
#define OCT_OPS_SPREAD_H

#include <stddef.h>

#include "tensor/threads.h"

/* Does units 0 .. units - 1, each of about `size` bytes read and written, in runs of consecutive
 * ones: body(arg, first, end).  Little work is done at once by the caller: a parallel region costs
 * as much as moving 100 KB.  Runs are disjoint and cover all; nothing may depend on the cuts. */
typedef void oct_spread_body(void *arg, size_t first, size_t end);
void oct_spread(oct_pool *pool, size_t units, size_t size, oct_spread_body *body, void *arg);

#endif
