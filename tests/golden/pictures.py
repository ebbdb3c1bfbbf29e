"""The image files of make_images.py, most written by hand to reach every mode."""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "images")


def noise(kind, n):
    """n bytes: the same arithmetic as in tests/test_resize.c.  kind 1: only 0 and 255."""
    x = np.arange(n, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(kind)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    b = (x & np.uint32(255)).astype(np.uint8)
    return np.where(b & 1, 255, 0).astype(np.uint8) if kind == 1 else b


def picture(w, h):
    """Something like a photograph: slow waves and a little noise."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    a = np.stack([np.sin(x / 7 + c) * np.cos(y / (5 + c)) * 90 + 128 for c in range(3)], -1)
    a += (noise(7, w * h * 3).reshape(h, w, 3) % 32) - 16.0
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def write(name, data):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)


def saved(im, fmt, **how):
    f = io.BytesIO()
    im.save(f, fmt, **how)
    return f.getvalue()


# ---- JPEG ------------------------------------------------------------------------------------
def without_marker(data, marker):
    """data less its segments with this marker (before the scan)."""
    out, i = data[:2], 2
    while data[i + 1] != 0xDA:
        n = 2 + struct.unpack(">H", data[i + 2 : i + 4])[0]
        if data[i + 1] != marker:
            out += data[i : i + n]
        i += n
    return out + data[i:]


def jpegs():
    im = picture(61, 47)
    for name, how in {
        "rgb420": dict(quality=85),
        "rgb422": dict(quality=90, subsampling="4:2:2"),
        "rgb444": dict(quality=95, subsampling="4:4:4"),
        "low": dict(quality=20),
        "progressive": dict(quality=80, progressive=True),
        "optimized": dict(quality=75, optimize=True),
        "restart": dict(quality=80, restart_marker_blocks=2),
        "keep_rgb": dict(quality=90, keep_rgb=True),
    }.items():
        write(f"{name}.jpg", saved(im, "JPEG", **how))
    data = saved(im, "JPEG", quality=85)
    # 2x1 turned to 1x2: 4:4:0, which Pillow does not write
    tall = bytearray(saved(picture(48, 48), "JPEG", quality=85, subsampling="4:2:2"))
    i = tall.index(b"\xff\xc0") + 11
    assert tall[i] == 0x21
    tall[i] = 0x12
    write("rgb440.jpg", bytes(tall))
    write("no_jfif.jpg", without_marker(data, 0xE0))
    keep = saved(im, "JPEG", quality=90, keep_rgb=True)
    write("no_adobe_rgb.jpg", without_marker(keep, 0xEE))
    write("gray.jpg", saved(im.convert("L"), "JPEG", quality=85))
    write("gray_progressive.jpg", saved(im.convert("L"), "JPEG", quality=85, progressive=True))
    cmyk = picture(33, 29).convert("CMYK")
    k = np.array(cmyk)
    k[..., 3] = np.arange(33 * 29).reshape(29, 33) % 200
    data4 = saved(Image.fromarray(k, "CMYK"), "JPEG", quality=90)
    write("cmyk_adobe.jpg", data4)
    write("cmyk_plain.jpg", without_marker(data4, 0xEE))
    i = data4.index(b"Adobe") + 11
    write("ycck.jpg", data4[:i] + b"\x02" + data4[i + 1 :])
    exif = Image.Exif()
    exif[0x0112] = 6
    write("orientation6.jpg", saved(im, "JPEG", quality=85, exif=exif))
    write("1x1.jpg", saved(picture(1, 1), "JPEG"))
    write("1x19.jpg", saved(picture(1, 19), "JPEG"))
    write("17x1_progressive.jpg", saved(picture(17, 1), "JPEG", progressive=True))
    write("garbage_after.jpg", data + b"garbage" * 20)
    write("cut.jpg", data[: len(data) * 2 // 3])
    write("cut_progressive.jpg", saved(im, "JPEG", progressive=True)[:-200])
    write("only_head.jpg", data[:200])
    write("large.jpg", saved(Image.new("L", (4500, 4500), 70), "JPEG", optimize=True))  # 60 MB
    bits12 = bytearray(data)
    bits12[bits12.index(b"\xff\xc0") + 4] = 12
    write("12bit.jpg", bytes(bits12))


# ---- PNG -------------------------------------------------------------------------------------
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def pack_rows(a, depth):
    """a [h, w, c] of samples: the bytes of each row, filter 0 or (alternately) sub."""
    out = b""
    for y, row in enumerate(a):
        s = row.reshape(-1)
        if depth == 16:
            raw = s.astype(">u2").tobytes()
        elif depth == 8:
            raw = s.astype(np.uint8).tobytes()
        else:
            bits = np.unpackbits(s.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :].reshape(-1)
            raw = np.packbits(bits).tobytes()
        if depth >= 8 and y % 2:
            bpp = a.shape[2] * depth // 8
            b = np.frombuffer(raw, np.uint8)
            left = np.concatenate([np.zeros(bpp, np.uint8), b[:-bpp]])
            out += b"\1" + (b - left).tobytes()
        else:
            out += b"\0" + raw
    return out


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(a, depth, color, interlace=0, before=b"", idat=None):
    h, w = a.shape[:2]
    if idat is None:
        if interlace:
            raw = b"".join(
                pack_rows(a[y::dy, x::dx], depth) for x, y, dx, dy in ADAM7 if a[y::dy, x::dx].size
            )
        else:
            raw = pack_rows(a, depth)
        idat = zlib.compress(raw, 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace))
        + before
        + chunk(b"IDAT", idat)
        + chunk(b"IEND", b"")
    )


def samples(w, h, color, depth, seed):
    n = w * h * CHANNELS[color]
    v = noise(seed, 2 * n).reshape(n, 2).astype(np.uint32)
    v = (v[:, 0] << 8 | v[:, 1]) & ((1 << depth) - 1)
    if depth == 16 and color == 0:
        v = v % 600  # around 255, where Pillow clips
    return v.reshape(h, w, CHANNELS[color])


def pngs():
    seed = 100
    for color, depths in {
        0: (1, 2, 4, 8, 16),
        2: (8, 16),
        3: (1, 2, 4, 8),
        4: (8, 16),
        6: (8, 16),
    }.items():
        for depth in depths:
            for interlace in (0, 1):
                seed += 1
                w, h = (19, 11) if interlace == 0 else (13, 9)
                a = samples(w, h, color, depth, seed)
                before = b""
                if color == 3:
                    before = chunk(b"PLTE", noise(seed, 3 << depth).tobytes())
                name = {0: "gray", 2: "rgb", 3: "palette", 4: "gray_alpha", 6: "rgba"}[color]
                write(
                    f"{name}{depth}{'i' if interlace else ''}.png",
                    png(a, depth, color, interlace, before),
                )
    a = samples(9, 7, 3, 4, 5)
    short = chunk(b"PLTE", noise(9, 3 * 11).tobytes())
    write("palette_short.png", png(a, 4, 3, 0, short))  # indices 11..15 have no colour
    write(
        "palette_trns.png", png(a % 11, 4, 3, 0, short + chunk(b"tRNS", bytes(range(0, 220, 20))))
    )
    a = samples(9, 7, 2, 8, 6)
    write("rgb_trns.png", png(a, 8, 2, 0, chunk(b"tRNS", struct.pack(">HHH", *a[0, 0]))))
    a = samples(9, 7, 0, 8, 6)
    write("gray_trns.png", png(a, 8, 0, 0, chunk(b"tRNS", struct.pack(">H", a[0, 0, 0]))))
    write("gamma.png", png(a, 8, 0, 0, chunk(b"gAMA", struct.pack(">I", 100000))))
    for w, h in ((1, 1), (1, 9), (9, 1), (3, 2)):
        write(f"{w}x{h}i.png", png(samples(w, h, 2, 8, w), 8, 2, 1))
    write("large.png", saved(Image.new("1", (4500, 4500), 1), "PNG"))
    write("pillow.png", saved(picture(31, 23), "PNG"))
    good = png(a, 8, 0)
    write("no_end.png", good[:-12])
    write("garbage_after.png", good + b"garbage")
    write("cut.png", good[: len(good) * 2 // 3])
    write("no_palette.png", png(samples(9, 7, 3, 4, 5), 4, 3))
    write("bad_depth.png", png(samples(9, 7, 2, 8, 5), 4, 2))
    write("no_data.png", png(a, 8, 0, 0, b"", b""))


# ---- BMP -------------------------------------------------------------------------------------
def bmp(
    w,
    h,
    bits,
    pixels,
    header=40,
    compression=0,
    palette=b"",
    colors=0,
    masks=b"",
    offset=None,
    height=None,
):
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII",
            header,
            w,
            h if height is None else height,
            1,
            bits,
            compression,
            len(pixels),
            2835,
            2835,
            colors,
            0,
        )
        info += (masks if header > 40 else b"").ljust(header - 40, b"\0")
    body = info + (masks if header == 40 else b"") + palette
    at = 14 + len(body) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, at) + body + pixels


def bmp_rows(w, h, bits, seed):
    stride = (w * bits + 31) // 32 * 4
    return noise(seed, stride * h).tobytes()


def bmps():
    quad = lambda n, seed: np.concatenate(
        [noise(seed, 3 * n).reshape(n, 3), np.zeros((n, 1), np.uint8)], 1
    ).tobytes()
    gray = lambda n: b"".join(bytes([i, i, i, 0]) for i in range(n))
    m = lambda *v: struct.pack("<" + "I" * len(v), *v)
    w, h = 13, 7
    for bits in (1, 4, 8):
        write(
            f"palette{bits}.bmp",
            bmp(w, h, bits, bmp_rows(w, h, bits, bits), palette=quad(1 << bits, 3)),
        )
    write(
        "palette4_os2.bmp", bmp(w, h, 4, bmp_rows(w, h, 4, 1), 12, palette=noise(4, 48).tobytes())
    )
    write("palette8_few.bmp", bmp(w, h, 8, bmp_rows(w, h, 8, 2), palette=quad(50, 3), colors=50))
    write("palette8_gray.bmp", bmp(w, h, 8, bmp_rows(w, h, 8, 3), palette=gray(256)))
    write("palette8_gray_few.bmp", bmp(w, h, 8, bmp_rows(w, h, 8, 3), palette=gray(50), colors=50))
    write(
        "palette1_gray.bmp", bmp(w, h, 1, bmp_rows(w, h, 1, 3), palette=b"\0\0\0\0\xff\xff\xff\0")
    )
    write("palette1_one.bmp", bmp(w, h, 1, bmp_rows(w, h, 1, 3), palette=b"\0\0\0\0", colors=1))
    write(
        "palette_top_down.bmp", bmp(w, h, 8, bmp_rows(w, h, 8, 4), palette=quad(256, 5), height=-h)
    )
    p = quad(16, 3)
    write("palette_offset.bmp", bmp(w, h, 4, bmp_rows(w, h, 4, 8), palette=p, offset=54))
    write("offset0.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, 8), offset=0))
    for bits in (16, 24, 32):
        write(f"raw{bits}.bmp", bmp(w, h, bits, bmp_rows(w, h, bits, bits)))
        write(f"raw{bits}_top_down.bmp", bmp(w, h, bits, bmp_rows(w, h, bits, bits), height=-h))
    write("raw24_os2.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, 2), 12))
    for header in (52, 56, 64, 108, 124):
        write(f"raw24_{header}.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, header), header))
    for i, v in enumerate(
        [
            (0xFF0000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0),
            (0xFF000000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
            (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
            (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
            (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
            (0, 0, 0, 0),
            (1, 2, 4, 8),
        ]
    ):
        write(f"fields32_{i}.bmp", bmp(w, h, 32, bmp_rows(w, h, 32, i), 108, 3, masks=m(*v)))
    write(
        "fields32_40.bmp",
        bmp(w, h, 32, bmp_rows(w, h, 32, 1), 40, 3, masks=m(0xFF0000, 0xFF00, 0xFF)),
    )
    write(
        "fields32_offset0.bmp",
        bmp(w, h, 32, bmp_rows(w, h, 32, 1), 40, 3, masks=m(0xFF0000, 0xFF00, 0xFF), offset=0),
    )
    write(
        "fields24.bmp",
        bmp(w, h, 24, bmp_rows(w, h, 24, 1), 52, 3, masks=m(0xFF0000, 0xFF00, 0xFF)),
    )
    write(
        "fields16_565.bmp",
        bmp(w, h, 16, bmp_rows(w, h, 16, 1), 40, 3, masks=m(0xF800, 0x7E0, 0x1F)),
    )
    write(
        "fields16_555.bmp",
        bmp(w, h, 16, bmp_rows(w, h, 16, 1), 56, 3, masks=m(0x7C00, 0x3E0, 0x1F, 0)),
    )
    write(
        "fields16_bad.bmp",
        bmp(w, h, 16, bmp_rows(w, h, 16, 1), 40, 3, masks=m(0xF000, 0xF00, 0xF0)),
    )
    write(
        "fields8.bmp",
        bmp(w, h, 8, bmp_rows(w, h, 8, 1), 40, 3, masks=m(1, 2, 4), palette=quad(256, 1)),
    )
    # RLE: runs, literals of odd and even length, ends of lines, a delta, a run over the line
    r8 = (
        b"\x0d\x05"
        b"\0\0"
        b"\x03\x01\0\x05\x09\x08\x07\x06\x05\0\x05\x02\0\0"
        b"\x0d\x09\0\0"
        b"\x04\x01\0\x02\x03\x01\x02\x07\0\0"
        b"\x0f\x03\0\0"
        b"\0\x0d" + bytes(range(13)) + b"\0"
        b"\0\0"
        b"\x0d\x0b\0\1"
    )
    r8 = r8.replace(b"\0\x02\x03\x01\x02\x07", b"\0\x02\x03\x01" + b"\x06\x07")
    write("rle8.bmp", bmp(w, h, 8, r8, compression=1, palette=quad(256, 6)))
    write(
        "rle8_delta.bmp",
        bmp(
            w,
            2,
            8,
            b"\x03\x01\0\x02\x04\0\x0d\x09\0\0\x0d\x02\0\1",
            compression=1,
            palette=quad(256, 6),
        ),
    )
    write("rle8_top_down.bmp", bmp(w, h, 8, r8, compression=1, palette=quad(256, 6), height=-h))
    write("rle8_gray.bmp", bmp(w, h, 8, r8, compression=1, palette=gray(256)))
    write("rle8_early.bmp", bmp(w, h, 8, b"\x0d\x05\0\0\0\1", compression=1, palette=quad(256, 6)))
    write("rle8_cut.bmp", bmp(w, h, 8, r8[:-6], compression=1, palette=quad(256, 6)))
    r4 = b"".join(b"\x0d" + bytes([17 * y + 3]) + b"\0\0" for y in range(5))
    r4 += b"\0\x05\x12\x34\x50\0" b"\x08\xab\0\0" b"\0\x0d\x12\x34\x56\x78\x9a\xbc\xde\0"
    write("rle4.bmp", bmp(w, h, 4, r4, compression=2, palette=quad(16, 6)))
    write("rle8_24bit.bmp", bmp(w, h, 24, r8, compression=1))
    write("jpeg_in.bmp", bmp(w, h, 24, r8, compression=4))
    write("2bit.bmp", bmp(w, h, 2, bmp_rows(w, h, 2, 1), palette=quad(4, 1)))
    write(
        "header20.bmp",
        bmp(w, h, 24, bmp_rows(w, h, 24, 1), 40).replace(b"\x28\0\0\0", b"\x14\0\0\0", 1),
    )
    write("colors300.bmp", bmp(w, h, 8, bmp_rows(w, h, 8, 2), palette=quad(300, 3), colors=300))
    write("no_padding.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, 3)[:-1]))
    write("cut.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, 3)[:-5]))
    write("garbage_after.bmp", bmp(w, h, 24, bmp_rows(w, h, 24, 3)) + b"garbage")
    write("pillow.bmp", saved(picture(21, 9), "BMP"))
    write("pillow1.bmp", saved(picture(21, 9).convert("1"), "BMP"))
    write("size0.bmp", bmp(0, h, 24, b""))


# ---- PPM -------------------------------------------------------------------------------------
def ppms():
    w, h = 11, 5
    n = w * h
    text = lambda v: b" ".join(b"%d" % x for x in v)
    head = lambda kind, *v: kind + b"\n" + b" ".join(b"%d" % x for x in v) + b"\n"
    lines = lambda b: b"\n".join(b[i : i + 60] for i in range(0, len(b), 60))
    v = noise(11, 6 * n)
    wide = v[: 2 * n].view(">u2") % 700
    write("p1.pbm", head(b"P1", w, h) + bytes(48 + (x & 1) for x in v[:n]))
    write(
        "p1_blanks.pbm", b"P1 # a comment\n# another\n11\n5\n" + text(x & 1 for x in v[:n]) + b"\n"
    )
    write("p2.pgm", head(b"P2", w, h, 255) + text(v[:n]) + b"\n")
    write("p2_31.pgm", head(b"P2", w, h, 31) + text(v[:n] % 32) + b"# c\n")
    write("p2_65535.pgm", head(b"P2", w, h, 65535) + text(wide))
    write("p2_comments.pgm", b"P2#x\n11 5 255\n1")
    write("p2_comment_joins.pgm", b"P2\n2 1 255\n1#c\n2 7\n")
    write("p2_300.pgm", head(b"P2", w, h, 300) + text(wide % 301))
    write("p3.ppm", head(b"P3", w, h, 255) + text(v[: 3 * n]) + b"\n")
    write("p3_7.ppm", head(b"P3", w, h, 7) + text(v[: 3 * n] % 8) + b"\n")
    write("p3_510.ppm", head(b"P3", 7, 73, 510) + 3 * (text(range(511)) + b"\n"))  # all ties
    write("p3_65535.ppm", head(b"P3", w, h, 65535) + text(v.view(">u2")[: 3 * n]) + b"\n")
    write("p3_over.ppm", head(b"P3", w, h, 7) + text(v[: 3 * n] % 9) + b"\n")
    write("p3_short.ppm", head(b"P3", w, h, 255) + text(v[: 3 * n - 1]) + b"\n")
    write("p3_word.ppm", head(b"P3", 1, 1, 255) + b"1 2 x\n")
    write("p3_negative.ppm", head(b"P3", 1, 1, 255) + b"1 2 -3\n")
    write("p4.pbm", head(b"P4", w, h) + v[: 2 * h].tobytes())
    write("p4_8.pbm", head(b"P4", 16, h) + v[: 2 * h].tobytes())
    write("p5.pgm", head(b"P5", w, h, 255) + v[:n].tobytes())
    write("p5_100.pgm", head(b"P5", w, h, 100) + v[:n].tobytes())  # some are above the maximum
    write("p5_1.pgm", head(b"P5", w, h, 1) + (v[:n] & 1).tobytes())
    write("p5_65535.pgm", head(b"P5", w, h, 65535) + wide.tobytes())
    write("p5_1000.pgm", head(b"P5", w, h, 1000) + (wide % 1001).tobytes())
    write("p5_256.pgm", head(b"P5", w, h, 256) + (wide % 257).tobytes())
    write("p6.ppm", head(b"P6", w, h, 255) + v[: 3 * n].tobytes())
    write("p6_254.ppm", head(b"P6", w, h, 254) + v[: 3 * n].tobytes())
    write("p6_3.ppm", head(b"P6", w, h, 3) + (v[: 3 * n] % 4).tobytes())
    write("p6_65535.ppm", head(b"P6", w, h, 65535) + v[: 6 * n].tobytes())
    write(
        "p6_1000.ppm",
        head(b"P6", w, h, 1000) + (v.view(">u2")[: 3 * n] % 1001).astype(">u2").tobytes(),
    )
    write("p6_comment.ppm", b"P6\n# made by hand\n11 # wide\n5\n255\n" + v[: 3 * n].tobytes())
    write("p6_garbage_after.ppm", head(b"P6", w, h, 255) + v[: 3 * n].tobytes() + b"garbage")
    write("p6_cut.ppm", head(b"P6", w, h, 255) + v[: 3 * n - 1].tobytes())
    write("p6_max0.ppm", head(b"P6", w, h, 0) + v[: 3 * n].tobytes())
    write("p6_max65536.ppm", head(b"P6", w, h, 65536) + v[: 6 * n].tobytes())
    write("p6_size0.ppm", head(b"P6", 0, h, 255))
    write("p6_huge.ppm", head(b"P6", 100000, 100000, 255) + v.tobytes())
    write("p6_long_token.ppm", b"P6\n00000000011 5 255\n" + v[: 3 * n].tobytes())
