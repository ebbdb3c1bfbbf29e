#include "cuda/cublas.h"

#include "config.h"

#ifdef HAVE_CUBLAS
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct oct_cublas {
    void *library;
    cublasHandle_t handle;
    __typeof__(&cublasCreate) create; /* the headers' prototypes: cublasCreate_v2's, and so on */
    __typeof__(&cublasDestroy) destroy;
    __typeof__(&cublasSetStream) set_stream;
    __typeof__(&cublasSetWorkspace) set_workspace;
    __typeof__(&cublasGemmEx) gemm;
};

static oct_status find(const oct_cublas *b, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(b->library, name);
    if (!symbol) return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'cublas': %.160s", dlerror());
    memcpy(function, &symbol, size); /* ISO C knows no conversion to a function */
    return OCT_OK;
}

#define FIND(b, member, name) OCT_TRY(find(b, name, &(b)->member, sizeof (b)->member))

/* The library of the release that this was built with: its structures are those of the headers.
 * Where the system finds libraries, or where the toolkit was. */
static oct_status load(oct_cublas *b)
{
    char name[sizeof OCT_CUDA_LIB + 40];
    const size_t folder = strlen(OCT_CUDA_LIB "/");
    snprintf(name, sizeof name, OCT_CUDA_LIB "/libcublas.so.%d", CUDART_VERSION / 1000);
    b->library = dlopen(name + folder, RTLD_NOW | RTLD_LOCAL);
    if (!b->library) b->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!b->library) return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'cublas': %.160s", dlerror());
    FIND(b, create, "cublasCreate_v2");
    FIND(b, destroy, "cublasDestroy_v2");
    FIND(b, set_stream, "cublasSetStream_v2");
    FIND(b, set_workspace, "cublasSetWorkspace_v2");
    FIND(b, gemm, "cublasGemmEx");
    return OCT_OK;
}

static oct_status start(oct_cublas *b, void *stream, void *workspace)
{
    cublasStatus_t status = b->create(&b->handle);
    if (!status) status = b->set_stream(b->handle, stream);
    if (!status) status = b->set_workspace(b->handle, workspace, OCT_CUBLAS_WORKSPACE);
    return status ? oct_fail(OCT_ERR_DEVICE, "gemm 'cublas': error %d of cuBLAS", (int)status)
                  : OCT_OK;
}

oct_status oct_cublas_open(void *stream, void *workspace, oct_cublas **out)
{
    *out = NULL;
    oct_cublas *b = calloc(1, sizeof *b);
    if (!b) return oct_fail(OCT_ERR_MEMORY, "gemm 'cublas': out of memory");
    oct_status status = load(b);
    if (!status) status = start(b, stream, workspace);
    if (status) oct_cublas_close(b);
    else *out = b;
    return status;
}

void oct_cublas_close(oct_cublas *b)
{
    if (!b) return;
    if (b->handle) b->destroy(b->handle);
    free(b); /* the library stays: the driver knows its kernels */
}

/* cuBLAS counts by columns: what is [m][n] by rows is [n][m] to it, w transposed times x. */
int oct_cublas_product(const oct_cublas *b, const oct_cuda_product *p)
{
    const float one = 1, zero = 0;
    return b->gemm(b->handle, CUBLAS_OP_T, CUBLAS_OP_N, p->n, p->m, p->k, &one, p->w, CUDA_R_16F,
                   p->w_pitch, p->x, CUDA_R_16F, p->x_pitch, &zero, p->y, CUDA_R_32F, p->y_pitch,
                   CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT)
        ? cudaErrorUnknown : cudaSuccess;
}

#else

oct_status oct_cublas_open(void *stream, void *workspace, oct_cublas **out)
{
    (void)stream, (void)workspace;
    *out = 0;
    return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'cublas': this build was made without cuBLAS");
}

void oct_cublas_close(oct_cublas *b) { (void)b; }

int oct_cublas_product(const oct_cublas *b, const oct_cuda_product *p)
{
    (void)b, (void)p;
    return 1;
}

#endif
