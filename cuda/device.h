#ifndef OCT_CUDA_DEVICE_H
#define OCT_CUDA_DEVICE_H

#include <stddef.h>

#include "cuda/cublas.h"
#include "ops/op.h"

/* The CUDA runtime, as much of it as the backend uses: one device, one stream, memory that lives as
 * long as they do, one captured graph.  Nothing waits but oct_cuda_upload and oct_cuda_wait.
 * tests/cuda_device_fake.c has the same functions on a CPU. */
typedef struct oct_cuda oct_cuda;

/* The first device; see cuda.h for what is refused. */
OCT_MUST_CHECK oct_status oct_cuda_open(oct_cuda **out);
void oct_cuda_close(oct_cuda *c);

/* Device memory on a 256-byte boundary; host memory the device can read meanwhile, zeros. */
OCT_MUST_CHECK oct_status oct_cuda_alloc(oct_cuda *c, size_t size, void **out);
OCT_MUST_CHECK oct_status oct_cuda_pin(oct_cuda *c, size_t size, void **out);
/* Before c is closed; NULL is fine. */
void oct_cuda_free(oct_cuda *c, void *memory);
/* From any host memory, and zeros, at plan time. */
OCT_MUST_CHECK oct_status oct_cuda_upload(oct_cuda *c, void *to, const void *from, size_t size);
OCT_MUST_CHECK oct_status oct_cuda_clear(oct_cuda *c, void *to, size_t size);

/* Records what launch puts on the stream, to be replayed; launch returns 0 or a CUDA error.
 * Before, it is run once as it is: what can go wrong with a kernel, and its loading, is then not
 * part of the capture. */
typedef int oct_cuda_launch(void *arg, void *stream);
OCT_MUST_CHECK oct_status oct_cuda_capture(oct_cuda *c, oct_cuda_launch *launch, void *arg);

/* *ms: what launch takes in a graph, the least of some runs; no answer of it is used. */
OCT_MUST_CHECK oct_status oct_cuda_measure(oct_cuda *c, oct_cuda_launch *launch, void *arg,
                                           float *ms);

/* cublas.h's: open until c is closed; on the stream. */
OCT_MUST_CHECK oct_status oct_cuda_open_cublas(oct_cuda *c);
int oct_cuda_multiply(oct_cuda *c, const oct_cuda_product *p);

/* Runs launches 0 .. n - 1 one after the other, not captured: ms[i] is what launch i took, on the
 * device. */
typedef int oct_cuda_launch_one(void *arg, void *stream, int i);
OCT_MUST_CHECK oct_status oct_cuda_time(oct_cuda *c, oct_cuda_launch_one *launch, void *arg, int n,
                                        float *ms);
/* *ms: what a replay takes on the device, from its first launch to its last one's end.  It comes
 * right after another one, so that nothing of it waits for the CPU. */
OCT_MUST_CHECK oct_status oct_cuda_time_replay(oct_cuda *c, float *ms);
/* From its number of multiprocessors, clocks and width of the memory bus. */
oct_peaks oct_cuda_peaks(const oct_cuda *c);

/* On the stream, from and to pinned memory. */
OCT_MUST_CHECK oct_status oct_cuda_send(oct_cuda *c, void *to, const void *from, size_t size);
OCT_MUST_CHECK oct_status oct_cuda_replay(oct_cuda *c);
OCT_MUST_CHECK oct_status oct_cuda_receive(oct_cuda *c, void *to, const void *from, size_t size);
OCT_MUST_CHECK oct_status oct_cuda_wait(oct_cuda *c);

#endif
