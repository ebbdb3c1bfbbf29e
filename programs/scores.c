#include "programs/scores.h"

#include <math.h>

int scores_argmax(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) /* a NaN in front loses to any number */
        if (logits[i] > logits[best] || (isnan(logits[best]) && !isnan(logits[i]))) best = i;
    return best;
}

/* sum_j exp(l_j - max), 1 <= sum <= n */
static double sum_exp(const float *logits, int n, double max)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return sum;
}

void scores_softmax(const float *logits, int n, int is_probability, double *p)
{
    const double max = (double)logits[scores_argmax(logits, n)];
    const double sum = is_probability ? 1 : sum_exp(logits, n, max);
    for (int i = 0; i < n; i++)
        p[i] = is_probability ? (double)logits[i] : exp((double)logits[i] - max) / sum;
}

double scores_loss(const float *logits, int n, int is_probability, int label)
{
    if (is_probability) return -log((double)logits[label]);
    const double max = (double)logits[scores_argmax(logits, n)];
    return log(sum_exp(logits, n, max)) - ((double)logits[label] - max);
}

void scores_top(const double *p, int n, int k, int *order)
{
    for (int i = 0; i < k; i++) { /* k is small: the best not yet taken, k times */
        int best = -1;
        for (int j = 0; j < n; j++) {
            int taken = 0;
            for (int t = 0; t < i && !taken; t++) taken = order[t] == j;
            if (taken) continue;
            if (best < 0 || p[j] > p[best] || (isnan(p[best]) && !isnan(p[j]))) best = j;
        }
        order[i] = best;
    }
}

void scores_wilson(double correct, double n, double *low, double *high)
{
    const double z = 1.959963984540054, z2 = z * z;
    const double q = correct / n, middle = q + z2 / (2 * n);
    const double half = z * sqrt(q * (1 - q) / n + z2 / (4 * n * n));
    *low = correct > 0 ? (middle - half) / (1 + z2 / n) : 0; /* exactly, but for rounding */
    *high = correct < n ? (middle + half) / (1 + z2 / n) : 1;
}
