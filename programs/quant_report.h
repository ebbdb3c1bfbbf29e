#ifndef OCT_PROGRAMS_QUANT_REPORT_H
#define OCT_PROGRAMS_QUANT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "programs/evaluate.h"
#include "tensor/status.h"

/* What octet quantize found, as text, JSON and one HTML page (SPEC.md, section 5).
 *
 * A number that is not known is NaN: "-" in text and HTML, null in JSON.  Text that is not known is
 * NULL.  Names, labels and sentences may hold any bytes.  What follows from other fields (speed-up,
 * compression, agreement, share of multiply-adds in INT8) is computed here, in one place.  The same
 * report gives the same bytes. */

/* A node that computes with weights. */
typedef struct layer_report {
    const char *name, *op;        /* "layer1.0.conv1", "conv2d" */
    const char *shape;            /* of what it writes, a sample: "[64, 56, 56]" */
    const char *precision;        /* "int8", "fp32" */
    const char *why;              /* why it stays in FP32, or NULL */
    double macs;                  /* multiply-adds of a sample */
    double sqnr_db;               /* of what it writes, against the FP32 model */
    double clipped;               /* share of values outside low .. high */
    double low, high;             /* range that integers hold; NaN: it writes FP32 */
    double seen_low, seen_high;   /* what the calibration data had */
    double scale;
    int zero;
    double ms_before, ms_after;   /* a sample's time in this layer */
} layer_report;

typedef struct quant_report {
    const char *model, *output;   /* paths as the user wrote them */
    const char *command;          /* as octet.origin has it */
    const char *version;          /* of octet */
    const char *source_sha256;    /* of the model's file */

    const char *method;           /* "mse" */
    int bits;                     /* of activations: 7 or 8 */
    int bias_correction, dynamic;
    const char *calib;            /* DATA as the user wrote it; NULL: none was needed */
    int calib_samples;
    const char *calib_sha256;
    const char *lint;             /* its sentence; NULL: nothing departs */
    int forced;                   /* went on against the lint's verdict */

    int has_eval;                 /* before and after are filled */
    const char *eval_data, *eval_sha256;
    eval_result before, after;    /* after.model_bytes is the output's size */

    double bytes_before, bytes_after;  /* files; known without has_eval, too */
    double parameters;            /* of the model: four bytes each in FP32 */
    int classes;
    char *const *label;           /* [classes]; NULL: classes are shown by number */

    int n_layers;
    const layer_report *layer;    /* in order of the run */
    int n_notes;
    const char *const *note;      /* sentences the user should read */
} quant_report;

/* NaN where the report does not tell. */
double quant_speedup(const quant_report *r);     /* median time of a batch, before / after */
double quant_compression(const quant_report *r); /* bytes before / after */
double quant_of_four_bytes(const quant_report *r); /* the file: share of 4 bytes a parameter */
double quant_agreement(const quant_report *r);   /* share of samples with the same answer */
double quant_int8_share(const quant_report *r);  /* of multiply-adds */
int quant_is_int8(const layer_report *l);

/* Tables for a terminal of 100 columns. */
void quant_report_text(FILE *to, const quant_report *r);
/* One object, before and after as octet eval --json; NULL: out of memory. */
json_t *quant_report_json(const quant_report *r);
/* One page that needs nothing from outside. */
OCT_MUST_CHECK oct_status quant_report_html(FILE *to, const quant_report *r);

/* --report FILE: .html or .json; 0: another ending. */
int quant_report_can_write(const char *path);
/* As the ending of path says, to the stream of an output (output.h) that was opened for it before
 * anything else was written: what the stream could not take, output_sync or output_commit tells. */
OCT_MUST_CHECK oct_status quant_report_write(FILE *to, const char *path, const quant_report *r);

#endif
