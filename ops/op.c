#include "ops/op.h"

#include <stdio.h>

#include "ops/attr.h"

const oct_op *const oct_ops[OCT_OP_COUNT] = {
#define X(KIND, name) [OCT_OP_##KIND] = &oct_op_##name,
    OCT_OP_LIST(X)
#undef X
};

const char *oct_act_name(oct_act act)
{
    static const char *const names[OCT_ACT_COUNT] = {
        [OCT_ACT_NONE] = "none",       [OCT_ACT_RELU] = "relu", [OCT_ACT_RELU6] = "relu6",
        [OCT_ACT_SIGMOID] = "sigmoid", [OCT_ACT_TANH] = "tanh", [OCT_ACT_GELU] = "gelu",
    };
    return (unsigned)act < OCT_ACT_COUNT ? names[act] : "unknown";
}

oct_status oct_kernel_name(oct_prepare *how, const char *family, const char *isa)
{
    enum { MAX = 64 };
    char *name = oct_arena_alloc(how->arena, MAX);
    if (!name) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", family);
    snprintf(name, MAX, "%s/%s", family, isa);
    how->kernel = name;
    return OCT_OK;
}
