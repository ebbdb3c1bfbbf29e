#include "models/backends.h"

#include <string.h>

#include "config.h"

#ifdef HAVE_CUDA
#include "cuda/cuda.h"
#endif

oct_status oct_backend_find(const char *name, const oct_backend **out)
{
    *out = NULL;
    if (!name || strcmp(name, "cpu") == 0) return OCT_OK;
    if (strcmp(name, "cuda") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': unknown; cpu or cuda expected", name);
#ifdef HAVE_CUDA
    *out = &oct_backend_cuda;
    return OCT_OK;
#else
    return oct_fail(OCT_ERR_UNSUPPORTED, "device 'cuda': this build was made without CUDA "
                    "(configure --with-cuda)");
#endif
}
