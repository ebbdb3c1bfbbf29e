#include "input/vocab.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "input/unicode_bert.h"

enum { MAX_PIECE = 400 }; /* 100 characters of 4 bytes: a longer one matches no word */

static uint64_t key_of(const char *s, size_t size)
{
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++) key = key << 8 | (i < size ? (uint8_t)s[i] : 0);
    return key;
}

/* By bytes, the shorter first. */
static int compare(const oct_piece *a, const oct_piece *b)
{
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    const int order = memcmp(a->s, b->s, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Of equal ones the larger id first. */
static int compare_pieces(const void *a, const void *b)
{
    const oct_piece *p = a, *q = b;
    const int order = compare(p, q);
    return order ? order : (p->id < q->id) - (p->id > q->id);
}

static int begins(const oct_piece *p, const oct_piece *with)
{
    return p->size >= with->size && !memcmp(p->s, with->s, with->size);
}

/* Sorts, leaves the first of equals, links and indexes; how many were left out. */
static int order(oct_pieces *list)
{
    oct_piece *p = list->piece;
    const int given = list->n;
    if (given) qsort(p, (size_t)given, sizeof *p, compare_pieces);
    int n = 0;
    for (int i = 0; i < given; i++)
        if (n == 0 || compare(&p[n - 1], &p[i]) != 0) p[n++] = p[i];
    for (int i = 0; i < n; i++) {
        int k = i - 1;
        while (k >= 0 && !begins(&p[i], &p[k])) k = p[k].shorter;
        p[i].shorter = k;
    }
    for (int b = 0, i = 0; b <= 256; b++) {
        while (i < n && (uint8_t)*p[i].s < b) i++;
        list->first[b] = i;
    }
    list->n = n;
    return given - n;
}

const oct_piece *oct_pieces_match(const oct_pieces *list, const char *s, size_t size)
{
    if (size == 0) return NULL;
    const uint8_t first = (uint8_t)*s;
    const oct_piece text = { .key = key_of(s, size), .s = s,
                             .size = size < MAX_PIECE ? (uint32_t)size : MAX_PIECE };
    int low = list->first[first], high = list->first[first + 1];
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (compare(&list->piece[middle], &text) <= 0) low = middle + 1;
        else high = middle;
    }
    if (low == list->first[first]) return NULL;
    const oct_piece *p = &list->piece[low - 1];
    uint32_t common = 0;
    while (common < p->size && common < text.size && p->s[common] == s[common]) common++;
    while (p->size > common) {
        if (p->shorter < 0) return NULL;
        p = &list->piece[p->shorter];
    }
    return p;
}

static int continues(const char *s, size_t size) { return size > 2 && !memcmp(s, "##", 2); }

int32_t oct_vocab_id(const oct_wordpiece *w, const char *s, size_t size)
{
    const int rest = continues(s, size);
    const size_t skip = rest ? 2 : 0;
    const oct_piece *p = oct_pieces_match(rest ? &w->rest : &w->word, s + skip, size - skip);
    return p && p->size == size - skip ? p->id : -1;
}

static oct_status no_memory(void)
{
    return oct_fail(OCT_ERR_MEMORY, "vocabulary: out of memory");
}

static int is_blank(int32_t c)
{
    return oct_bert_class_of(c) == OCT_BERT_SPACE || c == 0xb || c == 0xc || c == 0x85;
}

/* Size of s less the white space at its end; s is UTF-8. */
static size_t trimmed(const char *s, size_t size)
{
    while (size) {
        size_t at = size - 1;
        while (at && ((uint8_t)s[at] & 0xc0) == 0x80) at--;
        int32_t c;
        const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s + at;
        if (utf8proc_iterate(p, (utf8proc_ssize_t)(size - at), &c) < 1 || !is_blank(c)) break;
        size = at;
    }
    return size;
}

/* A token that can be a line of its own, and so one that can match. */
static int usable(const oct_token *t)
{
    return t->size && !memchr(t->s, '\n', t->size) && trimmed(t->s, t->size) == t->size;
}

static void add(oct_pieces *list, const char *s, size_t size, int32_t id)
{
    list->piece[list->n++] = (oct_piece) { .key = key_of(s, size), .s = s, .size = (uint32_t)size,
                                           .id = id };
}

/* A token of the vocabulary to its list, if it is not too long for any word. */
static void add_token(oct_wordpiece *w, const char *s, size_t size, int32_t id)
{
    if (continues(s, size)) {
        if (size - 2 <= MAX_PIECE) add(&w->rest, s + 2, size - 2, id);
    } else if (size <= MAX_PIECE) {
        add(&w->word, s, size, id);
    }
}

static oct_status build(oct_wordpiece *w, const oct_token *token, int n, oct_arena *scratch)
{
    size_t size = 0, rest = 0;
    for (int i = 0; i < n; i++) {
        size += token[i].size;
        rest += continues(token[i].s, token[i].size) ? 1 : 0;
        if (token[i].id >= w->n) w->n = token[i].id + 1;
    }
    const oct_token **by_id = oct_arena_zalloc(scratch, ((size_t)w->n + 1) * sizeof *by_id);
    w->text = oct_arena_alloc(&w->arena, size + (size_t)w->n + 1);
    w->rest.piece = oct_arena_alloc(&w->arena, (rest + 1) * sizeof *w->rest.piece);
    w->word.piece = oct_arena_alloc(&w->arena, ((size_t)n - rest + 1) * sizeof *w->word.piece);
    if (!by_id || !w->text || !w->rest.piece || !w->word.piece) return no_memory();
    for (int i = 0; i < n; i++) {
        if (by_id[token[i].id])
            return oct_fail(OCT_ERR_FORMAT, "vocabulary: two tokens with the id %d", token[i].id);
        by_id[token[i].id] = &token[i];
    }
    char *to = w->text;
    for (int id = 0; id < w->n; id++) {
        const oct_token *t = by_id[id];
        if (t && usable(t)) {
            memcpy(to, t->s, t->size);
            add_token(w, to, t->size, id);
            to += t->size;
        }
        *to++ = '\n';
    }
    w->text_size = (size_t)(to - w->text);
    return OCT_OK;
}

oct_status oct_vocab_build(oct_wordpiece *w, const oct_token *token, int n, int *twice)
{
    oct_arena scratch = { 0 };
    const oct_status status = build(w, token, n, &scratch);
    oct_arena_free(&scratch);
    OCT_TRY(status);
    *twice = order(&w->rest);
    *twice += order(&w->word);
    return OCT_OK;
}

oct_status oct_vocab_special(oct_wordpiece *w, const oct_token *more, int n)
{
    static const char *const names[] = { "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]" };
    int32_t *const ids[] = { &w->unk, &w->cls, &w->sep };
    enum { NAMES = sizeof names / sizeof *names, NEEDED = sizeof ids / sizeof *ids };
    w->special.piece = oct_arena_alloc(&w->arena, (size_t)(n + NAMES) * sizeof *w->special.piece);
    if (!w->special.piece) return no_memory();
    for (int i = 0; i < NAMES; i++) {
        const size_t size = strlen(names[i]);
        const int32_t id = oct_vocab_id(w, names[i], size);
        if (i < NEEDED && id < 0)
            return oct_fail(OCT_ERR_FORMAT, "vocabulary: no token %s", names[i]);
        if (i < NEEDED) *ids[i] = id;
        if (id >= 0) add(&w->special, names[i], size, id);
    }
    const int known = w->special.n;
    for (int i = 0; i < n; i++) {
        const oct_token *t = &more[i];
        int32_t id = oct_vocab_id(w, t->s, t->size);
        if (id < 0) id = w->n;
        if (t->size < 1 || t->size > MAX_PIECE)
            return oct_fail(OCT_ERR_FORMAT, "vocabulary: a special token of %zu bytes", t->size);
        if (t->id != id || id >= OCT_WORDPIECE_TOKENS)
            return oct_fail(OCT_ERR_FORMAT, "vocabulary: special token \"%.*s\" has the id %d, "
                            "expected %d", (int)t->size, t->s, t->id, id);
        if (id == w->n) w->n++;
        char *s = oct_arena_alloc(&w->arena, t->size);
        if (!s) return no_memory();
        add(&w->special, memcpy(s, t->s, t->size), t->size, id);
    }
    const int given = w->special.n;
    w->plain = order(&w->special) == given - known;
    return OCT_OK;
}

oct_status oct_vocab_read(oct_wordpiece *w, const char *bytes, size_t size)
{
    if (size > OCT_WORDPIECE_BYTES)
        return oct_fail(OCT_ERR_FORMAT, "vocabulary: %zu bytes, at most %d", size,
                        OCT_WORDPIECE_BYTES);
    const char *end = bytes + size;
    int lines = 0, twice;
    for (const char *p = bytes; p < end && lines <= OCT_WORDPIECE_TOKENS; lines++) {
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : end;
    }
    if (lines > OCT_WORDPIECE_TOKENS)
        return oct_fail(OCT_ERR_FORMAT, "vocabulary: more than %d lines", OCT_WORDPIECE_TOKENS);
    oct_token *token = malloc(((size_t)lines + 1) * sizeof *token);
    if (!token) return no_memory();
    const char *p = bytes;
    oct_status status = OCT_OK;
    for (int i = 0; i < lines && status == OCT_OK; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        for (const char *q = p; q < stop && status == OCT_OK;) {
            int32_t c;
            const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)q, stop - q,
                                                           &c);
            if (step < 1)
                status = oct_fail(OCT_ERR_FORMAT, "vocabulary: line %d: not UTF-8", i + 1);
            q += step;
        }
        token[i] = (oct_token) { p, trimmed(p, (size_t)(stop - p)), i };
        p = stop + 1;
    }
    if (status == OCT_OK) status = oct_vocab_build(w, token, lines, &twice);
    free(token);
    if (status != OCT_OK) return status;
    return oct_vocab_special(w, NULL, 0);
}
