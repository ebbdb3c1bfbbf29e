#!/usr/bin/env python3
"""Token ids of octet's tokenizer and of Hugging Face's fast BertTokenizer, for the same texts.

    make bench/wordpiece
    python3 bench/wordpiece.py build/bench/wordpiece FOLDER [DATA.tsv ...]
                                      (needs transformers; a few minutes and 2 GB)

FOLDER is a Hugging Face folder of an uncased model with a vocab.txt.  Compared, with lower case and
without, each with 512 tokens at most:
    the texts of each DATA.tsv (text<TAB>label, a header line), in pairs, too
    every code point, alone and between letters, and random strings of all planes, with FOLDER's
    vocabulary and with one in which every code point of the string is a token, so that no [UNK]
    hides a difference
One line a comparison: strings, differences, and megabytes a second of both on one thread.
"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from transformers import BertTokenizer  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
STEP = 0x40000  # code points of one vocabulary: twice as many tokens


def points(low, high):
    return [c for c in range(low, high) if not 0xD800 <= c < 0xE000]


def ours(program, folder, texts, max_length):
    records = []
    for text, pair in texts:
        for part in text, pair:
            part = part.encode()
            records.append(struct.pack("I", len(part)) + part)
    command = [program, folder, str(max_length)]
    done = subprocess.run(command, input=b"".join(records), capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
    answers, at = [], 0
    while at < len(done.stdout):
        (n,) = struct.unpack_from("i", done.stdout, at)
        both = struct.unpack_from(f"{2 * n}i", done.stdout, at + 4)
        answers.append((list(both[:n]), list(both[n:])))
        at += 4 + 8 * n
    return answers, float(done.stderr)


def theirs(folder, texts, max_length):
    tokenizer = BertTokenizer.from_pretrained(folder)
    answers, seconds = [], 0.0
    for text, pair in texts:
        more = (pair,) if pair else ()
        start = time.perf_counter()
        got = tokenizer(text, *more, truncation=True, max_length=max_length)
        seconds += time.perf_counter() - start
        answers.append((got["input_ids"], got["token_type_ids"]))
    backend = tokenizer.backend_tokenizer  # its own speed, without what is around it
    backend.no_truncation()
    start = time.perf_counter()
    for text, pair in texts:
        backend.encode(text, pair or None)
    return answers, min(seconds, time.perf_counter() - start)


def compare(what, program, folder, texts, max_length=512):
    texts = [t if isinstance(t, tuple) else (t, "") for t in texts]
    a, fast = ours(program, folder, texts, max_length)
    b, slow = theirs(folder, texts, max_length)
    wrong = [i for i in range(len(texts)) if a[i] != b[i]]
    size = sum(len(x.encode()) + len(y.encode()) for x, y in texts) / 1e6
    print(f"{what}: {len(texts)} strings, {len(wrong)} differences; "
          f"{size / fast:.1f} MB/s, {size / slow:.2f} MB/s by theirs", flush=True)
    for i in wrong[:5]:
        print("   ", ascii(texts[i])[:200], a[i][0][:20], b[i][0][:20], sep="\n    ")
    return len(texts), len(wrong)


def folder_of(where, name, tokens, lower):
    path = os.path.join(where, name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "vocab.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(token + "\n" for token in tokens)
    with open(os.path.join(path, "tokenizer_config.json"), "w", encoding="ascii") as f:
        json.dump({"do_lower_case": lower, "tokenizer_class": "BertTokenizer"}, f)
    return path


def random_text(pick, rng):
    """Words of code points from pick(), between ASCII, blanks and special tokens."""
    parts = []
    for _ in range(rng.randint(1, 8)):
        kind = rng.random()
        if kind < 0.6:
            parts.append("".join(chr(pick()) for _ in range(rng.randint(1, 12))))
        elif kind < 0.8:
            parts.append(rng.choice(["love", "Unaffected", "e", "A", "is-n't", "##ing", "\u0130"]))
        elif kind < 0.9:
            parts.append(rng.choice(SPECIAL + ["[cls]", "[MASK", "[[SEP]]"]))
        else:
            parts.append(" " * rng.randint(1, 3))
        if rng.random() < 0.3:
            parts.append(rng.choice(" \t\n\r\u00a0\u3000\u2028\u0085\u200b"))
    return "".join(parts)


def synthetic(where, program, words, lower, seed):
    """Strings of every plane, with a vocabulary in which each of their characters is a token."""
    rng = random.Random(seed)
    case = "uncased" if lower else "cased"
    marks = [c for c in points(0, 0x1F000) if 0x300 <= c < 0x370 or 0x1D165 <= c < 0x1D173
             or c in (0x302E, 0x302F, 0x1B44, 0xA953, 0x3099, 0x5B0, 0x94D, 0x16FF0, 0x11938)]
    total = wrong = 0
    for low in range(0, 0x110000, STEP):
        some = points(low, min(low + STEP, 0x110000))
        ascii_too = [] if low == 0 else points(0, 0x2000)
        tokens = SPECIAL + [c for p in ascii_too + some if (c := chr(p)).strip() and c != "\n"]
        tokens += ["##" + c for c in tokens[5:]]
        folder = folder_of(where, f"points-{low:x}-{case}", tokens, lower)
        texts = [form % chr(p) for form in ("%s", "a%sb") for p in some] if low < STEP else []
        pick = lambda: rng.choice(some if rng.random() < 0.7 else marks)  # noqa: E731
        texts += [random_text(pick, rng) for _ in range(30000)]
        texts += [(random_text(pick, rng), random_text(pick, rng)) for _ in range(3000)]
        n, bad = compare(f"code points from U+{low:04X}, {case}", program, folder, texts)
        total, wrong = total + n, wrong + bad
    folder = folder_of(where, f"words-{case}", words, lower)
    common = points(0, 0x3000)
    pick = lambda: rng.choice(common if rng.random() < 0.8 else marks)  # noqa: E731
    texts = [random_text(pick, rng) for _ in range(60000)]
    texts += ["a" * n + "\u0301" * m for n in range(95, 105) for m in (0, 1, 9)]
    n, bad = compare(f"FOLDER's vocabulary, {case}", program, folder, texts)
    return total + n, wrong + bad


def real(where, program, words, lower, files):
    total = wrong = 0
    folder = folder_of(where, f"words-{'uncased' if lower else 'cased'}", words, lower)
    for path in files:
        with open(path, encoding="utf-8") as f:
            texts = [line.rstrip("\n").rpartition("\t")[0] for line in f][1:]
        pairs = list(zip(texts[::2], texts[1::2]))
        for what, some, longest in (path, texts, 512), (path + " in pairs", pairs, 24):
            case = "uncased" if lower else "cased"
            n, bad = compare(f"{what}, {case}", program, folder, some, longest)
            total, wrong = total + n, wrong + bad
    return total, wrong


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, folder, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as f:
        words = f.read().split("\n")
    total = wrong = 0
    with tempfile.TemporaryDirectory() as where:
        for lower in True, False:
            for part in (real(where, program, words, lower, files),
                         synthetic(where, program, words, lower, 7 + lower)):
                total, wrong = total + part[0], wrong + part[1]
    print(f"{total} strings, {wrong} differences")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
