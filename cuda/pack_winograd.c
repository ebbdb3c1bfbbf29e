/* Winograd's U as winograd_f32.cu reads it: [c][xi][n_pad], made by the CPU's own function. */
#include <stdlib.h>

#include "cuda/steps.h"
#include "ops/kernels/winograd_f32.h"

/* U of one input channel, of which from[n * c * 9 ...] are the taps. */
static void winograd_channel(const oct_cuda_shape *s, const float *from, int n_pad, float *to)
{
    enum { N = OCT_WINOGRAD_F32_FILTERS, TAPS = 9 };
    for (int n = 0; n < n_pad; n += N) { /* OCT_CUDA_N is a multiple of N */
        float taps[TAPS * N] = { 0 };
        for (int l = 0; l < N && n + l < s->out; l++)
            for (int t = 0; t < TAPS; t++)
                taps[t * N + l] = from[(size_t)(n + l) * (size_t)s->c * TAPS + (size_t)t];
        oct_winograd_f32_weights(s->winograd, N, taps, to + n, (size_t)n_pad);
    }
}

oct_status oct_cuda_pack_winograd(oct_device *d, const oct_cuda_shape *s, const oct_tensor *w,
                                  oct_prepare *how, oct_cuda_conv *c)
{
    const size_t k = oct_tensor_count(w), p = (size_t)s->winograd + 2;
    const size_t each = p * p * (size_t)c->n_pad, size = (size_t)s->c * each * sizeof(float);
    float *from = malloc(k * sizeof *from), *to = malloc(size);
    oct_status status = from && to ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "%s: out of memory", s->op);
    if (!status) oct_tensor_read_f32(w, 0, k, from);
    for (int i = 0; i < s->c && !status; i++)
        winograd_channel(s, from + (size_t)i * 9, c->n_pad, to + (size_t)i * each);
    if (!status) status = oct_cuda_put(d, to, size, how, &c->w);
    free(from);
    free(to);
    return status;
}
