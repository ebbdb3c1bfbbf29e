#include "programs/change.h"

void change_head(FILE *to)
{
    fprintf(to, "\n%-30s %20s %20s  change\n", "", "before", "after");
}

void change_row(FILE *to, const char *what, shown before, shown after, const char *change)
{
    fprintf(to, "%-30s %20s %20s%s%s\n", what, before.s, after.s, *change ? "  " : "", change);
}

static shown interval(const eval_result *e)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%.8s .. %.8s %%", show_fixed(100 * e->accuracy_low, 2).s,
             show_fixed(100 * e->accuracy_high, 2).s);
    return out;
}

static shown of_samples(const eval_result *e)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%d of %d", e->correct, e->samples);
    return out;
}

static shown as_fast(double before, double after)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%.20s as fast", show_ratio(before / after).s);
    return out;
}

void change_text(FILE *to, const eval_result *b, const eval_result *a)
{
    const shown none = { "" };
    char what[40], text[60];
    snprintf(text, sizeof text, "%s points", show_change(100 * (a->accuracy - b->accuracy), 2).s);
    change_row(to, "accuracy", show_percent(b->accuracy, 2), show_percent(a->accuracy, 2), text);
    change_row(to, "  95 % interval", interval(b), interval(a), "");
    change_row(to, "  correct", of_samples(b), of_samples(a),
               show_change((double)a->correct - b->correct, 0).s);
    change_row(to, "average loss", show_fixed(b->loss, 4), show_fixed(a->loss, 4),
               show_change(a->loss - b->loss, 4).s);
    change_row(to, "agreement", none, show_percent(eval_agreement(b, a), 2), "");
    change_row(to, "run time of the set, ms", show_ms(b->ms_total), show_ms(a->ms_total),
               as_fast(b->ms_total, a->ms_total).s);
    snprintf(what, sizeof what, "batch of %d, median, ms", b->batch);
    change_row(to, what, show_ms(b->ms_p50), show_ms(a->ms_p50), as_fast(b->ms_p50, a->ms_p50).s);
    change_row(to, "  99th percentile, ms", show_ms(b->ms_p99), show_ms(a->ms_p99),
               as_fast(b->ms_p99, a->ms_p99).s);
    snprintf(text, sizeof text, "%s %%",
             show_change(100 * (a->peak_bytes / b->peak_bytes - 1), 1).s);
    change_row(to, "peak memory", show_bytes(b->peak_bytes), show_bytes(a->peak_bytes), text);
}
