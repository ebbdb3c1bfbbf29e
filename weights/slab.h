#ifndef OCT_WEIGHTS_SLAB_H
#define OCT_WEIGHTS_SLAB_H

#include "tensor/arena.h"

/* Many small pieces with one lifetime and one budget: what a file's description may cost in
 * memory is fixed from the file's size before it is read, so no claim in it can ask for more. */
typedef struct oct_slab {
    oct_arena arena;
    char *at;         /* free part of the newest block, room bytes */
    size_t room;
    size_t budget, used;
    int spent;        /* the last failure was the budget's */
} oct_slab;

/* 8-byte aligned and cleared; NULL when there is no memory or the budget is used up. */
void *oct_slab_alloc(oct_slab *s, size_t size);
char *oct_slab_string(oct_slab *s, const char *text, size_t size); /* a terminated copy */
oct_status oct_slab_error(const oct_slab *s);  /* why the last call gave NULL */
void oct_slab_free(oct_slab *s);

#endif
