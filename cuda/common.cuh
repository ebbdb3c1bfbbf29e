#ifndef OCT_CUDA_COMMON_CUH
#define OCT_CUDA_COMMON_CUH

/* What all kernels share: half as storage, launches, copies that run beside the arithmetic.
 * tests/cuda_emulate.h defines OCT_CUDA_EMULATED and the same names for a CPU, so that the tests
 * run these very sources, thread by thread. */
#ifndef OCT_CUDA_EMULATED
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif
#include <stdint.h>
#include <string.h>

#include "cuda/kernels.h"
#include "ops/kernels/math_f32.h"

typedef struct oct_half { uint16_t bits; } oct_half;

#ifndef OCT_CUDA_EMULATED
#define OCT_LAUNCH(kernel, grid, block, shared, stream, ...) \
    launch_kernel((kernel), (grid), (block), (shared), (stream), __VA_ARGS__)
#define OCT_LAUNCHED() ((int)cudaGetLastError())
#define OCT_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

template <class... Params, class... Args>
static inline void launch_kernel(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared,
                                 void *stream, const Args &...args)
{
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t how = {};
    how.gridDim = grid;
    how.blockDim = block;
    how.dynamicSmemBytes = shared;
    how.stream = (cudaStream_t)stream;
    how.attrs = &overlap;
    how.numAttrs = oct_cuda_overlap ? 1 : 0;
    cudaLaunchKernelEx(&how, kernel, (Params)args...); /* OCT_LAUNCHED gives its error */
}

/* From compute capability 9.0 on a launch may begin while the one before it on the stream still
 * runs ("CUDA C++ Programming Guide", Programmatic Dependent Launch), up to here.
 * Every thread of every kernel comes here before it reads what an earlier launch wrote, or writes
 * anything: it waits for that launch's end, and lets the next launch begin.  What is read before is
 * constant (weights, counts). */
static __device__ inline void prior_done(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Between lo and hi; NaN stays what it is. */
static __device__ inline float clamp(float x, float lo, float hi)
{
    asm("max.NaN.f32 %0, %0, %1;\n\tmin.NaN.f32 %0, %0, %2;" : "+&f"(x) : "f"(lo), "f"(hi));
    return x;
}

static __device__ inline float half_to_float(uint16_t h)
{
    return __half2float(__ushort_as_half(h));
}
static __device__ inline uint16_t half_of_float(float f)
{
    return __half_as_ushort(__float2half_rn(f));
}

/* 2^x within 2^-22 of itself, 0 for what is below 2^-126. */
static __device__ inline float exp2_approx(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* The larger of two pairs of halves; NaN if one is. */
static __device__ inline uint32_t max_halves(uint32_t a, uint32_t b)
{
    uint32_t y;
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(b));
    return y;
}

/* 16 bytes to shared memory, in the background; a group is what was asked for since the last
 * commit, and wait<N> leaves the newest N groups under way. */
static __device__ inline void copy_async(void *s_to, const void *g_from)
{
    const unsigned to = (unsigned)__cvta_generic_to_shared(s_to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(g_from) : "memory");
}
static __device__ inline void copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N> static __device__ inline void copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

/* vec_u8.h's steps: x in units of 1 / inverse as a byte of 0..max; NaN becomes 0 of its range. */
static __device__ inline uint8_t quantized(float x, float inverse, int zero, int max)
{
    const float lo = (float)-zero, hi = (float)(max - zero);
    float v = x * inverse;
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (uint8_t)((int)lrintf(v) + zero);
}

/* N neighbours, loaded and stored at once: on a boundary of their size, at most 16 bytes. */
template <class T, int N> struct alignas(sizeof(T) * N) some { T at[N]; };

template <int N, class T> static __device__ inline some<T, N> load_some(const T *p)
{
    return *(const some<T, N> *)p;
}

/* Without a branch, where they are 4 or 8 bytes; for what this thread does not read afterwards, so
 * that the compiler may move loads before it. */
template <class T, int N>
static __device__ inline void store_if(bool yes, T *p, const some<T, N> &x)
{
#ifndef OCT_CUDA_EMULATED
    if constexpr (sizeof x == 8) {
        some<uint32_t, 2> w;
        memcpy(&w, &x, sizeof w);
        asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.u32 p, %0, 0;\n\t"
                     "@p st.global.v2.b32 [%1], {%2, %3};\n\t}"
                     ::"r"((unsigned)yes), "l"(p), "r"(w.at[0]), "r"(w.at[1]));
        return;
    } else if constexpr (sizeof x == 4) {
        uint32_t w;
        memcpy(&w, &x, sizeof w);
        asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.u32 p, %0, 0;\n\t"
                     "@p st.global.b32 [%1], %2;\n\t}"
                     ::"r"((unsigned)yes), "l"(p), "r"(w));
        return;
    }
#endif
    if (yes) *(some<T, N> *)p = x;
}

/* The same, kept in words of 4 bytes where there are as many: as they were loaded, so that nothing
 * waits for them before one is taken. */
template <int BYTES> struct word_of { typedef uint32_t type; };
template <> struct word_of<1> { typedef uint8_t type; };
template <> struct word_of<2> { typedef uint16_t type; };
template <class T, int N> struct packed {
    typedef typename word_of<sizeof(T) * N>::type word;
    some<word, sizeof(T) * N / sizeof(word)> words;

    __device__ inline uint32_t operator[](int i) const /* the bits of a neighbour */
    {
        const uint32_t of = words.at[i * sizeof(T) / sizeof(word)];
        return of >> i * sizeof(T) % sizeof(word) * 8 & (1u << sizeof(T) * 8) - 1;
    }
};

static __device__ inline float load(const oct_half *p) { return half_to_float(p->bits); }
static __device__ inline float load(const float *p) { return *p; }
/* A finite value from 65520 on becomes infinity: that is counted, and the run fails. */
static __device__ inline void store(const oct_cuda_rows &rows, oct_half *p, float x)
{
    p->bits = half_of_float(x);
    if (fabsf(x) >= 65520) atomicAdd(rows.overflow, 1);
}
static __device__ inline void store(const oct_cuda_rows &, float *p, float x) { *p = x; }

/* N neighbours of a row as floats, and back, 16 bytes at a time. */
template <int N, class E> static __device__ inline some<float, N> load_floats(const E *p)
{
    enum { EACH = N * (int)sizeof(E) < OCT_CUDA_CHUNK ? N : OCT_CUDA_CHUNK / (int)sizeof(E) };
    some<float, N> y;
#pragma unroll
    for (int i = 0; i < N; i += EACH) {
        const some<E, EACH> x = load_some<EACH>(p + i);
#pragma unroll
        for (int k = 0; k < EACH; k++) y.at[i + k] = load(&x.at[k]);
    }
    return y;
}

template <int N>
static __device__ inline void store_some(const oct_cuda_rows &, float *p, const some<float, N> &x)
{
    enum { EACH = N < 4 ? N : 4 };
#pragma unroll
    for (int i = 0; i < N; i += EACH) {
        some<float, EACH> y;
#pragma unroll
        for (int k = 0; k < EACH; k++) y.at[k] = x.at[i + k];
        *(some<float, EACH> *)(p + i) = y;
    }
}

template <int N>
static __device__ inline void store_some(const oct_cuda_rows &rows, oct_half *p,
                                         const some<float, N> &x)
{
    some<oct_half, N> y;
    float most = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
        y.at[i].bits = half_of_float(x.at[i]);
        most = fmaxf(most, fabsf(x.at[i]));
    }
    *(some<oct_half, N> *)p = y;
    if (most < 65520) return; /* as good as always; NaN is none of them */
#pragma unroll
    for (int i = 0; i < N; i++)
        if (fabsf(x.at[i]) >= 65520) atomicAdd(rows.overflow, 1);
}

/* Neighbours side by side: the switch is outside. */
template <int N> static __device__ inline void activate(some<float, N> &x, oct_act act)
{
#define OCT_EACH(f)                                            \
    _Pragma("unroll") for (int i = 0; i < N; i++) x.at[i] = f(x.at[i]); \
    break
    switch (act) {
    case OCT_ACT_RELU:    OCT_EACH(oct_relu_f32);
    case OCT_ACT_RELU6:   OCT_EACH(oct_relu6_f32);
    case OCT_ACT_SIGMOID: OCT_EACH(oct_sigmoid_f32);
    case OCT_ACT_TANH:    OCT_EACH(oct_tanh_f32);
    case OCT_ACT_GELU:    OCT_EACH(oct_gelu_f32);
    default:              break;
    }
#undef OCT_EACH
}

static __device__ inline float activate(float x, oct_act act)
{
    some<float, 1> one = { { x } };
    activate(one, act);
    return one.at[0];
}

/* Blocks that give each of `rows` rows `cols` threads or more of `block` threads. */
static inline unsigned blocks_for(long long rows, int cols, int block)
{
    const long long n = (rows * cols + block - 1) / block;
    return n < 1 ? 1u : n > 0x7fffffff ? 0x7fffffffu : (unsigned)n;
}

/* Threads for the columns of rows, `each` at a time, without a division: x goes along a row, y is
 * the row.  Of few rows long ones are several blocks', grid.y. */
enum { OCT_CUDA_PLANE = 256 };
struct plane { dim3 grid, block; };

static inline plane plane_of(const oct_cuda_rows &rows, int cols, int each)
{
    unsigned x = 1;
    while (x < OCT_CUDA_PLANE && (int)x * each < cols) x *= 2;
    const unsigned y = OCT_CUDA_PLANE / x;
    const unsigned down = blocks_for((long long)rows.most * rows.per, 1, (int)y);
    const unsigned across = blocks_for(1, (cols + each - 1) / each, (int)x);
    const unsigned few = OCT_CUDA_BLOCKS / down;
    return plane{ dim3(down, across < few ? across : few > 1 ? few : 1), dim3(x, y) };
}

/* f(row, column) of all that a thread of plane_of has, once earlier launches are done. */
template <int EACH, class F>
static __device__ inline void for_plane(const oct_cuda_rows &rows, int cols, F f)
{
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    const bool there = row < (long long)*rows.count * rows.per;
    prior_done();
    const int step = (int)(gridDim.y * blockDim.x) * EACH;
    for (int col = (int)(blockIdx.y * blockDim.x + threadIdx.x) * EACH; there && col < cols;
         col += step)
        f((int)row, col);
}

/* A kernel for each element: F returns from the caller. */
#define OCT_FOR_FLOAT(value, f)                                     \
    ((value).type == OCT_F16 ? f<oct_half> : f<float>)

#endif
