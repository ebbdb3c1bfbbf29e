#ifndef OCT_CUDA_MMA_CUH
#define OCT_CUDA_MMA_CUH

#include "cuda/common.cuh"

/* The tensor cores' product of a warp:  d[16, 8] += a[16, k] b[8, k]^T, k = 16 halves or 32 bytes,
 * that is 32 bytes of each row in both cases, and the same places for both.  Of lane l, with
 * g = l / 4 and t = l % 4 (words are of 32 bits, eight a row):
 *
 *   a[0] row g      word t        b[0] row g word t        d[0], d[1] row g,     columns 2t, 2t + 1
 *   a[1] row g + 8  word t        b[1] row g word t + 4    d[2], d[3] row g + 8, the same
 *   a[2] row g      word t + 4
 *   a[3] row g + 8  word t + 4
 *
 * load_matrix brings four 8 x 8 matrices of halves, or of 16 bytes a row, from shared memory: lane
 * l says where row l % 8 of matrix l / 8 begins (16-byte boundary), and gets word t of row g of
 * matrix i in r[i].  The four quarters of a, or the two halves of two b's, are such matrices.
 * load_transposed gives the halves of column g, rows 2t and 2t + 1: b of what lies with k down.
 *
 * Source: PTX ISA, "Matrix Fragments for mma.m16n8k16 / m16n8k32", "ldmatrix". */
#ifndef OCT_CUDA_EMULATED
static __device__ inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/* a uint8, b int8; wraps, which no sum within gemm_s8.h's limits does */
static __device__ inline void mma(int32_t d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ inline void load_matrix(uint32_t r[4], const void *s_row)
{
    const unsigned from = (unsigned)__cvta_generic_to_shared(s_row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}
static __device__ inline void load_transposed(uint32_t r[4], const void *s_row)
{
    const unsigned from = (unsigned)__cvta_generic_to_shared(s_row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}
#endif

#endif
