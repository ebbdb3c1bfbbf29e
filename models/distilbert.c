/* DistilBertForSequenceClassification, and what was fine-tuned from it.  d: dim, h: hidden_dim
 *
 *   distilbert.embeddings.word_embeddings.weight          [vocabulary, d]
 *             .embeddings.position_embeddings.weight      [positions, d]
 *             .embeddings.LayerNorm.weight .bias          [d]
 *             .transformer.layer.N.attention.{q,k,v}_lin.weight [a, d] .bias [a]   a: d, or fewer
 *             .transformer.layer.N.attention.out_lin.weight [d, a] .bias [d]       heads of d / heads
 *             .transformer.layer.N.sa_layer_norm          [d]      after attention + x
 *             .transformer.layer.N.ffn.lin1 [h, d] .lin2 [d, h]    activation between
 *             .transformer.layer.N.output_layer_norm      [d]      after ffn + x
 *   pre_classifier [d, d], relu;  classifier [classes, d]
 *
 * a and h may differ from layer to layer.  All LayerNorms have eps 1e-12.  There are no token types. */
#include "models/encoder.h"

static const oct_encoder_names names = {
    .kind = "distilbert", .prefix = "distilbert.",
    .word = "embeddings.word_embeddings", .position = "embeddings.position_embeddings",
    .norm = "embeddings.LayerNorm", .layer = "transformer.layer.",
    .query = "attention.q_lin", .key = "attention.k_lin", .value = "attention.v_lin",
    .out = "attention.out_lin", .out_norm = "sa_layer_norm",
    .up = "ffn.lin1", .down = "ffn.lin2", .down_norm = "output_layer_norm",
    .pooler = "pre_classifier", .pooler_act = OCT_ACT_RELU,
    .dim = "dim", .hidden = "hidden_dim", .depth = "n_layers", .heads = "n_heads",
    .act = "activation",
};

static int recognise(const oct_weights *w) { return oct_encoder_recognise(&names, w); }

static oct_status build(oct_model *m, const char *arch, const oct_options *options)
{
    return oct_encoder_build(&names, m, arch, options);
}

const oct_builder oct_builder_distilbert = { "distilbert", recognise, build, NULL, 1 };
