#ifndef OCT_PROGRAMS_PRUNE_REPORT_H
#define OCT_PROGRAMS_PRUNE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "models/prune.h"
#include "programs/evaluate.h"

/* What octet prune did, as text and JSON (SPEC.md, section 6). */
typedef struct prune_report {
    const char *model, *output;   /* paths as the user wrote them */
    const char *command;          /* as octet.origin has it */
    const char *version;          /* of octet */
    char source_sha256[65];       /* of the model's file */
    const oct_pruned *pruned;
    int has_eval;                 /* before and after are filled; cut if it was repaired */
    const char *eval_data;
    const char *calib_data;       /* NULL: it was not repaired */
    const char *lint;             /* what octet lint says of it */
    int forced;                   /* and would have refused it */
    eval_result before, cut, after; /* cut: pruned, not yet repaired */
    double bytes_before, bytes_after; /* files */
} prune_report;

void prune_report_text(FILE *to, const prune_report *r);
/* One object, before and after as octet eval --json; NULL: out of memory. */
json_t *prune_report_json(const prune_report *r);

#endif
