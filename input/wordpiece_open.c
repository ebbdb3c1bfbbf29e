#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "input/file.h"
#include "input/vocab.h"

/* r's rules are w's from now on. */
static void set_rules(oct_wordpiece *w, const oct_recipe *r)
{
    w->lowercase = r->lowercase;
    w->strip_accents = r->strip_accents < 0 ? r->lowercase : r->strip_accents;
    w->cjk = r->tokenize_chinese_chars;
}

static oct_status make(oct_wordpiece **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "vocabulary: out of memory");
}

/* *out = w if status is OCT_OK; else w is closed. */
static oct_status made(oct_wordpiece *w, oct_status status, oct_wordpiece **out)
{
    *out = status == OCT_OK ? w : NULL;
    if (status != OCT_OK) oct_wordpiece_close(w);
    return status;
}

oct_status oct_wordpiece_open(const void *vocab, size_t size, const oct_recipe *r,
                              oct_wordpiece **out)
{
    oct_wordpiece *w;
    OCT_TRY(make(&w));
    set_rules(w, r);
    return made(w, oct_vocab_read(w, vocab, size), out);
}

/* A file of the folder; *bytes NULL if there is none. */
static oct_status read_file(const char *folder, const char *name, uint8_t **bytes, size_t *size)
{
    struct stat st;
    const size_t room = strlen(folder) + strlen(name) + 2;
    char *path = malloc(room);
    *bytes = NULL;
    if (!path) return oct_fail(OCT_ERR_MEMORY, "vocabulary: out of memory");
    snprintf(path, room, "%s/%s", folder, name);
    oct_status status = OCT_OK;
    if (stat(path, &st) == 0) status = oct_file_read_all(path, bytes, size);
    free(path);
    if (status == OCT_OK) return OCT_OK;
    char reason[256];
    snprintf(reason, sizeof reason, "%s", oct_last_error());
    return oct_fail(status, "%s: %s", name, reason);
}

static oct_status read_vocabulary(const char *path, oct_wordpiece *w, oct_recipe *r)
{
    uint8_t *bytes;
    size_t size;
    OCT_TRY(read_file(path, "tokenizer.json", &bytes, &size));
    const int json = bytes != NULL;
    if (!json) OCT_TRY(read_file(path, "vocab.txt", &bytes, &size));
    if (!bytes) return oct_fail(OCT_ERR_IO, "neither tokenizer.json nor vocab.txt in the folder");
    const oct_status status = json ? oct_vocab_read_json(w, (const char *)bytes, size, r)
                                   : oct_vocab_read(w, (const char *)bytes, size);
    free(bytes);
    return status;
}

static oct_status read_config(const char *path, const oct_wordpiece *w, oct_recipe *r)
{
    uint8_t *bytes;
    size_t size;
    OCT_TRY(read_file(path, "tokenizer_config.json", &bytes, &size));
    if (!bytes) return OCT_OK;
    const oct_status status = oct_tokenizer_config(w, (const char *)bytes, size, r);
    free(bytes);
    return status;
}

oct_status oct_wordpiece_open_folder(const char *path, oct_recipe *r, oct_wordpiece **out)
{
    oct_wordpiece *w;
    *out = NULL;
    *r = oct_recipe_default(1);
    r->max_length = OCT_RECIPE_MAX_LENGTH;
    OCT_TRY(make(&w));
    oct_status status = read_vocabulary(path, w, r);
    if (status == OCT_OK) status = read_config(path, w, r);
    set_rules(w, r);
    return made(w, status, out);
}

void oct_wordpiece_close(oct_wordpiece *w)
{
    if (!w) return;
    oct_arena_free(&w->arena);
    free(w);
}

int oct_wordpiece_count(const oct_wordpiece *w) { return w->n; }

const char *oct_wordpiece_vocab(const oct_wordpiece *w, size_t *size)
{
    *size = w->text_size;
    return w->plain ? w->text : NULL;
}
