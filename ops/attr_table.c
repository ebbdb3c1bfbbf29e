#include "ops/attr_table.h"

#include <string.h>

#define FIELD(type, field, kind, count) { #field, offsetof(type, field), OCT_ATTR_##kind, count }
#define QUANT(type) FIELD(type, quant.scale, FLOAT, 1), FIELD(type, quant.zero, INT, 1), \
                    FIELD(type, quant.max, INT, 1)
#define TABLE(type, fields, operands) \
    { sizeof(type), fields, sizeof fields / sizeof *fields, operands }

static const oct_attr_field conv2d[] = {
    FIELD(oct_conv2d_attr, stride, INT, 2), FIELD(oct_conv2d_attr, pad, INT, 2),
    FIELD(oct_conv2d_attr, dilation, INT, 2), FIELD(oct_conv2d_attr, groups, INT, 1),
    FIELD(oct_conv2d_attr, act, ACT, 1), QUANT(oct_conv2d_attr),
    FIELD(oct_conv2d_attr, sparse, INT, 1),
};
static const oct_attr_field linear[] = {
    FIELD(oct_linear_attr, act, ACT, 1), QUANT(oct_linear_attr),
    FIELD(oct_linear_attr, sparse, INT, 1),
};
static const oct_attr_field batchnorm[] = { FIELD(oct_batchnorm_attr, eps, FLOAT, 1) };
static const oct_attr_field activation[] = { FIELD(oct_activation_attr, act, ACT, 1) };
static const oct_attr_field pool[] = {
    FIELD(oct_pool_attr, kind, POOL_KIND, 1), FIELD(oct_pool_attr, kernel, INT, 2),
    FIELD(oct_pool_attr, stride, INT, 2), FIELD(oct_pool_attr, pad, INT, 2),
    FIELD(oct_pool_attr, dilation, INT, 2), FIELD(oct_pool_attr, count_include_pad, INT, 1),
    FIELD(oct_pool_attr, out, INT, 2), QUANT(oct_pool_attr),
};
static const oct_attr_field add[] = {
    FIELD(oct_add_attr, act, ACT, 1), QUANT(oct_add_attr),
};
static const oct_attr_field quantize[] = { QUANT(oct_quantize_attr) };
static const oct_attr_field pad[] = {
    FIELD(oct_pad_attr, stride, INT, 2), FIELD(oct_pad_attr, before, INT, 1),
    FIELD(oct_pad_attr, after, INT, 1),
};
static const oct_attr_field layernorm[] = { FIELD(oct_layernorm_attr, eps, FLOAT, 1) };
static const oct_attr_field embedding[] = { FIELD(oct_embedding_attr, eps, FLOAT, 1) };
static const oct_attr_field attention[] = {
    FIELD(oct_attention_attr, heads, INT, 1), FIELD(oct_attention_attr, length, INT, 1),
};

const oct_attr_table oct_attr_tables[OCT_OP_COUNT] = {
    [OCT_OP_LAYOUT] = { .operands = "v" },
    [OCT_OP_CONV2D] = TABLE(oct_conv2d_attr, conv2d, "vcCV"),
    [OCT_OP_LINEAR] = TABLE(oct_linear_attr, linear, "vcCV"),
    [OCT_OP_BATCHNORM] = TABLE(oct_batchnorm_attr, batchnorm, "vCCcc"),
    [OCT_OP_ACTIVATION] = TABLE(oct_activation_attr, activation, "v"),
    [OCT_OP_POOL] = TABLE(oct_pool_attr, pool, "v"),
    [OCT_OP_ADD] = TABLE(oct_add_attr, add, "vv"),
    [OCT_OP_CONCAT] = { .operands = "vVVVVVVV" },
    [OCT_OP_PAD] = TABLE(oct_pad_attr, pad, "v"),
    [OCT_OP_FLATTEN] = { .operands = "v" },
    [OCT_OP_SOFTMAX] = { .operands = "v" },
    [OCT_OP_EMBEDDING] = TABLE(oct_embedding_attr, embedding, "vvVccCcc"),
    [OCT_OP_LAYERNORM] = TABLE(oct_layernorm_attr, layernorm, "vcc"),
    [OCT_OP_ATTENTION] = TABLE(oct_attention_attr, attention, "vvV"),
    [OCT_OP_FIRST] = { .operands = "vv" },
    [OCT_OP_QUANTIZE] = TABLE(oct_quantize_attr, quantize, "vC"),
    [OCT_OP_DEQUANTIZE] = { .operands = "v" },
};

const char *oct_attr_word(oct_attr_type type, int value)
{
    static const char *const pools[] = {
        [OCT_POOL_MAX] = "max", [OCT_POOL_AVG] = "avg", [OCT_POOL_ADAPTIVE_AVG] = "adaptive_avg",
    };
    if (type == OCT_ATTR_ACT)
        return value >= 0 && value < OCT_ACT_COUNT ? oct_act_name((oct_act)value) : NULL;
    const int n = (int)(sizeof pools / sizeof *pools);
    return type == OCT_ATTR_POOL_KIND && value >= 0 && value < n ? pools[value] : NULL;
}

int oct_attr_value(oct_attr_type type, const char *word)
{
    const char *name;
    for (int i = 0; (name = oct_attr_word(type, i)); i++)
        if (strcmp(name, word) == 0) return i;
    return -1;
}
