/* octet prune --max-drop: how much can go. */
#include "programs/prune.h"

enum { PARTS = 32 };

/* Does it keep the promise with this amount? */
static int try(prune_work *w, int part, int least, int *kept)
{
    prune_report *r = &w->report;
    w->how.amount = (double)part / PARTS;
    const int code = prune_make(w, NULL);
    if (!code)
        cli_note(w->a, "%s: %g %% pruned: %d of %d right, %d promised", w->path,
                 100 * w->how.amount, r->after.correct, r->after.samples, least);
    *kept = !code && r->after.correct >= least;
    eval_free(&r->after);
    return code;
}

int prune_search(prune_work *w)
{
    const double points = w->a->max_drop.v[0];
    const int least = eval_promised(&w->report.before, points);
    int keeps = 0, fails = PARTS;
    while (fails - keeps > 1) {
        const int part = (keeps + fails) / 2;
        int kept;
        const int code = try(w, part, least, &kept);
        if (code) return code;
        if (kept) keeps = part;
        else fails = part;
    }
    w->how.amount = (double)keeps / PARTS;
    if (keeps) return CLI_OK;
    return cli_refuse(w->a, w->path, OCT_ERR_FORMAT, "--max-drop %g is not kept with any amount "
                      "from 1/%d on", points, PARTS), CLI_PROMISE;
}
