/* Compiled models of texts: what octet.plan, which is hostile, may do with ids, starts and types.
 * Operators read rows of a table by ids, and rows of a value by starts, unchecked at run time. */
#include "models/compiled.h"
#include "models/encoder.h"

enum { IDS, STARTS, TYPES, MAX_LENGTH = 1 << 20 };

static const char what[] = "octet.plan: texts";

oct_status oct_compiled_texts(oct_model *m, const json_t *object, const oct_options *o)
{
    static const char *const known[] = { "length", "types", NULL };
    int length = 0;
    const json_t *types = json_object_get(object, "types");
    if (!json_is_object(object) || !json_is_boolean(types))
        return oct_fail(OCT_ERR_FORMAT, "%s: not {\"length\": ..., \"types\": ...}", what);
    OCT_TRY(oct_json_known(what, (json_t *)(uintptr_t)object, known));
    OCT_TRY(oct_json_int(what, object, "length", 1, MAX_LENGTH, &length));
    if (!length) return oct_fail(OCT_ERR_FORMAT, "%s: 'length' is missing", what);
    return oct_encoder_inputs(m, o, length, json_is_true(types));
}

/* The input that operand k of such an operator must be, and no other may be; -1: none. */
static int due(oct_op_kind kind, int k)
{
    if (kind == OCT_OP_EMBEDDING && k == OCT_EMBEDDING_IDS) return IDS;
    if (kind == OCT_OP_EMBEDDING && k == OCT_EMBEDDING_TYPES) return TYPES;
    if ((kind == OCT_OP_EMBEDDING && k == OCT_EMBEDDING_STARTS) ||
        (kind == OCT_OP_ATTENTION && k == OCT_ATTENTION_STARTS) ||
        (kind == OCT_OP_FIRST && k == OCT_FIRST_STARTS))
        return STARTS;
    return -1;
}

static oct_status check_inputs(const oct_graph *g, oct_op_kind kind,
                               oct_tensor *const operand[OCT_MAX_IN])
{
    for (int k = 0; k < OCT_MAX_IN; k++) {
        const int i = due(kind, k);
        const oct_tensor *want = i >= 0 && i < g->n_ins ? g->in[i] : NULL;
        int is_input = 0;
        for (int n = 0; n < g->n_ins; n++) is_input |= operand[k] == g->in[n];
        if ((want || is_input) && operand[k] != want)
            return oct_fail(OCT_ERR_FORMAT, "operand %d is another input than it has to be", k);
    }
    return OCT_OK;
}

/* Every id, type and place in a text that a run lets through has a row in its table. */
static oct_status check_tables(oct_model *m, oct_tensor *const operand[OCT_MAX_IN])
{
    const oct_tensor *word = operand[OCT_EMBEDDING_WORD], *type = operand[OCT_EMBEDDING_TYPE];
    const int types = type ? type->dim[0] : 0;
    if (m->vocabulary) return oct_fail(OCT_ERR_FORMAT, "a second embedding");
    if (operand[OCT_EMBEDDING_POSITION]->dim[0] < m->max_length)
        return oct_fail(OCT_ERR_SHAPE, "%d positions for texts of up to %d tokens",
                        operand[OCT_EMBEDDING_POSITION]->dim[0], m->max_length);
    m->vocabulary = word->dim[0];
    m->token_types = types;
    return OCT_OK;
}

oct_status oct_compiled_texts_node(oct_model *m, oct_op_kind kind,
                                   oct_tensor *const operand[OCT_MAX_IN], void *attr)
{
    const oct_graph *g = &m->graph;
    OCT_TRY(check_inputs(g, kind, operand));
    if (kind == OCT_OP_EMBEDDING) return check_tables(m, operand);
    if (kind == OCT_OP_ATTENTION) ((oct_attention_attr *)attr)->length = m->max_length;
    if ((kind == OCT_OP_ATTENTION || kind == OCT_OP_FIRST) &&
        operand[0]->dim[0] != g->in[IDS]->dim[0])
        return oct_fail(OCT_ERR_SHAPE, "%d rows, the texts have up to %d tokens",
                        operand[0]->dim[0], g->in[IDS]->dim[0]);
    return OCT_OK;
}
