#ifndef OCT_TESTS_CHECK_KERNELS_H
#define OCT_TESTS_CHECK_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ops/kernels/requant.h"

/* A family of kernels as check_kernels sees it: one file tests/check_<family>.c that defines one of
 * these, and one row in the table of tests/check_kernels.c.  Variants are numbered as in the
 * family's oct_<family>_all list, best first, ref last. */
typedef struct check_family {
    const char *name;                               /* "gemm_f32" */
    const char *(*variant)(int i, unsigned *needs); /* its isa and CPU flags; NULL: there is none */
    int (*check)(int i);                            /* CHECKs variant i; returns how many cases */
    void (*bench)(int i);                           /* prints with check_bench; ref comes first */
} check_family;

/* One line a family and nothing else, so that families can be written side by side. */
extern const check_family check_family_vec;
extern const check_family check_family_vec_u8;
extern const check_family check_family_winograd_f32;
extern const check_family check_family_gemm_f32;
extern const check_family check_family_gemm_f16w;
extern const check_family check_family_gemm_bf16;
extern const check_family check_family_gemm_s8;
extern const check_family check_family_winograd_s8;
extern const check_family check_family_gemm_s8_24;
extern const check_family check_family_sparse_s8;
extern const check_family check_family_sparse_f32;

/* A failed CHECK is counted and printed (the first few of a variant); it never ends the program. */
#define CHECK(cond, ...)                                                      \
    do {                                                                      \
        if (!(cond) && check_failed(__FILE__, __LINE__, #cond)) {             \
            fprintf(stderr, __VA_ARGS__);                                     \
            fputc('\n', stderr);                                              \
        }                                                                     \
    } while (0)
int check_failed(const char *file, int line, const char *cond); /* 1: print the details too */
int check_failures(void);                                       /* of this variant so far */

/* Random numbers from the seed that was printed.  Not test_rand: its state is one a file. */
uint32_t check_rand(void);
int check_up_to(int n);      /* 1 .. n */
size_t check_odd_stride(size_t n); /* n, n + 1 or n + 3 */

/* Buffers, valid until check_reset.  After the last byte come OCT_TAIL readable bytes, then a page
 * that must not be touched (align > 4: up to align - 4 more readable bytes in between).
 *   in    the slack is 0xff, NaN: a lane past the end that gets into a result shows
 *   out   everything is CANARY bytes, 64 of them before the start too; check_intact says whether
 *         those outside [p, p + size) are still there */
enum { CHECK_CANARY = 0x5a, CHECK_MAX_BUFS = 24 };
void *check_in(size_t size, size_t align);
void *check_out(size_t size, size_t align);
int check_intact(const void *p);
void check_reset(void);

/* The definition of ops/kernels/requant.h without row_scale: sum acc becomes element `at` of c. */
void check_requant(const oct_requant *q, int32_t acc, float scale, float fbias,
                   const void *residual, size_t at, void *c);

/* What FP32 operands are filled with; everything but RANDOM is where shortcuts show. */
typedef enum check_fill {
    CHECK_RANDOM,     /* uniform in -1 .. 1 */
    CHECK_WIDE,       /* any exponent, any sign, no NaN and no infinity */
    CHECK_DENORMAL,   /* denormals, the smallest normals and zeros */
    CHECK_ZERO,       /* +0 and -0 */
    CHECK_INFINITE,   /* random with infinities of both signs in it */
    CHECK_NAN,        /* random with NaNs of several payloads in it */
    CHECK_CANCEL,     /* pairs x, -x and x, -x(1 + eps) */
    CHECK_HUGE,       /* close to the largest float: sums overflow */
    CHECK_SAME,       /* one value throughout */
    CHECK_FILL_COUNT
} check_fill;
const char *check_fill_name(check_fill fill);
check_fill check_any_fill(void);              /* half of them RANDOM */
void check_fill_f32(float *p, size_t n, check_fill fill);
float *check_in_f32(size_t n, check_fill fill); /* check_in, filled, aligned to 4 bytes only */

/* Index of the first element whose bits differ (a NaN equals any NaN), or n. */
size_t check_differ_f32(const float *want, const float *got, size_t n);

/* Distance of got from want in units of want's last place (of a float; denormals have the smallest
 * normal's); 0 for two NaNs or equal infinities, INFINITY if only one is. */
double check_ulps(float got, double want);

/* Best of several runs of body, in seconds a run; short ones are repeated until they count. */
double check_time(void (*body)(void *arg), void *arg);
/* "  family/isa  what  1.234 us  45.6 GFLOP/s  7.89x ref"; work in units a run.  Ratio to the last
 * line of isa "ref" with the same what. */
void check_bench(const char *family, const char *isa, const char *what, double seconds, double work,
                 const char *unit);

#endif
