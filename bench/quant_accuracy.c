/* Accuracy and time of a model in FP32, quantized at run time ("dynamic"), and for each method at 7
 * and 8 bits, with bias correction and without: the table of docs/quantization.md.
 *     quant_accuracy MODEL CALIBRATION EVALUATION [--samples=N] [--threads=N] [--only=METHOD]
 *                    [--ppm=N]
 * METHOD "dynamic": no other.  ppm: parts per million that percentile keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor/cpu.h"
#include "tests/quantize_case.h"

enum { BATCH = 8 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void one(const char *model, const oct_calibration *c, const oct_quantize_options *o,
                int threads, const samples *eval)
{
    quantized q;
    const double begin = now();
    quantized_open(model, c, o, oct_cpu_flags(), threads, BATCH, &q);
    const double start = now();
    const int right = quantized_run(&q, eval, NULL);
    const double end = now();
    printf("%-10s %4d %4s  %6d / %d = %.2f %%  %d layers, %.2f ms a sample, made in %.1f s\n",
           c ? oct_method_name(o->method) : o ? "dynamic" : "FP32", c ? o->qmax : o ? 255 : 0,
           c && o->bias_correction ? "bias" : "", right, eval->n, 100.0 * right / eval->n,
           q.layers, (end - start) / eval->n * 1e3, start - begin);
    fflush(stdout);
    quantized_close(&q);
}

int main(int argc, char **argv)
{
    const char *path[3] = { NULL };
    const char *only = NULL;
    int n = 200, threads = 2, given = 0, ppm = 0;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--samples=%d", &n) == 1) continue;
        if (sscanf(argv[i], "--threads=%d", &threads) == 1) continue;
        if (sscanf(argv[i], "--ppm=%d", &ppm) == 1) continue;
        if (strncmp(argv[i], "--only=", 7) == 0) {
            only = argv[i] + 7;
            continue;
        }
        if (given < 3) path[given++] = argv[i];
    }
    if (given < 3 || n < 1 || threads < 1) {
        fprintf(stderr, "Usage: quant_accuracy MODEL CALIBRATION EVALUATION [--samples=N] "
                        "[--threads=N] [--only=METHOD] [--ppm=N]\n");
        return 1;
    }
    samples calib, eval;
    samples_read(path[0], path[2], 0, 0, &eval);
    one(path[0], NULL, NULL, threads, &eval);
    one(path[0], NULL, &(oct_quantize_options){ .keep = NULL }, threads, &eval);
    if (only && strcmp(only, "dynamic") == 0) {
        samples_free(&eval);
        return 0;
    }
    samples_read(path[0], path[1], 0, n, &calib);
    oct_calibration *c = quantize_calibrate(path[0], &calib, threads);
    samples_free(&calib);
    for (int bits = 0; bits < 2; bits++)
        for (int m = 0; m < OCT_METHOD_COUNT; m++)
            for (int bias = 0; bias < 2; bias++) {
                const oct_quantize_options o = { .method = (oct_method)m, .bias_correction = bias,
                                                 .qmax = bits ? 255 : 127, .ppm = ppm };
                if (only && strcmp(only, oct_method_name(o.method)) != 0) continue;
                one(path[0], c, &o, threads, &eval);
            }
    oct_calibration_close(c);
    samples_free(&eval);
    return 0;
}
