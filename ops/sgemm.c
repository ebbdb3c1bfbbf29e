#include "ops/sgemm.h"

oct_status oct_sgemm_prepare(const oct_tensor *w, int k, const int32_t *perm, const float *bias,
                             oct_prepare *how, oct_sgemm_step **out)
{
    const size_t n = (size_t)w->dim[0], size = n * (size_t)k * sizeof(float);
    oct_sgemm_step *s = oct_arena_zalloc(how->arena, sizeof *s);
    float *copy = oct_arena_alloc(how->arena, size);
    float *row = oct_arena_alloc(how->arena, (size_t)k * sizeof *row);
    float *b = bias ? oct_arena_alloc(how->arena, n * sizeof *b) : NULL;
    if (!s || !copy || !row || (bias && !b))
        return oct_fail(OCT_ERR_MEMORY, "sgemm: %zu bytes of weights", size);
    for (size_t i = 0; i < n; i++) {
        oct_tensor_read_f32(w, i * (size_t)k, (size_t)k, row);
        for (int p = 0; p < k; p++) copy[i * (size_t)k + (size_t)p] = row[perm ? perm[p] : p];
        if (b) b[i] = bias[i];
    }
    *s = (oct_sgemm_step){ how->sgemm, copy, b, (int)n, k };
    *out = s;
    how->weight_size = size;
    how->kernel = "openblas";
    return OCT_OK;
}

void oct_sgemm_run(const oct_sgemm_step *s, int m, const float *x, const float *residual,
                   oct_act act, float *y)
{
    const size_t n = (size_t)s->n;
    s->sgemm(m, s->n, s->k, x, s->w, y);
    for (size_t i = 0; i < (size_t)m * n; i++) {
        float v = y[i] + (s->bias ? s->bias[i % n] : 0);
        if (residual) v = v + residual[i];
        if (act != OCT_ACT_NONE) v = v < 0 ? 0 : v;
        if (act == OCT_ACT_RELU6) v = v > 6 ? 6 : v;
        y[i] = v;
    }
}
