#include "graph/pass.h"

#include <stdio.h>
#include <string.h>

oct_status oct_passes_run(oct_graph *g, const oct_pass *passes, int n, int *changes)
{
    for (int i = 0; i < n; i++) {
        int changed = 0;
        oct_status status = passes[i].run(g, &changed);
        if (status == OCT_OK) status = oct_graph_verify(g);
        if (status != OCT_OK) {
            char name[80];
            snprintf(name, sizeof name, "pass %s", passes[i].name);
            return oct_graph_fail(status, name);
        }
        if (changes) changes[i] = changed;
    }
    return OCT_OK;
}

/* Is the word [at, at + length) the name of a pass?  Its number, or -1. */
static int find(const oct_pass *passes, int n, const char *at, size_t length)
{
    for (int i = 0; i < n; i++)
        if (strlen(passes[i].name) == length && memcmp(passes[i].name, at, length) == 0) return i;
    return -1;
}

oct_status oct_passes_select(const char *list, oct_pass *passes, int n, int *kept)
{
    *kept = n;
    if (!list) return OCT_OK;
    *kept = 0;
    if (strcmp(list, "none") == 0) return OCT_OK;

    unsigned wanted = 0; /* bit i: pass i; a list of passes is short */
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const size_t length = strcspn(at, ",");
        const int i = find(passes, n, at, length);
        if (i < 0) {
            char names[120] = "";
            for (int k = 0; k < n; k++) {
                const size_t used = strlen(names);
                snprintf(names + used, sizeof names - used, ", %s", passes[k].name);
            }
            return oct_fail(OCT_ERR_UNSUPPORTED, "pass '%.*s' is none of: none%s",
                            (int)(length < 80 ? length : 80), at, names);
        }
        wanted |= 1u << i;
    }
    for (int i = 0; i < n; i++)
        if (wanted >> i & 1) passes[(*kept)++] = passes[i];
    return OCT_OK;
}
