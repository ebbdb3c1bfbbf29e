#ifndef OCT_CUDA_NORM_CUH
#define OCT_CUDA_NORM_CUH

/* What norm.cu and norm_f16.cu share: which rows of its tables an embedding adds. */
#include "cuda/common.cuh"

namespace embedding {

/* The text that token i belongs to: the last whose begin is not after it. */
static __host__ __device__ inline int text_of(const int32_t *starts, int texts, int i)
{
    int lo = 0, hi = texts - 1;
    while (lo < hi) {
        const int mid = (lo + hi + 1) / 2;
        if (starts[mid] <= i) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* The rows of the tables that token i is the sum of: where they begin. */
struct token { size_t id, word, position, type; };

static __device__ inline token find(const oct_cuda_embedding &e, int i)
{
    const size_t d = (size_t)e.y.cols, id = (size_t)e.ids[i];
    const int text = text_of(e.starts, *e.texts, i);
    return token{ id, id * d, (size_t)(i - e.starts[text]) * d,
                  e.types ? (size_t)e.types[i] * d : 0 };
}

}

#endif
