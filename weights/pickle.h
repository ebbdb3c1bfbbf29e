#ifndef OCT_WEIGHTS_PICKLE_H
#define OCT_WEIGHTS_PICKLE_H

#include <stdbool.h>

#include "tensor/tensor.h"
#include "weights/slab.h"

/* A restricted pickle machine, protocols 2 to 5.  A pickle is a program; this machine knows the
 * opcodes that torch.save writes and a fixed list of globals, and builds only what is below.  It
 * imports and calls nothing.  Anything else ends it with one sentence and the byte: "global
 * 'os.system' is not allowed (byte 123)", and nobody tries again with a laxer one.
 *
 * Everything is bounded by the slab's budget and by the limits in pickle.c; nothing recurses. */
typedef enum oct_pickle_kind {
    OCT_PICKLE_NONE, OCT_PICKLE_BOOL,
    OCT_PICKLE_INT,       /* fits int64 */
    OCT_PICKLE_LONG,      /* does not: text has its bytes, little-endian */
    OCT_PICKLE_FLOAT,
    OCT_PICKLE_STR, OCT_PICKLE_BYTES,
    OCT_PICKLE_TUPLE, OCT_PICKLE_LIST, /* sets too */
    OCT_PICKLE_DICT,      /* OrderedDict too */
    OCT_PICKLE_GLOBAL,    /* one of the list; what */
    OCT_PICKLE_STORAGE, OCT_PICKLE_TENSOR,
    OCT_PICKLE_CLASS,     /* of a TorchScript module; text is its name */
    OCT_PICKLE_OBJECT,    /* such a module; its attributes, as in a dict */
    OCT_PICKLE_OPAQUE     /* device('cpu'), numpy scalars: known, not needed */
} oct_pickle_kind;

typedef struct oct_pickle_value oct_pickle_value;

typedef struct oct_pickle_cell {   /* of a list (key NULL), dict or object */
    oct_pickle_value *key, *value;
    struct oct_pickle_cell *next;
} oct_pickle_cell;

typedef struct oct_pickle_storage {
    oct_dtype dtype;
    const oct_pickle_value *key;   /* STR or BYTES */
    uint64_t numel;
    uint64_t view_at;              /* offsets count from this element; usually 0 */
    const struct oct_store *store; /* the caller's, once it knows where the bytes are */
    struct oct_pickle_storage *next;
} oct_pickle_storage;

/* How a tensor is quantized: real = scale (q - zero), one scale and zero for all or for each index of
 * dimension `axis`.  TENSOR, LIST (of floats, of integers), or FLOAT and INT: one for all. */
typedef struct oct_pickle_quantizer {
    const struct oct_pickle_value *scale, *zero;
    int64_t axis;                  /* >= 0, not yet held against the rank; 0 if one for all */
} oct_pickle_quantizer;

typedef struct oct_pickle_tensor {
    oct_pickle_storage *storage;
    const oct_pickle_quantizer *quantizer; /* NULL: its numbers are what they are */
    uint64_t offset;               /* elements */
    int rank;
    int64_t dim[OCT_MAX_RANK], stride[OCT_MAX_RANK]; /* >= 0, not yet held against the storage */
} oct_pickle_tensor;

struct oct_pickle_value {
    uint8_t kind, what;            /* what: row of the list of globals */
    uint32_t n;                    /* bytes of text, items of a tuple, cells of a list or dict */
    union {
        int64_t i;                 /* BOOL, INT */
        double f;                  /* FLOAT */
        const char *text;          /* STR, BYTES, LONG, CLASS; terminated */
        oct_pickle_value **item;   /* TUPLE */
        struct { oct_pickle_cell *first, *last; } list; /* LIST, DICT, OBJECT */
        oct_pickle_storage *storage;
        oct_pickle_tensor *tensor;
    };
};

/* Bytes [at, end) of something; at moves behind the pickle's STOP.  read is asked for rising
 * ranges. */
typedef struct oct_pickle_input {
    oct_status (*read)(void *arg, uint64_t at, void *to, size_t size);
    void *arg;
    uint64_t at, end;
} oct_pickle_input;

typedef struct oct_pickle {
    oct_slab *slab;                /* everything built is in it */
    bool modules;                  /* TorchScript: allow classes of __torch__, without their code */
    oct_pickle_storage *storages;  /* all that were named, newest first */
    uint64_t byte;                 /* of the opcode that runs, for messages */
} oct_pickle;

/* Runs one pickle.  ERR_FORMAT: it is malformed or asks for what is not allowed. */
OCT_MUST_CHECK oct_status oct_pickle_run(oct_pickle *p, oct_pickle_input *in,
                                         oct_pickle_value **root);

/* Value of a text key of a DICT or OBJECT, the last if there are several; or NULL. */
oct_pickle_value *oct_pickle_get(const oct_pickle_value *dict, const char *key);

#endif
