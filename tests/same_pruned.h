#ifndef OCT_TESTS_SAME_PRUNED_H
#define OCT_TESTS_SAME_PRUNED_H

#include <check.h>
#include <string.h>

#include "models/prune.h"

/* Tensor i of both has the same bytes. */
static inline int same_tensor(const oct_pruned *a, const oct_pruned *b, int i)
{
    return !memcmp(a->tensor[i].data, b->tensor[i].data, oct_tensor_size(&a->tensor[i]));
}

/* All of them, and both were repaired on the same samples. */
static inline void same_pruned(const oct_pruned *a, const oct_pruned *b)
{
    for (int i = 0; i < a->n_tensors; i++)
        ck_assert_msg(same_tensor(a, b, i), "%s", oct_weights_at(a->model->weights, i)->name);
    ck_assert_str_eq(a->repair.sha256, b->repair.sha256);
}

#endif
