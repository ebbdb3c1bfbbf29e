#!/usr/bin/env python3
"""Linear layers quantized at run time, octet beside ONNX Runtime: those of DistilBERT-base, one after
the other, as bench/bench_dynamic.c has them.  In turns, the best of all rounds, ms.

    dynamic.py BENCH_DYNAMIC [--tokens 1,16,128,512] [--threads 1,2] [--rounds N] [--isa LIST] [--amx]

ONNX Runtime's weights are quantized per channel by its own quantize_dynamic.  Without --amx it is
refused that unit, which octet does not use."""
import argparse
import os
import subprocess
import sys
import tempfile
import time

if "--amx" not in sys.argv:
    import no_amx
    no_amx.deny()

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

WIDTH = [768, 768, 768, 768, 768, 3072, 768]


def save_stack(path):
    rng = np.random.default_rng(1)
    nodes, constants, x = [], [], "x"
    for i in range(36):
        k, n = WIDTH[i % 6], WIDTH[i % 6 + 1]
        w = (rng.standard_normal((k, n)) / k ** .5).astype(np.float32)
        b = (.1 * rng.standard_normal(n)).astype(np.float32)
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes += [helper.make_node("MatMul", [x, f"w{i}"], [f"p{i}"]),
                  helper.make_node("Add", [f"p{i}", f"b{i}"], [f"y{i}"])]
        x = f"y{i}"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["m", 768])
              for name in ("x", x)]
    graph = helper.make_graph(nodes, "stack", values[:1], values[1:], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, ["CPUExecutionProvider"])


def best_of(run, seconds=.15):
    best, start = float("inf"), time.perf_counter()
    while True:
        t0 = time.perf_counter()
        run()
        t1 = time.perf_counter()
        best = min(best, t1 - t0)
        if t1 - start > seconds:
            return 1e3 * best


def ours(program, isa, tokens, threads):
    out = subprocess.run([program, f"--isa={isa}", f"--batch={tokens}", f"--threads={threads}",
                          "--rounds=3"], check=True, capture_output=True, text=True).stdout.split()
    return float(out[out.index("FP32") + 1]), float(out[out.index("dynamic") + 1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--tokens", default="1,16,128,512")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--isa", default="avx512,avxvnni,avx2")
    parser.add_argument("--amx", action="store_true")
    args = parser.parse_args()
    isas = args.isa.split(",")
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = os.path.join(folder, "fp32.onnx"), os.path.join(folder, "int8.onnx")
        save_stack(fp32)
        quantize_dynamic(fp32, int8, weight_type=QuantType.QInt8, per_channel=True)
        print("| tokens | threads | ORT FP32 | ORT dynamic | " +
              " | ".join(f"octet {i} FP32 | dynamic" for i in isas) + " |")
        for threads in map(int, args.threads.split(",")):
            sessions = [session(p, threads) for p in (fp32, int8)]
            for tokens in map(int, args.tokens.split(",")):
                x = np.random.default_rng(2).standard_normal((tokens, 768)).astype(np.float32)
                best = [float("inf")] * (2 + 2 * len(isas))
                for _ in range(args.rounds):
                    row = [best_of(lambda s=s: s.run(None, {"x": x})) for s in sessions]
                    for isa in isas:
                        row += ours(args.program, isa, tokens, threads)
                    best = [min(a, b) for a, b in zip(best, row)]
                print(f"| {tokens} | {threads} | " + " | ".join(f"{b:.4g}" for b in best) + " |",
                      flush=True)


main()
