"""Writes prune.h: masks of seeded weights, by torch.nn.utils.prune and by the definition.

    python make_prune.py > prune.h

Weights come from splitmix64 and are exact floats: `unique` has no magnitude twice, `ties` is -3 to
3, so that zeros and equal scores abound.  Unstructured masks of `unique` are compared with
PyTorch's, how many go with PyTorch in every case.  What PyTorch leaves open (which of equals goes)
or does not have (2:4, 1x4, 4x1) is written down here as graph/mask.h defines it, weight by weight.
"""
import sys

import torch
from torch import nn
from torch.nn.utils import prune

MASK = (1 << 64) - 1
SHAPES = [(6, 5, 3, 3), (10, 7), (9, 1, 3, 3), (8, 12)]
AMOUNTS = [0.0, 0.1, 0.25, 0.5, 0.7, 1.0]
BLOCKS = {"unstructured": (1, 1), "1x4": (1, 4), "4x1": (4, 1)}


def words(seed, n):
    for _ in range(n):
        seed = (seed + 0x9e3779b97f4a7c15) & MASK
        z = seed
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & MASK
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
        yield z >> 32


def weights(kind, layer):
    shape = SHAPES[layer]
    n = torch.Size(shape).numel()
    if kind == "unique":
        values = [((w >> 8) - 2**23) / 2**20 for w in words(layer + 1, n)]
    else:
        values = [w % 7 - 3 for w in words(layer + 1, n)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def module(w):
    m = nn.Linear(1, 1) if w.dim() == 2 else nn.Conv2d(1, 1, 1)
    m.weight = nn.Parameter(w.clone())
    return m


def by_torch(tensors, amount):
    modules = [module(w) for w in tensors]
    if len(modules) == 1:
        prune.l1_unstructured(modules[0], "weight", amount=amount)
    else:
        prune.global_unstructured([(m, "weight") for m in modules],
                                  pruning_method=prune.L1Unstructured, amount=amount)
    return [m.weight_mask for m in modules]


def units(w, high, wide):
    """Lists of (output, input, tap), row-major in [output, input, tap]."""
    out, width, taps = w.shape
    for o in range(0, out, high):
        for i in range(0, width, wide):
            for t in range(taps):
                yield [(p, q, t) for p in range(o, min(o + high, out))
                       for q in range(i, min(i + wide, width))]


def score(w, unit):
    total = 0.0
    for place in unit:
        total += abs(w[place].item())
    return total / len(unit)


def by_definition(tensors, structure, amount):
    flat = [w.reshape(w.shape[0], w.shape[1], -1) for w in tensors]
    masks = [torch.ones_like(w) for w in flat]
    if structure == "2:4":
        for w, mask in zip(flat, masks):
            for group in units(w, 1, 4):
                group.sort(key=lambda place: abs(w[place].item()))  # stable: the lower index first
                for place in group[:max(len(group) - 2, 0)]:
                    mask[place] = 0
    else:
        every = [(score(w, u), k, u) for k, w in enumerate(flat)
                 for u in units(w, *BLOCKS[structure])]
        for _, k, unit in sorted(every, key=lambda e: e[0])[:round(amount * len(every))]:
            for place in unit:
                masks[k][place] = 0
    return masks


def check(kind, tensors, amount, masks):
    theirs = by_torch(tensors, amount)
    assert sum(m.sum() for m in theirs) == sum(m.sum() for m in masks)
    if kind == "unique":
        magnitudes = torch.cat([w.abs().flatten() for w in tensors])
        assert magnitudes.unique().numel() == magnitudes.numel()
        assert all(a.flatten().equal(b.flatten()) for a, b in zip(theirs, masks))


def text(masks):
    bits = "".join(str(int(b)) for m in masks for b in m.flatten().tolist())
    bits += "0" * (-len(bits) % 4)
    return "".join(f"{int(bits[i:i + 4], 2):x}" for i in range(0, len(bits), 4))


def case(kind, structure, amount, first, n):
    tensors = [weights(kind, k) for k in range(first, first + n)]
    masks = by_definition(tensors, structure, amount)
    if structure == "unstructured":
        check(kind, tensors, amount, masks)
    digits = text(masks)
    lines = "\n".join(f'      "{digits[i:i + 80]}"' for i in range(0, len(digits), 80))
    print(f'    {{ "{kind}", "{structure}", {amount}, {first}, {n},\n{lines} }},')


def main():
    shapes = ", ".join("{ %d, %d, %d }" % (s[0], s[1], s[2] * s[3] if len(s) > 2 else 1)
                       for s in SHAPES)
    print(f"/* Made by make_prune.py with torch {torch.__version__}; not to be edited. */")
    print("#ifndef OCT_TESTS_GOLDEN_PRUNE_H\n#define OCT_TESTS_GOLDEN_PRUNE_H\n")
    print(f"static const int prune_shapes[{len(SHAPES)}][3] = {{ /* out, in, taps */\n"
          f"    {shapes}\n}};\n")
    print("static const struct prune_golden {\n"
          "    const char *weights, *structure;\n    double amount;\n"
          "    int first, n;                        /* layers */\n"
          "    const char *keep;                    /* four weights a digit, the first highest */\n"
          "} prune_goldens[] = {")
    for kind in ("unique", "ties"):
        for k in range(len(SHAPES)):
            case(kind, "2:4", 0.5, k, 1)
        for structure in BLOCKS:
            for amount in AMOUNTS:
                case(kind, structure, amount, 0, len(SHAPES))
            for k in range(len(SHAPES)):
                case(kind, structure, 0.3, k, 1)
            case(kind, structure, 0.5, 2, 1)  # 40.5 of 81 weights: half to even
    print("};\n\n#endif")


if __name__ == "__main__":
    sys.exit(main())
