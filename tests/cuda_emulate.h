#ifndef OCT_TESTS_CUDA_EMULATE_H
#define OCT_TESTS_CUDA_EMULATE_H

/* A CPU as a GPU, for tests: with this header before them the .cu files compile as C++, and a
 * launch runs the kernel's own source, block by block, each thread of a block as a coroutine.
 *
 *   barriers     __syncthreads, shuffles and mma stop a thread until all of its block or warp have
 *                come; if not all come, the test ends with a message
 *   order        between barriers of the block a warp runs as far as it can before the next one
 *                begins, from the first or from the last (cuda_emulate_order): a race shows
 *   cp.async     a copy is done as late as it may be, in copy_wait: a read too early sees old bytes
 *   prior_done   a thread that ends without it ends the test
 *   shared       holds rubbish when a launch begins where it is dynamic; else what the block before
 *                left: 0xff bytes, half NaN, are written over it by nobody but the kernel
 *   ldmatrix     eight rows that are not in 32 different banks end the test
 *   exp2_approx  is as far off as the hardware's may be
 *   mma          the fragments as PTX ISA has them, sums in FP32 from k = 0 on
 *
 * What it does not show: speed, other bank conflicts, registers, what nvcc makes of the source. */
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tensor/f16.h"

#define OCT_CUDA_EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
#ifndef __align__
#define __align__(n) __attribute__((aligned(n)))
#endif

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
extern unsigned char *cuda_emulate_shared;

typedef void cuda_emulate_kernel(const void *arg);
void cuda_emulate_launch(dim3 grid, dim3 block, size_t shared, cuda_emulate_kernel *kernel,
                         const void *arg);
template <class Body>
static inline void emulate(dim3 grid, dim3 block, size_t shared, const Body &body)
{
    cuda_emulate_launch(grid, block, shared,
                        [](const void *arg) { (*(const Body *)arg)(); }, &body);
}
void cuda_emulate_die(const char *why);
void cuda_emulate_block_barrier(void);
/* Gives size bytes, gets those of all 32 lanes, size apart. */
const void *cuda_emulate_exchange(const void *mine, size_t size);
void cuda_emulate_prior_done(void);
void cuda_emulate_copy(void *to, const void *from);
void cuda_emulate_commit(void);
void cuda_emulate_wait(int under_way);

#define OCT_LAUNCH(kernel, grid, block, shared, stream, ...)                          \
    do {                                                                              \
        (void)(stream);                                                               \
        const auto kernel_ = (kernel);                                                \
        emulate(grid, block, shared, [&] { kernel_(__VA_ARGS__); });                  \
    } while (0)
#define OCT_LAUNCHED() 0
#define OCT_DYNAMIC_SHARED(name) unsigned char *name = cuda_emulate_shared

static inline void __syncthreads(void) { cuda_emulate_block_barrier(); }
static inline void __threadfence(void) {}
static inline void __syncwarp(unsigned = 0xffffffffu) { cuda_emulate_exchange("", 0); }
static inline unsigned emulated_lane(void)
{
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}
static inline float __shfl_sync(unsigned, float x, int lane, int width = 32)
{
    const int me = (int)emulated_lane();
    return ((const float *)cuda_emulate_exchange(&x, sizeof x))[me / width * width + lane % width];
}
static inline float __shfl_down_sync(unsigned, float x, int delta, int width = 32)
{
    const int me = (int)emulated_lane();
    const float *all = (const float *)cuda_emulate_exchange(&x, sizeof x);
    return me % width + delta < width ? all[me + delta] : x;
}
static inline float __shfl_xor_sync(unsigned, float x, int mask, int width = 32)
{
    const int me = (int)emulated_lane();
    const float *all = (const float *)cuda_emulate_exchange(&x, sizeof x);
    return (me ^ mask) / width == me / width ? all[me ^ mask] : x;
}

static inline int atomicAdd(int *p, int x)
{
    *p += x;
    return *p - x;
}
static inline float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
static inline float half_to_float(uint16_t h) { return oct_f32_of_f16(h); }
static inline uint16_t half_of_float(float f) { return oct_f16_of_f32(f); }
static inline float exp2_approx(float x)
{
    const float y = exp2f(x);
    return y < 0x1p-126f ? 0 : y * (1 + 0x1p-22f); /* NaN stays; as far off as it may be */
}
static inline uint32_t max_halves(uint32_t a, uint32_t b)
{
    uint32_t y = 0;
    for (int i = 0; i < 32; i += 16) {
        const float p = half_to_float((uint16_t)(a >> i)), q = half_to_float((uint16_t)(b >> i));
        y |= (uint32_t)half_of_float(p != p || q != q ? NAN : p > q ? p : q) << i;
    }
    return y;
}
static inline void prior_done(void) { cuda_emulate_prior_done(); }
static inline void copy_async(void *to, const void *from) { cuda_emulate_copy(to, from); }
static inline void copy_commit(void) { cuda_emulate_commit(); }
template <int N> static inline void copy_wait(void) { cuda_emulate_wait(N); }

/* What a lane gives of a and b: halves as floats, or bytes. */
struct emulated_halves {
    float a[4][2], b[2][2];
    emulated_halves(const uint32_t wa[4], const uint32_t wb[2])
    {
        for (int i = 0; i < 4; i++) split(a[i], wa[i]);
        for (int i = 0; i < 2; i++) split(b[i], wb[i]);
    }
    static void split(float to[2], uint32_t word)
    {
        to[0] = half_to_float((uint16_t)word);
        to[1] = half_to_float((uint16_t)(word >> 16));
    }
    static float add(float d, const float x[2], const float y[2])
    {
        return d + x[0] * y[0] + x[1] * y[1];
    }
};
struct emulated_bytes {
    uint32_t a[4], b[2];
    emulated_bytes(const uint32_t wa[4], const uint32_t wb[2])
    {
        memcpy(a, wa, sizeof a);
        memcpy(b, wb, sizeof b);
    }
    static int32_t add(int32_t d, uint32_t x, uint32_t y)
    {
        for (int k = 0; k < 32; k += 8)
            d = (int32_t)((uint32_t)d + (uint32_t)((uint8_t)(x >> k) * (int8_t)(y >> k)));
        return d;
    }
};

/* Word w, k's order, of a row or a column is of lane w % 4 of their group. */
template <class Fragments, class Sum>
static inline void emulated_mma(Sum d[4], const uint32_t a[4], const uint32_t b[2])
{
    const Fragments mine(a, b);
    const Fragments *all = (const Fragments *)cuda_emulate_exchange(&mine, sizeof mine);
    const int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    for (int i = 0; i < 4; i++) {
        const int row = g + i / 2 * 8, col = 2 * t + i % 2;
        for (int w = 0; w < 8; w++)
            d[i] = Fragments::add(d[i], all[row % 8 * 4 + w % 4].a[row / 8 + w / 4 * 2],
                                  all[col * 4 + w % 4].b[w / 4]);
    }
}
static inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    emulated_mma<emulated_halves>(d, a, b);
}
static inline void mma(int32_t d[4], const uint32_t a[4], const uint32_t b[2])
{
    emulated_mma<emulated_bytes>(d, a, b);
}

/* The rows of all 32 lanes: those of a matrix lie in different banks. */
static inline const void *emulated_rows(const void *row)
{
    const uintptr_t *rows = (const uintptr_t *)cuda_emulate_exchange(&row, sizeof row);
    unsigned banks[4] = { 0, 0, 0, 0 };
    for (int i = 0; i < 32; i++) banks[i / 8] |= 1u << rows[i] / 16 % 8;
    for (int i = 0; i < 4; i++)
        if (banks[i] != 0xff) cuda_emulate_die("ldmatrix: rows in the same banks");
    return rows;
}
static inline void load_matrix(uint32_t r[4], const void *row)
{
    const void *const *rows = (const void *const *)emulated_rows(row);
    const int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    for (int i = 0; i < 4; i++) r[i] = ((const uint32_t *)rows[8 * i + g])[t];
}
static inline void load_transposed(uint32_t r[4], const void *row)
{
    const uint16_t *const *rows = (const uint16_t *const *)emulated_rows(row);
    const int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    for (int i = 0; i < 4; i++)
        r[i] = rows[8 * i + 2 * t][g] | (uint32_t)rows[8 * i + 2 * t + 1][g] << 16;
}

extern "C" void cuda_emulate_order(int down); /* 1: threads run from the last to the first */

#endif
