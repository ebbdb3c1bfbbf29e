#include "ops/op.h"

#include <stdio.h>
#include <string.h>

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

unsigned char oct_no_data[OCT_ALIGN];

size_t oct_packed_size(size_t size)
{
    return (size + OCT_TAIL + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static oct_status take_given(const char *op, const oct_prepare *how, oct_packed *piece)
{
    if (how->n_packed >= how->n_given)
        return oct_fail(OCT_ERR_FORMAT, "%s: packed weights are missing", op);
    *piece = how->given[how->n_packed];
    return OCT_OK;
}

oct_status oct_prepare_packed(const char *op, oct_prepare *how, size_t size, void **out, int *ready)
{
    if (how->n_packed == OCT_MAX_PACKED)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: more than %d pieces of packed weights", op,
                        OCT_MAX_PACKED);
    oct_packed piece = { .size = oct_packed_size(size), .type = how->type };
    *ready = how->given != NULL;
    if (*ready) {
        OCT_TRY(take_given(op, how, &piece));
        if (piece.size != oct_packed_size(size))
            return oct_fail(OCT_ERR_FORMAT, "%s: packed weights of %zu bytes, expected %zu", op,
                            piece.size, oct_packed_size(size));
        *out = (void *)(uintptr_t)piece.data; /* not written: ready says so */
    } else {
        *out = oct_arena_alloc(how->arena, size);
        if (!*out) return oct_fail(OCT_ERR_MEMORY, "%s: no memory for %zu bytes of weights", op,
                                   size);
        memset((char *)*out + size, 0, piece.size - size); /* the arena's tail */
        piece.data = *out;
    }
    how->packed[how->n_packed++] = piece;
    return OCT_OK;
}
