"""PyTorch beside octet on an NVIDIA GPU: FP16, channels_last, a CUDA graph; ms of a batch.

    torch_cuda.py [--batch 1,8,64,256] [--length 64,512] [--text-batch 1,8] [--seconds 0.5]

ResNet-50 (torchvision) and DistilBERT-base (transformers) with seeded weights, a row each as JSON:
what a caller sees, FP32 images or token ids from pinned memory in, FP32 logits in pinned memory out.
What is not installed is left out and said on standard error."""
import argparse
import json
import sys
import time

import torch


def numbers(text):
    return [int(x) for x in text.split(",")]


def capture(net, x):
    """The run of net on the device's x as a graph, and where its output lies."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            net(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = net(x)
    return graph, y


def measure(net, inputs, seconds):
    """Median and 99th percentile in ms of: inputs to the device, the graph, the answer back."""
    there = inputs.cuda()
    graph, y = capture(net, there)
    out = torch.empty(y.shape, dtype=y.dtype).pin_memory()
    ms, end = [], 0.0
    while len(ms) < 13 or time.perf_counter() < end:
        if len(ms) == 3:
            end = time.perf_counter() + seconds
        start = time.perf_counter()
        there.copy_(inputs, non_blocking=True)
        graph.replay()
        out.copy_(y, non_blocking=True)
        torch.cuda.synchronize()
        ms.append((time.perf_counter() - start) * 1e3)
    ms = sorted(ms[3:])
    return ms[len(ms) // 2], ms[min(len(ms) - 1, int(len(ms) * 0.99))]


def report(what, batch, length, times):
    p50, p99 = times
    print(json.dumps({"engine": f"torch {torch.__version__}", "model": what, "batch": batch,
                      "length": length, "ms_p50": p50, "ms_p99": p99,
                      "per_second": batch / p50 * 1e3}), flush=True)


def images(args):
    import torchvision
    torch.manual_seed(1)
    net = torchvision.models.resnet50().eval().half().cuda().to(memory_format=torch.channels_last)

    def run(x):
        return net(x.half().to(memory_format=torch.channels_last)).float()

    for batch in args.batch:
        x = torch.randn(batch, 3, 224, 224).pin_memory()
        report("resnet50", batch, None, measure(run, x, args.seconds))


def texts(args):
    import transformers
    torch.manual_seed(1)
    config = transformers.DistilBertConfig(attn_implementation="sdpa")
    net = transformers.DistilBertForSequenceClassification(config).eval().half().cuda()
    for length in args.length:
        for batch in args.text_batch:
            ids = torch.randint(5, 30522, (batch, length)).pin_memory()
            times = measure(lambda x: net(input_ids=x).logits.float(), ids, args.seconds)
            report("distilbert", batch, length, times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64, 256])
    parser.add_argument("--length", type=numbers, default=[64, 512])
    parser.add_argument("--text-batch", type=numbers, default=[1, 8])
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch_cuda.py: this PyTorch sees no GPU")
    torch.backends.cudnn.benchmark = True
    with torch.inference_mode():
        for part in (images, texts):
            try:
                part(args)
            except ImportError as missing:
                print(f"torch_cuda.py: left out: {missing}", file=sys.stderr)


main()
