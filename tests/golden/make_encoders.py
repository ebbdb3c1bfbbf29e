"""Small BERTs with seeded weights as Hugging Face writes them, and the logits of transformers.

    make_encoders.py          writes tests/golden/encoders/NAME/ and NAME.npy, [texts, classes], and
                              dumps/MODULE.npy, what modules of distilbert give for TEXTS

Text t has LENGTHS[t] tokens; its ids and token types are those of tests/test_bert.c.  The sizes are
odd on purpose: no dimension is a multiple of a vector.
"""
import os

import numpy as np
import torch
from transformers import (BertConfig, BertForSequenceClassification, DistilBertConfig,
                          DistilBertForSequenceClassification)

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "encoders")
LENGTHS = [1, 2, 16, 77, 128, 511, 512]
# The texts of tests/text.sh as tokens, and modules with what a padded batch of them makes.
TEXTS = [[2, 51, 823, 569, 679, 3], [2, 599, 43, 44, 279, 281, 276, 3], [2, 3],
         [2, 45, 275, 297, 276, 16, 56, 275, 277, 302, 276, 35, 24, 292, 5, 3]]
DUMPED = ["distilbert.embeddings", "distilbert.transformer.layer.0.output_layer_norm",
          "distilbert.transformer.layer.1.sa_layer_norm", "pre_classifier"]
torch.set_num_threads(2)


def ids(text, length, vocabulary):
    i = np.arange(length, dtype=np.int64)
    return torch.from_numpy((i * i * 7 + 31 * i + 101 * text + 5) % vocabulary)[None]


def types(length):
    return torch.from_numpy((np.arange(length) * 2 > length).astype(np.int64))[None]


def seed(net):
    """Weights so large that attention is far from uniform and activations bend."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, p in sorted(net.named_parameters()):
            p.normal_(0, 0.25 if p.dim() > 1 else 0.1, generator=generator)
            if "orm.weight" in name or "norm.weight" in name:
                p.add_(1)
    return net.eval()


def golden(name, net, with_types):
    logits = []
    for text, length in enumerate(LENGTHS):
        if length > net.config.max_position_embeddings:
            break
        more = {"token_type_ids": types(length)} if with_types else {}
        with torch.no_grad():
            logits.append(net(ids(text, length, net.config.vocab_size), **more).logits.numpy()[0])
    logits = np.stack(logits)
    print(name, logits.shape, logits)
    np.save(os.path.join(OUT, name + ".npy"), logits)


def dumps(net):
    folder = os.path.join(OUT, "dumps")
    os.makedirs(folder, exist_ok=True)
    longest = max(map(len, TEXTS))
    padded = torch.tensor([t + [0] * (longest - len(t)) for t in TEXTS])
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in TEXTS])
    found = {}
    for name in DUMPED:
        net.get_submodule(name).register_forward_hook(
            lambda module, args, out, name=name: found.update({name: out}))
    with torch.no_grad():
        found["logits"] = net(padded, attention_mask=mask).logits
    for name, value in found.items():
        np.save(os.path.join(folder, name + ".npy"), value.numpy())


def main():
    os.makedirs(OUT, exist_ok=True)
    labels = {0: "bad", 1: "so so", 2: "good"}
    net = seed(DistilBertForSequenceClassification(DistilBertConfig(
        vocab_size=999, dim=60, n_heads=5, hidden_dim=130, n_layers=2, id2label=labels,
        label2id={v: k for k, v in labels.items()})))
    net.half().save_pretrained(os.path.join(OUT, "distilbert"))
    golden("distilbert", net.float(), False)
    dumps(net)

    net = seed(BertForSequenceClassification(BertConfig(
        vocab_size=333, hidden_size=39, num_attention_heads=3, intermediate_size=75,
        num_hidden_layers=2, max_position_embeddings=130, hidden_act="relu", layer_norm_eps=1e-5,
        num_labels=2)))
    folder = os.path.join(OUT, "bert")
    net.config.save_pretrained(folder)
    state = {"bert.embeddings.position_ids": torch.arange(130)[None]}
    for name, value in net.state_dict().items():  # as old checkpoints have them
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        state[name.replace("LayerNorm.bias", "LayerNorm.beta")] = value
    torch.save(state, os.path.join(folder, "pytorch_model.bin"))
    golden("bert", net, True)


if __name__ == "__main__":
    main()
