#ifndef OCT_GRAPH_PLAN_H
#define OCT_GRAPH_PLAN_H

#include <stdio.h>

#include "graph/graph.h"

/* One step a live node, in order: operands with their places in the plan's arena, the state that
 * prepare made, and what it says of itself. */
typedef struct oct_step {
    const oct_node *node;
    const oct_op *op;
    oct_args args;         /* tensors of the plan: data is set */
    void *state;
    int per_text;          /* its output has a row for each text, not for each token */
    const char *kernel;    /* "gemm_f32/avx512" */
    oct_dtype type;        /* of packed weights; F32 where there are none */
    double macs;           /* multiply-adds of one sample */
    float ours_ms, library_ms; /* 0 unless a device timed them, see oct_prepare */
    size_t weight_size;    /* bytes of packed weights */
    oct_packed packed[OCT_MAX_PACKED]; /* them, for octet compile */
    int n_packed;
} oct_step;

typedef struct oct_plan_options {
    unsigned cpu;          /* OCT_CPU_* */
    int threads;           /* of the pool it will run on */
    oct_dtype precision;   /* of conv2d and linear: F32, F16, BF16; a layer may stay F32 */
    oct_sgemm *sgemm;      /* NULL: our own FP32 kernels; else models/openblas.c's */
    const oct_backend *backend; /* runs the steps; NULL: the CPU.  Then keep_values, given are 0 */
    oct_dtype floats;      /* of a backend: F16 or F32, what it holds FP32 values as */
    oct_library library;   /* of a backend: does its library do products, oct_device_options */
    const char *const *wide; /* [n_wide] nodes whose values it holds as FP32 even so */
    int n_wide;
    int watch;             /* oct_plan_run_all looks at what each step wrote: oct_plan.watched */
    int keep_values;       /* every value keeps its own place: all can be read after a run */
    int whole;             /* no slices: steps can be run from the middle, oct_plan_run_between */
    /* called with each constant as soon as no later step needs its data; NULL is fine */
    void (*packed)(void *arg, const oct_tensor *constant);
    void *arg;
    /* the packed weights of all steps in their order, exactly, to be there as long as the plan:
     * of a compiled file, whose constants have no data; NULL: the plan packs */
    const oct_packed *given;
    int n_given;
} oct_plan_options;

/* Steps first .. end - 1 are run for `slice` samples, then for the next `slice`, and so on: what
 * one layer wrote is then still in the cache when the next reads it.  slice is the batch where
 * weights weigh more than activations.  graph/plan_slice.c */
typedef struct oct_plan_group {
    int first, end, slice;
} oct_plan_group;

/* A value of the plan: of a whole batch, or, where only steps of one group know it, of a slice. */
typedef struct oct_plan_value {
    oct_tensor *tensor;
    unsigned char *data;       /* of sample 0 */
    size_t step;               /* bytes to the next sample; 0: holds a slice only */
} oct_plan_value;

/* The FP32 values that a step wrote in all runs so far. */
typedef struct oct_watched {
    float most;                /* the largest |x| of the finite ones; of a backend not known, 0 */
    long long nan, infinite;   /* how many were */
} oct_watched;

typedef struct oct_plan {
    oct_step *step;
    int n_steps;
    oct_plan_group *group;
    int n_groups;
    oct_plan_value *value;
    int n_values;
    oct_tensor *in, *out;      /* the graph's inputs and outputs, data set; n_ins, n_outs */
    int n_ins, n_outs;
    const oct_tensor *starts;  /* one of in; NULL: no texts */
    size_t weight_size;        /* packed weights of all steps */
    size_t value_size;         /* activations: offsets planned by lifetime, reused */
    size_t workspace_size;     /* the largest step's */
    oct_run how;               /* workspace */
    oct_watched *watched;      /* [n_steps]; NULL: nobody asked */
    const oct_backend *backend; /* NULL: the CPU; else value and how are the device's */
    oct_device *device;
    oct_arena arena;
} oct_plan;

/* Does everything that can fail: after it, run only computes.  The graph must outlive the plan,
 * its constants' data need not.  *out is the caller's; NULL on failure. */
OCT_MUST_CHECK oct_status oct_plan_build(const oct_graph *g, const oct_plan_options *options,
                                         oct_plan **out);
void oct_plan_free(oct_plan *plan);

/* The constants of a step of a plan that packs have other data now, of the same dtypes and shapes:
 * it is prepared once more.  The old packed weights stay until the plan goes. */
OCT_MUST_CHECK oct_status oct_plan_prepare_again(oct_plan *plan, const oct_plan_options *options,
                                                 int step);

/* The most samples of a run: texts, or the first dim of the first input; 0: there is none. */
int oct_plan_batch(const oct_plan *plan);

/* Walks the steps for n samples, 1 <= n <= the batch; of texts, for the first n of them, which are
 * as many rows as starts says, and after gets the rows of the step.  after, if not NULL, is called
 * after each step, when its output is valid: timing, calibration, diff.  A step of a group is run
 * for a slice of the samples at a time: after is called for each slice in order, n its number of
 * samples, and the step's tensors begin with its first one. */
typedef void oct_plan_hook(void *arg, const oct_plan *plan, int step, int n);
void oct_plan_run(oct_plan *plan, oct_pool *pool, int n, oct_plan_hook *after, void *arg);
/* The same by whom the plan is made for, without a hook; only a device can fail here.  A plan of a
 * backend is run in no other way. */
OCT_MUST_CHECK oct_status oct_plan_run_all(oct_plan *plan, oct_pool *pool, int n);
/* The first `steps` of them only: what the first layers see needs no more. */
void oct_plan_run_steps(oct_plan *plan, oct_pool *pool, int n, int steps, oct_plan_hook *after,
                        void *arg);
/* Steps first .. end - 1 of a plan made `whole`, once the inputs, and all values that these steps
 * read and earlier ones write, are there. */
void oct_plan_run_between(oct_plan *plan, oct_pool *pool, int n, int first, int end,
                          oct_plan_hook *after, void *arg);

/* The type a step computes with, "F32": its weights', where these are narrower than its output. */
const char *oct_step_type(const oct_step *step);

/* graph/watch.c: an oct_plan_hook that adds what the step wrote to arg, the plan's watched. */
void oct_plan_watch(void *watched, const oct_plan *plan, int step, int n);

/* One line a step: op, shape, type, kernel, multiply-adds, bytes; then the totals. */
void oct_plan_dump(const oct_plan *plan, FILE *to);

/* graph/plan_slice.c: cuts the steps into groups.  bytes[i]: what step i reads and writes of one
 * sample's activations. */
OCT_MUST_CHECK oct_status oct_plan_slices(oct_plan *plan, const size_t *bytes, int batch);

/* graph/plan_memory.c: lifetimes to offsets.  A value lives from step first to step last (both
 * included); *offset is where it starts, on a 64-byte line and followed by 64 bytes of its own.
 * Returns the size of the area.  Greedy by size, largest first. */
typedef struct oct_lifetime {
    size_t size;
    int first, last;
    size_t offset;
} oct_lifetime;
size_t oct_plan_offsets(oct_lifetime *value, int n);

#endif
