#ifndef OCT_MODELS_ENCODER_H
#define OCT_MODELS_ENCODER_H

#include "models/model.h"
#include "ops/attr.h"

/* BERT and its kin: an embedding, layers of attention and two linears, each half added to what came
 * in and normalized, a classifier on the first token.  One builder, a table of names a kind. */
typedef struct oct_encoder_names {
    const char *kind;           /* octet.arch's and config.json's model_type */
    const char *prefix;         /* of all names of the encoder; a file may lack it */
    const char *word, *position, *type, *norm;  /* embeddings; type NULL: no token types */
    const char *layer;          /* of layer 3, "transformer.layer." before "3." */
    const char *query, *key, *value, *out, *out_norm, *up, *down, *down_norm; /* in a layer */
    const char *pooler;         /* the linear before the classifier, its prefix included, */
    int pooler_prefix;          /* 1: it is one of the names with prefix */
    oct_act pooler_act;
    /* Keys of config.json; eps NULL: always 1e-12. */
    const char *dim, *hidden, *depth, *heads, *act, *eps;
} oct_encoder_names;

/* For oct_builder. */
int oct_encoder_recognise(const oct_encoder_names *names, const oct_weights *w);
OCT_MUST_CHECK oct_status oct_encoder_build(const oct_encoder_names *names, oct_model *m,
                                            const char *arch, const oct_options *options);

/* models/encoder_config.c: what tensors do not tell, from octet.arch, else from config.json. */
typedef struct oct_encoder_config {
    int heads;
    oct_act act;                /* GELU or RELU */
    float eps;                  /* of all LayerNorms */
} oct_encoder_config;

/* What the tensors tell; arch and config.json may say the same, nothing else. */
typedef struct oct_encoder_shape {
    int dim, hidden, depth, classes;
} oct_encoder_shape;

/* Also m->label (id2label) and m->arch. */
OCT_MUST_CHECK oct_status oct_encoder_configure(const oct_encoder_names *names, oct_model *m,
                                                const char *arch, const oct_encoder_shape *shape,
                                                oct_encoder_config *out);

/* models/encoder_input.c: the inputs of m, as octet.h has them; tokens: the most of one text. */
OCT_MUST_CHECK oct_status oct_encoder_inputs(oct_model *m, const oct_options *o, int positions,
                                             int with_types);
/* What the caller wrote for a run of n texts: lengths, ids and types are in range. */
OCT_MUST_CHECK oct_status oct_encoder_check(const oct_model *m, int n);

#endif
