#ifndef OCT_PROGRAMS_LINT_DATA_H
#define OCT_PROGRAMS_LINT_DATA_H

#include "programs/job.h"
#include "quant/lint.h"

/* quant/lint on a model file and data: the model is loaded for it as it was built, with its batch
 * norms, and let go of again. */
typedef struct lint_data {
    job job;
    oct_lint *lint;
    oct_lint_report report;   /* lives until lint_data_close */
} lint_data;

/* 0, or an exit code and the line was printed: the data could not be read, the model not run.  That
 * the data departs is no failure of this: report.cause says so.  out is closed either way. */
int lint_data_run(const cli_args *a, const char *model, const char *data, oct_source *source,
                  lint_data *out);
void lint_data_close(lint_data *d);

#endif
