#include "quant/table.h"

#include <math.h>

#include "ops/attr.h"
#include "quant/qparams.h"

static int gains(const oct_tensor *t)
{
    const size_t d = oct_tensor_sample_count(t);
    return t->dtype != OCT_S8 && d + sizeof(float) < d * oct_dtype_size(t->dtype);
}

static oct_status quantize_row(const oct_node *node, const oct_tensor *t, size_t r, float *row,
                               float *scale, int8_t *q)
{
    const size_t d = oct_tensor_sample_count(t);
    oct_tensor_read_f32(t, r * d, d, row);
    for (size_t i = 0; i < d; i++)
        if (!isfinite(row[i]))
            return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: row %zu of a table is not finite",
                            node->name, r);
    *scale = oct_weight_scale(row, d, 0, 1);
    oct_weight_quantize(row, d, *scale, q);
    return OCT_OK;
}

static oct_status quantize(const oct_node *node, oct_arena *arena, oct_tensor *t)
{
    const size_t d = oct_tensor_sample_count(t), rows = (size_t)t->dim[0];
    float *row = oct_arena_alloc(arena, d * sizeof *row);
    float *scale = oct_arena_alloc(arena, rows * sizeof *scale);
    int8_t *q = oct_arena_alloc(arena, rows * d);
    if (!row || !scale || !q)
        return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", node->name);
    for (size_t r = 0; r < rows; r++)
        OCT_TRY(quantize_row(node, t, r, row, &scale[r], q + r * d));
    t->dtype = OCT_S8;
    t->data = q;
    t->scale = scale;
    return OCT_OK;
}

oct_status oct_quantize_tables(const oct_node *node, oct_arena *arena, int *changed)
{
    static const int tables[] = { OCT_EMBEDDING_WORD, OCT_EMBEDDING_POSITION, OCT_EMBEDDING_TYPE };
    *changed = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        oct_tensor *t = node->args.in[tables[i]];
        if (!t || !gains(t)) continue;
        OCT_TRY(quantize(node, arena, t));
        *changed = 1;
    }
    return OCT_OK;
}
