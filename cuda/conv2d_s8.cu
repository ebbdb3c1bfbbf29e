/* conv2d and linear on bytes, exact: conv2d_mma.cuh with integer products. */
#include "cuda/conv2d_mma.cuh"

extern "C" int oct_cuda_conv2d_s8(void *stream, const oct_cuda_conv *c)
{
    return conv::launch<int32_t>(stream, c);
}
