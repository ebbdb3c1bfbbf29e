#ifndef OCT_PROGRAMS_FEED_H
#define OCT_PROGRAMS_FEED_H

#include "input/input.h"
#include "programs/job.h"

/* The samples of one or many INPUT operands, in order, batch by batch.  A folder, a file of
 * records, image files that follow each other go through the loader, which decodes ahead of the
 * run; other single images share a batch and are decoded in parallel.  Operands are opened when
 * their turn comes, up to 64 image files, or a batch of them, ahead of it, so memory grows with the
 * batch only. */
typedef struct feed feed;

typedef struct feed_item {
    const char *name;         /* as shown to the user */
    int label;                /* -1: none */
    oct_status status;        /* a bad sample does not end the others */
    const char *error;        /* NULL if status is OCT_OK */
} feed_item;

typedef struct feed_batch {
    int n;                    /* 0 at the end */
    const float *data;        /* [n, c, h, w], a bad sample's part is zeros */
    const feed_item *item;    /* [n] */
} feed_batch;

/* first: paths[0] already open, or NULL; stays the caller's.  threads decode, 0: the default.
 * The job and the paths must outlive the feed. */
OCT_MUST_CHECK oct_status feed_open(const job *j, char *const *paths, int n_paths,
                                    oct_source *first, int threads, feed **out);
void feed_next(feed *f, feed_batch *out); /* valid until the next call */
void feed_close(feed *f);                 /* NULL is fine */

#endif
