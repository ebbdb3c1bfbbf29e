#ifndef OCT_INPUT_SOURCE_H
#define OCT_INPUT_SOURCE_H

#include <pthread.h>

#include "input/input.h"

/* What the readers fill in.  Private to input/.
 *
 * A source is a list of files, each an image, or a file of records of one size, or one image in
 * memory (standard input), or a list of texts.  Nothing but *names changes once it is open. */
typedef enum oct_layout_kind {
    OCT_IN_FILES,      /* path[i] is an image */
    OCT_IN_MEMORY,     /* bytes[0..size) is the one image, still coded */
    OCT_IN_PLANES,     /* records of bytes [c][h][w] */
    OCT_IN_PIXELS,     /* records of bytes [h][w][c] */
    OCT_IN_FLOATS,     /* records of FP32 [c][h][w], fed as they are */
    OCT_IN_TEXTS       /* text[i], in bytes */
} oct_layout_kind;

struct oct_source {
    oct_source_kind kind;
    oct_layout_kind layout;
    int n;
    int classes;             /* 0: not labelled */
    oct_arena arena;         /* strings and lists */
    char *room;              /* the rest of the last chunk of strings */
    size_t room_size;
    const char *path;        /* as the user wrote it, less "#7" */

    const char **file;       /* [n] FILES: as shown to the user */
    const char *folder;      /* what relative ones are relative to, ends with '/'; NULL: nothing */
    const char **text;       /* [n] TEXTS */
    int *label;              /* [n] FILES, TEXTS; or NULL */
    const char **class_name; /* [classes] or NULL */

    int c, h, w;             /* of a record */
    int fd;                  /* of the record file; -1: bytes */
    uint64_t offset, stride; /* record i's pixels are at offset + i * stride */
    int first;               /* number in the file of record 0: 7 for FILE#7 */
    uint8_t *label8;         /* [n] or NULL */
    uint8_t *bytes;          /* malloc'd: records inflated, or the one image */
    size_t size;

    struct oct_source_names *names;
};

/* Names of records, each made when it is first asked for. */
typedef struct oct_source_names {
    pthread_mutex_t lock;
    char **name;             /* [n] */
} oct_source_names;

/* Room for a string, in the arena; an arena's own blocks are too big for a million of them. */
char *oct_source_room(oct_source *s, size_t size);

/* Bytes of a record's pixels. */
size_t oct_source_record_size(const oct_source *s);

/* The readers fill a source that has only path, kind and fd = -1.  `only`: the one record to
 * keep, -1 all.  On failure oct_source_close cleans up. */
OCT_MUST_CHECK oct_status oct_read_folder(oct_source *s);
OCT_MUST_CHECK oct_status oct_read_idx(oct_source *s, int only);
OCT_MUST_CHECK oct_status oct_read_cifar(oct_source *s, int only);
OCT_MUST_CHECK oct_status oct_read_tsv(oct_source *s);
OCT_MUST_CHECK oct_status oct_read_texts(oct_source *s);
OCT_MUST_CHECK oct_status oct_read_npy(oct_source *s, int only);

/* A file name that torchvision's ImageFolder would take and that we can read. */
int oct_is_image_name(const char *name);

/* Keeps record `only` of the *n in the file, or all: sets s->first, n; offset moves to it. */
OCT_MUST_CHECK oct_status oct_source_select(oct_source *s, uint64_t count, int only);

/* s->label8 was filled: how many classes that makes. */
void oct_source_count_classes(oct_source *s);

#endif
