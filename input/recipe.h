#ifndef OCT_INPUT_RECIPE_H
#define OCT_INPUT_RECIPE_H

#include "tensor/arena.h"
#include "tensor/status.h"

/* How a user's image becomes an input tensor: octet.input of the model file (SPEC.md section 3).
 * In order: decode, convert to channels, resize, centre crop, * scale, - mean, / std. */
typedef enum oct_filter {
    OCT_NEAREST, OCT_BOX, OCT_BILINEAR, OCT_BICUBIC, OCT_LANCZOS
} oct_filter;

typedef struct oct_recipe {
    int text;               /* type: 0 image, 1 text */
    int channels;           /* 1: "L";  3: "RGB";  3 and bgr: "BGR" */
    int bgr;
    int resize[2];          /* {0,0}: none;  {s,0}: short side;  {h,w}: exactly */
    int crop[2];            /* {0,0}: none;  {h,w} */
    oct_filter filter;
    int antialias;
    double scale;           /* 1/255: bytes to 0..1 */
    int n_mean, n_std;      /* 0: none;  1 or channels */
    double mean[4], std[4];
    /* text: how BERT's tokenizer works, input/wordpiece.h */
    int lowercase;
    int strip_accents;          /* -1: as lowercase */
    int tokenize_chinese_chars; /* an ideograph is a word */
    int max_length;             /* tokens, special ones included; longer texts are truncated */
} oct_recipe;

enum { OCT_RECIPE_MAX_LENGTH = 1 << 20 };

/* {"type":"image", ...}; absent keys get Pillow's and torchvision's defaults (no resize, bilinear,
 * antialias, scale 1/255).  {"type":"text", ...}: BERT's (lowercase, accents stripped with it,
 * ideographs apart, 512 tokens).  Unknown keys are refused by name, as are values out of range. */
oct_recipe oct_recipe_default(int text); /* 0: an image */
OCT_MUST_CHECK oct_status oct_recipe_parse(const char *json, oct_recipe *out);
/* Canonical JSON: sorted keys, shortest numbers that come back exactly.  In arena. */
OCT_MUST_CHECK oct_status oct_recipe_write(const oct_recipe *r, oct_arena *arena, char **json);

#endif
