#ifndef OCT_INPUT_VOCAB_H
#define OCT_INPUT_VOCAB_H

#include "input/json_scan.h"
#include "input/wordpiece.h"
#include "tensor/arena.h"

/* A vocabulary's tokens, ready to be matched.  Private to input/.
 *
 * Three sorted lists: words, continuations without their "##", special tokens.  The longest token
 * that a text begins with is found from the last one that is not greater than the text: any token
 * between the two in order begins with the shorter one, so it is that token or is reached from it
 * by `shorter`.  A list costs 32 bytes a token, whatever a file holds, and a search
 * log2(tokens) comparisons. */
typedef struct oct_piece {
    uint64_t key;        /* the first 8 bytes, big-endian, zeros behind a shorter one */
    const char *s;
    uint32_t size;       /* at least 1 */
    int32_t id;
    int32_t shorter;     /* the longest other piece that s begins with; -1: none */
} oct_piece;

typedef struct oct_pieces {
    oct_piece *piece;    /* [n] in the order of their bytes, all different */
    int n;
    int first[257];      /* [b]: the first piece that begins with a byte of at least b */
} oct_pieces;

struct oct_wordpiece {
    oct_arena arena;
    oct_pieces word, rest, special;
    char *text;          /* what oct_wordpiece_vocab gives: lines, in the order of ids */
    size_t text_size;
    int n;               /* ids are below it */
    int plain;           /* no special tokens but the five */
    int32_t unk, cls, sep;
    int lowercase, strip_accents, cjk;
};

/* A token and its id, as read. */
typedef struct oct_token {
    const char *s;
    size_t size;
    int32_t id;
} oct_token;

/* Fills w->word and w->rest, and w->text, from n tokens in any order; of two equal ones that with
 * the larger id counts; *twice: how many others there are.  The strings are copied.  ERR_FORMAT: an
 * id twice. */
OCT_MUST_CHECK oct_status oct_vocab_build(oct_wordpiece *w, const oct_token *token, int n,
                                          int *twice);

/* Then w->special and the ids known by name, and n special tokens more: in the vocabulary with that
 * id, or added to it with the next. */
OCT_MUST_CHECK oct_status oct_vocab_special(oct_wordpiece *w, const oct_token *more, int n);

/* What vocab.txt holds. */
OCT_MUST_CHECK oct_status oct_vocab_read(oct_wordpiece *w, const char *bytes, size_t size);

/* vocab_json.c: what tokenizer.json holds; its normalizer sets r's three rules. */
OCT_MUST_CHECK oct_status oct_vocab_read_json(oct_wordpiece *w, const char *bytes, size_t size,
                                              oct_recipe *r);
/* Parts of it that tokenizer_config.json has, too: strip_accents, true, false or null; an added
 * token, its string put into *text, which moves behind it.  ERR_UNSUPPORTED: not one that is
 * looked for in the text as it is. */
OCT_MUST_CHECK oct_status oct_vocab_accents(oct_scan *s, oct_recipe *r);
OCT_MUST_CHECK oct_status oct_vocab_added(oct_scan *s, char **text, size_t *room, oct_token *t);

/* tokenizer_config.json: it must fit w; sets what it names of r. */
OCT_MUST_CHECK oct_status oct_tokenizer_config(const oct_wordpiece *w, const char *bytes,
                                               size_t size, oct_recipe *r);

/* The longest piece that s[0..size) begins with, or NULL. */
const oct_piece *oct_pieces_match(const oct_pieces *list, const char *s, size_t size);

/* The id of exactly this token of the vocabulary, or -1. */
int32_t oct_vocab_id(const oct_wordpiece *w, const char *s, size_t size);

#endif
