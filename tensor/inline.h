#ifndef OCT_TENSOR_INLINE_H
#define OCT_TENSOR_INLINE_H

/* A formula that is defined once, for the CPU and for a GPU: a small function, a table.  Compiled
 * by nvcc both exist on both sides. */
#ifdef __CUDACC__
#define OCT_INLINE static __host__ __device__ inline
#else
#define OCT_INLINE static inline
#endif
#ifdef __CUDA_ARCH__
#define OCT_TABLE static __device__ const
#else
#define OCT_TABLE static const
#endif

#endif
