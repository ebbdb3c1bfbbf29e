#ifndef OCT_MODELS_COMPILED_H
#define OCT_MODELS_COMPILED_H

#include "models/model.h"
#include "models/save_meta.h"

/* A compiled model: octet.plan in the metadata is the graph after the passes, as JSON, and the
 * tensors octet.packed.0000, 0001, ... are what the operators packed, in the order they ask for
 * it.  Loading rebuilds the graph node by node, each checked by its operator's infer, runs no
 * pass, packs nothing and maps the weights.
 *
 *   {"isa":"avx512","packing":2,"passes":["fold_bn","fuse","dce"],"parameters":25557032,
 *    "input":[3,224,224],"outputs":[57],
 *    "nodes":[{"name":"input","op":"layout","attr":{},"in":[0]},
 *             {"name":"conv1","op":"conv2d","attr":{"stride":[2,2], ...},
 *              "in":[1,{"dtype":"F32","shape":[64,3,7,7]},{"dtype":"F32","shape":[64]}]}, ...]}
 *
 * Made with --precision it has "precision":"fp16" and "types":["F16","F32",...], one a piece.
 * Value 0 is the input, value i + 1 what node i writes; an object is a constant whose data lie
 * packed, null an absent operand.
 * A model of texts has "texts":{"length":512,"types":false}, the most tokens of one and whether
 * they have types, in place of "input": values 0 and 1 are ids and starts, 2 types if there are. */
extern const char oct_compiled_prefix[]; /* "octet.packed." */

/* 1 if the open file is a compiled model. */
int oct_compiled_is(const oct_weights *w);

/* The whole of m->graph, kind, arch, isa, passes, classes, n_parameters from the file, which is
 * hostile: names of operators and attrs, indices, shapes and sizes are checked, the rest by infer.
 * Options that would need another plan (arch, passes, gemm, precision, height, width) are refused;
 * passes "none" is not if there will be no plan: it has the file described as it is. */
OCT_MUST_CHECK oct_status oct_compiled_read(oct_model *m, const oct_options *o, int with_plan);

/* Can and may this CPU run it?  plan->cpu becomes the file's ISA, plan->given the mapped pieces. */
OCT_MUST_CHECK oct_status oct_compiled_use(oct_model *m, const oct_options *o,
                                           oct_plan_options *plan);

/* ERR_UNSUPPORTED if this build lacks the kernels of flags' newest ISA. */
OCT_MUST_CHECK oct_status oct_compiled_built(unsigned flags);

/* Writes m, which was loaded by oct_model_pack, as oct_weights_save does. */
OCT_MUST_CHECK oct_status oct_compiled_save(const oct_model *m, const char *path,
                                            const oct_save_info *info);

/* models/compiled_texts.c: the inputs that object, "texts" of octet.plan, describes; and what a
 * node on them is held to, as infer sees shapes and not which rows a value has.  attention's
 * length becomes that of the inputs. */
OCT_MUST_CHECK oct_status oct_compiled_texts(oct_model *m, const json_t *object,
                                             const oct_options *o);
OCT_MUST_CHECK oct_status oct_compiled_texts_node(oct_model *m, oct_op_kind kind,
                                                  oct_tensor *const operand[OCT_MAX_IN],
                                                  void *attr);

#endif
