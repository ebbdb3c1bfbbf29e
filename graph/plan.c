#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"

/* What is needed while a plan is made; value i is input i, or the output of step i - n_ins. */
typedef struct work {
    const oct_graph *g;
    const oct_plan_options *options;
    oct_plan *plan;
    oct_lifetime *life;       /* [n_values] */
    oct_tensor *value;        /* [n_values], the plan's own descriptions */
    int n_values;
    size_t shared, thread;    /* the largest workspace of any step, and of its threads */
} work;

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "plan: out of memory"); }

static size_t round_up(size_t size) { return (size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN; }

/* The value that step number `before` and later ones may know as t; -1 for a constant. */
static int find(const work *w, const oct_tensor *t, int before)
{
    for (int i = before - 1; i >= 0; i--)
        if (w->plan->step[i].node->args.out == t) return w->g->n_ins + i;
    for (int i = 0; i < w->g->n_ins; i++)
        if (w->g->in[i] == t) return i;
    return -1;
}

/* A step for each live node; the plan's own description of each value, without its place. */
static oct_status make_steps(work *w)
{
    const oct_graph *g = w->g;
    oct_plan *p = w->plan;
    const size_t nodes = (size_t)g->n_nodes, values = nodes + (size_t)g->n_ins;
    p->step = oct_arena_zalloc(&p->arena, nodes * sizeof *p->step);
    w->value = oct_arena_alloc(&p->arena, values * sizeof *w->value);
    w->life = calloc(values ? values : 1, sizeof *w->life);
    if (!p->step || !w->value || !w->life) return out_of_memory();

    for (int i = 0; i < g->n_ins; i++) w->value[i] = *g->in[i];
    for (int i = 0; i < g->n_nodes; i++) {
        const oct_node *node = &g->node[i];
        if (node->dead) continue;
        oct_step *step = &p->step[p->n_steps];
        *step = (oct_step){ .node = node, .op = oct_ops[node->kind], .args = node->args };
        w->value[g->n_ins + p->n_steps++] = *node->args.out;
    }
    w->n_values = g->n_ins + p->n_steps;
    p->in = w->value;
    p->n_ins = g->n_ins;
    if (p->backend) { /* the caller's inputs and the device's are two */
        p->in = oct_arena_alloc(&p->arena, ((size_t)g->n_ins + 1) * sizeof *p->in);
        if (!p->in) return out_of_memory();
        memcpy(p->in, w->value, (size_t)g->n_ins * sizeof *p->in);
    }
    if (w->options->watch) {
        p->watched = oct_arena_zalloc(&p->arena, (nodes + 1) * sizeof *p->watched);
        if (!p->watched) return out_of_memory();
    }
    p->n_values = w->n_values;
    p->value = oct_arena_zalloc(&p->arena, ((size_t)w->n_values + 1) * sizeof *p->value);
    return p->value ? OCT_OK : out_of_memory();
}

/* Has step i's output a row for each text?  `first` makes such rows, attention does with a query
 * for each text, and whatever is computed from them has them too. */
static int is_per_text(const work *w, int i)
{
    const oct_step *step = &w->plan->step[i];
    oct_tensor *const *in = step->node->args.in;
    if (step->node->kind == OCT_OP_FIRST) return 1;
    if (step->node->kind == OCT_OP_ATTENTION) return in[OCT_ATTENTION_Q] != NULL;
    const int v = find(w, in[0], i);
    return v >= w->g->n_ins && w->plan->step[v - w->g->n_ins].per_text;
}

static oct_status find_texts(work *w)
{
    oct_plan *p = w->plan;
    const int v = w->g->starts ? find(w, w->g->starts, 0) : -1;
    if (!w->g->starts) return OCT_OK;
    if (v < 0) return oct_fail(OCT_ERR_SHAPE, "plan: the texts' begins are no input");
    p->starts = &p->in[v];
    for (int i = 0; i < p->n_steps; i++) p->step[i].per_text = is_per_text(w, i);
    return OCT_OK;
}

static size_t sample_size(const oct_tensor *t)
{
    return oct_tensor_sample_count(t) * oct_dtype_size(t->dtype);
}

/* Slices only where every value has the batch for its first dimension. */
static oct_status make_groups(work *w)
{
    oct_plan *p = w->plan;
    const int batch = w->n_values && w->value[0].rank ? w->value[0].dim[0] : 1;
    size_t *bytes = calloc((size_t)p->n_steps + 1, sizeof *bytes);
    int sliced = !w->options->keep_values && !w->options->whole && !w->g->starts && !p->backend;
    if (!bytes) return out_of_memory();
    for (int i = 0; i < w->n_values; i++)
        sliced &= w->value[i].rank > 0 && w->value[i].dim[0] == batch;
    for (int i = 0; i < p->n_steps && sliced; i++) {
        bytes[i] = sample_size(&w->value[w->g->n_ins + i]);
        for (int k = 0; k < OCT_MAX_IN; k++) {
            const oct_tensor *t = p->step[i].node->args.in[k];
            if (t && !t->data) bytes[i] += sample_size(t);
        }
    }
    const oct_status status = oct_plan_slices(p, bytes, batch);
    free(bytes);
    return status;
}

/* From the step that writes a value to the last one that reads it.  Inputs live always, so that
 * the caller may run again without writing them again; outputs until the end.  A step's operands
 * and its output meet in it, so they never share memory. */
static size_t value_size(const work *w, int i)
{
    const oct_plan *p = w->plan;
    return p->backend ? p->backend->size(p->device, &w->value[i], i < w->g->n_ins)
                      : oct_tensor_size(&w->value[i]);
}

static void find_lifetimes(work *w)
{
    const oct_graph *g = w->g;
    const int end = w->plan->n_steps;
    for (int i = 0; i < w->n_values; i++) {
        const int step = i - g->n_ins;
        w->life[i] = (oct_lifetime){ .size = value_size(w, i),
                                     .first = step < 0 ? 0 : step, .last = step < 0 ? end : step };
    }
    for (int i = 0; i < end; i++)
        for (int k = 0; k < OCT_MAX_IN; k++) {
            const oct_tensor *t = w->plan->step[i].node->args.in[k];
            const int v = t && !t->data ? find(w, t, i) : -1;
            if (v >= 0 && w->life[v].last < i) w->life[v].last = i;
        }
    for (int i = 0; i < g->n_outs; i++) {
        const int v = find(w, g->out[i], end);
        if (v >= 0) w->life[v].last = end;
    }
}

static const oct_plan_group *group_of(const oct_plan *p, int step)
{
    const oct_plan_group *g = p->group;
    while (g + 1 < p->group + p->n_groups && step >= g->end) g++;
    return g;
}

/* A value that one group writes and reads is needed for a slice only.  Any other is written, or
 * read, slice by slice while all steps of a group run again and again: it lives from the first step
 * of its writer's group to the last of its last reader's. */
static void apply_groups(work *w)
{
    oct_plan *p = w->plan;
    for (int i = 0; i < w->n_values && p->n_steps; i++) {
        oct_lifetime *life = &w->life[i];
        const int is_input = i < w->g->n_ins, is_output = life->last == p->n_steps;
        const oct_plan_group *from = group_of(p, life->first);
        const oct_plan_group *to = group_of(p, is_output ? p->n_steps - 1 : life->last);
        const size_t sample = sample_size(&w->value[i]);
        const int batch = w->value[i].rank ? w->value[i].dim[0] : 1;
        p->value[i].step = sample;
        if (!is_input && !is_output && from == to && from->slice < batch) {
            life->size = sample * (size_t)from->slice;
            p->value[i].step = 0;
            continue;
        }
        if (from->slice < batch) life->first = from->first;
        if (to->slice < batch && !is_output) life->last = to->end - 1;
    }
}

/* All values, one after the other, must fit an address space; then so do all places. */
static oct_status check_sizes(const work *w)
{
    size_t sum = 0;
    for (int i = 0; i < w->n_values; i++) {
        OCT_TRY(oct_tensor_check(&w->value[i]));
        if (__builtin_add_overflow(sum, w->life[i].size, &sum) ||
            __builtin_add_overflow(sum, (size_t)(OCT_ALIGN + OCT_TAIL), &sum) || sum > PTRDIFF_MAX)
            return oct_fail(OCT_ERR_SHAPE, "plan: values of more than %td bytes", PTRDIFF_MAX);
    }
    return OCT_OK;
}

static oct_status place_values(work *w)
{
    oct_plan *p = w->plan;
    OCT_TRY(check_sizes(w));
    if (w->options->keep_values) /* nothing dies: one after the other */
        for (int i = 0; i < w->n_values; i++) {
            w->life[i].offset = p->value_size;
            p->value_size += round_up(w->life[i].size) + OCT_TAIL;
        }
    else
        p->value_size = oct_plan_offsets(w->life, w->n_values);

    unsigned char *base = NULL;
    if (p->backend) OCT_TRY(p->backend->place(p->device, p->value_size, &base));
    else base = oct_arena_alloc(&p->arena, p->value_size);
    if (!base)
        return oct_fail(OCT_ERR_MEMORY, "plan: out of memory for %zu bytes of activations",
                        p->value_size);
    for (int i = 0; i < w->n_values; i++) {
        p->value[i].tensor = &w->value[i];
        w->value[i].data = p->value[i].data = base + w->life[i].offset;
    }
    return OCT_OK;
}

/* Steps see the plan's values; constants get a description of the plan too, whose data goes away
 * once the step is prepared. */
static oct_status connect(work *w)
{
    oct_plan *p = w->plan;
    for (int i = 0; i < p->n_steps; i++) {
        oct_args *args = &p->step[i].args;
        args->out = &w->value[w->g->n_ins + i];
        for (int k = 0; k < OCT_MAX_IN; k++) {
            if (!args->in[k]) continue;
            const int v = args->in[k]->data ? -1 : find(w, args->in[k], i);
            oct_tensor *t = v >= 0 ? &w->value[v] : oct_arena_alloc(&p->arena, sizeof *t);
            if (!t) return out_of_memory();
            if (v < 0) *t = *args->in[k];
            args->in[k] = t;
        }
    }
    p->n_outs = w->g->n_outs;
    p->out = oct_arena_alloc(&p->arena, (size_t)p->n_outs * sizeof *p->out);
    if (!p->out) return out_of_memory();
    for (int i = 0; i < p->n_outs; i++) p->out[i] = w->value[find(w, w->g->out[i], p->n_steps)];
    return OCT_OK;
}

/* Does anything after operand k of step i read the same constant? */
static int read_again(const oct_plan *p, int i, int k, const void *data)
{
    for (int j = k + 1; j < OCT_MAX_IN; j++)
        if (p->step[i].node->args.in[j] && p->step[i].node->args.in[j]->data == data) return 1;
    for (i++; i < p->n_steps; i++)
        for (int j = 0; j < OCT_MAX_IN; j++)
            if (p->step[i].node->args.in[j] && p->step[i].node->args.in[j]->data == data) return 1;
    return 0;
}

/* The step's constants are packed: it has forgotten them, and so may their owner. */
static void let_go(const work *w, int i)
{
    oct_step *step = &w->plan->step[i];
    for (int k = 0; k < OCT_MAX_IN; k++) {
        const oct_tensor *constant = step->node->args.in[k];
        if (!constant || !constant->data) continue;
        step->args.in[k]->data = NULL;
        if (w->options->packed && !read_again(w->plan, i, k, constant->data))
            w->options->packed(w->options->arg, constant);
    }
}

/* Packs the step's constants; what it says of itself is its own and how's. */
static oct_status prepare_step(oct_plan *p, const oct_plan_options *o, int i, oct_prepare *how)
{
    oct_step *step = &p->step[i];
    how->cpu = o->cpu;
    how->threads = o->threads;
    how->precision = o->precision;
    how->sgemm = o->sgemm;
    how->arena = &p->arena;
    const oct_status status = p->backend
        ? p->backend->prepare(p->device, step->node->kind, &step->args, step->per_text, how)
        : step->op->prepare(&step->args, how, &step->state);
    if (status != OCT_OK) return oct_graph_fail(status, step->node->name);
    step->kernel = how->kernel;
    step->type = how->type;
    step->macs = how->macs;
    step->ours_ms = how->ours_ms;
    step->library_ms = how->library_ms;
    step->weight_size = how->weight_size;
    memcpy(step->packed, how->packed, sizeof step->packed);
    step->n_packed = how->n_packed;
    return OCT_OK;
}

static oct_status prepare(work *w)
{
    oct_plan *p = w->plan;
    const oct_packed *given = w->options->given;
    int n_given = w->options->n_given;
    for (int i = 0; i < p->n_steps; i++) {
        oct_prepare how = { .given = given, .n_given = n_given };
        OCT_TRY(prepare_step(p, w->options, i, &how));
        p->weight_size += how.weight_size;
        if (w->shared < how.shared_size) w->shared = how.shared_size;
        if (w->thread < how.thread_size) w->thread = how.thread_size;
        if (given) given += how.n_packed, n_given -= how.n_packed;
        let_go(w, i);
    }
    if (given && n_given)
        return oct_fail(OCT_ERR_FORMAT, "%d pieces of packed weights that no step reads", n_given);
    return OCT_OK;
}

oct_status oct_plan_prepare_again(oct_plan *plan, const oct_plan_options *options, int i)
{
    const oct_step *step = &plan->step[i];
    oct_prepare how = { .given = NULL };
    for (int k = 0; k < OCT_MAX_IN; k++)
        if (step->node->args.in[k] && step->node->args.in[k]->data)
            *step->args.in[k] = *step->node->args.in[k];
    const oct_status status = prepare_step(plan, options, i, &how);
    for (int k = 0; k < OCT_MAX_IN; k++)
        if (step->node->args.in[k] && step->node->args.in[k]->data) step->args.in[k]->data = NULL;
    return status;
}

/* [shared | tail][thread 0 | tail][thread 1 | tail] ...  each on a line of its own */
static oct_status make_workspace(work *w)
{
    oct_plan *p = w->plan;
    const size_t limit = PTRDIFF_MAX / 4;
    size_t size;
    if (w->shared > limit || w->thread > limit)
        return oct_fail(OCT_ERR_SHAPE, "plan: a workspace of more than %zu bytes", limit);
    const size_t shared = round_up(w->shared) + OCT_TAIL, each = round_up(w->thread) + OCT_TAIL;
    if (__builtin_mul_overflow(each, (size_t)w->options->threads, &size) || size > limit)
        return oct_fail(OCT_ERR_SHAPE, "plan: %d threads need more than %zu bytes of workspace",
                        w->options->threads, limit);
    p->workspace_size = shared + size;
    unsigned char *base = oct_arena_alloc(&p->arena, p->workspace_size);
    if (!base)
        return oct_fail(OCT_ERR_MEMORY, "plan: out of memory for %zu bytes of workspace",
                        p->workspace_size);
    p->how = (oct_run){ .shared = base, .thread_base = base + shared,
                        .thread_stride = each };
    return OCT_OK;
}

static oct_status open_device(work *w)
{
    oct_plan *p = w->plan;
    if (!w->options->backend) return OCT_OK;
    const oct_device_options how = { .floats = w->options->floats, .watch = w->options->watch,
                                     .library = w->options->library };
    OCT_TRY(w->options->backend->open(&how, &p->device));
    p->backend = w->options->backend;
    return OCT_OK;
}

static int is_wide(const oct_plan_options *o, const char *node)
{
    for (int i = 0; i < o->n_wide; i++)
        if (strcmp(o->wide[i], node) == 0) return 1;
    return 0;
}

static oct_status widen(const work *w)
{
    const oct_plan *p = w->plan;
    for (int i = 0; p->backend && i < p->n_steps; i++) {
        const oct_tensor *t = &w->value[w->g->n_ins + i];
        if (t->dtype == OCT_F32 && is_wide(w->options, p->step[i].node->name))
            OCT_TRY(p->backend->widen(p->device, t));
    }
    return OCT_OK;
}

/* The caller's side of the device's inputs and, once all steps are prepared, outputs. */
static oct_status link_inputs(work *w)
{
    oct_plan *p = w->plan;
    for (int i = 0; p->backend && i < p->n_ins; i++)
        OCT_TRY(p->backend->input(p->device, &w->value[i], &p->in[i].data));
    return OCT_OK;
}

static oct_status link_outputs(work *w)
{
    oct_plan *p = w->plan;
    for (int i = 0; p->backend && i < p->n_outs; i++) {
        const int v = find(w, w->g->out[i], p->n_steps), step = v - p->n_ins;
        OCT_TRY(p->backend->output(p->device, &w->value[v], step >= 0 && p->step[step].per_text,
                                   &p->out[i].data));
    }
    return p->backend ? p->backend->seal(p->device) : OCT_OK;
}

static oct_status build(work *w)
{
    OCT_TRY(oct_graph_verify(w->g));
    OCT_TRY(open_device(w));
    OCT_TRY(make_steps(w));
    OCT_TRY(widen(w));
    OCT_TRY(find_texts(w));
    OCT_TRY(make_groups(w));
    find_lifetimes(w);
    apply_groups(w);
    OCT_TRY(place_values(w));
    OCT_TRY(connect(w));
    OCT_TRY(link_inputs(w));
    OCT_TRY(prepare(w));
    OCT_TRY(link_outputs(w));
    return make_workspace(w);
}

oct_status oct_plan_build(const oct_graph *g, const oct_plan_options *options, oct_plan **out)
{
    *out = NULL;
    work w = { .g = g, .options = options, .plan = calloc(1, sizeof *w.plan) };
    if (!w.plan) return out_of_memory();
    const oct_status status = build(&w);
    free(w.life);
    if (status != OCT_OK) oct_plan_free(w.plan);
    else *out = w.plan;
    return status;
}

void oct_plan_free(oct_plan *plan)
{
    if (!plan) return;
    if (plan->backend) plan->backend->close(plan->device);
    oct_arena_free(&plan->arena);
    free(plan);
}
