"""Writes ops.h: what PyTorch computes for small pools, batch norms, softmax rows and activations.

    python make_ops.py > ops.h

Images are [1, c, h, w] in PyTorch's order.  Inputs come from a seeded generator, with NaN,
infinities and zeros of both signs where the operator has something to say about them.
"""
import math

import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)
NAN, INF = math.nan, math.inf


def number(v):
    if math.isnan(v):
        return "NAN"
    if math.isinf(v):
        return "INFINITY" if v > 0 else "-INFINITY"
    return float(v).hex() + "f"


def floats(t):
    words = [number(v) for v in t.flatten().tolist()]
    lines, line = [], "   "
    for w in words:
        if len(line) + len(w) + 2 > 100:
            lines.append(line)
            line = "   "
        line += " " + w + ","
    return "\n".join(lines + [line])


def pair(v):
    return "{ %d, %d }" % (v, v) if isinstance(v, int) else "{ %d, %d }" % tuple(v)


def table(name, rows):
    print("static const float %s[] = {\n%s\n};" % (name, floats(rows)))


def image(c, h, w):
    return (torch.randint(-4000, 4000, (1, c, h, w)) / 1024).float()


def pools():
    odd = image(3, 7, 6)
    for i, v in enumerate([NAN, INF, -INF, 0.0, -0.0, NAN, -INF]):
        odd.view(-1)[11 * i + 3] = v
    odd[0, 2, 3:, :3] = -INF
    odd[0, 1, 4:6, 4:6] = torch.tensor([[-0.0, 0.0], [-1.0, -0.0]])
    plain = image(3, 7, 6)
    cases = []
    for k, s, p, d in [(2, 2, 0, 1), (3, 2, 1, 1), ((2, 3), (1, 2), (1, 1), 2), (3, 1, 1, (1, 2))]:
        attr = "{ OCT_POOL_MAX, %s, %s, %s, %s, .count_include_pad = 0 }" % tuple(
            map(pair, (k, s, p, d)))
        cases.append((attr, odd, F.max_pool2d(odd, k, s, p, d)))
    for k, s, p, include in [(2, 2, 0, 1), (3, 2, 1, 1), (3, 2, 1, 0), ((4, 2), (3, 1), (2, 1), 0)]:
        attr = "{ OCT_POOL_AVG, %s, %s, %s, { 1, 1 }, .count_include_pad = %d }" % (
            pair(k), pair(s), pair(p), include)
        cases.append((attr, plain, F.avg_pool2d(plain, k, s, p, False, bool(include))))
    for out in [(1, 1), (3, 4), (9, 2)]:
        attr = "{ .kind = OCT_POOL_ADAPTIVE_AVG, .out = %s }" % pair(out)
        cases.append((attr, plain, F.adaptive_avg_pool2d(plain, out)))
    table("pool_odd", odd)
    table("pool_plain", plain)
    for i, (_, _, y) in enumerate(cases):
        table("pool_y%d" % i, y)
    print("static const struct { oct_pool_attr attr; const float *x; int oh, ow; const float *y; } "
          "pools[] = {")
    for i, (attr, x, y) in enumerate(cases):
        print("    { %s,\n      %s, %d, %d, pool_y%d }," % (
            attr, "pool_odd" if x is odd else "pool_plain", y.shape[2], y.shape[3], i))
    print("};")


def batchnorm():
    x, c = image(3, 4, 5), 3
    gamma, beta, mean = torch.randn(c), torch.randn(c), torch.randn(c)
    var = torch.tensor([0.0, 2.5, 1e-3])
    x[0, 0] = mean[0] + torch.randn(4, 5) * 1e-3
    table("bn_x", x)
    for name, t in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)):
        table("bn_" + name, t)
    table("bn_y", F.batch_norm(x, mean, var, gamma, beta, False, 0.0, 1e-5))


def softmax():
    x = torch.randn(8, 7) * 3
    x[1] = 88.0 + x[1] * 30
    x[2] = -INF
    x[3, 2] = -INF
    x[4, 5] = NAN
    x[5, 1] = INF
    x[6] = torch.tensor([0.0, -87.0, -95.0, -100.0, -103.0, -104.0, -200.0])
    x[7] = 1e30
    table("softmax_x", x)
    table("softmax_y", torch.softmax(x, -1))


def activations():
    x = torch.tensor([0.0, -0.0, 1e-40, -1e-40, 1e-5, -1e-5, 0.3, -0.3, 1.0, -1.0, 2.5, -2.5, 5.9,
                      6.0, 6.1, -6.0, 9.5, -9.5, 20.0, -20.0, 80.0, -80.0, 1e30, -1e30, INF, NAN])
    table("act_x", x)
    for name, f in (("relu", F.relu), ("relu6", F.relu6), ("sigmoid", torch.sigmoid),
                    ("tanh", torch.tanh), ("gelu", F.gelu)):
        table("act_" + name, f(x))


version = torch.__version__.split("+")[0]
print("/* Made by make_ops.py with PyTorch %s; not to be edited. */" % version)
print("#ifndef OCT_TESTS_GOLDEN_OPS_H\n#define OCT_TESTS_GOLDEN_OPS_H\n")
print('#include <math.h>\n\n#include "ops/attr.h"\n')
pools()
batchnorm()
softmax()
activations()
print("\n#endif")
