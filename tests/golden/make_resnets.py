#!/usr/bin/env python3
"""Makes tests/golden/resnets/: what torchvision's ResNets answer, with seeded random weights, for
the photographs of tests/data/photos.

    python3 tests/golden/make_resnets.py          needs torch, torchvision, numpy, Pillow

NAME.npy       logits, float32 [photographs, classes], photographs sorted by name
narrow.pth     a small network as PyTorch saves it, wrapped as training scripts wrap it

The weights are too big to be kept: tests/seeded_resnet.c makes the same ones.  Element i of a
tensor is r = 2 u - 1 in -1 .. 1, u the upper 24 bits of number i of splitmix64 seeded with the
64-bit FNV-1a hash of "NETWORK:TENSOR", times or plus what its kind asks for (see `fill`), computed
in double and rounded to float once.
"""
import math
import os

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TESTS, "golden", "resnets")
PHOTOS = os.path.join(TESTS, "data", "photos")
torch.set_num_threads(2)


def seed(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def uniform(text, count):
    """-1 .. 1, in steps of 2^-23, as doubles"""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(seed(text))
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1


def fill(network, name, shape):
    """He initialization; batch norms with statistics that are no identity and not too strong."""
    r = uniform(f"{network}:{name}", math.prod(shape))
    if name.endswith("running_var"):
        r = r * 0.5 + 1
    elif len(shape) > 1:
        r = r * math.sqrt(6 / math.prod(shape[1:]))
    elif name.endswith(".weight"):
        r = r * 0.25 + 0.75
    else:
        r = r * 0.125
    return torch.from_numpy(r.astype(np.float32)).reshape(shape)


class Narrow(ResNet):
    """A sixteenth of the planes, so that a file of it is small."""

    def _make_layer(self, block, planes, blocks, **how):
        return super()._make_layer(block, planes // 16, blocks, **how)


def make(network, block, blocks, classes, dtype=torch.float32, kind=ResNet, **how):
    net = kind(block, blocks, num_classes=classes, **how)
    if kind is Narrow:
        net.fc = torch.nn.Linear(32, classes)
    state = {}
    for name, old in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = old
            continue
        value = fill(network, name, tuple(old.shape))
        state[name] = value.to(dtype).float() if value.dim() > 1 else value
    net.load_state_dict(state)
    return net.eval()


def photographs(resize, crop):
    recipe = transforms.Compose([
        transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    names = sorted(os.listdir(PHOTOS))
    return torch.stack([recipe(Image.open(os.path.join(PHOTOS, n)).convert("RGB")) for n in names])


def golden(name, net, resize=256, crop=224):
    with torch.no_grad():
        logits = net(photographs(resize, crop)).numpy()
    top = np.sort(logits, axis=1)
    margin = (top[:, -1] - top[:, -2]).min() / np.abs(logits).max()
    between = np.abs(logits - logits[0]).max() / np.abs(logits).max()
    print(f"{name}: {logits.shape}, largest {np.abs(logits).max():.3g}, between photographs "
          f"{between:.2g}, least margin {margin:.2g}")
    assert margin > 2e-4, "the first answer is too close to the second to be compared"
    np.save(os.path.join(OUT, name + ".npy"), logits)


def main():
    os.makedirs(OUT, exist_ok=True)
    basic, bottle = BasicBlock, Bottleneck
    golden("resnet18", make("resnet18", basic, [2, 2, 2, 2], 1000))
    golden("resnet18_small", make("resnet18_small", basic, [2, 2, 2, 2], 3), 72, 64)
    golden("resnet34", make("resnet34", basic, [3, 4, 6, 3], 1000), 110, 96)
    golden("resnet50", make("resnet50", bottle, [3, 4, 6, 3], 1000))
    golden("resnet101", make("resnet101", bottle, [3, 4, 23, 3], 1000), 110, 96)
    golden("slim152", make("slim152", bottle, [3, 8, 36, 3], 10, width_per_group=16), 110, 96)
    golden("resnext", make("resnext", bottle, [1, 2, 1, 1], 10, groups=8, width_per_group=8),
           110, 96)
    golden("wide", make("wide", bottle, [1, 1, 1, 1], 10, width_per_group=128), 110, 96)
    golden("half", make("half", basic, [1, 1, 1, 1], 3, torch.float16), 320, 288)
    golden("bfloat", make("bfloat", basic, [1, 1, 1, 1], 3, torch.bfloat16), 110, 96)

    net = make("narrow", basic, [2, 1, 1, 1], 3, kind=Narrow)
    golden("narrow", net)
    golden("narrow288", net, 320, 288)
    golden("narrow17", net, 20, 17)
    golden("narrow32x64", net, (32, 64), (32, 64))
    state = {"module." + name: value for name, value in net.state_dict().items()}
    torch.save({"epoch": 7, "state_dict": state}, os.path.join(OUT, "narrow.pth"))


if __name__ == "__main__":
    main()
