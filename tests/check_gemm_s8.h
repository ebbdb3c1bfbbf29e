#ifndef OCT_TESTS_CHECK_GEMM_S8_H
#define OCT_TESTS_CHECK_GEMM_S8_H

#include "ops/kernels/gemm_s8.h"

/* Parts of check_gemm_s8.c; each returns how many cases there were. */
int check_gemm_s8_pack(const oct_gemm_s8 *g);
int check_gemm_s8_table(void);

#endif
