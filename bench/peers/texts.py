"""octet beside ONNX Runtime and OpenVINO on encoders of texts: time and logits, batch 1.

    texts.py BENCH_TEXT [--models distilbert,bert] [--lengths 1,2,16,...] [--threads 1,2]
             [--rounds 3] [--seconds 1] [--only-logits]
             [--int8 OCTET [--calib TSV] [--avx2] [--amx]] [--batches TSV --words FOLDER]

DistilBERT-base and BERT-base with seeded weights, made in a temporary folder as Hugging Face saves
them.  Times what a caller sees: token ids in, FP32 logits out; FP32 throughout (OpenVINO is held to
it).  The engines take turns within a round and the best of the rounds counts.  ratio: the faster of
the others divided by octet.  off: the largest difference of octet's logits from transformers'.

--int8: octet's file is `OCTET quantize`d, dynamic or with --calib static; ONNX Runtime's is
quantize_dynamic's, OpenVINO's NNCF's, static on 64 seeded texts.  All are held to AVX-512 VNNI, or
with --avx2 octet and OpenVINO to AVX2; --amx lets the others use the matrix unit.  off then is from
FP32.  --batches: the first 1,000 texts of a TSV file instead, by the tokenizer in FOLDER, 32 a
batch in the file's order, which the others get padded to the longest of the 32; ms are of all."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import no_amx

if "--avx2" in sys.argv:
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # read when OpenVINO is loaded
elif "--int8" in sys.argv and "--amx" not in sys.argv:
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_VNNI"
    no_amx.deny()  # ONNX Runtime has no variable for it

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
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{i}" for i in range(len(words), VOCABULARY)]
    with open(os.path.join(folder, "vocab.txt"), "w") as f:  # a quantized model has one inside
        f.write("\n".join(words) + "\n")
    return net


def ids_of(length):  # bench/bench_text.c
    i = np.arange(length, dtype=np.int64)
    return ((7 * i * i + 31 * i + 5) % VOCABULARY)[None]


def feed(ids):
    return {"ids": ids, "mask": np.ones_like(ids)}


def for_onnx_runtime(path):
    from onnxruntime import quantization
    quantization.quantize_dynamic(path, path + ".int8", weight_type=quantization.QuantType.QInt8)
    return path + ".int8"


def for_open_vino(path):
    import nncf
    import openvino
    texts = [feed(ids_of(8 + 4 * i)) for i in range(64)]
    return nncf.quantize(openvino.Core().read_model(path), nncf.Dataset(texts), subset_size=64,
                         model_type=nncf.ModelType.TRANSFORMER)


def export(args, net, path):
    """What each of the others loads."""
    ids = torch.from_numpy(ids_of(16))
    axes = {"ids": {0: "b", 1: "t"}, "mask": {0: "b", 1: "t"}}
    torch.onnx.export(Logits(net).eval(), (ids, torch.ones_like(ids)), path, dynamic_axes=axes,
                      input_names=["ids", "mask"], output_names=["logits"], dynamo=False,
                      opset_version=17)
    files = {"OpenVINO": for_open_vino(path) if args.int8 else path}
    if not args.avx2:
        files["ONNX Runtime"] = for_onnx_runtime(path) if args.int8 else path
    return files


def engines(files, threads):
    import onnxruntime
    import openvino
    request = openvino.Core().compile_model(files["OpenVINO"], "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    run = {"OpenVINO": request.infer}
    if "ONNX Runtime" in files:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(files["ONNX Runtime"], options,
                                               providers=["CPUExecutionProvider"])
        run["ONNX Runtime"] = lambda x: session.run(None, x)
    return run


def batches(path, folder):
    """1,000 texts: ragged, for octet, and padded 32 by 32, for the others."""
    words = transformers.AutoTokenizer.from_pretrained(folder)
    with open(path, encoding="utf-8") as f:
        texts = [line.rstrip("\n").rsplit("\t", 1)[0] for line in f][1:1001]
    padded = []
    for i in range(0, len(texts), 32):
        x = words(texts[i:i + 32], padding=True, return_tensors="np")
        padded.append({"ids": x["input_ids"], "mask": x["attention_mask"]})
    return [words(text)["input_ids"] for text in texts], padded


def inputs(args, folder):
    """What the others are given, by name of the row, and octet's arguments for the same."""
    if not args.batches:
        lengths = map(int, args.lengths.split(","))
        return {n: [feed(ids_of(n))] for n in lengths}, [f"--lengths={args.lengths}"]
    ragged, padded = batches(args.batches, args.words)
    path = os.path.join(folder, "ids")
    with open(path, "w") as f:
        f.writelines(" ".join(map(str, ids)) + "\n" for ids in ragged)
    return {"1,000 texts": padded}, [f"--batches={path}"]


def octet(args, model, what, threads):
    what = what + ["--isa=avx2"] if args.avx2 else what
    out = subprocess.run([args.bench_text, model, f"--threads={threads}",
                          f"--seconds={args.seconds}", *what],
                         check=True, capture_output=True, text=True).stdout
    return {row.get("length", "1,000 texts"): row for row in map(json.loads, out.splitlines())}


def measure(args, kind, net, files, model, threads, folder):
    best = {}
    others = engines(files, threads) if files else {}
    texts, what = inputs(args, folder)
    for _ in range(args.rounds):
        for name, run in others.items():
            for row, x in texts.items():
                ms = least(lambda: [run(one) for one in x], args.seconds)
                best[name, row] = min(best.get((name, row), ms), ms)
            time.sleep(0.05)  # let its threads go to sleep
        for row, found in octet(args, model, what, threads).items():
            best["octet", row] = min(best.get(("octet", row), 1e9), found["ms_min"])
            if "logits" in found:
                with torch.no_grad():
                    want = net(torch.from_numpy(ids_of(row))).logits.numpy()[0]
                best["off", row] = f"{np.abs(want - found['logits']).max():.1e}"
    for row in texts:
        ms = [best[name, row] for name in [*others, "octet"]]
        ratio = f"{min(ms[:-1]) / ms[-1]:.2f}" if others else "-"
        print(f"| {kind} | {row} | {threads} | " + " | ".join(f"{t:.4g}" for t in ms) +
              f" | {ratio} | {best.get(('off', row), '-')} |", flush=True)


def quantized(args, folder):
    out = os.path.join(folder, "int8.safetensors")
    calib = ["--calib", args.calib] if args.calib else []
    subprocess.run([args.int8, "quantize", folder, "-o", out, *calib], check=True,
                   stdout=subprocess.DEVNULL)
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench_text")
    p.add_argument("--models", default="distilbert,bert")
    p.add_argument("--lengths", default="16,32,64,128,256,512")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--only-logits", action="store_true")
    p.add_argument("--int8", metavar="OCTET")
    p.add_argument("--calib", metavar="TSV")
    p.add_argument("--avx2", action="store_true")
    p.add_argument("--amx", action="store_true")
    p.add_argument("--batches", metavar="TSV")
    p.add_argument("--words", metavar="FOLDER")
    args = p.parse_args()
    names = [] if args.only_logits else ["OpenVINO", "ONNX Runtime"][:1 if args.avx2 else 2]
    print("| model | length | threads |", " | ".join([*names, "octet"]), "| ratio | off |")
    print("|---" * (6 + len(names)) + "|")
    for kind in args.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            net = make(kind, folder)
            onnx = os.path.join(folder, "net.onnx")
            files = None if args.only_logits else export(args, net, onnx)
            model = quantized(args, folder) if args.int8 else folder
            for threads in map(int, args.threads.split(",")):
                measure(args, kind, net, files, model, threads, folder)


if __name__ == "__main__":
    main()
