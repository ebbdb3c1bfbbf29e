#ifndef OCT_CUDA_CONV2D_CUH
#define OCT_CUDA_CONV2D_CUH

/* What the kernels of conv2d and linear share: which pixel a row is, and what becomes of a sum;
 * kernels.h has the contract. */
#include "cuda/common.cuh"

namespace conv {

/* The output pixel that row m of the product is: its sample, and the input pixel of tap (0, 0). */
struct pixel { int sample, y, x; };

static __host__ __device__ inline pixel pixel_of(const oct_cuda_conv &c, int m)
{
    const int sample = m / c.rows.per, p = m - sample * c.rows.per;
    const int oy = p / c.ow, ox = p - oy * c.ow;
    return pixel{ sample, oy * c.stride[0] - c.pad[0], ox * c.stride[1] - c.pad[1] };
}

/* What becomes of sums: of N neighbouring columns from n on, in any number of rows, by one thread.
 * A thread may have the residuals of some rows before it writes any, which may be where y is. */
template <class Sum, int N> struct epilogue;

/* ANY: of all activations; else there is little code for it, and act is RELU6 or before. */
template <bool ANY, int N> static __device__ inline void act_on(some<float, N> &y, oct_act act)
{
    if (act == OCT_ACT_NONE) return;
#pragma unroll
    for (int i = 0; i < N; i++)
        if (ANY) y.at[i] = activate(y.at[i], act);
        else y.at[i] = act == OCT_ACT_RELU ? oct_relu_f32(y.at[i]) : oct_relu6_f32(y.at[i]);
}

/* F16 values. */
template <int N> struct epilogue<float, N> {
    some<float, N> scale, bias;
    typedef some<oct_half, N> residual;

    __device__ inline epilogue(const oct_cuda_conv &c, int n)
        : scale(load_some<N>(c.scale + n)), bias(load_some<N>((const float *)c.bias + n)) {}

    __device__ inline residual before(const oct_cuda_conv &c, int m, int n) const
    {
        if (!c.residual) return residual();
        return load_some<N>((const oct_half *)c.residual + (size_t)m * (size_t)c.residual_pitch +
                            n);
    }

    template <bool ANY>
    __device__ inline void finish(const oct_cuda_conv &c, int m, int n, const some<float, N> &sum,
                                  const residual &r) const
    {
        some<float, N> y;
#pragma unroll
        for (int i = 0; i < N; i++) {
            y.at[i] = sum.at[i] * scale.at[i] + bias.at[i];
            if (c.residual) y.at[i] = y.at[i] + load(&r.at[i]);
        }
        act_on<ANY>(y, c.act);
#pragma unroll
        for (int i = 0; i < N; i++) y.at[i] = n + i < c.n ? y.at[i] : 0;
        store_some(c.rows, (oct_half *)c.y + (size_t)m * (size_t)c.y_pitch + n, y);
    }
};

/* Integers: requant.h. */
template <int N> struct epilogue<int32_t, N> {
    some<float, N> scale, fbias;
    some<int32_t, N> bias;
    typedef some<uint8_t, N> residual; /* of bytes; one of floats has no time to gain */

    __device__ inline epilogue(const oct_cuda_conv &c, int n)
        : scale(load_some<N>(c.scale + n)), fbias(load_some<N>(c.fbias + n)),
          bias(load_some<N>((const int32_t *)c.bias + n)) {}

    __device__ inline residual before(const oct_cuda_conv &c, int m, int n) const
    {
        if (!c.residual || c.out.kind != OCT_REQUANT_U8) return residual();
        return load_some<N>((const uint8_t *)c.residual + (size_t)m * (size_t)c.residual_pitch + n);
    }

    template <bool ANY>
    __device__ inline void finish(const oct_cuda_conv &c, int m, int n,
                                  const some<int32_t, N> &sum, const residual &r) const
    {
        const size_t to = (size_t)m * (size_t)c.y_pitch + n;
        if (c.out.kind == OCT_REQUANT_U8) {
            some<uint8_t, N> y;
#pragma unroll
            for (int i = 0; i < N; i++) {
                float v = ((float)(sum.at[i] + bias.at[i]) + fbias.at[i]) * scale.at[i];
                if (c.residual) v = oct_requant_add(v, r.at[i], &c.out);
                y.at[i] = oct_requant_u8(v, &c.out);
            }
            *(some<uint8_t, N> *)((uint8_t *)c.y + to) = y;
            return;
        }
        const oct_qparams p = c.sample ? c.sample[m / c.rows.per] : oct_qparams();
        some<float, N> y, more = some<float, N>();
        if (c.residual)
            more = load_some<N>((const float *)c.residual + (size_t)m * (size_t)c.residual_pitch +
                                n);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int32_t acc = sum.at[i] + bias.at[i];
            float v = c.sample ? (float)(acc - p.zero * c.colsum[n + i]) * scale.at[i] * p.scale
                               : (float)acc * scale.at[i];
            v = v + fbias.at[i];
            if (c.residual) v = v + more.at[i];
            y.at[i] = oct_requant_act(v, c.out.act);
        }
        act_on<ANY>(y, c.act);
#pragma unroll
        for (int i = 0; i < N; i++) y.at[i] = n + i < c.n ? y.at[i] : 0;
        *(some<float, N> *)((float *)c.y + to) = y;
    }
};

}

#endif
