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
 *
 *   before   the residual of a row, if has_residual: without branches, so that loads of several
 *            rows are under way together.  Before that row is written: y may be where it is
 *   finish   a row, written if it is there.  ANY: whatever it is; else the plain case (is_plain),
 *            without branches, so that rows are computed side by side
 *   close    after the last row */
template <class Sum, int N> struct epilogue;

/* F16 values; plain: an activation that only clamps. */
template <int N> struct epilogue<float, N> {
    some<float, N> scale, bias;
    float lo, hi;
    bool has_residual;
    int bad; /* values that became infinite */
    typedef packed<oct_half, N> residual;

    static __device__ inline bool is_plain(const oct_cuda_conv &c)
    {
        return c.act <= OCT_ACT_RELU6;
    }

    __device__ inline epilogue(const oct_cuda_conv &c, int n)
        : scale(load_some<N>(c.scale + n)), bias(load_some<N>((const float *)c.bias + n)),
          lo(c.act == OCT_ACT_NONE ? -INFINITY : 0), hi(c.act == OCT_ACT_RELU6 ? 6 : INFINITY),
          has_residual(c.residual != nullptr), bad(0) {}

    __device__ inline residual before(const oct_cuda_conv &c, int m, int n) const
    {
        return *(const residual *)((const oct_half *)c.residual + (int64_t)m * c.residual_pitch +
                                   n);
    }

    template <bool ANY>
    __device__ inline void finish(const oct_cuda_conv &c, int m, int n, bool there,
                                  const some<float, N> &sum, const residual &r)
    {
        const float limit = there ? 65520 : NAN; /* no branch: then nothing is */
        some<oct_half, N> y;
        some<float, N> v;
#pragma unroll
        for (int i = 0; i < N; i++) {
            v.at[i] = sum.at[i] * scale.at[i] + bias.at[i];
            if (has_residual) v.at[i] = v.at[i] + half_to_float((uint16_t)r[i]);
            if (!ANY) v.at[i] = clamp(v.at[i], lo, hi);
        }
        if (ANY) activate(v, c.act);
#pragma unroll
        for (int i = 0; i < N; i++) {
            v.at[i] = n + i < c.n ? v.at[i] : 0;
            bad += fabsf(v.at[i]) >= limit;
            y.at[i].bits = half_of_float(v.at[i]);
        }
        store_if(there, (oct_half *)c.y + (int64_t)m * c.y_pitch + n, y);
    }

    __device__ inline void close(const oct_cuda_conv &c) const
    {
        if (bad) atomicAdd(c.rows.overflow, bad);
    }
};

/* Integers: requant.h; plain: bytes. */
template <int N> struct epilogue<int32_t, N> {
    some<float, N> scale, fbias;
    some<int32_t, N> bias, colsum;
    bool has_residual;
    typedef packed<uint8_t, N> residual; /* of bytes; one of floats has no time to gain */

    static __device__ inline bool is_plain(const oct_cuda_conv &c)
    {
        return c.out.kind == OCT_REQUANT_U8;
    }

    __device__ inline epilogue(const oct_cuda_conv &c, int n)
        : scale(load_some<N>(c.scale + n)), fbias(load_some<N>(c.fbias + n)),
          bias(load_some<N>((const int32_t *)c.bias + n)), colsum(load_some<N>(c.colsum + n)),
          has_residual(c.residual && is_plain(c)) {}

    __device__ inline residual before(const oct_cuda_conv &c, int m, int n) const
    {
        return *(const residual *)((const uint8_t *)c.residual + (int64_t)m * c.residual_pitch + n);
    }

    template <bool ANY>
    __device__ inline void finish(const oct_cuda_conv &c, int m, int n, bool there,
                                  const some<int32_t, N> &sum, const residual &r)
    {
        if (ANY && !is_plain(c)) {
            if (there) finish_floats(c, m, n, sum);
            return;
        }
        some<uint8_t, N> y;
#pragma unroll
        for (int i = 0; i < N; i++) {
            float v = ((float)(sum.at[i] + bias.at[i]) + fbias.at[i]) * scale.at[i];
            if (has_residual) v = oct_requant_add(v, (uint8_t)r[i], &c.out);
            y.at[i] = oct_requant_u8(v, &c.out);
        }
        store_if(there, (uint8_t *)c.y + (int64_t)m * c.y_pitch + n, y);
    }

    __device__ inline void finish_floats(const oct_cuda_conv &c, int m, int n,
                                         const some<int32_t, N> &sum) const
    {
        const int sample = c.rows.per == 1 ? m : m / c.rows.per;
        const oct_qparams p = c.sample ? c.sample[sample] : oct_qparams();
        some<float, N> y, more = some<float, N>();
        if (c.residual)
            more = load_some<N>((const float *)c.residual + (int64_t)m * c.residual_pitch + n);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int32_t acc = sum.at[i] + bias.at[i];
            float v = c.sample ? (float)(acc - p.zero * colsum.at[i]) * scale.at[i] * p.scale
                               : (float)acc * scale.at[i];
            v = v + fbias.at[i];
            if (c.residual) v = v + more.at[i];
            y.at[i] = oct_requant_act(v, c.out.act);
        }
        activate(y, c.act);
#pragma unroll
        for (int i = 0; i < N; i++) y.at[i] = n + i < c.n ? y.at[i] : 0;
        *(some<float, N> *)((float *)c.y + (int64_t)m * c.y_pitch + n) = y;
    }

    __device__ inline void close(const oct_cuda_conv &) const {}
};

}

#endif
