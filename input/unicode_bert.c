#include "input/unicode_bert.h"

#include <stddef.h>

#include <utf8proc.h>

typedef struct range { int32_t first, last; } range;
typedef struct class_range { range of; oct_bert_class is; } class_range;
typedef struct lower_range { range of; int32_t step, add; } lower_range;

#include "input/unicode_bert_table.h"

/* The row of c in a sorted table of rows that begin with a range; or NULL. */
#define FIND(table, c) find(table, sizeof(table) / sizeof *(table), sizeof *(table), c)
static const void *find(const void *table, size_t n, size_t size, int32_t c)
{
    const char *low = table;
    while (n) {
        const char *middle = low + n / 2 * size;
        const range *row = (const void *)middle;
        if (c < row->first) {
            n /= 2;
        } else if (c > row->last) {
            low = middle + size;
            n -= n / 2 + 1;
        } else {
            return row;
        }
    }
    return NULL;
}

oct_bert_class oct_bert_class_of(int32_t c)
{
    const class_range *row = FIND(classes, c);
    return row ? row->is : OCT_BERT_PLAIN;
}

int32_t oct_bert_lower(int32_t c)
{
    if (c == 0x130) return 'i';
    const lower_range *row = FIND(lowers, c);
    return row && (c - row->of.first) % row->step == 0 ? c + row->add : c;
}

int oct_bert_decompose(int32_t c, int32_t out[OCT_BERT_NFD])
{
    out[0] = c;
    if (!FIND(nfds, c)) return 1;
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(c, out, OCT_BERT_NFD, UTF8PROC_DECOMPOSE,
                                                       &boundary);
    if (n >= 1 && n <= OCT_BERT_NFD) return (int)n;
    out[0] = c;
    return 1;
}

int oct_bert_combining(int32_t c)
{
    return FIND(nfds, c) ? (int)utf8proc_get_property(c)->combining_class : 0;
}
