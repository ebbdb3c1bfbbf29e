"""What 8-bit scores and context would do to a model's answers, simulated in FP32, by length of text.

    attention_int8.py FOLDER LIST.tsv [--texts 300] [--tokens 24,100,480]

FOLDER: a DistilBERT of two classes; LIST: text<TAB>label, with a header.  A text is sentences of one
label, one after the other, up to so many tokens.  Linear layers stay in FP32, so all that differs
is attention's:
    qk    q in 8 bits a token, asymmetric, k in 8 bits a token, symmetric; the scores' sums are exact
    pv    e = exp(score - largest) as 0..255, v in 8 bits a column, symmetric; the row's sum is that
          of the integers, so the weights still add up to 1
"""
import argparse

import torch
import transformers
from transformers.models.distilbert import modeling_distilbert as distilbert


def symmetric(x, dim):
    scale = x.abs().amax(dim, keepdim=True).clamp_min(1e-30) / 127
    return (x / scale).round() * scale


def asymmetric(x):
    lo, hi = x.amin(-1, keepdim=True).clamp_max(0), x.amax(-1, keepdim=True).clamp_min(0)
    scale = ((hi - lo) / 255).clamp_min(1e-30)
    zero = (-lo / scale).round()
    return (((x / scale).round() + zero).clamp(0, 255) - zero) * scale


def attention(parts):
    def forward(module, query, key, value, *args, **kwargs):
        if "qk" in parts:
            query, key = asymmetric(query), symmetric(key, -1)
        score = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        e = (score - score.amax(-1, keepdim=True)).exp()
        if "pv" in parts:
            e, value = (e * 255).round(), symmetric(value, 2)
        return (e @ value / e.sum(-1, keepdim=True)).transpose(1, 2).contiguous(), None
    return forward


def texts_of(rows, tokenizer, most, count):
    """count texts of [ids], label by turns; the sentences go round."""
    pools = [[r[0] for r in rows if r[1] == str(label)] for label in (0, 1)]
    at, out = [0, 0], []
    for i in range(count):
        label, ids = i % 2, []
        while True:
            more = tokenizer(pools[label][at[label] % len(pools[label])],
                             add_special_tokens=False)["input_ids"]
            if ids and len(ids) + len(more) > most - 2:
                break
            ids += more[:most - 2]
            at[label] += 1
        out.append(([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id], label))
    return out


@torch.no_grad()
def logits(net, texts):
    return torch.cat([net(input_ids=torch.tensor([ids])).logits for ids, _ in texts])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("list")
    p.add_argument("--texts", type=int, default=300)
    p.add_argument("--tokens", default="24,100,480")
    args = p.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.folder)
    rows = [line.rstrip("\n").split("\t") for line in open(args.list, encoding="utf-8")][1:]
    net = transformers.DistilBertForSequenceClassification.from_pretrained(
        args.folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    print("| tokens | in 8 bits | right | the same answer | logits differ by |\n|---|---|---|---|---|")
    for most in map(int, args.tokens.split(",")):
        texts = texts_of(rows, tokenizer, most, args.texts)
        labels = torch.tensor([label for _, label in texts])
        for parts in ("", "qk", "pv", "qk pv"):
            distilbert.eager_attention_forward = attention(parts)
            got = logits(net, texts)
            want = want if parts else got
            print(f"| {most} | {parts or 'nothing'} | {(got.argmax(1) == labels).sum()} | "
                  f"{(got.argmax(1) == want.argmax(1)).sum()} | "
                  f"{(got - want).pow(2).mean().sqrt():.4f} |", flush=True)


if __name__ == "__main__":
    main()
