#include <string.h>

#include "input/vocab.h"

enum { MAX_NAME = 512 }; /* bytes of a token or class that could be a known one */

typedef struct reader {
    const oct_wordpiece *w;
    oct_recipe *r;
    const char *token;       /* the key whose object is read */
    const char *due;         /* what its content must be */
} reader;

/* A class that tokenizes as BERT does; BertJapaneseTokenizer, for one, does not. */
static oct_status read_class(oct_scan *s)
{
    static const char *const known[] = {
        "BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast",
        "ElectraTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
    };
    char name[MAX_NAME];
    OCT_TRY(oct_scan_text(s, name, sizeof name));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i])) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: tokenizer_class is \"%.40s\": not a BERT tokenizer",
                    s->what, name);
}

static oct_status content_member(void *arg, oct_scan *s, const char *key)
{
    const reader *to = arg;
    if (strcmp(key, "content") != 0) return oct_scan_skip(s);
    char name[MAX_NAME];
    OCT_TRY(oct_scan_text(s, name, sizeof name));
    if (!strcmp(name, to->due)) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: %s is \"%.40s\", not %s", s->what, to->token, name,
                    to->due);
}

/* "cls_token": "[CLS]", or null, or an object with a content. */
static oct_status read_special(oct_scan *s, reader *to)
{
    switch (oct_scan_peek(s)) {
    case '{': return oct_scan_members(s, content_member, to);
    case 'n': return oct_scan_skip(s);
    default:  return content_member(to, s, "content");
    }
}

/* One of added_tokens_decoder: a special token of the vocabulary. */
static oct_status decoder_member(void *arg, oct_scan *s, const char *key)
{
    (void)key;
    const reader *to = arg;
    char name[MAX_NAME], *text = name;
    size_t room = sizeof name;
    oct_token t;
    OCT_TRY(oct_vocab_added(s, &text, &room, &t));
    const oct_piece *p = oct_pieces_match(&to->w->special, t.s, t.size);
    if (p && p->size == t.size) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: added token \"%.*s\" is not among the vocabulary's "
                    "special tokens", s->what, t.size < 40 ? (int)t.size : 40, t.s);
}

/* Tokenizers without a limit have one of 10^30. */
static oct_status read_max_length(oct_scan *s, oct_recipe *r)
{
    int64_t n;
    oct_scan number = *s;
    if (oct_scan_int(&number, 1, OCT_RECIPE_MAX_LENGTH, &n) != OCT_OK)
        n = OCT_RECIPE_MAX_LENGTH;
    r->max_length = (int)n;
    return oct_scan_skip(s);
}

static oct_status member(void *arg, oct_scan *s, const char *key)
{
    static const struct { const char *key, *due; } tokens[] = {
        { "unk_token", "[UNK]" }, { "cls_token", "[CLS]" }, { "sep_token", "[SEP]" },
        { "pad_token", "[PAD]" }, { "mask_token", "[MASK]" },
    };
    reader *to = arg;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        if (!strcmp(key, tokens[i].key)) {
            to->token = key;
            to->due = tokens[i].due;
            return read_special(s, to);
        }
    if (!strcmp(key, "do_lower_case")) return oct_scan_bool(s, &to->r->lowercase);
    if (!strcmp(key, "strip_accents")) return oct_vocab_accents(s, to->r);
    if (!strcmp(key, "tokenize_chinese_chars"))
        return oct_scan_bool(s, &to->r->tokenize_chinese_chars);
    if (!strcmp(key, "model_max_length")) return read_max_length(s, to->r);
    if (!strcmp(key, "added_tokens_decoder")) return oct_scan_members(s, decoder_member, to);
    if (!strcmp(key, "tokenizer_class") && oct_scan_peek(s) != 'n') return read_class(s);
    return oct_scan_skip(s);
}

oct_status oct_tokenizer_config(const oct_wordpiece *w, const char *bytes, size_t size,
                                oct_recipe *r)
{
    oct_scan s = { .what = "tokenizer_config.json", .at = bytes, .end = bytes + size,
                   .begin = bytes };
    reader to = { .w = w, .r = r };
    OCT_TRY(oct_scan_members(&s, member, &to));
    return oct_scan_end(&s);
}
