#ifndef OCT_PROGRAMS_PRUNE_H
#define OCT_PROGRAMS_PRUNE_H

#include "programs/evaluate.h"
#include "programs/lint_samples.h"
#include "programs/prune_report.h"

/* What the parts of octet prune share.  All int results are 0, or an exit code and the line was
 * printed. */
typedef struct prune_work {
    const cli_args *a;
    char *path;                   /* MODEL */
    int texts;                    /* it takes texts */
    job job;                      /* of images */
    text_job text;
    oct_source *calib, *eval;     /* NULL: not given */
    lint_samples lint;            /* of calib */
    oct_prune_options how;
    oct_pruned pruned;
    const char *temporary;        /* where OUT is until all is known */
    oct_save_info save;
    prune_report report;
    oct_arena arena;
} prune_work;

/* cmd_prune.c: prunes, repairs with --calib, writes the file to temporary and, with --eval, fills
 * report.after; cut, if not NULL, is what the pruned network answers before the repair. */
int prune_make(prune_work *w, eval_result *cut);

/* prune_search.c: how.amount becomes the largest of 1/32, 2/32 ... 31/32 that keeps --max-drop, by
 * bisection: as if more pruned were never better.  CLI_PROMISE: 1/32 does not either.
 * report.before is filled. */
int prune_search(prune_work *w);

/* prune_repair.c: pruned, whose tensors are there, is repaired on --calib's samples. */
int prune_repair(prune_work *w);

#endif
