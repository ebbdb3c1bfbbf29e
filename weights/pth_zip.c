/* PyTorch since 1.6, and TorchScript: a zip archive whose entries are
 *
 *   NAME/data.pkl         the pickle
 *   NAME/data/KEY         the bytes of one storage
 *   NAME/byteorder        "little" or "big"; absent: little
 *   NAME/version          of the format
 *   NAME/constants.pkl    only TorchScript has it; with NAME/code/ never read */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/archive.h"
#include "weights/pth.h"

enum { MAX_VERSION = 10, MAX_NAME = 256 };

/* PREFIX/NAME; found is false if there is none. */
static oct_status find_record(const oct_weights *w, const char *name, oct_store *s, bool *found)
{
    char path[2 * MAX_NAME + 2];
    snprintf(path, sizeof path, "%s/%s", w->prefix, name);
    return oct_archive_find(w, path, s, found);
}

/* The folder that everything is in: the one with a data.pkl. */
static oct_status find_prefix(oct_weights *w)
{
    int found = 0;
    const uint64_t n = oct_archive_count(w);
    for (uint64_t i = 0; i < n; i++) {
        const char *name = oct_archive_name(w, i), *slash = strchr(name, '/');
        if (!slash || strcmp(slash, "/data.pkl") != 0 || slash - name >= MAX_NAME) continue;
        w->prefix = oct_slab_string(&w->slab, name, (size_t)(slash - name));
        if (!w->prefix) return oct_slab_error(&w->slab);
        found++;
    }
    if (found == 1) return OCT_OK;
    return oct_fail(OCT_ERR_FORMAT, "a zip archive with %d data.pkl in it, expected 1: not a "
                    "PyTorch file", found);
}

oct_status oct_pth_zip_store(oct_weights *w, const oct_pickle_storage *s, const oct_store **out)
{
    const char *key = s->key->text;
    char name[MAX_NAME];
    bool found = false;
    uint64_t size;
    if (s->key->n != strlen(key) || s->key->n > MAX_NAME - 8)
        return oct_fail(OCT_ERR_FORMAT, "the key of a storage has %u bytes", s->key->n);
    snprintf(name, sizeof name, "data/%s", key);
    oct_store *store = oct_slab_alloc(&w->slab, sizeof *store);
    if (!store) return oct_slab_error(&w->slab);
    OCT_TRY(find_record(w, name, store, &found));
    if (!found) return oct_fail(OCT_ERR_FORMAT, "%.80s: not in the archive", name);
    if (__builtin_mul_overflow(s->numel, (uint64_t)oct_dtype_size(s->dtype), &size) ||
        size != store->size)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: %" PRIu64 " bytes, expected %" PRIu64
                        " elements of %s", name, store->size, s->numel, oct_dtype_name(s->dtype));
    *out = store;
    return OCT_OK;
}

/* A record of a few bytes of text. */
static oct_status read_record(oct_weights *w, const char *name, char text[16])
{
    oct_store s;
    bool found;
    text[0] = '\0';
    OCT_TRY(find_record(w, name, &s, &found));
    if (!found) return OCT_OK;
    if (s.size > 15)
        return oct_fail(OCT_ERR_FORMAT, "%s: %" PRIu64 " bytes, at most 15", name, s.size);
    OCT_TRY(oct_archive_bytes(w, &s, 0, text, (size_t)s.size));
    text[s.size] = '\0';
    return OCT_OK;
}

static oct_status check_records(oct_weights *w)
{
    char text[16];
    OCT_TRY(read_record(w, "byteorder", text));
    if (*text && strcmp(text, "little") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "byteorder is '%s', expected 'little'", text);
    OCT_TRY(read_record(w, "version", text));
    const long version = strtol(text, NULL, 10);
    if (version > MAX_VERSION)
        return oct_fail(OCT_ERR_UNSUPPORTED, "version %ld of PyTorch's format, at most %d",
                        version, MAX_VERSION);
    return OCT_OK;
}

static oct_status read_pickle(void *arg, uint64_t at, void *to, size_t size)
{
    (void)at; /* the pickle machine asks in order */
    return oct_entry_read(arg, to, size);
}

static oct_status run_pickle(oct_weights *w, oct_pickle *p, oct_pickle_value **root)
{
    oct_store s, constants;
    bool found;
    oct_entry *entry;
    OCT_TRY(find_record(w, "constants.pkl", &constants, &found));
    p->modules = found;
    if (found) w->format = "torchscript";
    OCT_TRY(find_record(w, "data.pkl", &s, &found));
    OCT_TRY(oct_entry_open(w, &s, &entry));
    oct_pickle_input in = { .read = read_pickle, .arg = entry, .end = s.size };
    const oct_status status = oct_pickle_run(p, &in, root);
    oct_entry_close(entry);
    return status;
}

oct_status oct_pth_read_zip(oct_weights *w)
{
    OCT_TRY(oct_archive_open(w));
    OCT_TRY(find_prefix(w));
    OCT_TRY(check_records(w));
    oct_slab slab;
    oct_pth_budget(w, &slab);
    oct_pickle p = { .slab = &slab };
    oct_pickle_value *root;
    oct_status status = run_pickle(w, &p, &root);
    if (status == OCT_OK) status = oct_pth_take(w, root);
    oct_slab_free(&slab);
    return status;
}
