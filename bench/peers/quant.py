"""INT8 models of the engines beside octet, from the ONNX file of a network and real images.

ONNX Runtime: static QDQ, weights per channel, U8 activations, min-max.  OpenVINO: NNCF, its
default preset.  Both are what their manuals tell a user to do."""
import gzip
import json
import os

import nncf
import numpy as np
import openvino
from onnxruntime import quantization
from PIL import Image
from safetensors import safe_open
from torchvision.transforms import v2 as transforms
import torch


def image_folder(path):
    """Images of an ImageFolder, sorted."""
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            yield Image.open(os.path.join(folder, name)).convert("RGB")


def arrays(path):
    """Records of a CIFAR .bin or an idx file as uint8 [n, h, w, c]."""
    if path.endswith(".bin"):
        data = np.fromfile(path, np.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
        return data.transpose(0, 2, 3, 1)
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        data = np.frombuffer(f.read(), np.uint8)
    return data[16:].reshape(-1, *data[:16].view(">i4")[2:], 1)


def samples(model, path, n):
    """n inputs, evenly from the data, through the recipe of the model file: FP32 [n, c, h, w]."""
    with safe_open(model, "np") as f:
        recipe = json.loads(f.metadata()["octet.input"])
    images = list(image_folder(path)) if os.path.isdir(path) else arrays(path)
    steps = [transforms.ToImage()]
    if os.path.isdir(path):
        steps += [transforms.Resize(recipe["resize"], antialias=True),
                  transforms.CenterCrop(recipe["crop"])]
    steps += [transforms.ToDtype(torch.float32, scale=True)]
    if "mean" in recipe:
        steps += [transforms.Normalize(recipe["mean"], recipe["std"])]
    prepare = transforms.Compose(steps)
    chosen = [images[i * len(images) // n] for i in range(n)]
    return np.stack([prepare(image).numpy() for image in chosen])


class Reader(quantization.CalibrationDataReader):
    def __init__(self, x):
        self.rest = iter({"x": one[None]} for one in x)

    def get_next(self):
        return next(self.rest, None)


def for_onnx_runtime(onnx, x, to):
    prepared = to + ".prepared.onnx"
    quantization.quant_pre_process(onnx, prepared)
    quantization.quantize_static(
        prepared, to, Reader(x), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)


def for_open_vino(onnx, x, to):
    model = openvino.Core().read_model(onnx)
    dataset = nncf.Dataset([one[None] for one in x])
    openvino.save_model(nncf.quantize(model, dataset, subset_size=len(x)), to,
                        compress_to_fp16=False)
