#include "models/prune_channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Entry p of dimension dim of a tensor of the file is part of channel[first + p / repeat]; of a
 * constant joined from several tensors each has its own. */
typedef struct part {
    int tensor, dim;
    int first, repeat;
    int makes;               /* it is the rows of a weight */
} part;

/* Channels of one group that go together. */
typedef struct block {
    double score;
    int group, number;       /* in its group, the smallest scores first */
    const int *channel;      /* [size] */
    int size;
} block;

typedef struct work {
    oct_pruned *p;
    oct_groups groups;
    part *part;
    int n_parts;
    int *eligible;           /* [n_groups] its channels may go, and how many it has */
    double *score;           /* [n_channels] */
    unsigned char *gone;     /* [n_channels] */
    int *order;              /* [n_channels] of eligible groups, one after the other */
    block *block;
    int n_blocks;
    oct_arena *arena;
} work;

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "prune: out of memory"); }

static int channel_of(const work *w, const part *a, int p)
{
    return w->groups.channel[a->first + p / a->repeat];
}

static int group_of(const work *w, const part *a) { return w->groups.group[channel_of(w, a, 0)]; }

/* ---- the file's tensors ---- */

static int find_tensor(const oct_pruned *p, const char *name)
{
    int low = 0, high = p->n_tensors;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (strcmp(oct_weights_at(p->model->weights, middle)->name, name) <= 0) low = middle;
        else high = middle;
    }
    return low;
}

static oct_status find_parts(work *w)
{
    const oct_model *m = w->p->model;
    const oct_groups *g = &w->groups;
    enum { SIDES = 2 }; /* of a matrix */
    w->part = oct_arena_alloc(w->arena, (SIDES * (size_t)m->n_constants + 1) * sizeof *w->part);
    if (!w->part) return out_of_memory();
    for (int i = 0; i < g->n_axes; i++)
        for (int k = 0; k < m->n_constants; k++) {
            const oct_named_constant *c = &m->constant[k];
            const oct_group_axis *a = &g->axis[i];
            if (c->tensor != a->constant) continue;
            w->part[w->n_parts++] = (part){
                find_tensor(w->p, c->name), a->dim, a->first + (a->dim == 0 ? c->first : 0),
                a->repeat, oct_group_axis_makes(a) };
        }
    return OCT_OK;
}

/* ---- which may go ---- */

static int is_chosen(const oct_pruned *p, int tensor)
{
    for (int i = 0; i < p->n_layers; i++)
        if (p->layer[i].tensor == tensor) return p->layer[i].chosen;
    return 0;
}

static oct_status find_eligible(work *w)
{
    const oct_groups *g = &w->groups;
    int all = 0;
    w->eligible = oct_arena_zalloc(w->arena, (size_t)g->n_groups * sizeof *w->eligible);
    if (!w->eligible) return out_of_memory();
    for (int c = 1; c < g->n_channels; c++) {
        const oct_group_kind kind = g->kind[g->group[c]], wanted = w->p->how.whole;
        if (wanted == OCT_GROUP_CHANNEL || wanted == kind) w->eligible[g->group[c]]++;
    }
    for (int i = 0; i < w->n_parts; i++)
        if (w->part[i].makes && !is_chosen(w->p, w->part[i].tensor))
            w->eligible[group_of(w, &w->part[i])] = 0;
    for (int i = 0; i < g->n_groups; i++) all += w->eligible[i];
    if (all) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "there is no whole %s that can be removed%s",
                    oct_prune_name(&w->p->how),
                    w->p->how.n_only ? ", of layers all named by --only" : "");
}

/* ---- scores ---- */

static double norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabs((double)x[i]);
    return sum;
}

/* Adds the norms of a weight's rows, and their lengths, to those of their channels. */
static oct_status add_norms(work *w, const part *a, double *length)
{
    const oct_tensor *t = &w->p->tensor[a->tensor];
    const size_t n = oct_tensor_count(t) / (size_t)t->dim[0];
    float *row = malloc(n * sizeof *row);
    if (!row) return out_of_memory();
    for (int o = 0; o < t->dim[0]; o++) {
        oct_tensor_read_f32(t, (size_t)o * n, n, row);
        w->score[channel_of(w, a, o)] += norm(row, n);
        length[channel_of(w, a, o)] += (double)n;
    }
    free(row);
    return OCT_OK;
}

static oct_status find_scores(work *w)
{
    const oct_groups *g = &w->groups;
    w->score = oct_arena_zalloc(w->arena, (size_t)g->n_channels * sizeof *w->score);
    double *length = oct_arena_zalloc(w->arena, (size_t)g->n_channels * sizeof *length);
    if (!w->score || !length) return out_of_memory();
    for (int i = 0; i < w->n_parts; i++)
        if (w->part[i].makes && w->eligible[group_of(w, &w->part[i])])
            OCT_TRY(add_norms(w, &w->part[i], length));
    for (int c = 0; c < g->n_channels; c++) {
        if (length[c] > 0) w->score[c] /= length[c];
        if (isnan(w->score[c])) w->score[c] = INFINITY;
    }
    return OCT_OK;
}

/* ---- order ---- */

typedef struct place {
    double score;
    int channel;
} place;

static int by_score(const void *left, const void *right)
{
    const place *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return (a->channel > b->channel) - (a->channel < b->channel);
}

static int by_mean(const void *left, const void *right)
{
    const block *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static double mean(const work *w, const int *channel, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += w->score[channel[i]];
    return sum / n;
}

/* The blocks of a group's channels, in order[0..n); the last one stays. */
static void cut_blocks(work *w, int group, const int *order, int n)
{
    const int most = w->groups.kind[group] == OCT_GROUP_HEAD ? 1 : w->p->how.multiple;
    for (int done = 0, number = 0, size; done + most < n; done += size, number++) {
        size = number == 0 && n % most ? n % most : most;
        w->block[w->n_blocks++] = (block){ mean(w, order + done, size), group, number,
                                           order + done, size };
    }
}

static oct_status find_blocks(work *w)
{
    const oct_groups *g = &w->groups;
    place *list = malloc((size_t)g->n_channels * sizeof *list);
    w->order = oct_arena_alloc(w->arena, (size_t)g->n_channels * sizeof *w->order);
    w->block = oct_arena_alloc(w->arena, (size_t)g->n_channels * sizeof *w->block);
    if (!list || !w->order || !w->block) return free(list), out_of_memory();
    for (int i = 0, done = 0; i < g->n_groups; done += w->eligible[i++]) {
        int n = 0;
        if (!w->eligible[i]) continue;
        for (int c = 0; c < g->n_channels; c++)
            if (g->group[c] == i) list[n++] = (place){ w->score[c], c };
        qsort(list, (size_t)n, sizeof *list, by_score);
        for (int k = 0; k < n; k++) w->order[done + k] = list[k].channel;
        cut_blocks(w, i, w->order + done, n);
    }
    qsort(w->block, (size_t)w->n_blocks, sizeof *w->block, by_mean);
    free(list);
    return OCT_OK;
}

/* ---- the cut ---- */

/* Of the channels of a group, or of all of them (group 0). */
static void choose(work *w, int group)
{
    int all = 0, gone = 0;
    for (int i = 0; i < w->groups.n_groups; i++)
        if (!group || i == group) all += w->eligible[i];
    const int wanted = (int)nearbyint(w->p->how.amount * all); /* half to even */
    for (int i = 0; i < w->n_blocks; i++) {
        const block *b = &w->block[i];
        if (group && b->group != group) continue;
        if (abs(gone + b->size - wanted) >= abs(gone - wanted)) return;
        for (int k = 0; k < b->size; k++) w->gone[b->channel[k]] = 1;
        gone += b->size;
    }
}

/* The layer whose rows these are remembers which of them stay. */
static oct_status remember(const work *w, const part *a)
{
    oct_pruned *p = w->p;
    const int n = p->tensor[a->tensor].dim[0];
    int *kept = oct_arena_alloc(&p->arena, (size_t)n * sizeof *kept), count = 0;
    if (!kept) return out_of_memory();
    for (int o = 0; o < n; o++)
        if (!w->gone[channel_of(w, a, o)]) kept[count++] = o;
    for (int i = 0; i < p->n_layers && count < n; i++)
        if (p->layer[i].tensor == a->tensor) p->layer[i].kept = kept;
    return OCT_OK;
}

/* What is gone along one dimension leaves the tensor, in place. */
static void cut(const work *w, const part *a)
{
    oct_tensor *t = &w->p->tensor[a->tensor];
    size_t outer = 1, inner = oct_dtype_size(t->dtype);
    const int n = t->dim[a->dim];
    int kept = 0;
    for (int i = 0; i < a->dim; i++) outer *= (size_t)t->dim[i];
    for (int i = a->dim + 1; i < t->rank; i++) inner *= (size_t)t->dim[i];
    char *to = t->data;
    const char *from = t->data;
    for (size_t o = 0; o < outer; o++)
        for (int p = 0; p < n; p++, from += inner) {
            if (w->gone[channel_of(w, a, p)]) continue;
            memmove(to, from, inner);
            to += inner;
        }
    for (int p = 0; p < n; p++) kept += !w->gone[channel_of(w, a, p)];
    t->dim[a->dim] = kept;
}

oct_status oct_prune_channels(oct_pruned *p, oct_arena *scratch)
{
    work w = { .p = p, .arena = scratch };
    OCT_TRY(oct_groups_find(&p->model->graph, scratch, &w.groups));
    OCT_TRY(find_parts(&w));
    OCT_TRY(find_eligible(&w));
    OCT_TRY(find_scores(&w));
    OCT_TRY(find_blocks(&w));
    w.gone = oct_arena_zalloc(scratch, (size_t)w.groups.n_channels);
    if (!w.gone) return out_of_memory();
    for (int i = 1; i < w.groups.n_groups && p->how.per_layer; i++) choose(&w, i);
    if (!p->how.per_layer) choose(&w, 0);
    for (int i = 0; i < w.n_parts; i++) {
        if (w.part[i].makes) OCT_TRY(remember(&w, &w.part[i]));
        cut(&w, &w.part[i]);
    }
    return OCT_OK;
}
