"""The networks as PyTorch modules with the weights of a model file, exported to ONNX."""
import json

import torch
import torchvision
from safetensors import safe_open
from torch import nn


def read(path):
    """octet.arch of a model file and its tensors, as FP32."""
    with safe_open(path, "pt") as f:
        arch = json.loads(f.metadata()["octet.arch"])
        tensors = {k: f.get_tensor(k).float() for k in f.keys()}
    return arch, tensors


def conv(t, name, options):
    w = t[name + ".weight"]
    m = nn.Conv2d(w.shape[1], w.shape[0], w.shape[2:], padding=options.get("p", 0),
                  stride=options.get("s", 1))
    m.load_state_dict({"weight": w, "bias": t[name + ".bias"]})
    return m


def norm(t, name):
    m = nn.BatchNorm2d(t[name + ".running_mean"].numel())
    parts = ("weight", "bias", "running_mean", "running_var")
    m.load_state_dict({k: t[f"{name}.{k}"] for k in parts}, strict=False)
    return m


def linear(t, name):
    w = t[name + ".weight"]
    m = nn.Linear(w.shape[1], w.shape[0])
    m.load_state_dict({"weight": w, "bias": t[name + ".bias"]})
    return m


def module(t, word):
    name, _, tail = word.partition(":")
    if name == "relu":
        return nn.ReLU()
    if name == "flatten":
        return nn.Flatten()
    if name == "maxpool":
        return nn.MaxPool2d(int(tail))
    if name + ".running_mean" in t:
        return norm(t, name)
    if t[name + ".weight"].ndim == 4:
        return conv(t, name, {tail[i]: int(tail[i + 1]) for i in range(0, len(tail), 2)})
    return linear(t, name)


def load(path):
    """The network in eval mode and the shape [c, h, w] of one input."""
    arch, tensors = read(path)
    if arch["kind"] == "resnet":
        net = getattr(torchvision.models, f"resnet{arch['depth']}")(num_classes=arch["classes"])
        net.load_state_dict(tensors, strict=False)
        return net.eval(), [3, 224, 224]
    net = nn.Sequential(*[module(tensors, w) for w in arch["layers"].split()])
    return net.eval(), arch["input"]


def export(path, to):
    """Writes the network of a model file as ONNX with a free batch dimension; returns it too."""
    net, shape = load(path)
    torch.onnx.export(net, (torch.zeros(1, *shape),), to, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False, opset_version=17)
    return net, shape
