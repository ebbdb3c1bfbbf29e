#include "config.h"
#include "ops/kernels/winograd_f32.h"

#include <string.h>

const oct_winograd_f32 *const oct_winograd_f32_all[] = {
#if HAVE_AVX512
    &oct_winograd_f32_avx512,
#endif
#if HAVE_AVX2
    &oct_winograd_f32_avx2,
#endif
#if HAVE_NEON
    &oct_winograd_f32_neon,
#endif
    &oct_winograd_f32_ref,
    NULL,
};

const oct_winograd_f32 *oct_winograd_f32_pick(unsigned cpu_flags)
{
    const oct_winograd_f32 *const *w = oct_winograd_f32_all;
    while (((*w)->needs & cpu_flags) != (*w)->needs) w++; /* ref needs nothing */
    return *w;
}

/* ---- weights: double, N filters side by side, loops of a constant length ---- */

enum { N = OCT_WINOGRAD_F32_FILTERS };
static const double A = 0x1.6a09e667f3bcdp-1, B = 0x1.6a09e667f3bcdp+0; /* sqrt(1/2), sqrt(2) */

typedef double row[N]; /* one number of each filter */

/* r = G w:  the rows of G for a and -a share their even part, so do those for b and -b. */
static void pass4(const double *restrict w0, const double *restrict w1,
                  const double *restrict w2, row *restrict r)
{
    for (int l = 0; l < N; l++) {
        const double even_a = (-2.0 / 3) * w0[l] + (-1.0 / 3) * w2[l];
        const double even_b = (1.0 / 6) * w0[l] + (1.0 / 3) * w2[l];
        const double odd_a = (-2.0 / 3 * A) * w1[l], odd_b = (1.0 / 6 * B) * w1[l];
        r[0][l] = w0[l];
        r[1][l] = even_a + odd_a;
        r[2][l] = even_a - odd_a;
        r[3][l] = even_b + odd_b;
        r[4][l] = even_b - odd_b;
        r[5][l] = w2[l];
    }
}

static void pass2(const double *restrict w0, const double *restrict w1,
                  const double *restrict w2, row *restrict r)
{
    for (int l = 0; l < N; l++) {
        const double even = 0.5 * (w0[l] + w2[l]), odd = 0.5 * w1[l];
        r[0][l] = w0[l];
        r[1][l] = even + odd;
        r[2][l] = even - odd;
        r[3][l] = w2[l];
    }
}

static void put(const row r, int lanes, float *u)
{
    float f[N];
    for (int l = 0; l < N; l++) f[l] = (float)r[l];
    if (lanes == N) memcpy(u, f, sizeof f);
    else memcpy(u, f, (size_t)lanes * sizeof *f);
}

void oct_winograd_f32_weights(int m, int lanes, const float *w, float *u, size_t step)
{
    const int p = m + 2;
    row d[9], t[3][6], r[6]; /* [tap], [column][row], [column] */
    for (int q = 0; q < 9; q++)
        for (int l = 0; l < N; l++) d[q][l] = (double)w[q * N + l];
    for (int j = 0; j < 3; j++) (m == 4 ? pass4 : pass2)(d[j], d[3 + j], d[6 + j], t[j]);
    for (int i = 0; i < p; i++) {
        (m == 4 ? pass4 : pass2)(t[0][i], t[1][i], t[2][i], r);
        for (int j = 0; j < p; j++, u += step) put(r[j], lanes, u);
    }
}
