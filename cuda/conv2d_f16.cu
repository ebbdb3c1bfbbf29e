/* conv2d and linear in FP16, sums in FP32: conv2d_mma.cuh with half's products. */
#include "cuda/conv2d_mma.cuh"

extern "C" int oct_cuda_conv2d_join_f16(void *stream, const oct_cuda_conv *c)
{
    return conv::launch_join<float>(stream, c);
}

extern "C" int oct_cuda_conv2d_f16(void *stream, const oct_cuda_conv *c)
{
    return conv::launch<float>(stream, c);
}
