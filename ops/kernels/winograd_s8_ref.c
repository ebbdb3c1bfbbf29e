/* winograd_s8, plain C: the specification.  Contract in winograd_s8.h. */
#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"

enum { P = 6, NR = 8 }; /* P: the larger p; rows of every p x p array here */

static int place(int j, int p) { return j * 2 + p; }

/* r = B^T d for d[0], d[step], ..., in place. */
static void input_pass(int m, int points, int *d, int step)
{
    const int d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], last = (m + 1) * step;
    if (points == 4) {
        d[0] = d0 - d2;
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
        d[last] = m == 2 ? d1 - d3 : d3 - d1;
        return;
    }
    const int d4 = d[4 * step];
    if (points == 5) {
        d[0] = 2 * d0 - d1 - 2 * d2 + d3;
        d[step] = -2 * d1 - d2 + d3;
        d[2 * step] = 2 * d1 - 3 * d2 + d3;
        d[3 * step] = d3 - d1;
        d[last] = 2 * d1 - d2 - 2 * d3 + d4;
        return;
    }
    const int d5 = d[5 * step];
    d[0] = 4 * d0 - 5 * d2 + d4;
    d[step] = -4 * d1 - 4 * d2 + d3 + d4;
    d[2 * step] = 4 * d1 - 4 * d2 - d3 + d4;
    d[3 * step] = -2 * d1 - d2 + 2 * d3 + d4;
    d[4 * step] = 2 * d1 - d2 - 2 * d3 + d4;
    d[last] = 4 * d1 - 5 * d3 + d5;
}

/* A^T d mod 2^32, in place: d[0], d[step], ... become the outputs. */
static void output_pass(int m, int points, uint32_t *d, int step)
{
    const uint32_t d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    const uint32_t last = d[(m + 1) * step];
    if (m == 2) {
        d[0] = d0 + d1 + d2;
        d[step] = d1 - d2 - d3;
        return;
    }
    if (points == 4) {
        d[0] = 4 * d0 - 3 * (d1 + d2);
        d[step] = 3 * (d2 - d1) + 8 * last;
        return;
    }
    if (points == 5) {
        d[0] = 2 * d0 + 3 * d1 + d2 + 4 * d3;
        d[step] = 3 * d1 - d2 + 8 * d3;
        d[2 * step] = 3 * d1 + d2 + 16 * d3 + 8 * last;
        return;
    }
    const uint32_t d4 = d[4 * step];
    d[0] = d0 + d1 + d2 + d3 + d4;
    d[step] = d1 - d2 + 2 * (d3 - d4);
    d[2 * step] = d1 + d2 + 4 * (d3 + d4);
    d[3 * step] = d1 - d2 + 8 * (d3 - d4 + last);
}

static void input(const oct_winograd_s8_in *args)
{
    const int m = args->m, p = m + 2, down = args->points[0], across = args->points[1];
    int t[P * P];
    for (int l = 0; l < args->lanes; l++) {
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++) {
                const int in = i >= args->y0 && i < args->y1 && j >= args->x0 && j < args->x1;
                t[i * P + j] = in ? args->x[(size_t)i * args->row + (size_t)j * args->pixel +
                                            (size_t)l] : args->zero;
            }
        for (int j = 0; j < p; j++) input_pass(m, down, t + j, P);
        for (int i = 0; i < p; i++) input_pass(m, across, t + i * P, 1);
        for (int xi = 0; xi < p * p; xi++)
            if (oct_winograd_s8_has(m, down, xi / p) && oct_winograd_s8_has(m, across, xi % p))
                args->v[(size_t)xi * args->step + (size_t)l] = (int16_t)t[xi / p * P + xi % p];
    }
}

static void product(int n, int pairs, const int16_t *v, size_t block, const int16_t *u,
                    int32_t *mm)
{
    for (int t = 0; t < n; t++)
        for (int j = 0; j < NR; j++) {
            uint32_t sum = 0; /* wraps */
            for (int c = 0; c < 2 * pairs; c++)
                sum += (uint32_t)(v[(size_t)(c / OCT_BLOCK) * block +
                                    (size_t)(t * OCT_BLOCK + c % OCT_BLOCK)] *
                                  u[c / 2 * 2 * NR + place(j, c % 2)]);
            mm[t * NR + j] = (int32_t)sum;
        }
}

/* One element from its sum, as gemm_s8_ref.c. */
static void put(const oct_winograd_s8_out *args, size_t at, int j, int32_t acc)
{
    const float *scale = (const float *)args->panel + NR, *fbias = scale + NR;
    const oct_requant *q = args->out;
    float y = (float)acc * scale[j];
    switch (q->kind) {
    case OCT_REQUANT_S32:
        ((int32_t *)args->y)[at] = acc;
        break;
    case OCT_REQUANT_F32:
        y = y + fbias[j];
        if (args->residual) y = y + ((const float *)args->residual)[at];
        ((float *)args->y)[at] = oct_requant_act(y, q->act);
        break;
    case OCT_REQUANT_U8:
        y = ((float)acc + fbias[j]) * scale[j];
        if (args->residual) y = oct_requant_add(y, ((const uint8_t *)args->residual)[at], q);
        ((uint8_t *)args->y)[at] = oct_requant_u8(y, q);
        break;
    }
}

/* y from D y mod 2^32; the shift of a negative number is arithmetic. */
static int32_t undo(int m, uint32_t dy)
{
    return m == 4 ? (int32_t)(dy * 954437177u) >> 6 : (int32_t)dy >> 2;
}

static void output(const oct_winograd_s8_out *args)
{
    const int m = args->m, p = m + 2, down = args->points[0], across = args->points[1];
    const int32_t *bias = args->panel;
    uint32_t t[P * P] = { 0 };
    for (int l = 0; l < args->lanes; l++) {
        for (int xi = 0; xi < p * p; xi++)
            if (oct_winograd_s8_has(m, down, xi / p) && oct_winograd_s8_has(m, across, xi % p))
                t[xi / p * P + xi % p] = (uint32_t)args->mm[(size_t)xi * args->step + (size_t)l];
        for (int j = 0; j < p; j++) output_pass(m, down, t + j, P);
        for (int i = 0; i < args->rows; i++) output_pass(m, across, t + i * P, 1);
        for (int i = 0; i < args->rows; i++)
            for (int j = 0; j < args->cols; j++)
                put(args, (size_t)i * args->row + (size_t)j * args->pixel + (size_t)l, l,
                    bias[l] + undo(m, t[i * P + j]));
    }
}

const oct_winograd_s8 oct_winograd_s8_ref = { "ref", 0, NR, 0, place, input, product, output };
