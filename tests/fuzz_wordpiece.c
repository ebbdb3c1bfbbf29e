/* The tokenizer, fed with bytes: a vocabulary or a tokenizer.json, a zero byte, a text, another
 * zero byte and its pair.  tests/fuzz_main.h says how to run it. */
#include "input/vocab.h"
#include "tests/fuzz_main.h"

/* The contract: whatever the bytes, ids and types in range, at most as many as asked for. */
static void encode(const oct_wordpiece *w, const char *text, size_t size)
{
    enum { LONGEST = 32 };
    const char *pair = memchr(text, 0, size);
    const oct_wordpiece_text t = {
        .text = text, .size = pair ? (size_t)(pair - text) : size,
        .pair = pair ? pair + 1 : NULL, .pair_size = pair ? size - (size_t)(pair + 1 - text) : 0,
    };
    for (int longest = 2; longest <= LONGEST; longest += 10) {
        int32_t ids[LONGEST], types[LONGEST];
        int n, truncated;
        if (oct_wordpiece_encode(w, &t, longest, ids, types, &n, &truncated) != OCT_OK) continue;
        if (n < 2 || n > longest) abort();
        for (int i = 0; i < n; i++)
            if (ids[i] < 0 || ids[i] >= oct_wordpiece_count(w) || types[i] < 0 || types[i] > 1)
                abort();
    }
}

/* What is written for a model file reads back as the same vocabulary. */
static void write_and_read(const oct_wordpiece *w, const oct_recipe *r)
{
    size_t size, again;
    oct_wordpiece *same;
    const char *vocab = oct_wordpiece_vocab(w, &size);
    if (!vocab) return;
    if (oct_wordpiece_open(vocab, size, r, &same) != OCT_OK) abort();
    const char *text = oct_wordpiece_vocab(same, &again);
    if (again != size || memcmp(text, vocab, size) != 0) abort();
    oct_wordpiece_close(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data, *zero = size ? memchr(bytes, 0, size) : NULL;
    const size_t n = zero ? (size_t)(zero - bytes) : size;
    const char *text = zero ? zero + 1 : bytes;
    const size_t text_size = zero ? size - n - 1 : size;
    oct_recipe r = { .text = 1, .lowercase = (int)(size & 1), .strip_accents = (int)(size % 3) - 1,
                     .tokenize_chinese_chars = (int)(size & 2) };
    oct_wordpiece *w, json = { .unk = 0 };
    if (oct_wordpiece_open(bytes, n, &r, &w) == OCT_OK) {
        encode(w, text, text_size);
        write_and_read(w, &r);
        if (oct_tokenizer_config(w, text, text_size, &r) != OCT_OK) (void)oct_last_error();
        oct_wordpiece_close(w);
    }
    if (oct_vocab_read_json(&json, bytes, n, &r) == OCT_OK) {
        encode(&json, text, text_size);
        write_and_read(&json, &r);
    }
    oct_arena_free(&json.arena);
    return 0;
}

FUZZ_MAIN("tests/corpus/wordpiece")
