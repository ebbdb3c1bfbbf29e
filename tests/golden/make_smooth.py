"""Writes smooth.h: SmoothQuant's factors, as exponents of two, for a channel of which the largest
value and the largest weight are known.

    python make_smooth.py > smooth.h
"""
import numpy as np

rng = np.random.default_rng(5)
print("/* make_smooth.py wrote it. */\ntypedef struct smooth_case {\n"
      "    float x, w;      /* the largest magnitudes */\n    double strength;\n"
      "    int exponent;    /* s = 2^exponent */\n} smooth_case;\n\n"
      "static const smooth_case smooth_cases[] = {")
cases = [(0, 1, .5), (1, 0, .5), (1, 1, .5), (1, 1, 1), (3e-39, 1, 1), (2e30, 1e-3, .75),
         (1e-30, 1e6, .5)]
cases += [(np.exp(rng.normal(0, 3)), np.exp(rng.normal(-3, 2)), a)
          for a in (.25, .5, .75, 1) for _ in range(12)]
for x, w, a in cases:
    x, w = np.float32(x), np.float32(w)
    e = 0.0
    if x > 0 and w > 0:
        e = a * np.log2(np.float64(x)) - (1 - a) * np.log2(np.float64(w))
    if abs(abs(e) % 1 - .5) < 1e-6:
        continue    # rounds either way
    print("    { %sf, %sf, %r, %d }," % (float(x).hex(), float(w).hex(), a,
                                         np.clip(np.rint(e), -24, 24)))
print("};")
