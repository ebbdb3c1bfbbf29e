/* winograd_f32, plain C: this file says what each value is.  Contract in winograd_f32.h. */
#include <math.h>

#include "ops/kernels/winograd_f32.h"
#include "ops/kernels/winograd_f32_pass.h"

enum { P = 6 }; /* the larger p; rows of every p x p array here */

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
        for (int j = 0; j < p; j++) oct_winograd_f32_input_pass(m, t + j, P);
        for (int i = 0; i < p; i++) oct_winograd_f32_input_pass(m, t + i * P, 1);
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
        for (int j = 0; j < p; j++) oct_winograd_f32_output_pass(m, t + j, P);
        for (int i = 0; i < m; i++) oct_winograd_f32_output_pass(m, t + i * P, 1);
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
