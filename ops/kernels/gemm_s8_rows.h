/* What finish() of gemm_s8 (gemm_s8_{zmm,ymm,q}.h) shares with its callers: rows of sums, NR int32
 * each, in the order of the panel.  The includer defines LANES and, on x86, vec and vec_load. */
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { NR = 2 * LANES };

/* Row r of a tile, counted through both groups. */
typedef struct row_pos {
    int group, i;              /* row i of the group */
    size_t at;                 /* elements from the group's c and residual */
} row_pos;

static inline row_pos row_of(const oct_gemm_s8_args *t, int r)
{
    const int g = r >= t->rows, i = r - g * t->rows;
    return (row_pos){ g, i, (size_t)i * t->ldc };
}

/* Bytes of t->ahead to prefetch for each `group` bytes of the panel. */
static inline int ahead_by(const oct_gemm_s8_args *t, int group)
{
    return t->ahead && t->ahead_parts > 1 ? group / t->ahead_parts : group;
}

/* How much of the definition a U8 tile needs: a step of rows_u8's constants. */
enum { ANY, BOUNDED, PLAIN };
static inline int care(const oct_requant *q)
{
    return q->plain ? PLAIN : q->bounded ? BOUNDED : ANY;
}

/* U8 rows one after the other, through both groups. */
typedef struct row_walk {
    int left;                  /* of this group */
    uint8_t *c;
    const uint8_t *residual;
} row_walk;

static inline row_walk first_row(const oct_gemm_s8_args *t)
{
    return (row_walk){ t->rows, t->c[0], t->residual[0] };
}

static inline void next_row(const oct_gemm_s8_args *t, row_walk *w)
{
    if (--w->left) {
        w->c += t->ldc;
        w->residual += t->residual[0] ? t->ldc : 0;
    } else {
        *w = (row_walk){ t->rows, t->c[1], t->residual[1] };
    }
}

/* The sums of t->rows * t->groups rows -> c, as t->out says; of t it reads nothing about A. */
static void finish(const oct_gemm_s8_args *t, const int32_t (*acc)[NR]);
