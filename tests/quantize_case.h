#ifndef OCT_TESTS_QUANTIZE_CASE_H
#define OCT_TESTS_QUANTIZE_CASE_H

#include "models/model.h"
#include "quant/pass_dynamic.h"
#include "quant/pass_quantize.h"

/* Whole models quantized in memory, for tests/test_quantize.c and bench/quant_accuracy.c.  Every
 * function ends the program on a failure, with its message. */

typedef struct samples {
    float *x;                /* [n, sample] through the model's recipe */
    int *label;
    int n;
    size_t sample;
} samples;

/* n samples of data, from number `first`, evenly to the end; n 0: all from there. */
void samples_read(const char *model, const char *data, int first, int n, samples *out);
void samples_free(samples *s);

/* Ranges of the FP32 model's values on s, with means. */
oct_calibration *quantize_calibrate(const char *model, const samples *s, int threads);

/* The model's plan: quantized; with c NULL at run time; with o NULL too, FP32.  Closed with
 * quantized_close. */
typedef struct quantized {
    oct_model *m;            /* described: graph, arena */
    oct_plan *plan;
    oct_pool *pool;
    int layers;              /* that are integers */
} quantized;
void quantized_open(const char *model, const oct_calibration *c, const oct_quantize_options *o,
                    unsigned cpu, int threads, int batch, quantized *out);
void quantized_close(quantized *q);

/* Runs s, logits [n, classes]; returns how many labels are right. */
int quantized_run(const quantized *q, const samples *s, float *logits);

#endif
