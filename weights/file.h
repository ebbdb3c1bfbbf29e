#ifndef OCT_WEIGHTS_FILE_H
#define OCT_WEIGHTS_FILE_H

#include <stdbool.h>

#include "weights/slab.h"
#include "weights/weights.h"

/* Inside this room: what the readers of the formats fill in and weights.c hands out. */

/* A run of bytes: part of the file, or an entry of a zip archive. */
typedef struct oct_store {
    uint64_t at;          /* where it begins in the file; of an entry: its number */
    uint64_t size;        /* bytes, uncompressed */
    bool entry;           /* of the zip archive */
    bool deflated;
    bool checked;         /* the archive has a CRC of it */
} oct_store;

/* Where the scales of a quantized tensor are, and its zero points, which have to be 0. */
typedef struct oct_scales {
    const struct oct_weights_item *of;           /* the tensor */
    const struct oct_weights_item *scale, *zero; /* F64 and I64 in the file; or NULL, then: */
    const double *value;
    int64_t zero_value;                          /* the first that is not 0 */
    bool one;                                    /* value[0] is the scale of all */
} oct_scales;

typedef struct oct_weights_item {
    oct_weights_entry entry;
    const oct_scales *scales;       /* it is NAME.scale and made of these; no store */
    const oct_store *store;
    uint64_t offset;                /* of the first element in the store, bytes */
    uint64_t span;                  /* bytes from the first element to the end of the last one */
    bool dense;                     /* row-major: span is entry.size */
    int64_t stride[OCT_MAX_RANK];   /* elements, >= 0 */
    struct oct_weights_item *mask;  /* the tensor is this one times mask, */
    const char *product;            /* and that is its name */
    bool hidden;                    /* it is such a mask, or compressed values */
    const struct oct_weights_item *index, *values; /* it is made of these, blocks.c's form */
    int form;                                      /* says how; no store */
    struct oct_weights_item *whole; /* it is the index of this one */
    struct oct_weights_item *next;  /* while they are collected */
} oct_weights_item;

/* Memory handed out: anonymous pages, at least 64 readable bytes behind the tensor. */
typedef struct oct_region {
    void *data;
    size_t size;
    struct oct_region *next;
} oct_region;

struct oct_weights {
    int fd;
    uint64_t size;                 /* of the file when it was opened */
    uint64_t total;                /* of all files of the model */
    const char *config;            /* config.json beside it, in slab; or NULL */
    const char *format;
    oct_slab slab;                 /* names, items, stores, metadata */
    oct_weights_item *first;       /* newest first, while they are collected */
    oct_weights_item **item;       /* sorted by name, masks left out */
    int n_items;
    oct_save_meta *meta;           /* sorted by key */
    int n_meta;
    struct zip *zip;
    const char *prefix;            /* of the archive's entries: "archive" of archive/data.pkl */
    oct_region *regions;           /* newest first */
    void *map;                     /* the whole file, or NULL */
};

/* The file behind path, which may be a folder: w->fd is a regular file, open for reading; size,
 * total and config are set. */
oct_status oct_file_open(const char *path, oct_weights *w);
/* All size bytes at `at`, or ERR_IO. */
oct_status oct_file_read(int fd, uint64_t at, void *to, size_t size);

/* names.c.  Adds a tensor: its dims and strides (NULL: row-major) against the bytes of its store.
 * name need not be terminated; it is copied. */
typedef struct oct_weights_claim {
    const char *name;
    size_t name_size;
    oct_dtype dtype;
    int rank;
    const int64_t *dim, *stride;
    const oct_store *store;
    uint64_t offset;               /* bytes */
    const uint64_t *size;          /* the bytes the file gives it; NULL: it does not say */
} oct_weights_claim;
oct_status oct_names_add(oct_weights *w, const oct_weights_claim *c);
/* The same in two steps: *out belongs to no list yet. */
oct_status oct_names_item(oct_weights *w, const oct_weights_claim *c, oct_weights_item **out);
void oct_names_link(oct_weights *w, oct_weights_item *it);
/* Takes prefixes off, pairs masks, sorts, refuses duplicates. */
oct_status oct_names_finish(oct_weights *w);

/* The readers: fill w from its file.  w->fd, size and slab are ready. */
oct_status oct_safetensors_read(oct_weights *w);
oct_status oct_pth_read_zip(oct_weights *w);
oct_status oct_pth_read_legacy(oct_weights *w);

/* archive.c: bytes [from, from + size) of an entry of w->zip. */
oct_status oct_archive_bytes(oct_weights *w, const oct_store *s, uint64_t from, void *to,
                             size_t size);
void oct_archive_close(oct_weights *w);

/* scales.c: NAME.scale, F32 [first dimension of NAME]. */
oct_status oct_scales_load(oct_weights *w, const oct_weights_item *it, void **data);

/* data.c: pages of their own for size bytes and OCT_TAIL more; a tensor in such, row-major, its
 * mask applied. */
oct_status oct_data_new(oct_weights *w, size_t size, void **data);
oct_status oct_data_load(oct_weights *w, const oct_weights_item *it, void **data);
void oct_data_free(oct_weights *w, const void *data);
void oct_data_free_all(oct_weights *w);

/* blocks.c: NAME.index, .index.4x1, .index.2:4 and NAME.values become NAME; NAME's data. */
oct_status oct_blocks_pair(oct_weights *w);
oct_status oct_blocks_load(oct_weights *w, const oct_weights_item *it, void **data);

/* map.c */
void oct_map_free(oct_weights *w);
/* weights.c; NULL: none */
const oct_weights_item *oct_weights_item_find(const oct_weights *w, const char *name);

#endif
