#ifndef OCT_WEIGHTS_ARCHIVE_H
#define OCT_WEIGHTS_ARCHIVE_H

#include "weights/file.h"

/* The zip archive that w's file is.  Entries are stored or deflated, not encrypted, and their
 * claimed sizes possible; everything else is refused. */
oct_status oct_archive_open(oct_weights *w);
uint64_t oct_archive_count(const oct_weights *w);
const char *oct_archive_name(const oct_weights *w, uint64_t i); /* of entry i; the archive's */
oct_status oct_archive_find(const oct_weights *w, const char *name, oct_store *s, bool *found);

/* One entry's bytes, in order; the checksum is compared behind the last one. */
typedef struct oct_entry oct_entry;
oct_status oct_entry_open(oct_weights *w, const oct_store *s, oct_entry **out);
oct_status oct_entry_skip(oct_entry *e, uint64_t size);
oct_status oct_entry_read(oct_entry *e, void *to, size_t size);
void oct_entry_close(oct_entry *e);

#endif
