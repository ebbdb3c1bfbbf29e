#!/usr/bin/env python3
"""Makes input/unicode_bert_table.h and unicode_bert.tsv from Hugging Face's tokenizers.

    python3 tests/golden/make_unicode.py         (needs tokenizers; a minute)

The fast BertTokenizer mixes three versions of Unicode (categories, decompositions, lower case), so
its answers are asked for, one code point at a time: alone, and between two letters, where they must
be the same.  Made with the versions in VERSIONS.
"""

import os
import unicodedata
import zlib

from tokenizers import normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "input", "unicode_bert_table.h")
SUMS = os.path.join(HERE, "unicode_bert.tsv")
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NOT_ASKED = "clean_text handle_chinese_chars strip_accents lowercase".split()


def bert(step):
    """The normalizer with one of its four steps."""
    return normalizers.BertNormalizer(**{name: name == step for name in NOT_ASKED}).normalize_str


CLEAN, CJK, STRIP, LOWER = map(bert, NOT_ASKED)
NFD = normalizers.NFD().normalize_str
SPLIT = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def between(step, ch):
    """What the step makes of ch, which letters beside it must not change."""
    alone, text = step(ch), step("a" + ch + "b")
    if text == "a" + alone + "b":
        return alone
    assert alone.strip(" ") == "" and text == "a b", hex(ord(ch))
    return " "


def class_of(c):
    ch = chr(c)
    cleaned = between(CLEAN, ch)
    words = [word for word, _ in SPLIT("a" + ch + "b")]
    found = []
    if cleaned == "":
        return "DROP"  # whatever else it is: it is gone first
    if cleaned == " ":
        assert words == ["a", "b"], hex(c)
        return "SPACE"
    assert cleaned == ch, hex(c)
    if between(CJK, ch) != ch:
        assert CJK("a" + ch + "b") == "a " + ch + " b", hex(c)
        found.append("CJK")
    if between(STRIP, ch) == "" and NFD(ch) == ch:
        found.append("MARK")
    if words == ["a", ch, "b"]:
        found.append("PUNCT")
    else:
        assert words == ["a" + ch + "b"], hex(c)
    assert len(found) < 2, hex(c)
    return found[0] if found else None


def ranges(value):
    """Runs of code points with the same value, None left out; surrogates join either side."""
    rows, last = [], None
    for c in POINTS:
        v = value(c)
        if v is not None and v == last and rows[-1][1] in (c - 1, 0xD7FF):
            rows[-1][1] = c
        elif v is not None:
            rows.append([c, c, v])
        last = v
    return rows


def lower_rows():
    """first, last, step, difference: 'A'..'Z' by 1, or every second letter of a block."""
    pairs = []
    for c in POINTS:
        low = between(LOWER, chr(c))
        if c == 0x130:
            assert low == "i\u0307"  # the only one that becomes two; by hand in unicode_bert.c
        elif low != chr(c):
            pairs.append((c, ord(low) - c))
    rows = []
    while pairs:
        best = 1, 1
        for step in 1, 2:
            n = 1
            while n < len(pairs) and pairs[n] == (pairs[n - 1][0] + step, pairs[0][1]):
                n += 1
            best = max(best, (n, -step))
        n, step = best[0], abs(best[1])
        rows.append((pairs[0][0], pairs[n - 1][0], step, pairs[0][1]))
        del pairs[:n]
    return rows


def combining():
    """Code point -> combining class, told by where it lands among marks of every class."""
    marks = {}
    for data in unicodedata.ucd_3_2_0, unicodedata:  # old marks first: the tokenizer knows them
        for c in POINTS:
            k = data.combining(chr(c))
            if k and k != 6 and unicodedata.normalize("NFD", chr(c)) == chr(c):
                marks.setdefault(k, chr(c))  # all of class 6 are newer than it
    order = sorted(marks)
    row = "".join(marks[k] for k in order)
    assert NFD("a" + row[::-1]) == "a" + row
    found = {}
    for c in POINTS:
        ch = chr(c)
        if NFD(ch) == ch and ch not in row:
            at = NFD("a" + ch + row).index(ch, 1) - 1
            if at or NFD("a" + marks[240] + ch)[1] == ch:
                found[c] = order[at]
    return {**found, **{ord(marks[k]): k for k in order}}


def nfd_ranges(classes):
    """Where utf8proc may be asked: every code point there has the tokenizer's decomposition and
    combining class in Unicode, where neither ever changes once the code point is assigned."""
    rows = []
    for c in POINTS:
        ch = chr(c)
        acts = NFD(ch) != ch or c in classes
        same = NFD(ch) == unicodedata.normalize("NFD", ch)
        same = same and (NFD(ch) != ch or classes.get(c, 0) == unicodedata.combining(ch))
        same = same and unicodedata.category(ch) != "Cn"
        assert same or not acts, hex(c)
        if acts and rows and rows[-1][2]:
            rows[-1][1] = c
        elif acts:
            rows.append([c, c, True])
        if rows and not same:
            rows[-1][2] = False
    return rows


def table(head, cells):
    lines = [head]
    row = "   "
    for cell in cells:
        if len(row) + len(cell) + 2 > 100:
            lines.append(row)
            row = "   "
        row += f" {cell},"
    return "\n".join(lines + [row, "};", ""])


def write_sums(combines):
    names = [None, "DROP", "SPACE", "CJK", "PUNCT", "MARK"]
    with open(SUMS, "w", encoding="ascii") as f:
        for first in range(0, 0x110000, 0x1000):
            crc = 0
            for c in range(first, first + 0x1000):
                if 0xD800 <= c < 0xE000:
                    continue
                parts = [ord(p) for p in NFD(chr(c))]
                both = " ".join(f"{p:x}:{combines.get(p, 0)}" for p in parts)
                line = f"{names.index(class_of(c))} {ord(LOWER(chr(c))[0]):x} {both}\n"
                crc = zlib.crc32(line.encode(), crc)
            f.write(f"{first:x}\t{crc:08x}\n")


def main():
    combines = combining()
    classes = [(f"{{ 0x{a:x}, 0x{b:x} }}, OCT_BERT_{v}") for a, b, v in ranges(class_of)]
    lower = [f"{{ 0x{a:x}, 0x{b:x} }}, {s}, {d}" for a, b, s, d in lower_rows()]
    nfd = [f"0x{a:x}, 0x{b:x}" for a, b, _ in nfd_ranges(combines)]
    with open(OUT, "w", encoding="ascii") as f:
        f.write("/* Made by tests/golden/make_unicode.py.  For unicode_bert.c alone. */\n\n")
        f.write("/* What is not OCT_BERT_PLAIN. */\n")
        f.write(table("static const class_range classes[] = {", ["{ %s }" % r for r in classes]))
        f.write("\n/* first, last, step, what is added to make it lower case; U+0130 left out */\n")
        f.write(table("static const lower_range lowers[] = {", ["{ %s }" % r for r in lower]))
        f.write("\n/* Where a canonical decomposition or a combining class may be. */\n")
        f.write(table("static const range nfds[] = {", ["{ %s }" % r for r in nfd]))
    write_sums(combines)
    print(len(classes), "classes,", len(lower), "rows of lower case,", len(nfd), "ranges of NFD")


if __name__ == "__main__":
    main()
