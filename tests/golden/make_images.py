#!/usr/bin/env python3
"""Makes tests/golden/images/ and the tables beside it from Pillow and torchvision.

    python3 tests/golden/make_images.py          (needs numpy pillow torch torchvision)

images/*         small files of every kind, most written by hand to reach every mode
images.tsv       file, then width, height, checksum of convert("RGB") and of convert("L");
                 or: file, "refused", if Pillow refuses it
resize.tsv       kind, width, height, channels, filter, new width, new height, checksum
tensor.tsv       file, channels, resize, crop, filter, mean, std, c, h, w, checksum
photos.tsv       the same for ../shared/data/photos, if it is there

A checksum is crc32 and adler32 of the bytes, in hex.  Made with the versions in VERSIONS.
"""

import os
import sys
import warnings
import zlib

import numpy as np
import PIL
from PIL import Image, features

from pictures import HERE, OUT, bmps, jpegs, noise, pngs, ppms

warnings.simplefilter("ignore")
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4}


def checksum(b):
    b = bytes(b)
    return "%08x%08x" % (zlib.crc32(b), zlib.adler32(b))


def decoded(path):
    try:
        rgb = Image.open(path).convert("RGB")
        gray = Image.open(path).convert("L")
        return f"{rgb.width}\t{rgb.height}\t{checksum(rgb.tobytes())}\t{checksum(gray.tobytes())}"
    except Exception:
        return "refused"


def image_table():
    with open(os.path.join(HERE, "images.tsv"), "w") as f:
        for name in sorted(os.listdir(OUT)):
            f.write(f"{name}\t{decoded(os.path.join(OUT, name))}\n")


def resize_table():
    sizes = [
        (1, 1, 1, 1),
        (1, 1, 5, 3),
        (1, 7, 3, 2),
        (9, 1, 4, 1),
        (1, 40, 20, 20),
        (7, 5, 7, 5),
        (7, 5, 7, 9),
        (7, 5, 12, 5),
        (13, 11, 5, 7),
        (13, 11, 29, 31),
        (64, 64, 32, 32),
        (64, 48, 63, 47),
        (33, 77, 32, 20),
        (33, 77, 32, 76),
        (50, 200, 49, 60),
        (200, 50, 60, 49),
        (100, 101, 17, 3),
        (101, 100, 3, 17),
        (255, 257, 224, 224),
        (160, 213, 256, 340),
        (213, 160, 340, 256),
        (40, 300, 30, 290),
        (40, 300, 30, 279),
        (40, 300, 30, 280),
        (300, 40, 1, 1),
        (3, 1000, 2, 1),
        (8191, 3, 224, 5),
        (3, 9001, 7, 224),
        (8500, 6, 224, 1),
        (500, 375, 341, 256),
        (375, 500, 256, 341),
    ]
    with open(os.path.join(HERE, "resize.tsv"), "w") as f:
        for w, h, nw, nh in sizes:
            for c in (1, 3):
                for kind in (1, 2):
                    a = noise(kind, w * h * c).reshape((h, w, c) if c == 3 else (h, w))
                    im = Image.fromarray(a)
                    for name, number in FILTERS.items():
                        r = im.resize((nw, nh), number)
                        f.write(
                            f"{kind}\t{w}\t{h}\t{c}\t{name}\t{nw}\t{nh}\t{checksum(r.tobytes())}\n"
                        )


def tensor_of(path, channels, resize, crop, filt, mean, std):
    from torchvision import transforms as T

    steps = []
    if resize:
        steps.append(
            T.Resize(
                resize[0] if len(resize) == 1 else resize,
                T.functional._interpolation_modes_from_int(FILTERS[filt]),
            )
        )
    if crop:
        steps.append(T.CenterCrop(crop))
    steps.append(T.ToTensor())
    if mean:
        steps.append(T.Normalize(mean, std))
    return T.Compose(steps)(Image.open(path).convert(channels)).numpy()


def tensor_row(f, shown, path, channels, resize, crop, filt, mean, std):
    t = tensor_of(path, channels, resize, crop, filt, mean, std)
    join = lambda v: ",".join("%r" % x for x in v) if v else "-"
    c, h, w = t.shape
    f.write(
        "\t".join(
            [
                shown,
                channels,
                join(resize),
                join(crop),
                filt,
                join(mean),
                join(std),
                str(c),
                str(h),
                str(w),
                checksum(t.astype("<f4").tobytes()),
            ]
        )
        + "\n"
    )


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def tensor_table():
    cases = [
        ("RGB", [256], [224, 224], "bilinear", *IMAGENET),
        ("RGB", [40], [32, 32], "bilinear", *IMAGENET),
        ("RGB", [37], [33, 30], "bicubic", *IMAGENET),
        ("RGB", [20, 31], None, "lanczos", None, None),
        ("L", [28, 28], None, "bilinear", [0.1307], [0.3081]),
        ("RGB", None, [16, 16], "bilinear", None, None),
        ("RGB", None, [64, 16], "bilinear", *IMAGENET),
        ("RGB", None, [17, 70], "bilinear", *IMAGENET),
        ("RGB", [24], [65, 66], "nearest", *IMAGENET),
        ("RGB", [24], [23, 25], "box", [0.5], [0.25]),
        ("RGB", None, None, "bilinear", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ]
    with open(os.path.join(HERE, "tensor.tsv"), "w") as f:
        for name in ("pillow.png", "p6.ppm", "raw24.bmp", "rgba8.png", "rgb420.jpg", "1x9i.png"):
            for case in cases:
                tensor_row(f, name, os.path.join(OUT, name), *case)


def photo_table():
    photos = os.path.join(HERE, "..", "..", "..", "shared", "data", "photos")
    if not os.path.isdir(photos):
        return
    with open(os.path.join(HERE, "photos.tsv"), "w") as f:
        for name in sorted(os.listdir(photos)):
            tensor_row(
                f,
                name,
                os.path.join(photos, name),
                "RGB",
                [256],
                [224, 224],
                "bilinear",
                *IMAGENET,
            )


def main():
    os.makedirs(OUT, exist_ok=True)
    for make in (jpegs, pngs, bmps, ppms, image_table, resize_table, tensor_table, photo_table):
        make()
    import torch, torchvision

    with open(os.path.join(HERE, "VERSIONS"), "w") as f:
        f.write(
            f"python {sys.version.split()[0]}\nnumpy {np.__version__}\nPillow {PIL.__version__}\n"
            f"libjpeg-turbo (in Pillow) {features.version('libjpeg_turbo')}\n"
            f"torch {torch.__version__}\ntorchvision {torchvision.__version__}\n"
        )


main()
