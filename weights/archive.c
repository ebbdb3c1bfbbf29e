/* A zip archive of hostile origin, through libzip: what it would believe is checked first. */
#include "weights/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

enum {
    MAX_ENTRIES = 65535,     /* each costs libzip about 200 bytes before we can ask anything */
    MAX_RATIO = 1032         /* deflate's best: 258 bytes from 2 bits */
};

static oct_status zip_failed(const oct_weights *w, zip_error_t *error)
{
    struct stat st;
    /* libzip calls some failed allocations "Not a zip archive"; callers clear errno first */
    if (errno == ENOMEM || zip_error_code_zip(error) == ZIP_ER_MEMORY)
        return oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (fstat(w->fd, &st) == 0 && (uint64_t)st.st_size < w->size)
        return oct_fail(OCT_ERR_IO, "the file was cut short while it was read: %lld of %" PRIu64
                        " bytes", (long long)st.st_size, w->size);
    return oct_fail(OCT_ERR_FORMAT, "zip archive: %s", zip_error_strerror(error));
}

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t u = 0;
    for (int i = bytes - 1; i >= 0; i--) u = u << 8 | p[i];
    return u;
}

/* Number of entries that the end record at tail[i] claims; of a zip64 archive, what the record
 * claims to which the 20 bytes before it point. */
static oct_status count_entries(const oct_weights *w, const unsigned char *tail, size_t i,
                                uint64_t *count)
{
    *count = little(tail + i + 10, 2);
    if (i < 20 || memcmp(tail + i - 20, "PK\6\7", 4) != 0) return OCT_OK;
    const uint64_t at = little(tail + i - 20 + 8, 8);
    unsigned char record[56];
    if (w->size < sizeof record || at > w->size - sizeof record) return OCT_OK;
    OCT_TRY(oct_file_read(w->fd, at, record, sizeof record));
    *count = little(record + 32, 8);
    return OCT_OK;
}

/* Before libzip makes a list of them.  Every record it might take is looked at. */
static oct_status check_entries(const oct_weights *w)
{
    enum { RECORD = 22, COMMENT = 65535 };
    const size_t n = w->size < RECORD + COMMENT + 20 ? (size_t)w->size : RECORD + COMMENT + 20;
    unsigned char *tail = malloc(n);
    if (!tail) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    oct_status status = oct_file_read(w->fd, w->size - n, tail, n);
    for (size_t i = 0; i + RECORD <= n && status == OCT_OK; i++) {
        uint64_t count;
        if (memcmp(tail + i, "PK\5\6", 4) != 0) continue;
        status = count_entries(w, tail, i, &count);
        if (status == OCT_OK && count > MAX_ENTRIES)
            status = oct_fail(OCT_ERR_UNSUPPORTED, "zip archive of %" PRIu64 " entries, at most %d",
                              count, MAX_ENTRIES);
    }
    free(tail);
    return status;
}

oct_status oct_archive_open(oct_weights *w)
{
    OCT_TRY(check_entries(w));
    const int fd = dup(w->fd);
    if (fd < 0) return oct_fail(OCT_ERR_IO, "%s", strerror(errno));
    int code;
    errno = 0;
    w->zip = zip_fdopen(fd, ZIP_CHECKCONS, &code); /* takes fd if it succeeds */
    if (w->zip) return OCT_OK;
    close(fd);
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const oct_status status = zip_failed(w, &error);
    zip_error_fini(&error);
    return status;
}

void oct_archive_close(oct_weights *w)
{
    if (w->zip) zip_discard(w->zip);
    w->zip = NULL;
}

/* The entry with this number; its sizes are held against the file. */
static oct_status stat_entry(const oct_weights *w, uint64_t i, oct_store *s)
{
    zip_stat_t st;
    errno = 0;
    if (zip_stat_index(w->zip, i, 0, &st) < 0) return zip_failed(w, zip_get_error(w->zip));
    if (st.encryption_method != ZIP_EM_NONE)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: encrypted", st.name);
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: compression method %d", st.name,
                        st.comp_method);
    const bool deflated = st.comp_method == ZIP_CM_DEFLATE;
    if (st.comp_size > w->size ||
        (deflated ? st.size / MAX_RATIO > st.comp_size : st.size != st.comp_size))
        return oct_fail(OCT_ERR_FORMAT, "%.80s: %" PRIu64 " bytes made of %" PRIu64
                        " in a file of %" PRIu64, st.name, (uint64_t)st.size,
                        (uint64_t)st.comp_size, w->size);
    /* torch.serialization.set_crc32_options(False) leaves the checksums 0 */
    *s = (oct_store){ .at = i, .size = st.size, .entry = true, .deflated = deflated,
                      .checked = st.crc != 0 };
    return OCT_OK;
}

oct_status oct_archive_find(const oct_weights *w, const char *name, oct_store *s, bool *found)
{
    const zip_int64_t i = zip_name_locate(w->zip, name, ZIP_FL_ENC_RAW);
    *found = i >= 0;
    return *found ? stat_entry(w, (uint64_t)i, s) : OCT_OK;
}

uint64_t oct_archive_count(const oct_weights *w)
{
    return (uint64_t)zip_get_num_entries(w->zip, 0);
}

const char *oct_archive_name(const oct_weights *w, uint64_t i)
{
    const char *name = zip_get_name(w->zip, i, ZIP_FL_ENC_RAW);
    return name ? name : "";
}

struct oct_entry {
    const oct_weights *w;
    oct_store store;
    uint64_t at;             /* bytes read */
    zip_file_t *file;
};

oct_status oct_entry_open(oct_weights *w, const oct_store *s, oct_entry **out)
{
    oct_entry *e = calloc(1, sizeof *e);
    if (!e) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    *e = (oct_entry){ .w = w, .store = *s };
    errno = 0;
    e->file = zip_fopen_index(w->zip, s->at, 0);
    if (!e->file) {
        const oct_status status = zip_failed(w, zip_get_error(w->zip));
        free(e);
        return status;
    }
    *out = e;
    return OCT_OK;
}

void oct_entry_close(oct_entry *e)
{
    zip_fclose(e->file);
    free(e);
}

static oct_status entry_failed(oct_entry *e)
{
    zip_error_t *error = zip_file_get_error(e->file);
    if (zip_error_code_zip(error) != ZIP_ER_OK) return zip_failed(e->w, error);
    return oct_fail(OCT_ERR_FORMAT, "%.80s: its data do not make %" PRIu64 " bytes",
                    oct_archive_name(e->w, e->store.at), e->store.size);
}

oct_status oct_entry_skip(oct_entry *e, uint64_t size)
{
    char drop[4096];
    if (!e->store.deflated) {
        e->at += size;
        return zip_fseek(e->file, (zip_int64_t)e->at, SEEK_SET) == 0 ? OCT_OK : entry_failed(e);
    }
    for (size_t n; size; size -= n) {
        n = size < sizeof drop ? (size_t)size : sizeof drop;
        OCT_TRY(oct_entry_read(e, drop, n));
    }
    return OCT_OK;
}

oct_status oct_entry_read(oct_entry *e, void *to, size_t size)
{
    char *p = to;
    errno = 0;
    for (size_t left = size; left;) {
        const zip_int64_t n = zip_fread(e->file, p, left);
        if (n <= 0) return entry_failed(e);
        p += n;
        left -= (size_t)n;
    }
    e->at += size;
    if (!e->store.checked || e->at != e->store.size) return OCT_OK;
    char more; /* libzip compares the checksum when it is asked for more than there is */
    return zip_fread(e->file, &more, 1) == 0 ? OCT_OK : entry_failed(e);
}

oct_status oct_archive_bytes(oct_weights *w, const oct_store *s, uint64_t from, void *to,
                             size_t size)
{
    oct_entry *e;
    OCT_TRY(oct_entry_open(w, s, &e));
    oct_status status = from ? oct_entry_skip(e, from) : OCT_OK;
    if (status == OCT_OK) status = oct_entry_read(e, to, size);
    oct_entry_close(e);
    return status;
}
