"""octet beside ONNX Runtime and OpenVINO on encoders of texts: time and logits, batch 1.

    texts.py BENCH_TEXT [--models distilbert,bert] [--lengths 1,2,16,...] [--threads 1,2]
             [--rounds 3] [--seconds 1] [--only-logits]

DistilBERT-base and BERT-base with seeded weights, made in a temporary folder as Hugging Face saves
them.  Times what a caller sees: token ids in, FP32 logits out; FP32 throughout (OpenVINO is held to
it).  The engines take turns within a round and the best of the rounds counts.  ratio: the faster of
the others divided by octet.  off: the largest difference of octet's logits from transformers'."""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import torch
import transformers

from bench import least

VOCABULARY = 30522
torch.set_num_threads(2)


class Logits(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, ids, mask):
        return self.net(input_ids=ids, attention_mask=mask).logits


def make(kind, folder):
    torch.manual_seed(1)
    if kind == "bert":
        net = transformers.BertForSequenceClassification(transformers.BertConfig())
    else:
        net = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig())
    net.eval().save_pretrained(folder)
    return net


def ids_of(length):  # bench/bench_text.c
    i = np.arange(length, dtype=np.int64)
    return ((7 * i * i + 31 * i + 5) % VOCABULARY)[None]


def engines(net, path, threads):
    import onnxruntime
    import openvino
    ids = torch.from_numpy(ids_of(16))
    axes = {"ids": {0: "b", 1: "t"}, "mask": {0: "b", 1: "t"}}
    torch.onnx.export(Logits(net).eval(), (ids, torch.ones_like(ids)), path, dynamic_axes=axes,
                      input_names=["ids", "mask"], output_names=["logits"], dynamo=False,
                      opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    request = openvino.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return {"OpenVINO": request.infer, "ONNX Runtime": lambda x: session.run(None, x)}


def octet(args, folder, threads):
    out = subprocess.run([args.bench_text, folder, f"--lengths={args.lengths}",
                          f"--threads={threads}", f"--seconds={args.seconds}"],
                         check=True, capture_output=True, text=True).stdout
    return {row["length"]: row for row in map(json.loads, out.splitlines())}


def measure(args, kind, net, folder, threads, lengths):
    best = {}
    others = {} if args.only_logits else engines(net, os.path.join(folder, "net.onnx"), threads)
    for _ in range(args.rounds):
        for length in lengths:
            x = {"ids": ids_of(length), "mask": np.ones((1, length), np.int64)}
            for name, run in others.items():
                ms = least(lambda: run(x), args.seconds)
                best[name, length] = min(best.get((name, length), ms), ms)
                time.sleep(0.05)  # let its threads go to sleep
        for length, row in octet(args, folder, threads).items():
            best["octet", length] = min(best.get(("octet", length), 1e9), row["ms_min"])
            with torch.no_grad():
                want = net(torch.from_numpy(ids_of(length))).logits.numpy()[0]
            best["off", length] = np.abs(want - row["logits"]).max()
    for length in lengths:
        ms = [best[name, length] for name in [*others, "octet"]]
        ratio = f"{min(ms[:-1]) / ms[-1]:.2f}" if others else "-"
        print(f"| {kind} | {length} | {threads} | " + " | ".join(f"{t:.4g}" for t in ms) +
              f" | {ratio} | {best['off', length]:.1e} |", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench_text")
    p.add_argument("--models", default="distilbert,bert")
    p.add_argument("--lengths", default="16,32,64,128,256,512")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--only-logits", action="store_true")
    args = p.parse_args()
    names = [] if args.only_logits else ["OpenVINO", "ONNX Runtime"]
    print("| model | length | threads |", " | ".join([*names, "octet"]), "| ratio | off |")
    print("|---" * (6 + len(names)) + "|")
    for kind in args.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            net = make(kind, folder)
            for threads in map(int, args.threads.split(",")):
                measure(args, kind, net, folder, threads, list(map(int, args.lengths.split(","))))


if __name__ == "__main__":
    main()
