#ifndef OCT_PROGRAMS_JOB_H
#define OCT_PROGRAMS_JOB_H

#include "input/input.h"
#include "models/model.h"
#include "programs/cli.h"

/* A model ready to run and the recipe its images go through, both as the command line says. */
typedef struct job {
    oct_model *model;
    oct_options options;          /* it was loaded with, to load it again */
    char *arch;                   /* of options */
    oct_recipe recipe;            /* the model's, then --resize, --mean ... */
    int batch;
    int channels, height, width;  /* of a sample */
    size_t sample;                /* floats of a sample */
    int classes;
    int is_probability;           /* the network ends in a softmax */
} job;

/* What differs between the jobs of one command line. */
typedef struct job_settings {
    const char *path;             /* MODEL */
    int batch, sequence;          /* sequence 0: the model's own, most tokens of a text */
    int threads;                  /* 0: default */
    const char *isa, *passes, *precision; /* NULL: default */
    int keep_values, watch;       /* of oct_options */
    int pack;                     /* oct_model_pack: for octet compile, not to be run */
    const oct_source *source;     /* records of a fixed size may decide the input's; NULL: none */
} job_settings;

/* Settings from the command line: --batch (or batch), --threads, --isa, --precision,
 * --passes. */
job_settings job_defaults(const cli_args *a, const char *path, int batch);

/* What the model is loaded with, but arch and the size of an image. */
oct_options job_options(const cli_args *a, const job_settings *s);
/* 1 if the model takes texts; 0 also where it cannot be opened, which is said when it is loaded. */
int job_takes_texts(const cli_args *a, const char *path);
/* DATA, images or texts: 0, or an exit code and the line was printed.  path NULL: 0, no data.  *out,
 * NULL at first, is the caller's to close either way. */
int job_open_source(const cli_args *a, int texts, char *path, oct_source **out);
/* Loads it so; a file that is cut short while it is mapped is told of from now on.  *out is freed
 * by job_free_model. */
OCT_MUST_CHECK oct_status job_load_model(const cli_args *a, const job_settings *s,
                                         const oct_options *options, oct_model **out);
void job_free_model(oct_model *m); /* NULL is fine */

/* 0, or an exit code and the line was printed; out is closed either way by job_close. */
int job_open(const cli_args *a, const job_settings *s, job *out);
void job_close(job *j);

/* Copies n samples in, runs, and gives the logits [n, classes], valid until the next run.  *ms is
 * the time of both, NULL is fine. */
OCT_MUST_CHECK oct_status job_run(job *j, const float *samples, int n, const float **logits,
                                  double *ms);

/* The next of a row of random numbers: splitmix64. */
uint64_t job_next_random(uint64_t *seed);
/* n samples of seeded random numbers, uniform in -2 .. 2: the range of normalized images.
 * malloc'd; NULL: out of memory. */
float *job_random(const job *j, int n);

/* The recipe the command line changes, as canonical JSON in arena; else the file's or the kind's
 * own text, NULL where it is only a guess. */
OCT_MUST_CHECK oct_status job_recipe(const cli_args *a, const job *j, oct_arena *arena,
                                     const char **out);

/* octet.arch of --layers and --input, malloc'd; NULL without --layers, or out of memory. */
char *job_arch(const cli_args *a);

#endif
