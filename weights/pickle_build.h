#ifndef OCT_WEIGHTS_PICKLE_BUILD_H
#define OCT_WEIGHTS_PICKLE_BUILD_H

#include "weights/pickle.h"

/* The other half of the machine: which globals there are and what calling them makes.  pickle.c
 * has the opcodes and the stack. */

/* Records "SENTENCE (byte N)". */
oct_status oct_pickle_fail(const oct_pickle *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

oct_status oct_pickle_new(oct_pickle *p, oct_pickle_kind kind, oct_pickle_value **out);
/* Adds a cell to a LIST (key NULL), DICT or OBJECT. */
oct_status oct_pickle_add(oct_pickle *p, oct_pickle_value *to, oct_pickle_value *key,
                          oct_pickle_value *value);

/* GLOBAL and STACK_GLOBAL; REDUCE; NEWOBJ; BUILD; BINPERSID. */
oct_status oct_pickle_global(oct_pickle *p, const char *module, const char *name,
                             oct_pickle_value **out);
oct_status oct_pickle_reduce(oct_pickle *p, const oct_pickle_value *func,
                             const oct_pickle_value *args, oct_pickle_value **out);
oct_status oct_pickle_object(oct_pickle *p, const oct_pickle_value *cls,
                             const oct_pickle_value *args, oct_pickle_value **out);
oct_status oct_pickle_state(oct_pickle *p, oct_pickle_value *object,
                            const oct_pickle_value *state);
oct_status oct_pickle_persistent(oct_pickle *p, const oct_pickle_value *id,
                                 oct_pickle_value **out);

#endif
