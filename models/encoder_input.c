/* The inputs of a model of texts, and what a caller may write there. */
#include <limits.h>

#include "models/encoder.h"

enum { IDS, STARTS, TYPES };

static oct_status add_input(oct_model *m, int count, oct_tensor **out)
{
    const oct_tensor shape = { .dtype = OCT_S32, .rank = 1, .dim = { count } };
    return oct_graph_input(&m->graph, &shape, out);
}

oct_status oct_encoder_inputs(oct_model *m, const oct_options *o, int positions, int with_types)
{
    const int batch = o->batch ? o->batch : 1;
    if (o->sequence < 0 || o->sequence > positions)
        return oct_fail(OCT_ERR_UNSUPPORTED, "texts of %d tokens, the model takes 1 to %d",
                        o->sequence, positions);
    m->max_length = o->sequence ? o->sequence : positions;
    const long long all = (long long)batch * m->max_length, tokens = o->tokens ? o->tokens : all;
    if (tokens < batch || tokens < m->max_length || tokens > all || tokens > INT_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%lld tokens for up to %d texts of up to %d", tokens,
                        batch, m->max_length);
    oct_tensor *x;
    OCT_TRY(add_input(m, (int)tokens, &x));
    OCT_TRY(add_input(m, batch + 1, &m->graph.starts));
    return with_types ? add_input(m, (int)tokens, &x) : OCT_OK;
}

static oct_status check_lengths(const oct_model *m, const int32_t *starts, int n)
{
    const int tokens = m->plan->in[IDS].dim[0];
    if (starts[0] != 0) return oct_fail(OCT_ERR_SHAPE, "run: text 0 begins at %d", starts[0]);
    for (int t = 0; t < n; t++) {
        const long long length = (long long)starts[t + 1] - starts[t];
        if (length < 1 || length > m->max_length)
            return oct_fail(OCT_ERR_SHAPE, "run: text %d has %lld tokens, the model takes 1 to %d",
                            t, length, m->max_length);
        if (starts[t + 1] > tokens)
            return oct_fail(OCT_ERR_SHAPE, "run: %d tokens, the plan is made for 1 to %d",
                            starts[t + 1], tokens);
    }
    return OCT_OK;
}

static oct_status check_range(const char *what, const int32_t *x, int n, int end)
{
    for (int i = 0; i < n; i++)
        if (x[i] < 0 || x[i] >= end)
            return oct_fail(OCT_ERR_SHAPE, "run: %s %d of token %d, the model has 0 to %d", what,
                            x[i], i, end - 1);
    return OCT_OK;
}

oct_status oct_encoder_check(const oct_model *m, int n)
{
    const oct_tensor *in = m->plan->in;
    const int32_t *starts = in[STARTS].data;
    OCT_TRY(check_lengths(m, starts, n));
    OCT_TRY(check_range("id", in[IDS].data, starts[n], m->vocabulary));
    if (m->plan->n_ins <= TYPES) return OCT_OK;
    return check_range("type", in[TYPES].data, starts[n], m->token_types);
}
