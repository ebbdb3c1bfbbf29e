"""PyTorch beside octet on an NVIDIA GPU: FP16, channels_last, a CUDA graph; ms of a batch.

    torch_cuda.py [--batch 1,8,64,256] [--length 64,512] [--text-batch 1,8] [--seconds 0.5]
    torch_cuda.py --save DIR

ResNet-50 (torchvision) and DistilBERT-base (transformers) with seeded weights, a row each as JSON:
what a caller sees, FP32 images or token ids from pinned memory in, FP32 logits in pinned memory
out; ms_device is the graph alone, between two events.  With --save nothing is timed, and no GPU
asked for: DIR/resnet50.safetensors and DIR/distilbert/ are the two networks, in half, for octet.
What is not installed, or fails, is left out and said on standard error."""
import argparse
import json
import os
import sys
import time

import torch


def numbers(text):
    return [int(x) for x in text.split(",")]


def resnet50():
    import torchvision
    torch.manual_seed(1)
    return torchvision.models.resnet50().eval().half()


def distilbert():
    import transformers
    torch.manual_seed(1)
    config = transformers.DistilBertConfig(attn_implementation="sdpa")
    return transformers.DistilBertForSequenceClassification(config).eval().half()


# ---- times ----

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


def repeat(run, seconds):
    """What run() says it took, sorted: for so long, 10 times or more, after 3 that do not count."""
    ms, end = [], 0.0
    while len(ms) < 13 or time.perf_counter() < end:
        if len(ms) == 3:
            end = time.perf_counter() + seconds
        ms.append(run())
    return sorted(ms[3:])


def measure(net, inputs, seconds):
    """ms of: inputs to the device, the graph, the answer back; and of the graph alone."""
    there = inputs.cuda()
    graph, y = capture(net, there)
    out = torch.empty(y.shape, dtype=y.dtype).pin_memory()
    event = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def as_a_caller():
        start = time.perf_counter()
        there.copy_(inputs, non_blocking=True)
        graph.replay()
        out.copy_(y, non_blocking=True)
        torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3

    def on_the_device():
        graph.replay()  # meanwhile the next one is launched
        event[0].record()
        graph.replay()
        event[1].record()
        torch.cuda.synchronize()
        return event[0].elapsed_time(event[1])

    return repeat(as_a_caller, seconds), repeat(on_the_device, seconds)


def report(what, batch, length, times):
    ms, device = times
    p50, ms_device = ms[len(ms) // 2], device[len(device) // 2]
    print(json.dumps({"engine": f"torch {torch.__version__}", "model": what, "batch": batch,
                      "length": length, "ms_p50": round(p50, 4),
                      "ms_p99": round(ms[min(len(ms) - 1, int(len(ms) * 0.99))], 4),
                      "per_second": round(batch / p50 * 1e3, 1), "ms_device": round(ms_device, 4),
                      "per_second_device": round(batch / ms_device * 1e3, 1)}), flush=True)


def images(args):
    net = resnet50().cuda().to(memory_format=torch.channels_last)

    def run(x):
        return net(x.half().to(memory_format=torch.channels_last)).float()

    for batch in args.batch:
        x = torch.randn(batch, 3, 224, 224).pin_memory()
        report("resnet50", batch, None, measure(run, x, args.seconds))


def texts(args):
    net = distilbert().cuda()
    for length in args.length:
        for batch in args.text_batch:
            ids = torch.randint(5, 30522, (batch, length)).pin_memory()
            times = measure(lambda x: net(input_ids=x).logits.float(), ids, args.seconds)
            report("distilbert", batch, length, times)


# ---- files ----

def save_images(args):
    import safetensors.torch
    safetensors.torch.save_file(resnet50().state_dict(),
                                os.path.join(args.save, "resnet50.safetensors"))


def save_texts(args):
    distilbert().save_pretrained(os.path.join(args.save, "distilbert"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64, 256])
    parser.add_argument("--length", type=numbers, default=[64, 512])
    parser.add_argument("--text-batch", type=numbers, default=[1, 8])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--save", metavar="DIR")
    args = parser.parse_args()
    if not args.save and not torch.cuda.is_available():
        sys.exit("torch_cuda.py: this PyTorch sees no GPU")
    torch.backends.cudnn.benchmark = True
    with torch.inference_mode():
        for part in (save_images, save_texts) if args.save else (images, texts):
            try:
                part(args)
            except (ImportError, RuntimeError) as error:
                reason = str(error).split("\n", maxsplit=1)[0]
                print(f"torch_cuda.py: left out: {part.__name__}: {reason}", file=sys.stderr)


main()
