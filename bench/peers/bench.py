"""octet beside ONNX Runtime, OpenVINO and PyTorch: the same networks, the same weights, one run.

    bench.py OCTET MODEL... [--batch 1,64] [--threads 1,2] [--rounds 3] [--seconds 1] [--avx2]

Times what a caller sees: FP32 [n,c,h,w] in, FP32 logits out.  The engines take turns within a
round; the best of the rounds counts, as the machine's noise only ever adds.  Prints a Markdown
table; ratio: the fastest of the others divided by octet.  --avx2 holds octet and OpenVINO to AVX2
and leaves the others, which cannot be held, out."""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

if "--avx2" in sys.argv:
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # read when OpenVINO is loaded

import numpy as np
import onnxruntime
import openvino
import torch

import nets


def least(run, seconds):
    """Least time of one call, in ms."""
    for _ in range(3):
        run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def onnx_runtime(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})


def open_vino(path, threads):
    model = openvino.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"})
    request = model.create_infer_request()
    return lambda x: request.infer({"x": x})


def pytorch(net, threads):
    def run(x):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()
    return run


def octet(program, model, batch, threads, seconds, extra):
    out = subprocess.run([program, "bench", model, "--json", "--batch", str(batch), "--threads",
                          str(threads), "--seconds", str(seconds), *extra],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[0])["ms_min"]


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure(args, model, onnx, net, shape, batch, threads):
    x = np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)
    engines = {"OpenVINO": open_vino(onnx, threads)}
    if not args.avx2:
        engines["ONNX Runtime"] = onnx_runtime(onnx, threads)
        engines["PyTorch"] = pytorch(net, threads)
    best = dict.fromkeys([*engines, "octet"], float("inf"))
    for _ in range(args.rounds):
        for name, run in engines.items():
            best[name] = min(best[name], least(lambda: run(x), args.seconds))
            time.sleep(0.05)  # let its threads go to sleep
        best["octet"] = min(best["octet"], octet(args.octet, model, batch, threads, args.seconds,
                                                 ["--isa", "avx2"] if args.avx2 else []))
    return best


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("model", nargs="+")
    p.add_argument("--batch", default="1,64")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--avx2", action="store_true")
    args = p.parse_args()
    print(f"{datetime.date.today()}, {cpu_name()}; onnxruntime {onnxruntime.__version__}, openvino "
          f"{openvino.__version__.split('-')[0]}, torch {torch.__version__}; ms, best of "
          f"{args.rounds} rounds\n")
    names = ["OpenVINO"] if args.avx2 else ["OpenVINO", "ONNX Runtime", "PyTorch"]
    print("| model | batch | threads |", " | ".join(names), "| octet | ratio |")
    print("|---" * (5 + len(names)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for model in args.model:
            onnx = os.path.join(folder, "model.onnx")
            net, shape = nets.export(model, onnx)
            for batch in map(int, args.batch.split(",")):
                for threads in map(int, args.threads.split(",")):
                    t = measure(args, model, onnx, net, shape, batch, threads)
                    ratio = min(t[e] for e in names) / t["octet"]
                    name = os.path.basename(model).split(".")[0]
                    print(f"| {name} | {batch} | {threads} | " +
                          " | ".join(f"{t[e]:.4g}" for e in t) + f" | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
