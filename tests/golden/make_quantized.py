#!/usr/bin/env python3
"""Makes tests/golden/quantized/: small networks with seeded weights, quantized by PyTorch's eager
mode (torch.ao.quantization), as torch.save writes their state dicts, and what they answer.

    python3 tests/golden/make_quantized.py            needs torch, torchvision, numpy
    python3 tests/golden/make_quantized.py --full DIR whole ResNets: DIR/NAME.pth, .x.npy, .npy

SHAPE.u8       inputs: bytes b [16, c, h, w], a value is (b - 128) / 64
NAME.pth       the state dict
NAME.npy       answers, float32 [16, classes]
NAME_*.pth     the same state dict in another form: `legacy`, a pickle as before PyTorch 1.6;
               `1.3`, `1.4`, as those versions named and packed what they kept
"""
import collections
import os
import sys
import warnings

import numpy as np
import torch
import torch.ao.quantization as quantization
from torch import nn
from torchvision.models.quantization import resnet

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantized")
N = 16
torch.set_num_threads(2)
warnings.filterwarnings("ignore")


class Narrow(resnet.QuantizableResNet):
    """A part of the planes, so that a file of it is small."""

    def _make_layer(self, block, planes, blocks, **how):
        return super()._make_layer(block, planes // 16, blocks, **how)


class Static(nn.Module):
    """Padding, groups, a stride, ReLU in the convolution and apart from it, two kinds of pool."""

    def __init__(self):
        super().__init__()
        self.quant = quantization.QuantStub()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 72, 3, padding=1, groups=2, bias=False)
        self.conv3 = nn.Conv2d(72, 24, 3, stride=2)
        self.fc1 = nn.Linear(24 * 16, 40, bias=False)
        self.relu2 = nn.ReLU()
        self.fc2 = nn.Linear(40, 7)
        self.dequant = quantization.DeQuantStub()

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        x = nn.functional.relu(self.conv2(x))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        x = nn.functional.avg_pool2d(self.conv3(x), 2, 1, 1)
        x = self.relu2(self.fc1(torch.flatten(x, 1)))
        return self.dequant(self.fc2(x))


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.fc1 = nn.Linear(8 * 49, 33, bias=False)
        self.fc2 = nn.Linear(33, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2)
        return self.fc2(nn.functional.relu(self.fc1(torch.flatten(x, 1))))


class RowByRow:
    """A dynamic model with eight bits for each row: PyTorch takes one range for a batch, and modules
    of version 4 seven bits of it (reduce_range)."""

    def __init__(self, net):
        self.net = net
        for m in net.modules():
            if isinstance(m, torch.ao.nn.quantized.dynamic.Linear):
                m.version = 3

    def __call__(self, x):
        return torch.cat([self.net(row[None]) for row in x])

    def state_dict(self):
        return self.net.state_dict()


def inputs(c, h, w):
    """Waves, noise and a brightness, so that images differ in kind."""
    rng = np.random.default_rng(c * h * w)
    y, x = np.mgrid[0:h, 0:w] / h
    images = np.empty((N, c, h, w))
    for i, image in enumerate(images):
        for plane in image:
            a, b, phase = rng.normal(size=3) * (2 + i % 5) * 2
            plane[:] = np.sin(a * x + b * y + phase) * rng.uniform(0.2, 1.5) + rng.normal() * 0.5
        image += rng.normal(size=(c, h, w)) * rng.uniform(0, 0.7)
    raw = np.clip(np.rint(images * 64 + 128), 0, 255).astype(np.uint8)
    return raw, torch.from_numpy((raw.astype(np.float32) - 128) / 64)


def settle(net, last, x, passes=20, momentum=0.1):
    """Batch norms that have seen data; a last layer that answers differently to different images."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = momentum
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.3, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(passes):
            net(x)
        y = net.eval()(x)
        last.weight /= y.std()
        last.bias -= y.mean(0)
        last.bias /= y.std()
    return net


def convert(net, engine, x):
    torch.backends.quantized.engine = engine
    net.qconfig = quantization.get_default_qconfig(engine)
    quantization.prepare(net, inplace=True)
    for i in range(0, len(x), 4):
        net(x[i:i + 4])
    return quantization.convert(net, inplace=True)


def network(block, blocks, kind, classes, x, **how):
    torch.manual_seed(len(blocks) * sum(blocks) + classes)
    net = kind(block, blocks, num_classes=classes, **how)
    if kind is Narrow:
        net.fc = nn.Linear(32 * block.expansion, classes)
    settle(net, net.fc, x)
    net.fuse_model(is_qat=False)
    return convert(net, "fbgemm", x)


def cnn(engine, x):
    torch.manual_seed(3)
    net = Static()
    settle(net, net.fc2, x)
    quantization.fuse_modules(net, [["conv1", "bn1", "relu1"], ["fc1", "relu2"]], inplace=True)
    return convert(net, engine, x)


def golden(where, name, net, x):
    with torch.no_grad():
        y = net(x).numpy()
    classes = np.unique(y.argmax(1))
    top = np.sort(y, axis=1)
    print(f"{name}: {y.shape}, {y.min():.3g} .. {y.max():.3g}, {len(classes)} answers, ties "
          f"{(top[:, -1] == top[:, -2]).sum()}, distinct rows {len(np.unique(y, axis=0))}")
    torch.save(net.state_dict(), os.path.join(where, name + ".pth"))
    np.save(os.path.join(where, name + ".npy"), y)


class Listed:
    """A quantized tensor as PyTorch 1.3 pickled it: scales and zero points in lists."""

    def __init__(self, t):
        self.t = t

    def __reduce__(self):
        f, args = self.t.__reduce_ex__(2)
        args = list(args)
        if len(args[4]) == 4:
            scheme, scales, zeros, axis = args[4]
            args[4] = (scheme, scales.tolist(), zeros.tolist(), axis)
        return f, tuple(args)


def older(state, version):
    """Linear layers: X.weight and X.bias in 1.3, X._packed_params.weight and .bias in 1.4."""
    out = collections.OrderedDict()
    for name, value in state.items():
        module = name.split("._packed_params")[0]
        if name.endswith("._packed_params._packed_params"):
            part = module + ("._packed_params" if version == "1.4" else "")
            out[part + ".weight"], out[part + ".bias"] = value
        elif not name.endswith("._packed_params.dtype") or version == "1.4":
            out[name] = value
    if version == "1.3":
        out = {k: Listed(v) if torch.is_tensor(v) and v.is_quantized else v
               for k, v in out.items()}
    return out


def small():
    os.makedirs(HERE, exist_ok=True)
    raw, images = inputs(3, 48, 64)
    raw.tofile(os.path.join(HERE, "images.u8"))
    basic, bottle = resnet.QuantizableBasicBlock, resnet.QuantizableBottleneck
    golden(HERE, "resnet18", network(basic, [2, 2, 2, 2], Narrow, 10, images), images)
    golden(HERE, "resnet50", network(bottle, [3, 4, 6, 3], Narrow, 10, images), images)
    golden(HERE, "resnext", network(bottle, [1, 1, 1, 1], Narrow, 10, images, groups=4,
                                    width_per_group=32), images)

    raw, digits = inputs(1, 16, 16)
    raw.tofile(os.path.join(HERE, "digits.u8"))
    old = {"_use_new_zipfile_serialization": False}
    net = cnn("fbgemm", digits)
    golden(HERE, "cnn", net, digits)
    torch.save(net.state_dict(), os.path.join(HERE, "cnn_legacy.pth"), **old)
    for version in "1.3", "1.4":
        torch.save(older(net.state_dict(), version), os.path.join(HERE, f"cnn_{version}.pth"),
                   **old)
    golden(HERE, "cnn_qnnpack", cnn("qnnpack", digits), digits)

    torch.backends.quantized.engine = "fbgemm"
    for name, how in (("dynamic", {nn.Linear}),
                      ("dynamic_channels", {nn.Linear: quantization.per_channel_dynamic_qconfig})):
        torch.manual_seed(4)
        net = Dynamic()
        settle(net, net.fc2, digits)
        golden(HERE, name, RowByRow(quantization.quantize_dynamic(net, how)), digits)


def full(where):
    rng = np.random.default_rng(1)
    coarse = torch.from_numpy(rng.normal(size=(20, 3, 14, 14)).astype(np.float32))
    x = nn.functional.interpolate(coarse, size=(224, 224), mode="bicubic")
    x += torch.from_numpy(rng.normal(size=x.shape).astype(np.float32)) * 0.3
    basic, bottle = resnet.QuantizableBasicBlock, resnet.QuantizableBottleneck
    for name, block, blocks in ("resnet18", basic, [2, 2, 2, 2]), ("resnet50", bottle,
                                                                   [3, 4, 6, 3]):
        torch.manual_seed(5)
        net = resnet.QuantizableResNet(block, blocks)
        settle(net, net.fc, x[:5], 3, 0.6)
        net.fuse_model(is_qat=False)
        golden(where, name, convert(net, "fbgemm", x[:5]), x)
        np.save(os.path.join(where, name + ".x.npy"), x.numpy())


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--full":
        full(sys.argv[2])
    else:
        small()
