/* cuda/device.h on a CPU: memory is memory, a captured graph is the function that launches. */
#include <stdlib.h>
#include <string.h>

#include "cuda/device.h"

typedef struct block { struct block *next; void *memory; } block;

struct oct_cuda {
    block *blocks;
    oct_cuda_launch *launch;
    void *arg;
};

oct_status oct_cuda_open(oct_cuda **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "fake device: out of memory");
}

void oct_cuda_close(oct_cuda *c)
{
    while (c && c->blocks) {
        block *b = c->blocks;
        c->blocks = b->next;
        free(b->memory);
        free(b);
    }
    free(c);
}

/* Rubbish, as on a device: half and float NaN. */
oct_status oct_cuda_alloc(oct_cuda *c, size_t size, void **out)
{
    block *b = calloc(1, sizeof *b);
    *out = b ? aligned_alloc(256, (size + 256) / 256 * 256) : NULL;
    if (!*out) {
        free(b);
        return oct_fail(OCT_ERR_DEVICE, "fake device: out of device memory");
    }
    memset(*out, 0xff, (size + 256) / 256 * 256);
    *b = (block){ c->blocks, *out };
    c->blocks = b;
    return OCT_OK;
}

oct_status oct_cuda_pin(oct_cuda *c, size_t size, void **out)
{
    OCT_TRY(oct_cuda_alloc(c, size, out));
    memset(*out, 0, size);
    return OCT_OK;
}

oct_status oct_cuda_upload(oct_cuda *c, void *to, const void *from, size_t size)
{
    return oct_cuda_send(c, to, from, size);
}

oct_status oct_cuda_capture(oct_cuda *c, oct_cuda_launch *launch, void *arg)
{
    c->launch = launch;
    c->arg = arg;
    return oct_cuda_replay(c);
}

oct_status oct_cuda_send(oct_cuda *c, void *to, const void *from, size_t size)
{
    (void)c;
    memcpy(to, from, size);
    return OCT_OK;
}

oct_status oct_cuda_receive(oct_cuda *c, void *to, const void *from, size_t size)
{
    return oct_cuda_send(c, to, from, size);
}

oct_status oct_cuda_replay(oct_cuda *c)
{
    return c->launch(c->arg, NULL) ? oct_fail(OCT_ERR_DEVICE, "fake device: run") : OCT_OK;
}

oct_status oct_cuda_wait(oct_cuda *c)
{
    (void)c;
    return OCT_OK;
}
