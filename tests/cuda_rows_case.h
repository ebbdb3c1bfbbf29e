#ifndef OCT_TESTS_CUDA_ROWS_CASE_H
#define OCT_TESTS_CUDA_ROWS_CASE_H

/* Single launches of cuda/kernels.h on the device of cuda/device.h: values put there, a launch, and
 * what became of y. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/steps.h"
#include "ops/kernels/math_f32.h"
#include "tensor/f16.h"
#include "tests/cuda_case.h"

enum { SAMPLES = 3, MOST = 4 }; /* of rows.count, and as many as there may be */

static oct_cuda *device;
static oct_cuda_rows rows;

typedef struct job {
    int (*launch)(void *stream, const struct job *j);
    oct_cuda_value x, b, y;
    const float *raw, *table, *gamma, *beta;
    const int32_t *starts;
    oct_act act;
    int pixels;
    oct_quant quant;
    oct_requant out;
    oct_qparams *sample;
    uint8_t *fill;
    oct_cuda_pool pool;
    oct_cuda_embedding embedding;
} job;

static void ok(oct_status status) { ck_assert_msg(status == OCT_OK, "%s", oct_last_error()); }

static void *put_bytes(const void *from, size_t size)
{
    void *to;
    ok(oct_cuda_alloc(device, size, &to));
    ok(oct_cuda_upload(device, to, from, size));
    return to;
}

static void open_rows(int per)
{
    const int samples = SAMPLES, none = 0;
    ok(oct_cuda_open(&device));
    rows = (oct_cuda_rows){ put_bytes(&samples, sizeof samples), MOST, per,
                            put_bytes(&none, sizeof none) };
}

static int launch_job(void *arg, void *stream, int i)
{
    const job *j = arg;
    (void)i;
    return j->launch(stream, j);
}

static void run(const job *j)
{
    float ms;
    job copy = *j;
    ok(oct_cuda_time(device, launch_job, &copy, 1, &ms));
}

static int overflows(void)
{
    int n;
    ok(oct_cuda_receive(device, &n, rows.overflow, sizeof n));
    ok(oct_cuda_wait(device));
    return n;
}

/* ---- values ---- */

static float half(float x) { return oct_f32_of_f16(oct_f16_of_f32(x)); }

/* n random halves in [-2, 2]. */
static float *randoms(size_t n, uint64_t seed)
{
    float *x = malloc(n * sizeof *x);
    test_seed = seed;
    for (size_t i = 0; i < n; i++) x[i] = half((float)(int32_t)test_rand() * 0x1p-30f);
    return x;
}

static void set(const oct_cuda_value *v, unsigned char *at, float x)
{
    const uint16_t h = oct_f16_of_f32(x);
    if (v->type == OCT_U8) *at = (uint8_t)x;
    else if (v->type == OCT_F16) memcpy(at, &h, sizeof h);
    else memcpy(at, &x, sizeof x);
}

static float get(const oct_cuda_value *v, const unsigned char *at)
{
    float x;
    uint16_t h;
    if (v->type == OCT_U8) return *at;
    memcpy(&h, at, sizeof h);
    if (v->type == OCT_F16) return oct_f32_of_f16(h);
    memcpy(&x, at, sizeof x);
    return x;
}

static size_t row_size(const oct_cuda_value *v)
{
    return (size_t)v->pitch * oct_dtype_size(v->type);
}

/* n rows on the device; from NULL: all bits are 1. */
static oct_cuda_value put(oct_dtype type, int n, int cols, const float *from)
{
    oct_cuda_value v = { NULL, type, cols, oct_cuda_pitch(type, cols) };
    const size_t all = (size_t)n * row_size(&v), each = oct_dtype_size(type);
    unsigned char *host = malloc(all);
    memset(host, from ? 0 : 0xff, all);
    for (int i = 0; i < n && from; i++)
        for (int c = 0; c < cols; c++)
            set(&v, host + (size_t)i * row_size(&v) + (size_t)c * each, from[i * cols + c]);
    v.data = put_bytes(host, all);
    free(host);
    return v;
}

/* The rows that there are, cols each; the others are checked. */
static float *take(const oct_cuda_value *v)
{
    const int n = SAMPLES * rows.per, all = MOST * rows.per;
    const size_t each = oct_dtype_size(v->type);
    unsigned char *host = malloc((size_t)all * row_size(v));
    float *to = malloc((size_t)(n * v->cols) * sizeof *to);
    ok(oct_cuda_receive(device, host, v->data, (size_t)all * row_size(v)));
    ok(oct_cuda_wait(device));
    for (int i = 0; i < all; i++)
        for (int c = 0; c < v->pitch; c++) {
            const unsigned char *at = host + (size_t)i * row_size(v) + (size_t)c * each;
            if (i >= n) ck_assert_msg(at[0] == 0xff && at[each - 1] == 0xff, "row %d of %d", i, n);
            else if (c < v->cols) to[i * v->cols + c] = get(v, at);
            else if (v->type != OCT_U8) ck_assert_msg(get(v, at) == 0, "column %d is not 0", c);
        }
    free(host);
    return to;
}

/* Halves within a rounding and `off`, others to the bit. */
static void compare(const oct_cuda_value *y, const double *want, double off)
{
    float *got = take(y);
    for (int i = 0; i < SAMPLES * rows.per * y->cols; i++) {
        const double most = y->type == OCT_F16 ? 0x1p-11 * fabs(want[i]) + 0x1p-25 + off : off;
        ck_assert_msg(fabs((double)got[i] - want[i]) <= most, "row %d, column %d of %d: %g, "
                      "expected %g", i / y->cols, i % y->cols, y->cols, (double)got[i], want[i]);
    }
    free(got);
}

#endif
