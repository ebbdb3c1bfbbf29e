#ifndef OCT_PROGRAMS_SCORES_H
#define OCT_PROGRAMS_SCORES_H

/* What a row of logits says.  All sums in double. */

int scores_argmax(const float *logits, int n); /* the lowest index of equals; NaN never wins */

/* p[0..n) = softmax(logits), or the logits themselves where the network ends in a softmax. */
void scores_softmax(const float *logits, int n, int is_probability, double *p);

/* Cross-entropy of one sample, -log softmax(logits)[label], natural logarithm:
 *     log(sum_j exp(l_j - max)) - (l_label - max) */
double scores_loss(const float *logits, int n, int is_probability, int label);

/* order[0..k) = the classes of the k largest p, equals in rising order.  k <= n. */
void scores_top(const double *p, int n, int k, int *order);

/* 95 % Wilson score interval of correct out of n > 0, z = 1.959964:
 *     (q + z^2/2n -+ z sqrt(q (1 - q)/n + z^2/4n^2)) / (1 + z^2/n),   q = correct/n */
void scores_wilson(double correct, double n, double *low, double *high);

#endif
