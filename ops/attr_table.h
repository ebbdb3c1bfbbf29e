#ifndef OCT_OPS_ATTR_TABLE_H
#define OCT_OPS_ATTR_TABLE_H

#include <stddef.h>

#include "ops/attr.h"
#include "ops/op.h"

/* What a file says of a node's parameters and operands: each operator's own struct field by field,
 * so that a compiled model does not depend on how a compiler lays it out, and which operands are
 * constants, which may be absent.  A field added to ops/attr.h gets a line in attr_table.c;
 * tests/test_compile.c counts the bytes. */
typedef enum oct_attr_type {
    OCT_ATTR_INT,       /* int */
    OCT_ATTR_FLOAT,     /* float, finite */
    OCT_ATTR_ACT,       /* oct_act, by its name */
    OCT_ATTR_POOL_KIND  /* oct_pool_kind, by its name */
} oct_attr_type;

typedef struct oct_attr_field {
    const char *name;
    size_t offset;
    oct_attr_type type;
    int count;          /* entries: 1, or 2 for vertical and horizontal */
} oct_attr_field;

typedef struct oct_attr_table {
    size_t size;                 /* of the struct; 0: the operator has none */
    const oct_attr_field *field;
    int n_fields;
    const char *operands;        /* one letter each: v value, c constant; V and C may be absent */
} oct_attr_table;

enum { OCT_ATTR_MAX_SIZE = 64 }; /* of any operator's struct */

extern const oct_attr_table oct_attr_tables[OCT_OP_COUNT];

/* Name of the value of an ACT or POOL_KIND field, and back: -1 if there is no such name. */
const char *oct_attr_word(oct_attr_type type, int value);
int oct_attr_value(oct_attr_type type, const char *word);

#endif
