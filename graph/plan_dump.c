#include <string.h>

#include "graph/plan.h"

enum { NAME, OP, SHAPE, TYPE, KERNEL, MACS, BYTES, COLUMNS };

typedef struct row { char cell[COLUMNS][160]; } row;

static const row head = { { "step", "op", "shape", "type", "kernel", "MMAC", "bytes" } };

/* Numbers are set to the right, words to the left. */
static int to_the_right(int column) { return column == MACS || column == BYTES; }

const char *oct_step_type(const oct_step *step)
{
    const oct_dtype out = step->args.out->dtype;
    return oct_dtype_name(out == OCT_F32 ? step->type : out);
}

static row describe(const oct_step *step)
{
    row r;
    char in[64] = "", out[64];
    if (step->args.in[0]) oct_tensor_shape(step->args.in[0], in, sizeof in);
    oct_tensor_shape(step->args.out, out, sizeof out);
    snprintf(r.cell[NAME], sizeof r.cell[NAME], "%.80s", step->node->name);
    oct_node_text(step->node, r.cell[OP], sizeof r.cell[OP]);
    snprintf(r.cell[SHAPE], sizeof r.cell[SHAPE], "%s -> %s", in, out);
    snprintf(r.cell[TYPE], sizeof r.cell[TYPE], "%s", oct_step_type(step));
    snprintf(r.cell[KERNEL], sizeof r.cell[KERNEL], "%.80s", step->kernel ? step->kernel : "-");
    if (step->library_ms > 0)
        snprintf(r.cell[KERNEL], sizeof r.cell[KERNEL], "%.80s (ours %.4f ms, cublas %.4f)",
                 step->kernel, (double)step->ours_ms, (double)step->library_ms);
    else if (step->ours_ms > 0)
        snprintf(r.cell[KERNEL], sizeof r.cell[KERNEL], "%.80s (%.4f ms)", step->kernel,
                 (double)step->ours_ms);
    snprintf(r.cell[MACS], sizeof r.cell[MACS], "%.3f", step->macs / 1e6);
    snprintf(r.cell[BYTES], sizeof r.cell[BYTES], "%zu", step->weight_size);
    return r;
}

static void widen(int width[COLUMNS], const row *r)
{
    for (int c = 0; c < COLUMNS; c++)
        if (width[c] < (int)strlen(r->cell[c])) width[c] = (int)strlen(r->cell[c]);
}

static void print(const int width[COLUMNS], const row *r, FILE *to)
{
    for (int c = 0; c < COLUMNS; c++)
        fprintf(to, "%s%*s", c ? "  " : "", to_the_right(c) ? width[c] : -width[c], r->cell[c]);
    fputc('\n', to);
}

void oct_plan_dump(const oct_plan *plan, FILE *to)
{
    int width[COLUMNS] = { 0 };
    double macs = 0;
    widen(width, &head);
    for (int i = 0; i < plan->n_steps; i++) {
        const row r = describe(&plan->step[i]);
        widen(width, &r);
        macs += plan->step[i].macs;
    }
    print(width, &head, to);
    for (int i = 0; i < plan->n_steps; i++) {
        const row r = describe(&plan->step[i]);
        print(width, &r, to);
    }
    fprintf(to, "total: %d steps, %.3f MMAC a sample, peak memory %zu bytes = %zu weights + "
            "%zu activations + %zu workspace\n", plan->n_steps, macs / 1e6,
            plan->weight_size + plan->value_size + plan->workspace_size,
            plan->weight_size, plan->value_size, plan->workspace_size);
}
