"""octet beside ONNX Runtime, OpenVINO and PyTorch: the same networks, the same weights, one run.

    bench.py OCTET MODEL... [--batch 1,64] [--threads 1,2] [--rounds 3] [--seconds 1] [--avx2]
    bench.py BENCH_QUANTIZED MODEL --int8 CALIBRATION [the same] [--amx]

Times what a caller sees: FP32 [n,c,h,w] in, FP32 logits out.  The engines take turns within a
round; the best of the rounds counts, as the machine's noise only ever adds.  Prints a Markdown
table; ratio: the fastest of the others divided by octet.  --avx2 holds octet and OpenVINO to AVX2
and leaves the others, which cannot be held, out.

--int8: everyone quantizes the network on 200 samples of the data (quant.py); octet is
bench/bench_quantized.  All are then held to AVX-512 VNNI, which is what octet has kernels for: --amx
lets the others use the matrix unit."""
import argparse
import datetime
import json
import os
import platform
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
import onnxruntime
import openvino
import torch

import nets


def least(run, seconds):
    """Least time of one call, in ms."""
    for _ in range(2):
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


class Quantized:
    """bench/bench_quantized, asked row by row: it calibrates once."""

    def __init__(self, program, model, data):
        self.process = subprocess.Popen([program, model, data, "--serve"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, isa, batch, threads, seconds):
        print("int8", isa, batch, threads, seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def octet(args, model, batch, threads, ask):
    isa, seconds = "avx2" if args.avx2 else args.isa, args.seconds
    if ask:
        return ask(isa, batch, threads, seconds)
    extra = ["--isa", isa] if args.avx2 else []
    out = subprocess.run([args.octet, "bench", model, "--json", "--batch", str(batch), "--threads",
                          str(threads), "--seconds", str(seconds), *extra],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[0])["ms_min"]


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure(args, model, files, net, shape, batch, threads, ask):
    x = np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)
    engines = {"OpenVINO": open_vino(files["OpenVINO"], threads)}
    if not args.avx2:
        engines["ONNX Runtime"] = onnx_runtime(files["ONNX Runtime"], threads)
    if not args.avx2 and not args.int8:
        engines["PyTorch"] = pytorch(net, threads)
    best = dict.fromkeys([*engines, "octet"], float("inf"))
    for _ in range(args.rounds):
        for name, run in engines.items():
            best[name] = min(best[name], least(lambda: run(x), args.seconds))
            time.sleep(0.05)  # let its threads go to sleep
        best["octet"] = min(best["octet"], octet(args, model, batch, threads, ask))
    return best


def prepare(args, model, folder):
    """The network, the shape of its input, a file for each engine, and whom to ask for octet."""
    onnx = os.path.join(folder, "model.onnx")
    net, shape = nets.export(model, onnx)
    files = {"OpenVINO": onnx, "ONNX Runtime": onnx}
    if not args.int8:
        return net, shape, files, None
    import quant  # with nncf, which takes seconds

    x = quant.samples(model, args.int8, 200)
    files = {"OpenVINO": os.path.join(folder, "openvino.xml"),
             "ONNX Runtime": os.path.join(folder, "onnxruntime.onnx")}
    quant.for_open_vino(onnx, x, files["OpenVINO"])
    quant.for_onnx_runtime(onnx, x, files["ONNX Runtime"])
    return net, shape, files, Quantized(args.octet, model, args.int8)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("model", nargs="+")
    p.add_argument("--batch", default="1,64")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--avx2", action="store_true")
    p.add_argument("--int8", metavar="CALIBRATION")
    p.add_argument("--isa", default="avx512", help="of octet, with --int8")
    p.add_argument("--amx", action="store_true")
    args = p.parse_args()
    print(f"{datetime.date.today()}, {cpu_name()}; onnxruntime {onnxruntime.__version__}, openvino "
          f"{openvino.__version__.split('-')[0]}, torch {torch.__version__}; ms, best of "
          f"{args.rounds} rounds\n")
    names = ["OpenVINO", "ONNX Runtime", "PyTorch"][:1 if args.avx2 else 2 if args.int8 else 3]
    print("| model | batch | threads |", " | ".join(names), "| octet | ratio |")
    print("|---" * (5 + len(names)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for model in args.model:
            net, shape, files, ask = prepare(args, model, folder)
            for batch in map(int, args.batch.split(",")):
                for threads in map(int, args.threads.split(",")):
                    t = measure(args, model, files, net, shape, batch, threads, ask)
                    ratio = min(t[e] for e in names) / t["octet"]
                    name = os.path.basename(model).split(".")[0]
                    print(f"| {name} | {batch} | {threads} | " +
                          " | ".join(f"{t[e]:.4g}" for e in t) + f" | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
