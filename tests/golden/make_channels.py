#!/usr/bin/env python3
"""Writes channels.h: what networks answer with whole channels set to zero, by PyTorch.

    python3 make_channels.py > channels.h          needs torch, torchvision, transformers, safetensors

Networks are those of make_resnets.py (seeded), make_encoders.py and weights/pretrained.  Which
channels are tied to one another is written down here by hand, network by network; which go follows
from models/prune_channels.h and, of a layer alone, is what torch.nn.utils.prune.ln_structured(n=1,
dim=0) takes.  A channel is set to zero where it is made: rows of weights, biases, gamma and beta of
its batch norm.  A network without it must answer the same.
"""
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune
from torchvision.models.resnet import BasicBlock, Bottleneck
from transformers import BertForSequenceClassification, DistilBertForSequenceClassification

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_encoders  # noqa: E402
import make_resnets  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PRETRAINED = os.path.join(HERE, "..", "..", "weights", "pretrained")
SAMPLES = 2
torch.set_num_threads(2)


class Group:
    """makes: weights whose rows are its channels, rows_of_one together; zero: vectors like them."""

    def __init__(self, kind, makes, zero, rows_of_one=1):
        self.kind, self.makes, self.zero, self.rows = kind, makes, zero, rows_of_one


def norm_names(state, bn):
    return [f"{bn}.{part}" for part in ("weight", "bias") if f"{bn}.{part}" in state]


# ---- networks: a function of a state dict, inputs, groups ----

class CifarBlock(nn.Module):
    def __init__(self, before, c):
        super().__init__()
        self.stride = 1 if before == c else 2
        self.conv1 = nn.Conv2d(before, c, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    """He et al., section 4.2, option A, one block a stage."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(CifarBlock(16, 16))
        self.layer2 = nn.Sequential(CifarBlock(16, 32))
        self.layer3 = nn.Sequential(CifarBlock(32, 64))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def seeded(network, net):
    state = {name: old if name.endswith("num_batches_tracked") else
             make_resnets.fill(network, name, tuple(old.shape))
             for name, old in net.state_dict().items()}
    net.load_state_dict(state)
    return net.eval()


def picture(c, h, w, sample):
    i = np.arange(c * h * w, dtype=np.int64) + 101 * sample
    x = ((i * i * 7 + 31 * i) % 2001 - 1000).astype(np.float32) / np.float32(1000)
    return torch.from_numpy(x).reshape(1, c, h, w)


def of_images(net, c, side):
    def run(state):
        net.load_state_dict(state, strict=False)
        with torch.no_grad():
            return torch.cat([net(picture(c, side, side, s)) for s in range(SAMPLES)])
    return run


def resnet(net, grouped=False):
    """Blocks of torchvision's ResNet: what adds up is one group, the rest are groups of a layer."""
    state = net.state_dict()
    groups = []
    stream = Group("channel", ["conv1.weight"], norm_names(state, "bn1"))
    groups.append(stream)
    for stage in range(1, 5):
        for i, block in enumerate(getattr(net, f"layer{stage}")):
            name = f"layer{stage}.{i}."
            bottleneck = isinstance(block, Bottleneck)
            if block.downsample is not None:
                stream = Group("channel", [name + "downsample.0.weight"],
                               norm_names(state, name + "downsample.1"))
                groups.append(stream)
            for k in range(1, 3 if bottleneck else 2):
                if not grouped:
                    groups.append(Group("channel", [f"{name}conv{k}.weight"],
                                        norm_names(state, f"{name}bn{k}")))
            last = 3 if bottleneck else 2
            stream.makes.append(f"{name}conv{last}.weight")
            stream.zero += norm_names(state, f"{name}bn{last}")
    return groups


def cifar_groups(net):
    state = net.state_dict()
    return [Group("channel", [f"layer{s}.0.conv1.weight"], norm_names(state, f"layer{s}.0.bn1"))
            for s in (1, 2, 3)]


def mnist(state):
    x = torch.cat([picture(1, 28, 28, s) for s in range(SAMPLES)])
    for k in (1, 2):
        x = F.max_pool2d(F.relu(F.conv2d(x, state[f"conv{k}.weight"], state[f"conv{k}.bias"])), 2)
    x = F.relu(F.linear(x.flatten(1), state["fc1.weight"], state["fc1.bias"]))
    return F.linear(x, state["fc2.weight"], state["fc2.bias"])


def mnist_groups():
    return [Group("channel" if "conv" in m else "neuron", [m + ".weight"], [m + ".bias"])
            for m in ("conv1", "conv2", "fc1")]


def encoder(net, with_types):
    def run(state):
        net.load_state_dict(state)
        logits = []
        for text in range(SAMPLES):
            length = 16 + text
            more = {"token_type_ids": make_encoders.types(length)} if with_types else {}
            with torch.no_grad():
                ids = make_encoders.ids(text, length, net.config.vocab_size)
                logits.append(net(ids, **more).logits)
        return torch.cat(logits)
    return run


def encoder_groups(layer, depth, qkv, up, pooler, rows):
    groups = []
    for i in range(depth):
        names = [f"{layer}{i}.{m}" for m in qkv]
        groups.append(Group("head", [n + ".weight" for n in names], [n + ".bias" for n in names],
                            rows))
        groups.append(Group("neuron", [f"{layer}{i}.{up}.weight"], [f"{layer}{i}.{up}.bias"]))
    groups.append(Group("neuron", [pooler + ".weight"], [pooler + ".bias"]))
    return groups


def network(name):
    """run(state), state, groups"""
    if name == "mnist_cnn":
        state = load_file(os.path.join(PRETRAINED, "mnist_cnn.safetensors"))
        return mnist, {k: v.float() for k, v in state.items()}, mnist_groups()
    if name == "narrow":
        net = make_resnets.make("narrow", BasicBlock, [2, 1, 1, 1], 3, kind=make_resnets.Narrow)
        return of_images(net, 3, 40), net.state_dict(), resnet(net)
    if name == "bottle":
        net = make_resnets.make("bottle", Bottleneck, [2, 1, 1, 1], 3, width_per_group=8)
        return of_images(net, 3, 40), net.state_dict(), resnet(net)
    if name == "grouped":
        net = make_resnets.make("grouped", Bottleneck, [1, 2, 1, 1], 3, groups=4, width_per_group=4)
        return of_images(net, 3, 40), net.state_dict(), resnet(net, grouped=True)
    if name == "cifar":
        net = seeded("cifar", CifarResNet(3))
        return of_images(net, 3, 32), net.state_dict(), cifar_groups(net)
    folder = os.path.join(HERE, "encoders", name)
    if name == "distilbert":
        net = DistilBertForSequenceClassification.from_pretrained(folder).float().eval()
        groups = encoder_groups("distilbert.transformer.layer.", 2,
                                [f"attention.{m}_lin" for m in "qkv"], "ffn.lin1",
                                "pre_classifier", 12)
        return encoder(net, False), net.state_dict(), groups
    net = BertForSequenceClassification.from_pretrained(folder).float().eval()
    groups = encoder_groups("bert.encoder.layer.", 2,
                            [f"attention.self.{m}" for m in ("query", "key", "value")],
                            "intermediate.dense", "bert.pooler.dense", 13)
    return encoder(net, True), net.state_dict(), groups


# ---- which go ----

def scores(state, group):
    total = count = 0
    for name in group.makes:
        w = state[name].double().abs()
        total = total + w.flatten(1).sum(1).reshape(-1, group.rows).sum(1)
        count += w[0].numel() * group.rows
    return (total / count).tolist()


def blocks(number, group, score, multiple):
    order = sorted(range(len(score)), key=lambda c: score[c])
    step = 1 if group.kind == "head" else multiple
    found = []
    while len(order) > step:
        size = len(order) % step or step
        block, order = order[:size], order[size:]
        found.append((sum(score[c] for c in block) / size, number, block))
    return found


def take(found, channels, amount):
    wanted, gone = round(amount * channels), []
    for _, number, block in sorted(found, key=lambda b: b[0]):
        if abs(len(gone) + len(block) - wanted) >= abs(len(gone) - wanted):
            break
        gone += [(number, c) for c in block]
    return gone


def check_with_torch(state, group, amount, gone):
    """ln_structured on the one layer that makes the channels."""
    w = state[group.makes[0]]
    m = nn.Linear(1, 1) if w.dim() == 2 else nn.Conv2d(1, 1, 1)
    m.weight = nn.Parameter(w.clone())
    prune.ln_structured(m, "weight", amount=amount, n=1, dim=0)
    mask = m.weight_mask.flatten(1)[:, 0]
    assert sorted(gone) == [c for c in range(len(mask)) if mask[c] == 0], group.makes


def case(name, structure, amount, per_layer, multiple):
    run, state, groups = network(name)
    state = {k: v.clone() for k, v in state.items()}
    picked = [g for g in groups if structure in ("channel", g.kind)]
    score = [scores(state, g) for g in picked]
    found = [blocks(i, g, s, multiple) for i, (g, s) in enumerate(zip(picked, score))]
    if per_layer:
        gone = [x for f, s in zip(found, score) for x in take(f, len(s), amount)]
    else:
        gone = take([b for f in found for b in f], sum(map(len, score)), amount)
    kept = []
    for i, g in enumerate(picked):
        mine = [c for number, c in gone if number == i]
        if per_layer and multiple == 1 and len(g.makes) == 1:
            check_with_torch(state, g, amount, mine)
        rows = [c * g.rows + r for c in mine for r in range(g.rows)]
        for tensor in g.makes + g.zero:
            state[tensor][rows] = 0
            if tensor in g.makes:
                kept.append((tensor, len(state[tensor]) - len(rows)))
    logits = run(state).numpy()
    print(f'    {{ "{name}", "{structure}", {amount}, {int(per_layer)}, {multiple}, '
          f"{logits.shape[1]},")
    words = [f"{x:.9g}" for x in logits.flatten().tolist()]
    words = [w + ("f" if "." in w or "e" in w else ".0f") for w in words]
    print("      { " + ",\n        ".join(", ".join(words[i:i + 5])
                                          for i in range(0, len(words), 5)) + " },")
    print("      { " + ",\n        ".join(f'{{ "{t}", {n} }}' for t, n in kept) + " } },")


def main():
    print(f"/* Made by make_channels.py with torch {torch.__version__}; not to be edited. */")
    print("#ifndef OCT_TESTS_GOLDEN_CHANNELS_H\n#define OCT_TESTS_GOLDEN_CHANNELS_H\n")
    print("static const struct channels_golden {\n"
          "    const char *net, *structure;\n    double amount;\n"
          "    int per_layer, multiple, classes;\n"
          f"    float logits[{SAMPLES} * 10];\n"
          "    struct { const char *tensor; int rows; } kept[48];\n"
          "} channels_goldens[] = {")
    for name in ("mnist_cnn", "narrow", "bottle", "grouped", "cifar"):
        case(name, "channel", 0.3, True, 1)
        case(name, "channel", 0.3, False, 1)
        case(name, "channel", 0.5, False, 8)
    case("mnist_cnn", "neuron", 0.7, False, 16)
    case("mnist_cnn", "channel", 1.0, False, 1)
    for name in ("distilbert", "bert"):
        case(name, "head", 0.4, False, 1)
        case(name, "neuron", 0.3, True, 1)
        case(name, "neuron", 0.3, False, 16)
        case(name, "channel", 0.3, False, 8)
        case(name, "head", 1.0, True, 1)
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
