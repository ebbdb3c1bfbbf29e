#include <stdlib.h>
#include <string.h>

#include "input/json_scan.h"
#include "input/vocab.h"

/* Read of it: model.vocab, added_tokens, the type of every part, the normalizer's rules.  Its
 * truncation and padding are the caller's business. */
enum { MAX_ADDED = 1024, MAX_NAME = 128 };

typedef struct reader {
    oct_recipe *r;
    char *text;                  /* all tokens, one after the other */
    size_t room;                 /* left of it */
    oct_token *token;            /* [most] */
    int n, most;
    oct_token *added;            /* [MAX_ADDED] */
    int n_added;
    bool model, normalizer, pre_tokenizer, post_processor;
} reader;

static oct_status unsupported(const oct_scan *s, const char *what, const char *is)
{
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: %s is \"%.40s\": not a BERT tokenizer", s->what, what,
                    is);
}

/* A string that must be one of two. */
static oct_status read_choice(oct_scan *s, const char *what, const char *a, const char *b)
{
    char name[MAX_NAME];
    OCT_TRY(oct_scan_text(s, name, sizeof name));
    return !strcmp(name, a) || !strcmp(name, b) ? OCT_OK : unsupported(s, what, name);
}

oct_status oct_vocab_accents(oct_scan *s, oct_recipe *r)
{
    if (oct_scan_peek(s) != 'n') return oct_scan_bool(s, &r->strip_accents);
    r->strip_accents = -1;
    return oct_scan_skip(s);
}

/* A string into *text, which moves behind it. */
static oct_status read_token(oct_scan *s, char **text, size_t *room, oct_token *t)
{
    t->s = *text;
    OCT_TRY(oct_scan_string(s, *text, *room, &t->size));
    if (t->size > *room) return oct_scan_fail(s, "a token of %zu bytes", t->size);
    *text += t->size;
    *room -= t->size;
    return OCT_OK;
}

static oct_status read_id(oct_scan *s, int32_t *id)
{
    int64_t v;
    OCT_TRY(oct_scan_int(s, 0, OCT_WORDPIECE_TOKENS - 1, &v));
    *id = (int32_t)v;
    return OCT_OK;
}

static oct_status read_vocab(oct_scan *s, reader *to)
{
    if (oct_scan_peek(s) != '{') return unsupported(s, "model.vocab", "no object");
    for (bool first = true, more;;) {
        OCT_TRY(oct_scan_next(s, '{', &first, &more));
        if (!more) return OCT_OK;
        if (to->n == to->most)
            return oct_scan_fail(s, "more than %d tokens", OCT_WORDPIECE_TOKENS);
        oct_token *t = &to->token[to->n++];
        OCT_TRY(read_token(s, &to->text, &to->room, t));
        OCT_TRY(oct_scan_colon(s));
        OCT_TRY(read_id(s, &t->id));
    }
}

static oct_status model_member(void *arg, oct_scan *s, const char *key)
{
    reader *to = arg;
    int64_t n;
    if (!strcmp(key, "type")) return read_choice(s, "model.type", "WordPiece", "WordPiece");
    if (!strcmp(key, "unk_token")) return read_choice(s, "model.unk_token", "[UNK]", "[UNK]");
    if (!strcmp(key, "continuing_subword_prefix"))
        return read_choice(s, "model.continuing_subword_prefix", "##", "##");
    if (!strcmp(key, "max_input_chars_per_word")) return oct_scan_int(s, 100, 100, &n);
    if (!strcmp(key, "merges")) return unsupported(s, "model", "BPE");
    if (strcmp(key, "vocab") != 0) return oct_scan_skip(s);
    to->model = true;
    return read_vocab(s, to);
}

static oct_status normalizer_member(void *arg, oct_scan *s, const char *key)
{
    reader *to = arg;
    if (!strcmp(key, "type")) {
        to->normalizer = true;
        return read_choice(s, "normalizer.type", "BertNormalizer", "BertNormalizer");
    }
    if (!strcmp(key, "lowercase")) return oct_scan_bool(s, &to->r->lowercase);
    if (!strcmp(key, "handle_chinese_chars"))
        return oct_scan_bool(s, &to->r->tokenize_chinese_chars);
    if (!strcmp(key, "strip_accents")) return oct_vocab_accents(s, to->r);
    if (strcmp(key, "clean_text") != 0) return oct_scan_skip(s);
    int clean;
    OCT_TRY(oct_scan_bool(s, &clean));
    return clean ? OCT_OK : unsupported(s, "normalizer.clean_text", "false");
}

static oct_status pre_tokenizer_member(void *arg, oct_scan *s, const char *key)
{
    reader *to = arg;
    if (strcmp(key, "type") != 0) return oct_scan_skip(s);
    to->pre_tokenizer = true;
    return read_choice(s, "pre_tokenizer.type", "BertPreTokenizer", "BertPreTokenizer");
}

static oct_status post_processor_member(void *arg, oct_scan *s, const char *key)
{
    reader *to = arg;
    if (strcmp(key, "type") != 0) return oct_scan_skip(s);
    to->post_processor = true;
    return read_choice(s, "post_processor.type", "TemplateProcessing", "BertProcessing");
}

/* Where an added token goes. */
typedef struct added { char **text; size_t *room; oct_token *t; } added;

static oct_status added_member(void *arg, oct_scan *s, const char *key)
{
    static const char *const flags[] = { "single_word", "lstrip", "rstrip", "normalized", NULL };
    added *a = arg;
    if (!strcmp(key, "id")) return read_id(s, &a->t->id);
    if (!strcmp(key, "content")) return read_token(s, a->text, a->room, a->t);
    int flag;
    const char *const *f = flags;
    while (*f && strcmp(*f, key) != 0) f++;
    if (!*f) return oct_scan_skip(s);
    OCT_TRY(oct_scan_bool(s, &flag));
    if (!flag) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: an added token is \"%s\", which is not supported",
                    s->what, key);
}

oct_status oct_vocab_added(oct_scan *s, char **text, size_t *room, oct_token *t)
{
    added a = { text, room, t };
    *t = (oct_token) { .s = "", .id = -1 };
    return oct_scan_members(s, added_member, &a);
}

static oct_status added_item(void *arg, oct_scan *s, const char *key)
{
    (void)key;
    reader *to = arg;
    if (to->n_added == MAX_ADDED)
        return oct_scan_fail(s, "more than %d added tokens", MAX_ADDED);
    return oct_vocab_added(s, &to->text, &to->room, &to->added[to->n_added++]);
}

static oct_status tokenizer_member(void *arg, oct_scan *s, const char *key)
{
    if (!strcmp(key, "added_tokens")) return oct_scan_items(s, added_item, arg);
    static const struct { const char *key; oct_scan_visit *visit; } parts[] = {
        { "model", model_member }, { "normalizer", normalizer_member },
        { "pre_tokenizer", pre_tokenizer_member }, { "post_processor", post_processor_member },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strcmp(key, parts[i].key) && oct_scan_peek(s) != 'n')
            return oct_scan_members(s, parts[i].visit, arg);
    return oct_scan_skip(s);
}

/* Memory for the tokens: a member has a colon, a string is no longer than it was. */
static oct_status make_room(reader *to, const char *bytes, size_t size, oct_arena *scratch)
{
    for (size_t i = 0; i < size && to->most < OCT_WORDPIECE_TOKENS; i++)
        to->most += bytes[i] == ':';
    to->room = size;
    to->text = oct_arena_alloc(scratch, size + 1);
    to->token = oct_arena_alloc(scratch, ((size_t)to->most + 1) * sizeof *to->token);
    to->added = oct_arena_alloc(scratch, MAX_ADDED * sizeof *to->added);
    if (to->text && to->token && to->added) return OCT_OK;
    return oct_fail(OCT_ERR_MEMORY, "vocabulary: out of memory");
}

static oct_status read_tokenizer(oct_wordpiece *w, reader *to, oct_scan *s)
{
    static const char none[] = "null";
    OCT_TRY(oct_scan_members(s, tokenizer_member, to));
    OCT_TRY(oct_scan_end(s));
    if (!to->model) return unsupported(s, "model.vocab", none);
    if (!to->normalizer) return unsupported(s, "normalizer", none);
    if (!to->pre_tokenizer) return unsupported(s, "pre_tokenizer", none);
    if (!to->post_processor) return unsupported(s, "post_processor", none);
    int twice;
    OCT_TRY(oct_vocab_build(w, to->token, to->n, &twice));
    if (twice) return oct_fail(OCT_ERR_FORMAT, "%s: a token of the vocabulary twice", s->what);
    return oct_vocab_special(w, to->added, to->n_added);
}

oct_status oct_vocab_read_json(oct_wordpiece *w, const char *bytes, size_t size, oct_recipe *r)
{
    oct_scan s = { .what = "tokenizer.json", .at = bytes, .end = bytes + size, .begin = bytes };
    if (size > OCT_WORDPIECE_BYTES)
        return oct_fail(OCT_ERR_FORMAT, "%s: %zu bytes, at most %d", s.what, size,
                        OCT_WORDPIECE_BYTES);
    reader to = { .r = r };
    oct_arena scratch = { 0 };
    oct_status status = make_room(&to, bytes, size, &scratch);
    if (status == OCT_OK) status = read_tokenizer(w, &to, &s);
    oct_arena_free(&scratch);
    return status;
}
