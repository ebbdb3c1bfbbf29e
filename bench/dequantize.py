#!/usr/bin/env python3
"""What octet quantize wrote as a model in FP32: real weights where the FP32 files are not there.

    python3 bench/dequantize.py FILE_int8.safetensors OUT.safetensors             needs numpy

A weight is its integers times the scale of their row.  A ResNet's bias, in units of the scales of
what the layer reads and of the row, is given back to a batch norm that does nothing else, so that
the file is one of torchvision's names.  The rest, metadata too, is copied: the answers are those of
the INT8 file as far as its activations allow (docs/file-format.md)."""
import json
import struct
import sys

import numpy as np

DTYPES = {"I8": "<i1", "U8": "<u1", "I32": "<i4", "F16": "<f2", "F32": "<f4"}
EPS = 1e-5  # of torchvision's batch norms


def read(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    meta = header.pop("__metadata__")
    return meta, {name: np.frombuffer(data[slice(*t["data_offsets"])],
                                      DTYPES[t["dtype"]]).reshape(t["shape"])
                  for name, t in header.items()}


def write(path, meta, tensors):
    header, end = {"__metadata__": meta}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": {v: k for k, v in DTYPES.items()}[t.dtype.str.replace("|", "<")],
                        "shape": t.shape, "data_offsets": [end, end + t.nbytes]}
        end += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.tobytes())


def convolutions(tensors):
    """Of a ResNet, in order: name, name of its batch norm, the value that it reads."""
    yield "conv1", "bn1", "input"
    last, stage, block = "maxpool", 1, 0
    while stage <= 4:
        at, n = f"layer{stage}.{block}.", 1
        if at + "downsample.0.weight" in tensors:
            yield at + "downsample.0", at + "downsample.1", last
        while f"{at}conv{n}.weight" in tensors:
            yield f"{at}conv{n}", f"{at}bn{n}", last
            last, n = f"{at}conv{n}", n + 1
        stage, block = (stage, block + 1) if n > 1 else (stage + 1, 0)


def resnet_biases(meta, tensors):
    """Takes the biases out of tensors; in floats, those of convolutions as batch norms."""
    scales = json.loads(meta["octet.quant"])["activations"]

    def bias(layer, reads):
        ints = tensors.pop(layer + ".bias").astype("f8")
        return (ints * scales[reads]["scale"] * tensors[layer + ".weight.scale"]).astype("<f4")

    out = {"fc.bias": bias("fc", "avgpool")}
    for layer, norm, reads in convolutions(tensors):
        out[norm + ".bias"] = bias(layer, reads)
        one = np.ones_like(out[norm + ".bias"])
        out |= {norm + ".weight": one, norm + ".running_mean": 0 * one,
                norm + ".running_var": one - np.float32(EPS)}
    return out


def main():
    meta, tensors = read(sys.argv[1])
    arch = json.loads(meta["octet.arch"])
    out = resnet_biases(meta, tensors) if arch["kind"] == "resnet" else {}
    for name, t in tensors.items():
        if name + ".scale" in tensors:
            scale = tensors[name + ".scale"]
            out[name] = t.astype("<f4") * scale.reshape(-1, *[1] * (t.ndim - 1))
        elif not name.endswith(".scale"):
            out[name] = t
    for key in ("octet.quant", "octet.measured", "octet.origin", "octet.sparse"):
        meta.pop(key, None)
    write(sys.argv[2], meta, out)


main()
