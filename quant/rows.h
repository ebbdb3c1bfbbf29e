#ifndef OCT_QUANT_ROWS_H
#define OCT_QUANT_ROWS_H

#include "graph/plan.h"

/* What a layer reads and gives, as the rows of least squares.
 *
 *   conv2d   a row for an output position: x the patch under the kernel, c / groups channels x
 *            kh kw taps in the order of the weights, padding 0; y the outputs of the group
 *   linear   a row for a row
 *
 * Of each sample (image, text) at most OCT_ROWS_PER_SAMPLE positions count, at equal distances:
 * position i of n is the ((2 i + 1) n / (2 m))-th of those there are. */
enum { OCT_ROWS_PER_SAMPLE = 64 };

typedef struct oct_rows {
    int groups;
    int k, out;                /* of a group */
} oct_rows;

oct_rows oct_rows_of(const oct_node *node);

/* The positions of a sample that has n: *m of them. */
static inline int oct_rows_count(int n)
{
    return n < OCT_ROWS_PER_SAMPLE ? n : OCT_ROWS_PER_SAMPLE;
}
static inline int oct_rows_position(int i, int m, int n)
{
    return (int)((2 * (int64_t)i + 1) * n / (2 * (int64_t)m));
}

/* Part of a sample: positions first .. first + count - 1 of the m that count of all `positions`. */
typedef struct oct_rows_part {
    int sample;                /* of images: of the batch; of rows: 0 */
    int row;                   /* the sample's first one; of images: 0 */
    int positions, first, count;
} oct_rows_part;

/* Columns of z (quant/normal.h), from `column` on: x, what a step reads. */
void oct_rows_x(const oct_step *step, int group, const oct_rows_part *part, float *z, size_t ldz,
                int column, oct_pool *pool);
/* The same of a value, y: its channels kept[0 .. n), NULL: first .. first + n - 1. */
void oct_rows_y(const oct_tensor *y, const int *kept, int first, int n, const oct_rows_part *part,
                float *z, size_t ldz, int column, oct_pool *pool);

#endif
