#!/usr/bin/env python3
"""Makes tests/golden/weights/: small files of every kind that weights/ reads, written by PyTorch
and by the safetensors library, and what is in them.

    python3 tests/golden/make_weights.py                  needs torch, safetensors, numpy
    python3 tests/golden/make_weights.py --shared FILE... hash whole real files: shared.tsv
    python3 tests/golden/make_weights.py --check FILE     list a file that octet saved

expected.tsv   file, tensor, dtype, shape, SHA-256 of its row-major bytes
refused.tsv    file, words of the sentence it must be refused with
shared.tsv     file, tensors, SHA-256 over "name dtype shape\n" and bytes of each, sorted by name
"""
import collections
import hashlib
import math
import os
import sys
import zipfile

import numpy as np
import safetensors.torch
import torch
import torch.nn.utils.prune as prune

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
          torch.float64: "F64", torch.int8: "I8", torch.uint8: "U8", torch.int16: "I16",
          torch.int32: "I32", torch.int64: "I64", torch.bool: "BOOL"}
expected, refused = [], []


def digest(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def expect(name, tensors):
    for key in sorted(tensors):
        t = tensors[key]
        shape = ",".join(map(str, t.shape))
        expected.append(f"{name}\t{key}\t{DTYPES[t.dtype]}\t{shape}\t{digest(t)}")


def save(name, thing, tensors=None, words=None, **options):
    torch.save(thing, os.path.join(HERE, name), **options)
    if words:
        refused.append(f"{name}\t{words}")
    else:
        expect(name, thing if tensors is None else tensors)


def tensors_of_all_types():
    state = collections.OrderedDict()
    for dtype, key in DTYPES.items():
        if dtype.is_floating_point:
            state["float." + key] = torch.randn(3, 5).to(dtype)
        else:
            limit = 2 if dtype is torch.bool else 100
            state["int." + key] = torch.randint(0, limit, (7,)).to(dtype)
    state["scalar"] = torch.tensor(1234567, dtype=torch.int64)
    state["empty"] = torch.zeros(0, 4)
    return state


def views():
    base = torch.randn(6, 8)
    image = torch.randn(2, 3, 4, 5)
    return {"base": base, "transposed": base.t(), "rows": base[1:4], "columns": base[:, 2:5],
            "step": base[::2, ::3], "column": base[:, 3], "diagonal": base.diagonal(),
            "expanded": torch.randn(1, 4).expand(3, 4), "one": base[2, 2],
            "channels_last": image.to(memory_format=torch.channels_last),
            "permuted": image.permute(3, 0, 2, 1), "int8_column": torch.arange(60).to(
                torch.int8).reshape(5, 12)[:, 7], "f64_t": torch.randn(3, 4).double().t(),
            "f16_t": torch.randn(3, 4).half().t(), "tail": base.reshape(-1)[40:]}


def net():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2),
                               torch.nn.Sequential(torch.nn.Linear(3, 2)))


def checkpoint():
    model = torch.nn.DataParallel(net())
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    inner = {k[len("module."):]: v for k, v in model.state_dict().items()}
    whole = {"epoch": 3, "arch": "net", "best_acc1": torch.tensor(71.5), "history": [1.5, None],
             "lr": 2 ** 70, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
             "tags": {"a", "b"}, "raw": b"\0\1", "dtype": torch.float16, "size": torch.Size([1]),
             "device": torch.device("cpu"), "score": np.float64(0.5), "z": 1j}
    return whole, inner


def pruned(dtype):
    model = net().to(dtype)
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    prune.l1_unstructured(model[2][0], "bias", amount=1)
    with torch.no_grad():
        model[0].weight_mask.flatten()[3] = 0.3  # not only 0 and 1: the product is rounded
    state = model.state_dict()
    want = {k: v for k, v in state.items() if not k.endswith(("_orig", "_mask"))}
    for k in state:
        if k.endswith("_orig"):
            want[k[:-5]] = state[k] * state[k[:-5] + "_mask"]
    return state, want


def rezip(source, target, method, wanted=lambda name: True):
    with zipfile.ZipFile(os.path.join(HERE, source)) as a, \
            zipfile.ZipFile(os.path.join(HERE, target), "w", method) as b:
        for name in filter(wanted, a.namelist()):
            b.writestr(zipfile.ZipInfo(name), a.read(name), method)


def without_checksums(source, target):
    """What the archive needs, stored, all checksums 0: a seed that a fuzzer can change."""
    rezip(source, target, zipfile.ZIP_STORED, lambda n: "/code/" not in n and "/." not in n)
    path = os.path.join(HERE, target)
    with zipfile.ZipFile(path) as z:
        entries = z.infolist()
    with open(path, "r+b") as f:
        text = bytearray(f.read())
        at = text.index(b"PK\1\2")
        for entry in entries:
            text[entry.header_offset + 14:entry.header_offset + 18] = bytes(4)
            text[at + 16:at + 20] = bytes(4)
            at = text.find(b"PK\1\2", at + 4)
        f.seek(0)
        f.write(text)


class Rebuilt:
    """A quantized tensor whose pickle says something else: change(scheme, scale, zero[, axis])."""

    def __init__(self, t, change):
        self.t, self.change = t, change

    def __reduce__(self):
        f, args = self.t.__reduce_ex__(2)
        return f, (*args[:4], self.change(*args[4]), *args[5:])


def quantized(old):
    """Tensors and packed linear layers of torch.ao.quantization."""
    scales = torch.tensor([0.25, 0.5, 0.001], dtype=torch.float64)

    def channels(shape, zeros=(0, 0, 0), axis=0, dtype=torch.qint8):
        x = torch.arange(-20, math.prod(shape) - 20).reshape(shape) * 0.1
        if len(shape) == 4:
            x = x.to(memory_format=torch.channels_last)
        return torch.quantize_per_channel(x, scales, torch.tensor(zeros), axis, dtype)

    def whole(shape, zero=0, dtype=torch.qint8):
        return torch.quantize_per_tensor(torch.arange(-3, math.prod(shape) - 3).reshape(shape) * 0.1,
                                         0.0625, zero, dtype)

    def both(name, t):
        n = t.shape[0] if t.dim() else 1
        each = t.qscheme() == torch.per_channel_affine
        s = t.q_per_channel_scales().float() if each else torch.full((n,), t.q_scale())
        return {name: t.int_repr(), name + ".scale": s}

    conv, fc, one = channels((3, 2, 2, 2)), channels((3, 5)), whole((4, 3))
    plain = {"conv.bias": torch.tensor([1.0, -2.0, 3.0]), "conv.scale": torch.tensor(0.5),
             "conv.zero_point": torch.tensor(7)}
    bias = torch.tensor([0.5, 0.25, -1.0])
    state = {"conv.weight": conv, **plain, "fc._packed_params.dtype": torch.qint8,
             "fc._packed_params._packed_params": (fc, torch.nn.Parameter(bias)),
             "one._packed_params._packed_params": (one, None), "u": whole((2,), 0, torch.quint8),
             "alone": whole(()), "empty": whole((0, 3)), "part": fc[1:]}
    want = {**both("conv.weight", conv), **plain, **both("fc.weight", fc), "fc.bias": bias,
            **both("one.weight", one), **both("u", state["u"]), **both("alone", state["alone"]),
            **both("empty", state["empty"]), **both("part", state["part"])}
    save("quantized.pt", state, want)
    save("quantized_legacy.pt", state, want, **old)

    def lists(scheme, s, z, axis):
        return scheme, s.tolist(), z.tolist(), axis

    listed = {"fc._packed_params.weight": Rebuilt(fc, lists), "fc._packed_params.bias": bias,
              "fc._packed_params.dtype": torch.qint8, "a": Rebuilt(conv, lists)}
    save("quantized_lists.pt", listed, {**both("fc.weight", fc), "fc.bias": bias, **both("a", conv)},
         **old)

    other = lambda s=None, z=None, a=None: lambda scheme, scale, zero, axis: (
        scheme, scale if s is None else s, zero if z is None else z, axis if a is None else a)
    refuse = {
        "zero": (whole((2, 3), 3), "a: quantized with a zero point of 3: only symmetric"),
        "unsigned": (whole((2,), 128, torch.quint8), "a: quantized with a zero point of 128"),
        "zeros": (channels((3, 2), (0, 0, -5)), "a: quantized with a zero point of -5"),
        "zero_list": (Rebuilt(channels((3, 2), (0, 9, 1)), lists), "a: quantized with a zero point "
                      "of 9"),
        "axis": (channels((2, 3), axis=1), "a: scales along dimension 1 of 2, only the first"),
        "no_axis": (Rebuilt(fc, other(a=-1)), "_rebuild_qtensor' with unexpected arguments"),
        "int32": (whole((2,), 0, torch.qint32), "QInt32Storage' is not allowed"),
        "few": (Rebuilt(fc, other(s=scales[:2])), "a: its scales are not F64 [3]"),
        "float": (Rebuilt(fc, other(s=scales.float())), "a: its scales are not F64 [3]"),
        "column": (Rebuilt(fc, other(s=scales[:, None])), "a: its scales are not F64 [3]"),
        "int": (Rebuilt(fc, other(z=torch.zeros(3, dtype=torch.int32))), "a: its zero points are "
                "not I64 [3]"),
        "again": (Rebuilt(fc, other(s=whole((3,)))), "a: its scales are not F64 [3]"),
        "nan": (Rebuilt(fc, other(s=scales * math.nan)), "a: scale 0 is nan, expected a positive"),
        "sign": (Rebuilt(fc, other(s=-scales)), "a: scale 0 is -0.25, expected a positive float"),
        "tiny": (Rebuilt(fc, other(s=scales * 1e-60)), "a: scale 0 is 2.5e-61, expected a positive"),
        "large": (Rebuilt(fc, other(s=scales * 1e60)), "a: scale 0 is 2.5e+59, expected a positive"),
        "mixed": (Rebuilt(fc, other(s=[1.0] * 3)), "_rebuild_qtensor' with unexpected arguments"),
        "short": (Rebuilt(fc, other([1.0] * 2, [0] * 3)), "a: 2 scales and 3 zero points, expected "
                  "3"),
        "words": (Rebuilt(fc, other(["b"] * 3, [0] * 3)), "a: a scale that is no float"),
        "halves": (Rebuilt(fc, other([1.0] * 3, [0.5] * 3)), "a: a zero point that is no integer"),
        "scheme": (Rebuilt(fc, lambda *a: (torch.float32, *a[1:])), "with unexpected arguments"),
        "nothing": (Rebuilt(fc, lambda *a: ()), "with unexpected arguments"),
        "number": (Rebuilt(one, lambda *a: (a[0], 1, 0)), "with unexpected arguments"),
    }
    for name, (t, words) in refuse.items():
        save(f"quantized_{name}.pt", {"a": t, "b": bias}, words=words, **old)
    save("quantized_twice.pt", {"a.weight": fc, "a._packed_params._packed_params": (fc, None)},
         words="a.weight: two tensors of this name", **old)


def make():
    torch.manual_seed(7)
    old = {"_use_new_zipfile_serialization": False}
    state = tensors_of_all_types()
    save("types.pt", state)
    save("types_legacy.pt", state, **old)
    save("types_protocol4.pt", state, pickle_protocol=4)
    save("types_legacy_protocol4.pt", state, pickle_protocol=4, **old)
    save("views.pt", views())
    save("views_legacy.pt", views(), **old)

    whole, inner = checkpoint()
    save("checkpoint.pt", whole, inner)
    save("checkpoint_legacy.pt", whole, inner, **old)
    save("model_key.pt", {"model": {"state_dict": inner}, "step": 1}, inner)
    save("odd_key.pt", {"something": inner, "step": 1}, inner)
    save("two_models.pt", {"left": inner, "right": inner}, words="'left' and 'right'")
    save("compiled.pt", {"_orig_mod.module." + k: v for k, v in inner.items()}, inner)

    for dtype in torch.float32, torch.float16, torch.bfloat16, torch.float64:
        state, want = pruned(dtype)
        save(f"pruned_{DTYPES[dtype]}.pt", state, want)
    save("pruned_kept.pt", {"w": torch.ones(2), "w_orig": torch.ones(2), "w_mask": torch.zeros(2),
                            "v_orig": torch.ones(3), "v_u": torch.ones(3)})
    wrong = {"a.weight_orig": torch.ones(2, 3), "a.weight_mask": torch.ones(3, 2)}
    save("pruned_wrong.pt", wrong, words="its mask has another shape")

    parameter = torch.nn.Parameter(torch.randn(4))
    marked = torch.nn.Parameter(torch.randn(2))
    marked.note = "a"
    tagged = torch.randn(3)
    tagged.note = "b"
    save("parameters.pt", {"p": parameter, "q": marked, "r": tagged, "s": torch.nn.Buffer(
        torch.ones(2)).data})
    save("parameters_legacy.pt", {"p": parameter, "q": marked}, **old)

    module = "global 'torch.nn.modules.container.Sequential' is not allowed"
    save("module.pt", net(), words=module)
    save("module_legacy.pt", torch.nn.Identity(), words="global 'torch.nn.modules.linear."
         "Identity' is not allowed: a pickled object", **old)
    save("tensor.pt", torch.ones(3), words="one tensor without a name")
    save("list.pt", [torch.ones(3)], words="holds a list")
    save("numbers.pt", {"a": 1}, words="no dictionary of named tensors")
    save("none.pt", {}, words="no dictionary of named tensors")
    save("sparse.pt", {"a": torch.eye(3).to_sparse()}, words="_rebuild_sparse_tensor' is not")
    save("complex.pt", {"a": torch.ones(2, dtype=torch.complex64)}, words="ComplexFloatStorage")
    save("rank9.pt", {"a": torch.ones([1] * 9)}, words="rank 9, at most 8")
    save("huge_view.pt", {"a": torch.ones(1).expand(40000000)}, words="claim more than")

    model = net()
    torch.jit.script(model).save(os.path.join(HERE, "script.pt"))
    expect("script.pt", model.state_dict())
    without_checksums("script.pt", "script_no_crc.pt")
    expect("script_no_crc.pt", model.state_dict())
    torch.jit.trace(model[0], torch.zeros(1, 1, 4, 4)).save(os.path.join(HERE, "trace.pt"))
    expect("trace.pt", model[0].state_dict())

    rezip("types.pt", "deflated.pt", zipfile.ZIP_DEFLATED)
    rezip("views.pt", "views_deflated.pt", zipfile.ZIP_DEFLATED)
    for source, target in ("types.pt", "deflated.pt"), ("views.pt", "views_deflated.pt"):
        expect(target, torch.load(os.path.join(HERE, source)))
    rezip("tensor.pt", "bzip2.pt", zipfile.ZIP_BZIP2)
    refused.append("bzip2.pt\tcompression method 12")
    save("large.pt", {"a": torch.randn(1500), "b": torch.randn(1500)}) # more than a buffer
    rezip("large.pt", "large_deflated.pt", zipfile.ZIP_DEFLATED)
    torch.serialization.set_crc32_options(False)
    save("no_crc.pt", inner)
    torch.serialization.set_crc32_options(True)

    state = {k: v for k, v in tensors_of_all_types().items()}
    safetensors.torch.save_file(state, os.path.join(HERE, "types.safetensors"),
                                metadata={"format": "pt", "b": "ä\n\"", "a": ""})
    expect("types.safetensors", state)
    safetensors.torch.save_file({"a": torch.ones(3, dtype=torch.float8_e4m3fn)},
                                os.path.join(HERE, "f8.safetensors"))
    refused.append("f8.safetensors\ta: dtype F8_E4M3 is not supported")

    quantized(old)
    for name, lines in ("expected.tsv", expected), ("refused.tsv", refused):
        with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


def describe(path):
    if path.endswith(".safetensors"):
        state = safetensors.torch.load_file(path)
    else:
        state = torch.load(path, map_location="cpu")
    state = state.get("state_dict", state)
    if all(k.startswith("module.") for k in state):
        state = {k[len("module."):]: v for k, v in state.items()}
    sha = hashlib.sha256()
    for key in sorted(state, key=lambda k: k.encode()):
        t = state[key]
        sha.update(f"{key} {DTYPES[t.dtype]} {','.join(map(str, t.shape))}\n".encode())
        sha.update(t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"{os.path.basename(path)}\t{len(state)}\t{sha.hexdigest()}"


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--shared":
        with open(os.path.join(HERE, "shared.tsv"), "w", encoding="utf-8") as out:
            out.write("".join(describe(path) + "\n" for path in sys.argv[2:]))
        sys.exit()
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with safetensors.safe_open(sys.argv[2], "pt") as f:
            print(f.metadata())
            for key in sorted(f.keys()):
                t = f.get_tensor(key)
                print(key, DTYPES[t.dtype], list(t.shape), digest(t))
    else:
        os.makedirs(HERE, exist_ok=True)
        make()
