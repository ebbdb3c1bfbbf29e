#ifndef OCT_INPUT_INPUT_H
#define OCT_INPUT_INPUT_H

#include "input/recipe.h"
#include "tensor/tensor.h"

/* A decoded image: 8 bits, interleaved, tightly packed rows. */
typedef struct oct_image {
    int width, height, channels;  /* 1 or 3 */
    uint8_t *data;                /* malloc'd; the holder frees it */
} oct_image;
void oct_image_free(oct_image *image);

/* Decodes JPEG, PNG, BMP or PPM/PGM, told apart by content, as Pillow's convert("L"/"RGB") does;
 * channels is 1 or 3.  At most 178956970 pixels, Pillow's limit. */
OCT_MUST_CHECK oct_status oct_image_decode(const void *bytes, size_t size, int channels,
                                           oct_image *out);
/* Pillow's Image.resize, byte for byte (antialiased, as its resample filters are). */
OCT_MUST_CHECK oct_status oct_image_resize(const oct_image *in, int width, int height,
                                           oct_filter filter, oct_image *out);
/* torchvision's Resize(short side) size rule. */
void oct_resize_shape(const oct_recipe *r, int width, int height, int *out_width, int *out_height);

/* The whole recipe on one decoded image: out is FP32 [c, height, width].  resize_to_fit: images
 * from files with a recipe that has no resize are resized to exactly width x height (a model with
 * a fixed small input); records of idx and .bin must have that size. */
OCT_MUST_CHECK oct_status oct_recipe_apply(const oct_recipe *r, const oct_image *image,
                                           int resize_to_fit, int width, int height, float *out);

/* A source of samples: DATA or INPUT of SPEC.md section 1.
 *   image file, folder or list of images, ImageFolder, "-" (one image on standard input), idx
 *   pair (plain or .gz), CIFAR .bin, FILE#7 (one record), TSV of path<TAB>label, .npy (float32
 *   [n,c,h,w] fed as it is; uint8 [n,h,w,c] through the recipe)
 * Sorted as torchvision sorts.  Opening reads headers, lists and labels, never images. */
typedef struct oct_source oct_source;

typedef enum oct_source_kind {
    OCT_SOURCE_IMAGES, OCT_SOURCE_IMAGEFOLDER, OCT_SOURCE_IDX, OCT_SOURCE_CIFAR,
    OCT_SOURCE_TSV, OCT_SOURCE_NPY, OCT_SOURCE_TEXTS
} oct_source_kind;

OCT_MUST_CHECK oct_status oct_source_open(const char *path, oct_source **out);
/* Image files, one sample each, in this order; nothing is opened or checked before it is read.  The
 * paths must outlive the source. */
OCT_MUST_CHECK oct_status oct_source_open_images(const char *const *paths, int n, oct_source **out);
/* Texts, for a text model: a line each of a file or, "-", of standard input, text<TAB>label (the
 * last tab counts; a header line or not) or only the text.  Empty lines are left out. */
OCT_MUST_CHECK oct_status oct_source_open_texts(const char *path, oct_source **out);
void oct_source_close(oct_source *s); /* NULL is fine */
oct_source_kind oct_source_type(const oct_source *s);
int oct_source_count(const oct_source *s);
const char *oct_source_name(const oct_source *s, int i);  /* as shown to the user: path, FILE#7 */
int oct_source_label(const oct_source *s, int i);         /* -1: not labelled */
int oct_source_classes(const oct_source *s);      /* 0: not labelled; else 1 + the largest */
const char *oct_source_text(const oct_source *s, int i); /* s's; NULL: not a source of texts */
const char *oct_source_class_name(const oct_source *s, int label); /* ImageFolder's; else NULL */

/* Shape one sample has after the recipe: known before decoding for idx, .bin, .npy and when the
 * recipe says (crop, exact resize); else *height = *width = 0: the model's own input decides. */
void oct_source_shape(const oct_source *s, const oct_recipe *r, int *c, int *height, int *width);

/* Sample i as FP32 [c, height, width] into out, c being oct_source_shape's.  Thread-safe: any
 * number of threads, one source.  Messages do not repeat oct_source_name. */
OCT_MUST_CHECK oct_status oct_source_read(const oct_source *s, int i, const oct_recipe *r,
                                          int height, int width, float *out);

/* loader: threads of its own decode ahead of the run and deliver in order. */
typedef struct oct_loader oct_loader;
typedef struct oct_loader_options {
    const oct_source *source;
    const oct_recipe *recipe;
    int channels, height, width; /* of one sample */
    int batch;                   /* samples of one oct_loader_next */
    int threads;                 /* decoding; 0: the CPUs we may use */
    const int *order;            /* sample numbers to deliver; NULL: 0, 1, ... */
    int n;                       /* entries of order; 0: all */
} oct_loader_options;

/* One sample's outcome: a bad one does not end the others. */
typedef struct oct_loaded {
    int index;                   /* in the source */
    oct_status status;
    const char *error;           /* NULL if status is OCT_OK */
} oct_loaded;

typedef struct oct_batch {
    int n;                       /* samples, 0 at the end */
    const float *data;           /* [n, c, h, w]; a failed sample's part is zeros */
    const oct_loaded *item;      /* [n] */
} oct_batch;

OCT_MUST_CHECK oct_status oct_loader_open(const oct_loader_options *options, oct_loader **out);
/* Valid until the next call; n = 0 after the last. */
void oct_loader_next(oct_loader *l, oct_batch *out);
void oct_loader_close(oct_loader *l); /* also before the end; NULL is fine */

#endif
