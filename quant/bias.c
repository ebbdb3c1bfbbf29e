#include "quant/bias.h"

void oct_bias_correct(const oct_bias_layer *l, const oct_means *means, float *bias)
{
    const int per_group = l->in / l->groups, outs = l->out / l->groups;
    const float *w = l->w;
    const int8_t *q = l->q;
    for (int o = 0; o < l->out; o++) {
        const double scale = (double)l->scale[o];
        const int first = o / outs * per_group;
        double sum = 0;
        for (int c = 0; c < per_group; c++) {
            double error = 0;
            for (int t = 0; t < l->taps; t++, w++, q++)
                error += ((double)*w - scale * *q) * (l->inside ? l->inside[t] : 1);
            const double by = l->by ? (double)l->by[first + c] : 1;
            sum += error * (oct_means_get(means, first + c) * by);
        }
        bias[o] = (float)((double)bias[o] + sum);
    }
}

/* Output positions of one direction at which tap k lies inside. */
static int hits(const oct_bias_window *w, int d, int k)
{
    int n = 0;
    for (int y = 0; y < w->out[d]; y++) {
        const int at = y * w->stride[d] - w->pad[d] + k * w->dilation[d];
        n += at >= 0 && at < w->in[d];
    }
    return n;
}

void oct_bias_inside(const oct_bias_window *w, double *inside)
{
    const double all = (double)w->out[0] * w->out[1];
    for (int y = 0; y < w->kernel[0]; y++)
        for (int x = 0; x < w->kernel[1]; x++)
            *inside++ = (double)hits(w, 0, y) * hits(w, 1, x) / all;
}
