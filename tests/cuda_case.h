#ifndef OCT_TESTS_CUDA_CASE_H
#define OCT_TESTS_CUDA_CASE_H

/* The tests of cuda/ are compiled twice: for a CPU that plays the GPU (cuda_emulate.h), and, with
 * OCT_CUDA_DEVICE, for the real one, tests/device_cuda*, which are skipped where there is none. */
#include "cuda/cuda.h"
#include "tests/suite.h"

#ifdef OCT_CUDA_DEVICE
static inline void cuda_emulate_order(int down) { (void)down; }

/* 1: there is no device.  A CUDA context does not live through a fork, so tests get none. */
static inline int cuda_case_skipped(void)
{
    oct_device *d;
    setenv("CK_FORK", "no", 1);
    if (oct_backend_cuda.open(&(oct_device_options){ .floats = OCT_F32 }, &d)) {
        printf("skipped: %s\n", oct_last_error());
        return 1;
    }
    oct_backend_cuda.close(d);
    return 0;
}
#else
void cuda_emulate_order(int down); /* 1: threads run from the last to the first */

/* cuBLAS of the fake device, and its clock: a product of the library takes ms, our launch 1, or
 * `others` if it is one of conv2d_mma.cuh with another tile or other parts. */
typedef struct cuda_fake_library {
    float ms;
    int tile, splits;     /* oct_cuda_tile; parts of k, 0: any */
    float others;         /* what others take; 0: 2 */
    int missing, fails;   /* it cannot be opened; its products fail */
    int timed;            /* launches that were timed so far */
} cuda_fake_library;
extern cuda_fake_library cuda_library;
static inline int cuda_case_skipped(void) { return 0; }
#endif

#endif
