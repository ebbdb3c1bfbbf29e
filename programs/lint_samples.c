#include "programs/lint_samples.h"

#include "programs/lint_data.h"
#include "programs/lint_words.h"

/* The cause, if they would be refused, and the sentence. */
static int lint(const cli_args *a, const char *model, int texts, oct_source *source,
                oct_arena *arena, oct_lint_cause *cause, const char **sentence)
{
    int code;
    if (texts) {
        oct_lint_texts_report r = { .cause = OCT_LINT_CLEAN };
        code = lint_words_run(a, model, a->calib, source, &r);
        *cause = r.cause;
        *sentence = oct_arena_strdup(arena, code ? "" : r.sentence);
    } else {
        lint_data d;
        code = lint_data_run(a, model, a->calib, source, &d);
        *cause = d.report.cause;
        *sentence = oct_arena_strdup(arena, code ? "" : d.report.sentence);
        lint_data_close(&d);
    }
    return !code && !*sentence ? cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory") : code;
}

int lint_samples_check(const cli_args *a, const char *model, int texts, oct_source *source,
                       oct_arena *arena, lint_samples *out)
{
    oct_lint_cause cause;
    *out = (lint_samples){ .forced = NULL };
    if (!source) return CLI_OK;
    const int code = lint(a, model, texts, source, arena, &cause, &out->sentence);
    if (code || !cause) return code;
    out->forced = oct_lint_cause_name(cause);
    if (a->force) return CLI_OK;
    return cli_refuse(a, a->calib, OCT_ERR_FORMAT, "%s: the data %s (--force goes on all the same)",
                      out->forced, out->sentence);
}
