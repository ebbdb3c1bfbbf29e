#!/usr/bin/env python3
"""Makes tests/golden/wordpiece/ from Hugging Face's fast BertTokenizer.

    python3 tests/golden/make_wordpiece.py ../shared/weights/distilbert_sst2/vocab.txt
                                                 (needs transformers)

vocab.txt   a part of the given one, BERT's uncased, and single characters beside it
ids.tsv     rules, longest, text, pair, types, ids; rules are three digits: lower case, accents
            stripped (2: as lower case), ideographs apart; types is how many ids are of type 0;
            in texts %XX is a byte
Made with the versions in VERSIONS.
"""

import os
import random
import sys
import tempfile

from transformers import BertTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "wordpiece")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ACCENTED = (
    "Éé\u00c5\u0130\u0131ßẞÑñÇüǅǆΑΩΣσςЙйЁёḀẛữ\u1e9b\u0390ΐ가각힣ㄱ각かがカガ\u3099"
    "\u0958\u0344\u1b44\u302e\u302f\u0901\U0001d165\U0001d16d\U0001d15e\U00010400\U00010428"
    "\ua7ce\U00016ea0"
    "\U0001e900\ufb03\u2126Å\uff21\uff41\U0001f600\u0301\u0323\u0307\u0e33\u0f73"
)
WORDS = "unaffable it's naïve café I love this unbelievably good movie . not so bad".split()


def points(*ranges):
    return [chr(c) for low, high in ranges for c in range(low, high)]


ODD = [  # every branch: what is dropped, what is white space, accents, order, lower case, words
    "", " ", "\t\n\r", "a", "A", "é", "e\u0301", "\u0301", "a\u0301\u0323b", "a\u0323\u0301b",
    "\x00", "a\x00b", "a\ufffdb", "a\x7fb", "a\x85b", "a\u200bb", "a\u00adb", "a\ue000b",
    "a\U000f0000b", "a\u0378b", "a\ufeffb", "\ufeffa", "a\u00a0b", "a\u3000b", "a\u2028b",
    "a\u200db", "a\x0bb", "a\x1cb", "a\u180eb", "中文", "a中b", "\uf900x", "\U0002f800y",
    "\u2f00x", "カタカナ", "한국어", "\u1100\u1161\u11a8", "İstanbul", "I\u0307", "ΌΣΟΣ", "ǅ",
    "ẛ̣", "\u0344", "\u0390", "\U0001d15e\U0001d165\u302e", "\U0001d165\U0001d16d\u302e\u1b44",
    "a\u302e\u0300\u1b44b", "a\u1b44\u0f7f\u302eb", "a\u05b0\u094db", "\u302e\U0001d165",
    "a\u0f73b", "\u302e\u302f\u302e", "\u302f\u302e",
    "\u302e\u0901\u1b44", "\u302e\u0301\u1b44", "a\u302f\u0901\u0301\u302e\u1b44b",
    "\u302e\u0e33\u1b44", "a\u16ff0b", "a\U00016ff0\u302eb", "\U00011938", "\U0001e900\U0001e922",
    "\U00010400", "\ua7ce",
    "!", "a!b", "...", "a-b_c", "$5.99", "#hash ##ing", "##ing", "`~^|<>=+", "a\u2014b", "«a»",
    "a\u00b7b", "\u037e\u0387\u1fef", "\u2e2f", "\u00a7\u00b6", "don't", "a\u2019b", "é!è?",
    "[CLS]", "[SEP] a", "a[MASK]b", "[mask]", "[ MASK ]", "[MASK", "MASK]", "[[MASK]]",
    "[PAD][UNK]",
    " [CLS]  b ", "[CL\x00S]", "[CLS\u0301]", "e[SEP]\u0301", "\u1b44[SEP]\u302e", "x [UNK] y",
    "[unused1]", "[unused999]", "zzzzqqq", "loveqqq", "unaffable", "unaffablez", "\U0001f600 ok",
    "fi \ufb01 ﬃ", "Ａ ａ", "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "가" * 33,
    "가" * 34, "a" * 50 + "\u0301" * 500, "\u302e" * 100, "\u302e" * 101 + " a", "a" * 101 + "中a",
    "love " * 300, "[CLS]" * 300, "." * 300,
]


def random_text(rng):
    parts = []
    for _ in range(rng.randint(1, 10)):
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(WORDS))
        elif kind < 0.5:
            parts.append("".join(rng.choice(ACCENTED) for _ in range(rng.randint(1, 6))))
        elif kind < 0.8:
            parts.append(rng.choice(ODD[:-6]))
        elif kind < 0.9:
            parts.append(chr(rng.choice([rng.randrange(0x3000), rng.randrange(0xE000, 0x20000)])))
        else:
            parts.append(rng.choice(SPECIAL))
        if rng.random() < 0.5:
            parts.append(rng.choice([" ", "  ", "\t", "\u3000"]))
    return "".join(parts)


def vocabulary(path):
    with open(path, encoding="utf-8") as f:
        given = f.read().split("\n")
    keep = [w for w in given if len(w.removeprefix("##")) == 1 and ord(w[-1]) < 0x600]
    keep += given[1996:2600] + [w for w in given if w.startswith("##")][:400]
    keep += [w for w in WORDS if w in given] + ["[unused1]"]
    single = list(ACCENTED) + points((0x41, 0x5B), (0x4E00, 0x4E10), (0x6587, 0x6588))
    keep += single + ["##" + c for c in single]
    return SPECIAL + [w for w in dict.fromkeys(keep) if w not in SPECIAL]


def escaped(text):
    return "".join(chr(b) if 0x20 < b < 0x7F and b != 0x25 else f"%{b:02X}" for b in text.encode())


def write_rows(f, tokens, rules, texts):
    lower, strip, cjk = rules
    with tempfile.TemporaryDirectory() as where:
        with open(os.path.join(where, "vocab.txt"), "w", encoding="utf-8") as v:
            v.writelines(t + "\n" for t in tokens)
        tokenizer = BertTokenizer.from_pretrained(
            where, do_lower_case=bool(lower), strip_accents=None if strip == 2 else bool(strip),
            tokenize_chinese_chars=bool(cjk))
    for text, pair, longest in texts:
        more = (pair,) if pair else ()
        got = tokenizer(text, *more, truncation=True, max_length=longest)
        ids, types = got["input_ids"], got["token_type_ids"]
        assert types == sorted(types) and len(ids) <= longest
        f.write(f"{lower}{strip}{cjk}\t{longest}\t{escaped(text)}\t{escaped(pair)}\t"
                f"{types.count(0)}\t{' '.join(map(str, ids))}\n")


def main():
    tokens = vocabulary(sys.argv[1])
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "vocab.txt"), "w", encoding="utf-8") as f:
        f.writelines(t + "\n" for t in tokens)
    rng = random.Random(5)
    with open(os.path.join(OUT, "ids.tsv"), "w", encoding="ascii") as f:
        for rules in (1, 2, 1), (0, 2, 1), (1, 0, 1), (0, 1, 1), (1, 2, 0):
            texts = [(t, "", 128) for t in ODD] + [(random_text(rng), "", 64) for _ in range(60)]
            write_rows(f, tokens, rules, texts)
        for n in range(6):
            write_rows(f, tokens, (1, 2, 1), [
                ("love " * n, "bad " * m, longest) for m in range(6) for longest in range(3, 13)])
        write_rows(f, tokens, (1, 2, 1), [
            (random_text(rng), random_text(rng), longest) for longest in (512, 8, 20)
            for _ in range(30)])


if __name__ == "__main__":
    main()
