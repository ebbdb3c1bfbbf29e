/* BertForSequenceClassification, and what was fine-tuned from it.  d: hidden_size, h:
 * intermediate_size
 *
 *   bert.embeddings.word_embeddings.weight                [vocabulary, d]
 *       .embeddings.position_embeddings.weight            [positions, d]
 *       .embeddings.token_type_embeddings.weight          [types, d]
 *       .embeddings.LayerNorm.weight .bias                [d]
 *       .encoder.layer.N.attention.self.{query,key,value}.weight [a, d] .bias [a]
 *       .encoder.layer.N.attention.output.dense           [d, a]   a: d, or fewer heads of d / heads
 *       .encoder.layer.N.attention.output.LayerNorm       [d]      after dense + x
 *       .encoder.layer.N.intermediate.dense [h, d] .output.dense [d, h]    activation between
 *       .encoder.layer.N.output.LayerNorm                 [d]      after dense + x
 *       .pooler.dense                                     [d, d]   tanh
 *   classifier                                            [classes, d]
 *
 * a and h may differ from layer to layer.  Old files have LayerNorm.gamma and .beta for .weight and .bias. */
#include "models/encoder.h"

static const oct_encoder_names names = {
    .kind = "bert", .prefix = "bert.",
    .word = "embeddings.word_embeddings", .position = "embeddings.position_embeddings",
    .type = "embeddings.token_type_embeddings", .norm = "embeddings.LayerNorm",
    .layer = "encoder.layer.",
    .query = "attention.self.query", .key = "attention.self.key", .value = "attention.self.value",
    .out = "attention.output.dense", .out_norm = "attention.output.LayerNorm",
    .up = "intermediate.dense", .down = "output.dense", .down_norm = "output.LayerNorm",
    .pooler = "pooler.dense", .pooler_prefix = 1, .pooler_act = OCT_ACT_TANH,
    .dim = "hidden_size", .hidden = "intermediate_size", .depth = "num_hidden_layers",
    .heads = "num_attention_heads", .act = "hidden_act", .eps = "layer_norm_eps",
};

static int recognise(const oct_weights *w) { return oct_encoder_recognise(&names, w); }

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    return oct_encoder_build(&names, m, arch, options);
}

const oct_builder oct_builder_bert = { "bert", recognise, build, NULL, 1 };
