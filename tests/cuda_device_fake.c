/* cuda/device.h on a CPU: memory is memory, a captured graph is the function that launches. */
#include <stdlib.h>
#include <string.h>

#include "cuda/steps.h"
#include "tensor/f16.h"
#include "tests/cuda_case.h"

cuda_fake_library cuda_library = { .ms = 2 };

typedef struct block { struct block *next; void *memory; } block;

struct oct_cuda {
    block *blocks;
    oct_cuda_launch *launch;
    void *arg;
    int products; /* of the library */
};

oct_status oct_cuda_open(oct_cuda **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "fake device: out of memory");
}

void oct_cuda_close(oct_cuda *c)
{
    while (c && c->blocks) oct_cuda_free(c, c->blocks->memory);
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

oct_status oct_cuda_clear(oct_cuda *c, void *to, size_t size)
{
    (void)c;
    memset(to, 0, size);
    return OCT_OK;
}

void oct_cuda_free(oct_cuda *c, void *memory)
{
    for (block **at = &c->blocks; memory && *at; at = &(*at)->next)
        if ((*at)->memory == memory) {
            block *b = *at;
            *at = b->next;
            free(b->memory);
            free(b);
            return;
        }
}

/* What is measured are steps (product.c); those of ours need not run for that. */
oct_status oct_cuda_measure(oct_cuda *c, oct_cuda_launch *launch, void *arg, float *ms)
{
    c->products = 0;
    cuda_library.timed++;
    const oct_cuda_step *step = arg;
    if (step->product.m && launch(arg, NULL)) return oct_fail(OCT_ERR_DEVICE, "fake device: run");
    const oct_cuda_conv *of = &step->u.conv;
    const int best = (int)of->tile == cuda_library.tile &&
                     (!cuda_library.splits || of->splits == cuda_library.splits);
    *ms = c->products ? cuda_library.ms : best ? 1
                      : cuda_library.others > 0 ? cuda_library.others : 2;
    return OCT_OK;
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

oct_status oct_cuda_open_cublas(oct_cuda *c)
{
    (void)c;
    return cuda_library.missing ? oct_fail(OCT_ERR_UNSUPPORTED, "fake device: no library") : OCT_OK;
}

int oct_cuda_multiply(oct_cuda *c, const oct_cuda_product *p)
{
    const uint16_t *x = p->x, *w = p->w;
    if (cuda_library.fails) return 1;
    c->products++;
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->n; j++) {
            float sum = 0;
            for (int k = 0; k < p->k; k++)
                sum += oct_f32_of_f16(x[(size_t)i * (size_t)p->x_pitch + (size_t)k]) *
                       oct_f32_of_f16(w[(size_t)j * (size_t)p->w_pitch + (size_t)k]);
            p->y[(size_t)i * (size_t)p->y_pitch + (size_t)j] = sum;
        }
    return 0;
}

/* Launch i takes i + 1 ms. */
oct_status oct_cuda_time(oct_cuda *c, oct_cuda_launch_one *launch, void *arg, int n, float *ms)
{
    (void)c;
    for (int i = 0; i < n; i++) {
        if (launch(arg, NULL, i)) return oct_fail(OCT_ERR_DEVICE, "fake device: run");
        ms[i] = (float)(i + 1);
    }
    return OCT_OK;
}

/* Half a millisecond, by the clock of this device: nothing is run, its CPU takes long. */
oct_status oct_cuda_time_replay(oct_cuda *c, float *ms)
{
    *ms = 0.5f;
    return c->launch ? OCT_OK : oct_fail(OCT_ERR_DEVICE, "fake device: nothing was captured");
}

oct_peaks oct_cuda_peaks(const oct_cuda *c)
{
    (void)c;
    return (oct_peaks){ .fp32 = 1, .fp16 = 2, .int8 = 4, .bytes = 8,
                        .overlap = 1 };
}

oct_status oct_cuda_wait(oct_cuda *c)
{
    (void)c;
    return OCT_OK;
}
