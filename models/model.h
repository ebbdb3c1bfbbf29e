#ifndef OCT_MODELS_MODEL_H
#define OCT_MODELS_MODEL_H

#include "graph/pass.h"
#include "graph/plan.h"
#include "octet.h"
#include "weights/weights.h"

enum { OCT_MODEL_MAX_PASSES = 8, OCT_MODEL_MAX_DOUBTS = 4 };

/* The tensor of a text model's own vocabulary, models/vocab_tensor.h. */
#define OCT_MODEL_VOCAB "octet.vocab"

/* A constant of the graph and the tensor of the file it came from, or of several, rows of it. */
typedef struct oct_named_constant {
    const oct_tensor *tensor;
    const char *name;          /* "conv1.weight" */
    int first, rows;           /* first to first + rows - 1 */
} oct_named_constant;

/* What the programs may know of a model beyond octet.h. */
struct oct_model {
    oct_weights *weights;      /* open until oct_model_free: inspect lists it */
    oct_graph graph;
    oct_plan *plan;            /* NULL if only described */
    oct_pool *pool;
    int own_pool;
    unsigned cpu;              /* flags the plan uses */
    const char *precision;     /* "fp32", "bf16", "fp16", "int8" */
    const char *isa;           /* of a compiled file: what its weights are packed for; else NULL */
    int pack_only;             /* loaded by oct_model_pack */
    int dense;                 /* octet.sparse is not looked at */
    oct_dtype *packed_type;    /* of a compiled file's pieces; NULL: F32, all */
    int n_packed_types;
    const struct oct_builder *builder;
    const char *kind;          /* "cnn", "cifar_resnet", "resnet", "distilbert" */
    const char *arch;          /* octet.arch, canonical JSON */
    const char *recipe;        /* octet.input JSON */
    int recipe_is_guess;       /* neither in the file nor a convention of this kind */
    const char *in_doubt[OCT_MODEL_MAX_DOUBTS]; /* sentences: what is a convention of this kind */
    int n_doubts;              /* and not in the file; inspect says them aloud */
    int classes;
    int max_length;            /* of a model of texts: tokens of one at most; else 0 */
    int vocabulary, token_types;
    char **label;              /* [classes], or NULL: the file has none */
    size_t n_parameters;       /* elements of the parameters, buffers (running_*) left out */
    int n_passes;              /* that ran, with what they changed */
    oct_pass pass[OCT_MODEL_MAX_PASSES];
    int pass_changes[OCT_MODEL_MAX_PASSES];
    oct_named_constant *constant; /* [n_constants] in the order the builder asked for them */
    int n_constants, max_constants;
    oct_arena arena;           /* graph, names, labels */
};

/* As oct_model_load, but without a plan: kind, graph after passes, recipe, labels; for inspect.
 * options->passes NULL: none; a compiled file has had its own. */
OCT_MUST_CHECK oct_status oct_model_describe(const char *path, const oct_options *options,
                                             oct_model **out);

/* As oct_model_load, but to be written by oct_compiled_save: options->isa may be one this CPU
 * lacks, a run is refused, as is a file that is compiled already. */
OCT_MUST_CHECK oct_status oct_model_pack(const char *path, const oct_options *options,
                                         oct_model **out);

/* A described model gets its plan, on options' pool, threads and isa: to be run, not saved. */
OCT_MUST_CHECK oct_status oct_model_plan(oct_model *m, const oct_options *options);
/* Back to a model that is only described: the memory of its plan is given back. */
void oct_model_unplan(oct_model *m);

/* The ISA that a plan is made for, "avx2", or its device, "cuda". */
const char *oct_model_isa(const oct_model *m);

/* Can the first n samples of the inputs run, as oct_model_run asks before it does. */
OCT_MUST_CHECK oct_status oct_model_check(const oct_model *m, int n);

/* *texts: 1 if the model takes texts, 0 if images; arch as in oct_options. */
OCT_MUST_CHECK oct_status oct_model_takes_texts(const char *path, const char *arch, int *texts);

/* The passes every model goes through, or those of list (oct_passes_select): *n of them.
 * ERR_UNSUPPORTED names an unknown one. */
OCT_MUST_CHECK oct_status oct_model_passes(const char *list, oct_pass out[OCT_MODEL_MAX_PASSES],
                                           int *n);

/* "fp32" (or NULL), "bf16", "fp16", "int8": F32, BF16, F16, S8; ERR_UNSUPPORTED: any other. */
OCT_MUST_CHECK oct_status oct_model_precision(const char *name, oct_dtype *out);

/* A kind of model: told from the tensors, built as a graph.  models/model.c has the table. */
typedef struct oct_builder {
    const char *kind;
    /* 1 if these tensors are this kind of model */
    int (*recognise)(const oct_weights *w);
    /* Fills m->graph, kind, arch, recipe (where the file has none), classes; arch is the JSON of
     * the file or of the caller, NULL if neither has one. */
    OCT_MUST_CHECK oct_status (*build)(oct_model *m, const char *arch, const oct_options *options);
    /* m->arch for a file without the batch norms that pass_fold_bn took away; NULL: as it is */
    OCT_MUST_CHECK oct_status (*fold_arch)(oct_model *m);
    int texts;                 /* 1: takes texts; 0: images */
} oct_builder;

extern const oct_builder oct_builder_cnn, oct_builder_cifar_resnet, oct_builder_resnet,
                         oct_builder_distilbert, oct_builder_bert;

/* For builders: the tensor NAME of the file as a constant of the graph, checked to have rank dims
 * dim[] (-1: any) and floats in it.  Vectors come as FP32, whatever the file has.  Of a quantized
 * model a weight may be I8, with NAME.scale [dim[0]], and a bias I32. */
OCT_MUST_CHECK oct_status oct_model_constant(oct_model *m, const char *name, int rank,
                                             const int *dim, oct_tensor **out);
/* n of them as one: their rows one after the other (oct_weights_join). */
OCT_MUST_CHECK oct_status oct_model_constants(oct_model *m, const char *const *names, int n,
                                              int rank, const int *dim, oct_tensor **out);

#endif
