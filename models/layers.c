#include "models/layers.h"

#include <stdio.h>
#include <string.h>

static const char letters[OCT_LAYER_OPTIONS + 1] = "kspdg"; /* by oct_layer_option */
static const char blanks[] = " \t\r\n";
enum { MAX_WORD = 200, MAX_NUMBER = 65535 };

static oct_status refuse(const oct_layer *l, const char *why)
{
    return oct_fail(OCT_ERR_FORMAT, "layers: word %d '%.80s': %s", l->position, l->word, why);
}

/* Digits at *at; -1 and not moved if there are none or too many. */
static int number(const char **at)
{
    int value = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9' && value <= MAX_NUMBER; p++) value = 10 * value + (*p - '0');
    if (p == *at || value > MAX_NUMBER) return -1;
    *at = p;
    return value;
}

/* What is after the colon. */
static oct_status options(oct_layer *l, const char *at)
{
    if (!*at) return refuse(l, "nothing after the colon");
    for (int first = 1; *at; first = 0) {
        const int digit = *at >= '0' && *at <= '9';
        const char *letter = digit ? letters : memchr(letters + 1, *at, OCT_LAYER_OPTIONS - 1);
        if (!letter || (digit && !first))
            return refuse(l, "after the colon come a number, then s, p, d or g with a number");
        const int option = (int)(letter - letters);
        if (!digit) at++;
        const int value = number(&at);
        if (value < 0 || (value == 0 && option != OCT_LAYER_PAD))
            return refuse(l, "a number from 1 to 65535 is missing");
        if (l->option[option] >= 0) return refuse(l, "a letter stands twice");
        l->option[option] = value;
    }
    return OCT_OK;
}

static oct_status parse_word(const char *text, size_t length, oct_arena *arena, oct_layer *l)
{
    for (int i = 0; i < OCT_LAYER_OPTIONS; i++) l->option[i] = -1;
    if (length > MAX_WORD)
        return oct_fail(OCT_ERR_FORMAT, "layers: word %d has %zu bytes, at most %d", l->position,
                        length, MAX_WORD);
    char *word = oct_arena_zalloc(arena, length + 1), *name = oct_arena_zalloc(arena, length + 1);
    if (!word || !name) return oct_fail(OCT_ERR_MEMORY, "layers: out of memory");
    memcpy(word, text, length);
    l->word = word;
    l->name = name;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)word[i] < ' ' || word[i] == 0x7f)
            return refuse(l, "control bytes in a name");
    const char *colon = strchr(word, ':');
    const size_t size = colon ? (size_t)(colon - word) : length;
    if (!size) return refuse(l, "nothing before the colon");
    memcpy(name, word, size);
    return colon ? options(l, colon + 1) : OCT_OK;
}

oct_status oct_layers_parse(const char *line, oct_arena *arena, oct_layer **out, int *n)
{
    int count = 0;
    for (const char *at = line + strspn(line, blanks); *at && count <= OCT_LAYERS_MAX; count++) {
        at += strcspn(at, blanks);
        at += strspn(at, blanks);
    }
    if (!count) return oct_fail(OCT_ERR_FORMAT, "layers: no word in the line");
    if (count > OCT_LAYERS_MAX)
        return oct_fail(OCT_ERR_FORMAT, "layers: more than %d words", OCT_LAYERS_MAX);
    *out = oct_arena_zalloc(arena, (size_t)count * sizeof **out);
    if (!*out) return oct_fail(OCT_ERR_MEMORY, "layers: out of memory");
    *n = count;
    for (int i = 0; i < count; i++) {
        line += strspn(line, blanks);
        const size_t length = strcspn(line, blanks);
        (*out)[i].position = i + 1;
        OCT_TRY(parse_word(line, length, arena, &(*out)[i]));
        line += length;
    }
    return OCT_OK;
}

oct_status oct_layer_takes(const oct_layer *l, const char *takes)
{
    for (int i = 0; i < OCT_LAYER_OPTIONS; i++)
        if (l->option[i] >= 0 && !strchr(takes, letters[i])) {
            char why[80];
            if (i == OCT_LAYER_KERNEL) snprintf(why, sizeof why, "takes no kernel size");
            else snprintf(why, sizeof why, "takes no '%c'", letters[i]);
            return refuse(l, why);
        }
    return OCT_OK;
}
