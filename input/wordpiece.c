#include "input/wordpiece.h"

#include <string.h>

#include <utf8proc.h>

#include "input/unicode_bert.h"
#include "input/vocab.h"

enum { MAX_WORD = 100 };

/* Where ids go: all are counted, the first `room` are kept. */
typedef struct sink {
    int32_t *ids;
    size_t room, n;
    int once;            /* no need to count further than one too many */
} sink;

/* A word that is being read.  Its accents are put in order as they come: a run of characters of a
 * combining class other than 0 has no end of a word in it, so what is sorted is in `c`, and a word
 * that does not fit is [UNK] whatever the order. */
typedef struct word {
    const oct_wordpiece *w;
    sink *to;
    int32_t c[MAX_WORD]; /* decomposed and in lower case */
    uint8_t class[MAX_WORD];
    int n;               /* MAX_WORD + 1: too long */
    int run;             /* no character moves before it: an accent of class 0 stood there */
} word;

static void put_id(sink *to, int32_t id)
{
    if (to->n < to->room) to->ids[to->n] = id;
    to->n++;
}

static int is_full(const sink *to) { return to->once && to->n > to->room; }

/* The pieces of a word, or [UNK]. */
static void put_pieces(const oct_wordpiece *w, const char *s, size_t size, sink *to)
{
    const size_t before = to->n;
    const oct_pieces *list = &w->word;
    for (size_t at = 0; at < size; list = &w->rest) {
        const oct_piece *p = oct_pieces_match(list, s + at, size - at);
        if (!p) {
            to->n = before;
            put_id(to, w->unk);
            return;
        }
        put_id(to, p->id);
        at += p->size;
    }
}

static void end_word(word *d)
{
    char s[4 * MAX_WORD];
    size_t size = 0;
    if (d->n > MAX_WORD) put_id(d->to, d->w->unk);
    for (int i = 0; i < d->n && d->n <= MAX_WORD; i++) {
        if (d->c[i] < 0x80) s[size++] = (char)d->c[i];
        else size += (size_t)utf8proc_encode_char(d->c[i], (utf8proc_uint8_t *)s + size);
    }
    put_pieces(d->w, s, size, d->to);
    d->n = d->run = 0;
}

/* c, of this combining class, before all of its run that are greater. */
static void add(word *d, int32_t c, int class)
{
    if (d->n >= MAX_WORD) {
        d->n = MAX_WORD + 1;
        return;
    }
    int i = d->n++;
    for (; class && i > d->run && d->class[i - 1] > class; i--) {
        d->c[i] = d->c[i - 1];
        d->class[i] = d->class[i - 1];
    }
    d->c[i] = c;
    d->class[i] = (uint8_t)class;
}

/* A character of the normalized text, but for its place in a run. */
static void take(word *d, int32_t c, int class)
{
    switch (oct_bert_class_of(c)) {
    case OCT_BERT_SPACE:
        end_word(d);
        break;
    case OCT_BERT_PUNCT:
        end_word(d);
        add(d, c, 0);
        end_word(d);
        break;
    default:
        add(d, c, class);
    }
}

static void take_lower(word *d, int32_t c, int class)
{
    take(d, d->w->lowercase ? oct_bert_lower(c) : c, class);
    if (c == 0x130 && d->w->lowercase) take(d, 0x307, 0);
}

/* Accents go, but a run goes on behind one of a class other than 0. */
static void take_decomposed(word *d, int32_t c)
{
    int32_t part[OCT_BERT_NFD];
    const int n = oct_bert_decompose(c, part);
    for (int i = 0; i < n; i++) {
        const int class = oct_bert_combining(part[i]);
        if (oct_bert_class_of(part[i]) != OCT_BERT_MARK) take_lower(d, part[i], class);
        else if (class == 0) d->run = d->n;
    }
}

/* A character of the text. */
static void take_any(word *d, int32_t c)
{
    const oct_wordpiece *w = d->w;
    const oct_bert_class is = oct_bert_class_of(c);
    if (is == OCT_BERT_DROP) return;
    const int apart = is == OCT_BERT_CJK && w->cjk;
    if (is == OCT_BERT_SPACE || apart) end_word(d);
    if (is == OCT_BERT_SPACE) return;
    if (w->strip_accents) take_decomposed(d, c);
    else take_lower(d, c, 0);
    if (apart) end_word(d);
}

static void take_ascii(word *d, char c)
{
    const int upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
    if (upper || lower || (c >= '0' && c <= '9')) {
        add(d, upper && d->w->lowercase ? c - 'A' + 'a' : c, 0);
    } else if (c >= ' ' && c < 0x7f) {
        end_word(d);
        if (c == ' ') return;
        add(d, c, 0);
        end_word(d);
    } else if (c == '\t' || c == '\n' || c == '\r') {
        end_word(d);
    } /* else it is dropped */
}

/* Text in which no special token is. */
static void put_plain(const oct_wordpiece *w, const char *s, size_t size, sink *to)
{
    word d = { .w = w, .to = to, .n = 0, .run = 0 };
    const char *end = s + size;
    while (s < end && !is_full(to)) {
        int32_t c = *s;
        if ((uint8_t)c < 0x80) {
            take_ascii(&d, *s++);
            continue;
        }
        const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)s, end - s, &c);
        if (step > 0) take_any(&d, c); /* else it would be U+FFFD, which is dropped */
        s += step > 0 ? step : 1;
    }
    if (!is_full(to)) end_word(&d);
}

static void put_text(const oct_wordpiece *w, const char *s, size_t size, sink *to)
{
    const int *first = w->special.first;
    size_t from = 0, at = 0;
    while (at < size && !is_full(to)) {
        const uint8_t c = (uint8_t)s[at];
        const oct_piece *p = NULL;
        if (first[c] < first[c + 1]) p = oct_pieces_match(&w->special, s + at, size - at);
        if (!p) {
            at++;
            continue;
        }
        put_plain(w, s + from, at - from, to);
        if (!is_full(to)) put_id(to, p->id);
        from = at += p->size;
    }
    put_plain(w, s + from, size - from, to);
}

/* longest_first: what is left of a text of n tokens and one of m, in room for both. */
static void share(size_t room, size_t *n, size_t *m)
{
    size_t *shorter = *n > *m ? m : n, *longer = *n > *m ? n : m;
    if (*n + *m <= room) return;
    if (*shorter > room / 2) *shorter = room / 2;
    *longer = room - *shorter;
}

/* [CLS] text [SEP] pair [SEP] without the special tokens, but where they belong. */
static void put_pair(const oct_wordpiece *w, const oct_wordpiece_text *text, size_t room,
                     int32_t *ids, size_t *n, size_t *m, int *truncated)
{
    sink a = { .ids = ids + 1, .room = room };
    put_text(w, text->text, text->size, &a);
    const size_t kept = a.n < room ? a.n : room;
    sink b = { .ids = ids + 2 + kept, .room = room - kept };
    put_text(w, text->pair, text->pair_size, &b);
    *n = a.n;
    *m = b.n;
    share(room, n, m);
    *truncated = *n + *m < a.n + b.n;
    if (*n == kept) return;
    b = (sink) { .ids = ids + 2 + *n, .room = *m, .once = 1 }; /* further to the left */
    put_text(w, text->pair, text->pair_size, &b);
}

oct_status oct_wordpiece_encode(const oct_wordpiece *w, const oct_wordpiece_text *text,
                                int max_length, int32_t *ids, int32_t *types, int *n,
                                int *truncated)
{
    const int paired = text->pair && text->pair_size, special = paired ? 3 : 2;
    if (max_length < special)
        return oct_fail(OCT_ERR_SHAPE, "at most %d tokens, of which %d are special", max_length,
                        special);
    const size_t room = (size_t)(max_length - special);
    size_t first, second = 0;
    int cut;
    if (paired) {
        put_pair(w, text, room, ids, &first, &second, &cut);
    } else {
        sink a = { .ids = ids + 1, .room = room, .once = 1 };
        put_text(w, text->text, text->size, &a);
        cut = a.n > room;
        first = cut ? room : a.n;
    }
    *n = (int)(first + second) + special;
    ids[0] = w->cls;
    ids[1 + first] = ids[*n - 1] = w->sep;
    for (int i = 0; types && i < *n; i++) types[i] = (size_t)i >= 2 + first;
    if (truncated) *truncated = cut;
    return OCT_OK;
}
