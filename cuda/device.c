#include "cuda/device.h"
#include "cuda/kernels.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_MAJOR = 8, /* compute capability: what the kernels are compiled for */
    OVERLAPS = 9,  /* from which on launches may overlap */
    WARM_MS = 50,  /* of work before the first timing */
};

typedef struct block {
    struct block *next;
    void *memory;
    int pinned;
} block;

struct oct_cuda {
    cudaStream_t stream;
    cudaGraphExec_t graph;
    oct_cublas *cublas;
    block *blocks;
    int is_warm;
};

int oct_cuda_overlap;

static oct_status failed(const char *what, cudaError_t error)
{
    cudaGetLastError(); /* it is said here: no later launch shall find it */
    return oct_fail(OCT_ERR_DEVICE, "device 'cuda': %s: %s", what, cudaGetErrorString(error));
}

static oct_status check(const char *what, cudaError_t error)
{
    return error == cudaSuccess ? OCT_OK : failed(what, error);
}

/* Without a driver, and with one older than this program's runtime, CUDA gives the same error. */
static oct_status check_driver(void)
{
    int driver = 0, runtime = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = CUDART_VERSION;
    if (!driver) return oct_fail(OCT_ERR_DEVICE, "device 'cuda': no NVIDIA driver is loaded");
    if (driver / 1000 < runtime / 1000) /* minor versions are compatible */
        return oct_fail(OCT_ERR_DEVICE, "device 'cuda': the NVIDIA driver is too old: it is for "
                        "CUDA %d.%d, this build for %d.%d", driver / 1000, driver % 1000 / 10,
                        runtime / 1000, runtime % 1000 / 10);
    return OCT_OK;
}

static oct_status check_device(void)
{
    int count = 0, major = 0, minor = 0;
    OCT_TRY(check_driver());
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && !count))
        return oct_fail(OCT_ERR_DEVICE, "device 'cuda': there is no CUDA device");
    OCT_TRY(check("no device can be used", error));
    OCT_TRY(check("compute capability",
                  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0)));
    OCT_TRY(check("compute capability",
                  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0)));
    if (major < MIN_MAJOR)
        return oct_fail(OCT_ERR_DEVICE, "device 'cuda': compute capability %d.%d, %d.0 or more is "
                        "needed", major, minor, MIN_MAJOR);
    oct_cuda_overlap = major >= OVERLAPS;
    return OCT_OK;
}

oct_status oct_cuda_open(oct_cuda **out)
{
    *out = NULL;
    OCT_TRY(check_device());
    oct_cuda *c = calloc(1, sizeof *c);
    if (!c) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    oct_status status = check("the device", cudaSetDevice(0));
    if (!status) status = check("a stream", cudaStreamCreateWithFlags(&c->stream,
                                                                      cudaStreamNonBlocking));
    if (status) oct_cuda_close(c);
    else *out = c;
    return status;
}

void oct_cuda_close(oct_cuda *c)
{
    if (!c) return;
    if (c->stream) cudaStreamSynchronize(c->stream);
    if (c->graph) cudaGraphExecDestroy(c->graph);
    oct_cublas_close(c->cublas);
    while (c->blocks) oct_cuda_free(c, c->blocks->memory);
    if (c->stream) cudaStreamDestroy(c->stream);
    free(c);
}

static oct_status out_of_memory(size_t size)
{
    size_t left = 0, total = 0;
    cudaGetLastError(); /* it is said here */
    if (cudaMemGetInfo(&left, &total) != cudaSuccess) left = total = 0;
    return oct_fail(OCT_ERR_DEVICE, "device 'cuda': out of device memory for %zu bytes, %zu of %zu "
                    "are free", size, left, total);
}

static oct_status get(oct_cuda *c, size_t size, int pinned, void **out)
{
    block *b = calloc(1, sizeof *b);
    *out = NULL;
    if (!b) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    const cudaError_t error = pinned ? cudaHostAlloc(&b->memory, size ? size : 1, 0)
                                     : cudaMalloc(&b->memory, size ? size : 1);
    if (error != cudaSuccess) {
        free(b);
        if (error == cudaErrorMemoryAllocation && !pinned) return out_of_memory(size);
        return failed(pinned ? "pinned memory" : "device memory", error);
    }
    b->pinned = pinned;
    b->next = c->blocks;
    c->blocks = b;
    *out = b->memory;
    return OCT_OK;
}

static void give_back(block *b)
{
    if (b->pinned) cudaFreeHost(b->memory);
    else cudaFree(b->memory);
    free(b);
}

void oct_cuda_free(oct_cuda *c, void *memory)
{
    for (block **at = &c->blocks; memory && *at; at = &(*at)->next)
        if ((*at)->memory == memory) {
            block *b = *at;
            *at = b->next;
            give_back(b);
            return;
        }
}

oct_status oct_cuda_alloc(oct_cuda *c, size_t size, void **out) { return get(c, size, 0, out); }

oct_status oct_cuda_pin(oct_cuda *c, size_t size, void **out)
{
    OCT_TRY(get(c, size, 1, out));
    memset(*out, 0, size);
    return OCT_OK;
}

oct_status oct_cuda_upload(oct_cuda *c, void *to, const void *from, size_t size)
{
    OCT_TRY(oct_cuda_send(c, to, from, size));
    return oct_cuda_wait(c);
}

oct_status oct_cuda_clear(oct_cuda *c, void *to, size_t size)
{
    OCT_TRY(check("device memory", cudaMemsetAsync(to, 0, size, c->stream)));
    return oct_cuda_wait(c);
}

/* ---- launches ---- */

/* The graph of `times` launches, one after the other. */
static oct_status capture(oct_cuda *c, oct_cuda_launch *launch, void *arg, int times,
                          cudaGraphExec_t *out)
{
    cudaGraph_t graph = NULL;
    cudaError_t launched = cudaSuccess;
    *out = NULL;
    OCT_TRY(check("capture", cudaStreamBeginCapture(c->stream,
                                                    cudaStreamCaptureModeThreadLocal)));
    for (int i = 0; i < times && !launched; i++)
        launched = (cudaError_t)launch(arg, c->stream);
    const cudaError_t ended = cudaStreamEndCapture(c->stream, &graph);
    oct_status status = check("a kernel could not be launched", launched);
    if (!status) status = check("capture", ended);
    if (!status) status = check("capture", cudaGraphInstantiate(out, graph, 0));
    if (graph) cudaGraphDestroy(graph);
    return status;
}

/* The same; before, there is one that is not recorded.  Drivers are known that do not capture
 * launches that overlap: then none does from now on. */
static oct_status record(oct_cuda *c, oct_cuda_launch *launch, void *arg, int times,
                         cudaGraphExec_t *out)
{
    OCT_TRY(check("a kernel could not be launched", (cudaError_t)launch(arg, c->stream)));
    OCT_TRY(oct_cuda_wait(c));
    oct_status status = capture(c, launch, arg, times, out);
    if (!status || !oct_cuda_overlap) return status;
    oct_cuda_overlap = 0;
    status = capture(c, launch, arg, times, out);
    if (status) oct_cuda_overlap = 1; /* it was not that */
    return status;
}

oct_status oct_cuda_capture(oct_cuda *c, oct_cuda_launch *launch, void *arg)
{
    OCT_TRY(record(c, launch, arg, 1, &c->graph));
    return check("capture", cudaGraphUpload(c->graph, c->stream));
}

/* What one replay takes after another that is not counted, of `runs` such pairs the least.  While
 * the first runs, the launch of the second waits in the stream: the CPU's part of it is hidden. */
static cudaError_t time_graph(const oct_cuda *c, cudaGraphExec_t graph, const cudaEvent_t event[2],
                              int runs, float *least)
{
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < runs && !error; i++) {
        float ms = 0;
        error = cudaGraphLaunch(graph, c->stream);
        if (!error) error = cudaEventRecord(event[0], c->stream);
        if (!error) error = cudaGraphLaunch(graph, c->stream);
        if (!error) error = cudaEventRecord(event[1], c->stream);
        if (!error) error = cudaEventSynchronize(event[1]);
        if (!error) error = cudaEventElapsedTime(&ms, event[0], event[1]);
        if (!i || ms < *least) *least = ms;
    }
    return error;
}

/* The clock of an idle GPU is low, and what is timed first would lose by that. */
static cudaError_t warm_up(oct_cuda *c, cudaGraphExec_t graph, const cudaEvent_t event[2])
{
    cudaError_t error = cudaEventRecord(event[0], c->stream);
    for (float ms = 0; !error && !c->is_warm; c->is_warm = ms >= WARM_MS) {
        error = cudaGraphLaunch(graph, c->stream);
        if (!error) error = cudaEventRecord(event[1], c->stream);
        if (!error) error = cudaEventSynchronize(event[1]);
        if (!error) error = cudaEventElapsedTime(&ms, event[0], event[1]);
    }
    return error;
}

static oct_status time_replays(oct_cuda *c, cudaGraphExec_t graph, int runs, float *least)
{
    cudaEvent_t event[2] = { NULL, NULL };
    oct_status status = OCT_OK;
    for (int i = 0; i < 2 && !status; i++) status = check("timing", cudaEventCreate(&event[i]));
    if (!status) status = check("timing", warm_up(c, graph, event));
    if (!status) status = check("timing", time_graph(c, graph, event, runs, least));
    for (int i = 0; i < 2; i++)
        if (event[i]) cudaEventDestroy(event[i]);
    return status;
}

oct_status oct_cuda_measure(oct_cuda *c, oct_cuda_launch *launch, void *arg, float *ms)
{
    enum { TIMES = 8, RUNS = 4 }; /* of 8: what a graph's own launch takes is little of it */
    cudaGraphExec_t graph = NULL;
    oct_status status = record(c, launch, arg, TIMES, &graph);
    if (!status) status = time_replays(c, graph, RUNS, ms);
    *ms /= TIMES;
    if (graph) cudaGraphExecDestroy(graph);
    return status;
}

oct_status oct_cuda_time_replay(oct_cuda *c, float *ms) { return time_replays(c, c->graph, 1, ms); }

oct_status oct_cuda_open_cublas(oct_cuda *c)
{
    void *workspace;
    OCT_TRY(oct_cuda_alloc(c, OCT_CUBLAS_WORKSPACE, &workspace));
    return oct_cublas_open(c->stream, workspace, &c->cublas);
}

int oct_cuda_multiply(oct_cuda *c, const oct_cuda_product *p)
{
    return oct_cublas_product(c->cublas, p);
}

/* ---- how fast ---- */

static cudaError_t time_all(oct_cuda *c, oct_cuda_launch_one *launch, void *arg, int n,
                            cudaEvent_t *event, float *ms)
{
    cudaError_t error = cudaSuccess;
    for (int i = 0; i <= n && !error; i++) error = cudaEventCreate(&event[i]);
    if (!error) error = cudaEventRecord(event[0], c->stream);
    for (int i = 0; i < n && !error; i++) {
        error = (cudaError_t)launch(arg, c->stream, i);
        if (!error) error = cudaEventRecord(event[i + 1], c->stream);
    }
    if (!error) error = cudaStreamSynchronize(c->stream);
    for (int i = 0; i < n && !error; i++)
        error = cudaEventElapsedTime(&ms[i], event[i], event[i + 1]);
    return error;
}

oct_status oct_cuda_time(oct_cuda *c, oct_cuda_launch_one *launch, void *arg, int n, float *ms)
{
    cudaEvent_t *event = calloc((size_t)n + 1, sizeof *event);
    if (!event) return oct_fail(OCT_ERR_MEMORY, "device 'cuda': out of memory");
    const cudaError_t error = time_all(c, launch, arg, n, event, ms);
    for (int i = 0; i <= n; i++)
        if (event[i]) cudaEventDestroy(event[i]);
    free(event);
    return check("timing", error);
}

/* Operations of a multiprocessor in a cycle, dense, sums in FP32 or int32: twice the multiply-adds
 * of NVIDIA's "CUDA C++ Programming Guide", Arithmetic Instructions, and of the white papers on the
 * architectures.  GeForce cards have half the FP16 of 8.6 and 8.9. */
static const struct rate { int major, minor, fp32, fp16, int8; } rates[] = {
    { 8, 0, 128, 2048, 4096 },   { 8, 6, 256, 1024, 2048 },   { 8, 9, 256, 1024, 2048 },
    { 9, 0, 256, 4096, 8192 },   { 10, 0, 256, 8192, 16384 }, { 12, 0, 256, 1024, 2048 },
};
enum { N_RATES = sizeof rates / sizeof *rates };

static int attribute(enum cudaDeviceAttr which)
{
    int value = 0;
    if (cudaDeviceGetAttribute(&value, which, 0) == cudaSuccess) return value;
    cudaGetLastError(); /* no launch shall find it */
    return 0;
}

oct_peaks oct_cuda_peaks(const oct_cuda *c)
{
    enum { BITS = 8, PER_CYCLE = 2 /* of memory: both edges */ };
    const int major = attribute(cudaDevAttrComputeCapabilityMajor);
    const int minor = attribute(cudaDevAttrComputeCapabilityMinor);
    const double cycles = attribute(cudaDevAttrClockRate) * 1e-6 * /* kHz */
                          attribute(cudaDevAttrMultiProcessorCount);
    oct_peaks p = { .bytes = attribute(cudaDevAttrMemoryClockRate) * 1e-6 * PER_CYCLE *
                             attribute(cudaDevAttrGlobalMemoryBusWidth) / BITS };
    (void)c;
    p.overlap = oct_cuda_overlap;
    for (const struct rate *r = rates; r < rates + N_RATES; r++)
        if (r->major == major && r->minor == minor) {
            p.fp32 = cycles * r->fp32;
            p.fp16 = cycles * r->fp16;
            p.int8 = cycles * r->int8;
        }
    return p;
}

oct_status oct_cuda_send(oct_cuda *c, void *to, const void *from, size_t size)
{
    return check("copy to the device",
                 cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, c->stream));
}

oct_status oct_cuda_replay(oct_cuda *c)
{
    return check("run", cudaGraphLaunch(c->graph, c->stream));
}

oct_status oct_cuda_receive(oct_cuda *c, void *to, const void *from, size_t size)
{
    return check("copy from the device",
                 cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToHost, c->stream));
}

oct_status oct_cuda_wait(oct_cuda *c) { return check("run", cudaStreamSynchronize(c->stream)); }
