/* Made by make_quant.py with numpy 2.4.6; not to be edited. */
#ifndef OCT_TESTS_GOLDEN_QUANT_H
#define OCT_TESTS_GOLDEN_QUANT_H

static const struct quant_golden {
    const char *data;
    int qmax;
    double kl, kl_exact;                 /* of 2,048 */
    double lo, hi;                       /* mse's pick */
    double least;                        /* mean square error at best, of the values */
} quant_goldens[] = {
    { "bell", 127, 1968, 1785,
      -0x1.b46f300000000p+1, 0x1.b402560000000p+1, 0x1.204a5c2943090p-12 },
    { "bell", 255, 1965, 1966,
      -0x1.f101a60000000p+1, 0x1.db78aa0000000p+1, 0x1.3986ebc5d367cp-14 },
    { "relu", 127, 1759, 1763,
      0x0.0p+0, 0x1.d148700000000p+1, 0x1.36afb3158eaf3p-15 },
    { "relu", 255, 1808, 1808,
      0x0.0p+0, 0x1.e5e2000000000p+1, 0x1.43d2a2fb4facap-17 },
    { "heavy", 127, 511, 511,
      -0x1.c077e40000000p+5, 0x1.9a0be40000000p+5, 0x1.719d6ed47eb66p-5 },
    { "heavy", 255, 510, 493,
      -0x1.de94240000000p+5, 0x1.bf28a80000000p+5, 0x1.b550ce8a5ca9bp-7 },
    { "heavy_relu", 127, 511, 490,
      0x0.0p+0, 0x1.bf28a80000000p+5, 0x1.a4ac24755ceebp-8 },
    { "heavy_relu", 255, 490, 508,
      0x0.0p+0, 0x1.c8f3480000000p+5, 0x1.d11c469b42b36p-10 },
    { "flat", 127, 2048, 2047,
      0x0.0p+0, 0x1.ffffda0000000p-1, 0x1.5e4afa3e98a53p-18 },
    { "flat", 255, 2046, 2047,
      0x0.0p+0, 0x1.ffffda0000000p-1, 0x1.58bf47e641dccp-20 },
    { "skewed", 127, 1014, 1016,
      -0x1.7f3e8e0000000p-2, 0x1.b98c7c0000000p+3, 0x1.1981b171c1a9cp-10 },
    { "skewed", 255, 1163, 1147,
      -0x1.9036480000000p-2, 0x1.d731ce0000000p+3, 0x1.31b4a30eb59e8p-12 },
    { "outlier", 127, 2048, 2048,
      0x0.0p+0, 0x1.19200a0000000p+8, 0x1.c80d151fbd299p-3 },
    { "outlier", 255, 2048, 2048,
      0x0.0p+0, 0x1.2592560000000p+8, 0x1.dce47405370cbp-5 },
    { "negative", 127, 1962, 1962,
      -0x1.f207780000000p-9, 0x0.0p+0, 0x1.4ea1cf4098c2ep-35 },
    { "negative", 255, 1702, 1702,
      -0x1.fcef400000000p-9, 0x0.0p+0, 0x1.60507b482542dp-37 },
};

#endif
