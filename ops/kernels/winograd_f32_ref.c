/* winograd_f32, plain C: this file says what each value is.  Contract in winograd_f32.h. */
#include <math.h>

#include "ops/kernels/winograd_f32.h"

enum { P = 6 }; /* the larger p; rows of every p x p array here */

static const float A = 0x1.6a09e6p-1f, B = 0x1.6a09e6p+0f; /* sqrt(1/2), sqrt(2) */

/* r = B^T d for d[0], d[step], ...; r likewise. */
static void input_pass(int m, const float *d, float *r, int step)
{
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        r[0] = d0 - d2;
        r[step] = d1 + d2;
        r[2 * step] = d2 - d1;
        r[3 * step] = d3 - d1;
        return;
    }
    const float d4 = d[4 * step], d5 = d[5 * step];
    const float even_a = fmaf(-2.0f, d2, d4), odd_a = fmaf(-2.0f, d1, d3);
    const float even_b = fmaf(-0.5f, d2, d4), odd_b = fmaf(-0.5f, d1, d3);
    r[0] = d0 + fmaf(-2.5f, d2, d4);
    r[step] = fmaf(A, odd_a, even_a);
    r[2 * step] = fmaf(-A, odd_a, even_a);
    r[3 * step] = fmaf(B, odd_b, even_b);
    r[4 * step] = fmaf(-B, odd_b, even_b);
    r[5 * step] = d1 + fmaf(-2.5f, d3, d5);
}

/* r = A^T d, in place: d[0], d[step], ... become the m outputs. */
static void output_pass(int m, float *d, int step)
{
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        d[0] = d0 + (d1 + d2);
        d[step] = (d1 - d2) + d3;
        return;
    }
    const float d4 = d[4 * step], d5 = d[5 * step];
    const float sum_a = d1 + d2, dif_a = d1 - d2, sum_b = d3 + d4, dif_b = d3 - d4;
    d[0] = (d0 + sum_a) + sum_b;
    d[step] = fmaf(B, dif_b, A * dif_a);
    d[2 * step] = fmaf(2.0f, sum_b, 0.5f * sum_a);
    d[3 * step] = fmaf(2 * B, dif_b, fmaf(0.5f * A, dif_a, d5));
}

static void input(const oct_winograd_f32_in *args)
{
    const int m = args->m, p = m + 2;
    float t[P * P];
    for (int l = 0; l < args->lanes; l++) {
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++) {
                const int in = i >= args->y0 && i < args->y1 && j >= args->x0 && j < args->x1;
                t[i * P + j] = in ? args->x[(size_t)i * args->row + (size_t)j * args->pixel +
                                            (size_t)l] : 0.0f;
            }
        for (int j = 0; j < p; j++) input_pass(m, t + j, t + j, P);
        for (int i = 0; i < p; i++) input_pass(m, t + i * P, t + i * P, 1);
        for (int xi = 0; xi < p * p; xi++)
            args->v[(size_t)xi * args->step + (size_t)l] = t[xi / p * P + xi % p];
    }
}

static float activate(oct_act act, float x)
{
    if (act == OCT_ACT_NONE) return x;
    x = x < 0.0f ? 0.0f : x;
    return act == OCT_ACT_RELU6 && x > 6.0f ? 6.0f : x;
}

static void output(const oct_winograd_f32_out *args)
{
    const int m = args->m, p = m + 2;
    float t[P * P];
    for (int l = 0; l < args->lanes; l++) {
        for (int xi = 0; xi < p * p; xi++)
            t[xi / p * P + xi % p] = args->mm[(size_t)xi * args->step + (size_t)l];
        for (int j = 0; j < p; j++) output_pass(m, t + j, P);
        for (int i = 0; i < m; i++) output_pass(m, t + i * P, 1);
        for (int i = 0; i < args->rows; i++)
            for (int j = 0; j < args->cols; j++) {
                const size_t at = (size_t)i * args->row + (size_t)j * args->pixel + (size_t)l;
                float y = t[i * P + j] + args->bias[l];
                if (args->residual) y = y + args->residual[at];
                args->y[at] = activate(args->act, y);
            }
    }
}

const oct_winograd_f32 oct_winograd_f32_ref = { "ref", 0, input, output };
