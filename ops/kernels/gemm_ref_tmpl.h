/* The body of gemm_f32, gemm_f16w and gemm_bf16 in plain C: the specification.  The includer
 * defines ROWS, NR, elem (what a panel holds after the bias) and mac(a, b, sum). */
static float finish(float sum, float bias, const float *residual, oct_act act)
{
    float y = sum + bias;
    if (residual) y = y + *residual;
    if (act != OCT_ACT_NONE) y = y < 0 ? 0 : y;
    if (act == OCT_ACT_RELU6) y = y > 6 ? 6 : y;
    return y;
}

static void tile(const oct_gemm_f32_args *t)
{
    for (int g = 0; g < t->groups; g++)
        for (int i = 0; i < t->rows; i++)
            for (int j = 0; j < t->cols; j++) {
                const elem *b = (const elem *)(const void *)(t->panel + NR) + j;
                float sum = 0;
                for (int s = 0; s < t->n_segs; s++) {
                    const oct_gemm_f32_seg *seg = &t->seg[s];
                    const float *a = t->a[g] + seg->offset + (t->pos[g] + i * t->step) * seg->width;
                    for (int c = 0; c < seg->len; c++, b += NR) sum = mac(a + c, b, sum);
                }
                const size_t at = (size_t)i * t->ldc + (size_t)j;
                t->c[g][at] = finish(sum, t->panel[j],
                                     t->residual[0] ? t->residual[g] + at : NULL, t->act);
            }
}

static void gemv(int k, const float *x, int panels, const float *panel, size_t panel_stride,
                 const float *residual, oct_act act, int cols, float *y)
{
    for (int p = 0; p < panels; p++, panel += panel_stride) {
        const int width = p + 1 < panels ? NR : cols;
        for (int j = 0; j < width; j++) {
            const size_t at = (size_t)p * NR + (size_t)j;
            float sum = 0;
            const elem *b = (const elem *)(const void *)(panel + NR) + j;
            for (int c = 0; c < k; c++, b += NR) sum = mac(x + c, b, sum);
            y[at] = finish(sum, panel[j], residual ? residual + at : NULL, act);
        }
    }
}
