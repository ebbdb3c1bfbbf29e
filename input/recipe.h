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
    int lowercase, max_length; /* text */
} oct_recipe;

/* {"type":"image", ...}; absent keys get Pillow's and torchvision's defaults (no resize, bilinear,
 * antialias, scale 1/255).  Unknown keys are refused by name, as are values out of range. */
OCT_MUST_CHECK oct_status oct_recipe_parse(const char *json, oct_recipe *out);
/* Canonical JSON: sorted keys, shortest numbers that come back exactly.  In arena. */
OCT_MUST_CHECK oct_status oct_recipe_write(const oct_recipe *r, oct_arena *arena, char **json);

#endif
