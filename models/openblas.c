#include "models/openblas.h"

#include "config.h"

#ifdef OCT_OPENBLAS_SONAME
#include <dlfcn.h>
#include <string.h>

/* cblas.h's constants and prototype, so that its header is not needed to build. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc);

static cblas_sgemm *call; /* of a library, so the same for everybody who sets it */

static void sgemm(int m, int n, int k, const float *a, const float *b, float *c)
{
    call(ROW_MAJOR, NO_TRANS, TRANS, m, n, k, 1, a, k, b, k, 0, c, n);
}

oct_status oct_openblas_open(oct_sgemm **out)
{
    void *library = dlopen(OCT_OPENBLAS_SONAME, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, "cblas_sgemm") : NULL;
    if (!symbol)
        return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'openblas': %.160s", dlerror());
    memcpy(&call, &symbol, sizeof call); /* ISO C knows no conversion to a function */
    *out = sgemm;
    return OCT_OK;
}

#else

oct_status oct_openblas_open(oct_sgemm **out)
{
    *out = NULL;
    return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'openblas': this build was made without OpenBLAS");
}

#endif
