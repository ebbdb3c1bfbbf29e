"""Writes quant.h: the ranges that kl and mse choose for seeded data, without octet's shortcuts.

    python make_quant.py > quant.h

The data are exact in both languages: integers from splitmix64, a few operations in double, one
rounding to float.  Two answers a case and qmax:

    picks   from the observer's bins, but by definition: every divergence summed over all its bins,
            every span's error integrated piece by piece between the steps of the grid
    exact   from the values themselves: kl from their own histogram of 2,048 bins, mse the least
            mean square error that any candidate has
"""
import sys

import numpy as np

N, KL_BINS = 20000, 2048
MASK = (1 << 64) - 1


def words(seed, n):
    out = []
    for _ in range(n):
        seed = (seed + 0x9e3779b97f4a7c15) & MASK
        z = seed
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & MASK
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
        out.append(z >> 32)
    return np.array(out, dtype=np.float64)


def bell(seed):
    """Sums of eight 32-bit words: nearly normal, exact in double; standard deviation about 1."""
    w = words(seed, 8 * N).reshape(N, 8)
    return (w.sum(axis=1) / 2**32 - 4) * 1.25


def datasets():
    b = bell(1)
    yield "bell", b
    yield "relu", np.where(b < 0, 0.0, b)
    yield "heavy", b * b * b
    yield "heavy_relu", np.where(b < 0, 0.0, b * b * b)
    yield "flat", words(2, N) / 2**32
    skew = np.where(b < 0, b * 0.125, b * b)
    yield "skewed", skew
    outlier = np.where(b < 0, 0.0, b)
    outlier[N // 2] = 300.0
    yield "outlier", outlier
    yield "negative", np.where(b < 0, b, 0.0) * 1e-3


def bins(x):
    """(lower edges, upper edges, counts) of the occupied bins of magnitudes x > 0, 9 bits of
    mantissa; the last one ends at the largest value."""
    keys, counts = np.unique(x.astype(np.float32).view(np.uint32) >> 14, return_counts=True)
    a = (keys << 14).astype(np.uint32).view(np.float32).astype(np.float64)
    b = ((keys + 1) << 14).astype(np.uint32).view(np.float32).astype(np.float64)
    return a, np.minimum(b, x.max()), counts


def kl_hist(x):
    """2,048 bins of |x|, the observer's bins spread evenly over those they cover."""
    largest, h = np.abs(x).max(), np.zeros(KL_BINS)
    edges = np.arange(KL_BINS + 1) * (largest / KL_BINS)
    for part in (x[x > 0], -x[x < 0]):
        if not part.size:
            continue
        for a, b, c in zip(*bins(part)):
            cover = np.clip(np.minimum(b, edges[1:]) - np.maximum(a, edges[:-1]), 0, None)
            if b <= a:
                h[min(int(a / largest * KL_BINS), KL_BINS - 1)] += c
            else:
                h += c * cover / (b - a)
    return h


def kl_pick(h, levels):
    best, pick = np.inf, 0
    for i in range(levels, KL_BINS + 1):
        p, q = h[:i].copy(), np.zeros(i)
        if h[i:].sum() > N // 50:
            continue
        p[-1] += h[i:].sum()
        for l in range(levels):
            s = slice(l * i // levels, (l + 1) * i // levels)
            used = p[s] > 0
            if used.any():
                q[s][used] = h[:i][s].sum() / used.sum()
        if ((p > 0) & (q <= 0)).any():
            continue
        p, q = p / p.sum(), q / q.sum()
        on = p > 0
        d = (p[on] * np.log(p[on] / q[on])).sum()
        if d <= best:
            best, pick = d, i
    return pick


def grid(lo, hi, qmax):
    scale = np.float64(np.float32((hi - lo) / qmax))
    zero = min(max(np.rint(-lo / scale), 0), qmax)
    return scale, int(zero)


def square_errors(x, lo, hi, qmax):
    scale, zero = grid(lo, hi, qmax)
    q = np.clip(np.rint(x / scale) + zero, 0, qmax)
    return (x - scale * (q - zero)) ** 2


def integrate(a, b, count, lo, hi, qmax):
    """sum of count * mean of (t - Q(t))^2 over [a, b), cut at every threshold of the grid."""
    scale, zero = grid(lo, hi, qmax)
    cuts = scale * (np.arange(qmax) - zero + 0.5)
    total = 0.0
    for a_, b_, c in zip(a, b, count):
        t = np.concatenate([[a_], cuts[(cuts > a_) & (cuts < b_)], [b_]])
        mid = (t[:-1] + t[1:]) / 2
        v = scale * (np.clip(np.rint(mid / scale) + zero, 0, qmax) - zero)
        if b_ > a_:
            total += c * (((t[1:] - v) ** 3 - (t[:-1] - v) ** 3) / 3).sum() / (b_ - a_)
        else:
            total += c * (a_ - v[0]) ** 2
    return total


def spans(x):
    """32 spans an octave of both signs, signed."""
    parts = []
    for sign, part in ((1, x[x > 0]), (-1, -x[x < 0])):
        if not part.size:
            continue
        keys, counts = np.unique(part.astype(np.float32).view(np.uint32) >> 18, return_counts=True)
        a = (keys << 18).astype(np.uint32).view(np.float32).astype(np.float64)
        b = ((keys + 1) << 18).astype(np.uint32).view(np.float32).astype(np.float64)
        b = np.minimum(b, part.max())
        parts.append((a, b, counts) if sign > 0 else (-b, -a, counts))
    return [np.concatenate(p) for p in zip(*parts)]


def mse_search(error, lo, hi):
    """The candidates of observer_mse.c, in its order; error(lo, hi) is what counts."""
    ratio, best = 2.0 ** (-1 / 32), [np.inf, 0.0, 0.0]

    def attempt(l, h):
        l, h = np.float64(np.float32(l)), np.float64(np.float32(h))
        e = error(l, h)
        if e < best[0]:
            best[:] = [e, l, h]

    factor = 1.0
    for _ in range(256):
        attempt(lo * factor, hi * factor)
        factor *= ratio
    for turn in range(4 if lo < 0 < hi else 0):
        _, from_lo, from_hi = best
        factor = 1.0
        for _ in range(16):
            factor /= ratio
        for _ in range(33):
            l = from_lo if turn & 1 else from_lo * factor
            h = from_hi * factor if turn & 1 else from_hi
            if l >= lo and h <= hi:
                attempt(l, h)
            factor *= ratio
    return best


def number(v):
    return float(v).hex()


print("/* Made by make_quant.py with numpy %s; not to be edited. */" % np.__version__)
print("#ifndef OCT_TESTS_GOLDEN_QUANT_H\n#define OCT_TESTS_GOLDEN_QUANT_H\n")
print("static const struct quant_golden {\n    const char *data;\n    int qmax;")
print("    double kl, kl_exact;                 /* of 2,048 */")
print("    double lo, hi;                       /* mse's pick */")
print("    double least;                        /* mean square error at best, of the values */")
print("} quant_goldens[] = {")
for name, x in datasets():
    x = x.astype(np.float32).astype(np.float64)
    lo, hi = min(x.min(), 0.0), max(x.max(), 0.0)
    for qmax in (127, 255):
        levels = (qmax + 1) // 2 if lo < 0 < hi else qmax + 1
        magnitudes = np.abs(x[x != 0])
        exact = np.histogram(magnitudes, KL_BINS, (0, magnitudes.max()))[0].astype(np.float64)
        kl, kl_exact = kl_pick(kl_hist(x), levels), kl_pick(exact, levels)
        a, b, c = spans(x)
        _, l, h = mse_search(lambda l, h: integrate(a, b, c, l, h, qmax), lo, hi)
        least, _, _ = mse_search(lambda l, h: square_errors(x, l, h, qmax).mean(), lo, hi)
        print('    { "%s", %d, %d, %d,\n      %s, %s, %s },'
              % (name, qmax, kl, kl_exact, number(l), number(h), number(least)))
        print(name, qmax, "kl %d exact %d, mse %.4g..%.4g %.4g" % (kl, kl_exact, l, h, least),
              file=sys.stderr)
print("};\n\n#endif")
