/* The opcodes, the stack, the marks and the memo. */
#include "weights/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weights/pickle_build.h"

enum {
    MAX_STACK = 1 << 19,  /* a tuple's items lie on the stack first; lists come in batches */
    MAX_MARKS = 1 << 12,  /* one for each level of nesting */
    MAX_MEMO  = 1 << 21,  /* about ten for each tensor */
    MAX_LINE  = 256,      /* of a global's module or name */
    WINDOW    = 1 << 14
};

typedef oct_pickle_value value;

typedef struct machine {
    oct_pickle *p;
    oct_pickle_input *in;           /* in->at: behind the window */
    size_t at, fill;                /* next byte of the window, its bytes */
    value **stack, **memo;
    size_t n, room, n_memo, memo_room;
    size_t n_marks;
    uint32_t mark[MAX_MARKS];       /* height of the stack under each mark */
    bool done;
    uint8_t window[WINDOW];
} machine;

typedef oct_status handler(machine *m, uint8_t op);

static uint64_t left(const machine *m) { return m->in->end - m->in->at + (m->fill - m->at); }

/* The next n bytes of the pickle. */
static oct_status take(machine *m, void *to, size_t n)
{
    if (n > left(m)) return oct_pickle_fail(m->p, "the pickle ends in the middle");
    for (char *p = to; n;) {
        if (m->at == m->fill) {
            const uint64_t rest = m->in->end - m->in->at;
            m->fill = rest < WINDOW ? (size_t)rest : WINDOW;
            m->at = 0;
            const size_t fill = m->fill;
            m->fill = 0;
            OCT_TRY(m->in->read(m->in->arg, m->in->at, m->window, fill));
            m->fill = fill;
            m->in->at += fill;
        }
        const size_t part = m->fill - m->at < n ? m->fill - m->at : n;
        memcpy(p, m->window + m->at, part);
        m->at += part;
        p += part;
        n -= part;
    }
    return OCT_OK;
}

static oct_status take_number(machine *m, size_t bytes, uint64_t *out) /* little-endian */
{
    *out = 0;
    return take(m, out, bytes);
}

/* Doubles an array of pointers, up to max. */
static oct_status grow(machine *m, value ***array, size_t *room, size_t max, const char *what)
{
    if (*room == max) return oct_pickle_fail(m->p, "more than %zu values %s", max, what);
    const size_t more = *room ? 2 * *room : 256;
    value **p = realloc(*array, more * sizeof *p);
    if (!p) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    *array = p;
    *room = more;
    return OCT_OK;
}

static oct_status push(machine *m, value *v)
{
    if (m->n == m->room) OCT_TRY(grow(m, &m->stack, &m->room, MAX_STACK, "on the stack"));
    m->stack[m->n++] = v;
    return OCT_OK;
}

static oct_status push_new(machine *m, oct_pickle_kind kind, value **v)
{
    OCT_TRY(oct_pickle_new(m->p, kind, v));
    return push(m, *v);
}

/* The top n values, above the last mark; they stay on the stack. */
static oct_status top(machine *m, size_t n, value ***out)
{
    const size_t floor = m->n_marks ? m->mark[m->n_marks - 1] : 0;
    *out = m->stack;
    if (m->n - floor < n) return oct_pickle_fail(m->p, "the stack has too few values");
    *out += m->n - n;
    return OCT_OK;
}

/* Everything above the last mark; mark and values are off the stack, the values still readable. */
static oct_status pop_mark(machine *m, value ***out, size_t *n)
{
    *out = m->stack;
    *n = 0;
    if (!m->n_marks) return oct_pickle_fail(m->p, "there is no mark");
    const size_t floor = m->mark[--m->n_marks];
    *out += floor;
    *n = m->n - floor;
    m->n = floor;
    return OCT_OK;
}

/* Opcodes, one function a family ---------------------------------------------------------- */

static oct_status op_proto(machine *m, uint8_t op)
{
    uint64_t version;
    (void)op;
    OCT_TRY(take_number(m, 1, &version));
    if (version >= 2 && version <= 5) return OCT_OK;
    return oct_pickle_fail(m->p, "pickle protocol %d, only 2 to 5 are read", (int)version);
}

static oct_status op_frame(machine *m, uint8_t op) /* a hint for buffering: of no use here */
{
    uint64_t size;
    (void)op;
    OCT_TRY(take_number(m, 8, &size));
    if (size <= left(m)) return OCT_OK;
    return oct_pickle_fail(m->p, "a frame of %" PRIu64 " bytes, %" PRIu64 " are left", size,
                           left(m));
}

static oct_status op_stop(machine *m, uint8_t op)
{
    (void)op;
    m->done = true;
    if (m->n_marks) return oct_pickle_fail(m->p, "a mark without its end");
    if (m->n == 1) return OCT_OK;
    return oct_pickle_fail(m->p, "%zu values at the end, expected 1", m->n);
}

static oct_status op_mark(machine *m, uint8_t op)
{
    (void)op;
    if (m->n_marks == MAX_MARKS)
        return oct_pickle_fail(m->p, "nested deeper than %d", MAX_MARKS);
    m->mark[m->n_marks++] = (uint32_t)m->n;
    return OCT_OK;
}

static oct_status op_empty(machine *m, uint8_t op)
{
    value *v;
    return push_new(m, op == '}' ? OCT_PICKLE_DICT : op == ')' ? OCT_PICKLE_TUPLE
                                                               : OCT_PICKLE_LIST, &v);
}

static oct_status op_constant(machine *m, uint8_t op)
{
    value *v;
    OCT_TRY(push_new(m, op == 'N' ? OCT_PICKLE_NONE : OCT_PICKLE_BOOL, &v));
    v->i = op == 0x88;
    return OCT_OK;
}

static oct_status op_int(machine *m, uint8_t op)
{
    uint64_t u;
    value *v;
    OCT_TRY(take_number(m, op == 'K' ? 1 : op == 'M' ? 2 : 4, &u));
    OCT_TRY(push_new(m, OCT_PICKLE_INT, &v));
    v->i = op == 'J' ? (int32_t)(uint32_t)u : (int64_t)u;
    return OCT_OK;
}

static oct_status op_long(machine *m, uint8_t op) /* two's complement, any length */
{
    uint64_t n, u = 0;
    uint8_t bytes[256];
    value *v;
    OCT_TRY(take_number(m, op == 0x8a ? 1 : 4, &n));
    if (n > 255) return oct_pickle_fail(m->p, "an integer of %" PRIu64 " bytes", n);
    OCT_TRY(take(m, bytes, (size_t)n));
    OCT_TRY(push_new(m, n <= 8 ? OCT_PICKLE_INT : OCT_PICKLE_LONG, &v));
    if (n > 8) {
        v->n = (uint32_t)n;
        v->text = oct_slab_string(m->p->slab, (char *)bytes, (size_t)n);
        return v->text ? OCT_OK : oct_slab_error(m->p->slab);
    }
    if (n && bytes[n - 1] & 0x80) u = UINT64_MAX;
    memcpy(&u, bytes, (size_t)n);
    v->i = (int64_t)u;
    return OCT_OK;
}

static oct_status op_float(machine *m, uint8_t op) /* big-endian */
{
    uint64_t bits;
    value *v;
    (void)op;
    OCT_TRY(take_number(m, 8, &bits));
    OCT_TRY(push_new(m, OCT_PICKLE_FLOAT, &v));
    bits = __builtin_bswap64(bits);
    memcpy(&v->f, &bits, sizeof v->f);
    return OCT_OK;
}

static oct_status op_text(machine *m, uint8_t op)
{
    static const struct { uint8_t op, bytes, kind; } table[] = {
        { 'X', 4, OCT_PICKLE_STR },    /* BINUNICODE */
        { 0x8c, 1, OCT_PICKLE_STR },   /* SHORT_BINUNICODE */
        { 0x8d, 8, OCT_PICKLE_STR },   /* BINUNICODE8 */
        { 'T', 4, OCT_PICKLE_STR },    /* BINSTRING, of Python 2 */
        { 'U', 1, OCT_PICKLE_STR },    /* SHORT_BINSTRING */
        { 'B', 4, OCT_PICKLE_BYTES },  /* BINBYTES */
        { 'C', 1, OCT_PICKLE_BYTES },  /* SHORT_BINBYTES */
        { 0x8e, 8, OCT_PICKLE_BYTES }, /* BINBYTES8 */
        { 0x96, 8, OCT_PICKLE_BYTES }, /* BYTEARRAY8 */
    };
    size_t row = 0;
    while (table[row].op != op) row++;
    uint64_t n;
    OCT_TRY(take_number(m, table[row].bytes, &n));
    if (n > left(m) || n > UINT32_MAX)
        return oct_pickle_fail(m->p, "a string of %" PRIu64 " bytes, %" PRIu64 " are left", n,
                               left(m));
    value *v;
    OCT_TRY(push_new(m, table[row].kind, &v));
    char *text = oct_slab_alloc(m->p->slab, (size_t)n + 1);
    if (!text) return oct_slab_error(m->p->slab);
    v->text = text;
    v->n = (uint32_t)n;
    return take(m, text, (size_t)n);
}

static oct_status make_tuple(machine *m, value **item, size_t n, value **v)
{
    OCT_TRY(oct_pickle_new(m->p, OCT_PICKLE_TUPLE, v));
    (*v)->n = (uint32_t)n;
    (*v)->item = oct_slab_alloc(m->p->slab, n * sizeof *item);
    if (!(*v)->item) return oct_slab_error(m->p->slab);
    if (n) memcpy((*v)->item, item, n * sizeof *item);
    return OCT_OK;
}

static oct_status op_tuple(machine *m, uint8_t op)
{
    value **item, *v;
    size_t n;
    if (op == 't') {
        OCT_TRY(pop_mark(m, &item, &n));
    } else {
        n = op - 0x84u; /* TUPLE1, 2, 3 */
        OCT_TRY(top(m, n, &item));
        m->n -= n;
    }
    OCT_TRY(make_tuple(m, item, n, &v));
    return push(m, v);
}

/* APPEND, APPENDS, ADDITEMS, SETITEM, SETITEMS: a list or dictionary under the new items. */
static oct_status op_fill(machine *m, uint8_t op)
{
    const bool pairs = op == 's' || op == 'u';
    value **item, **to;
    size_t n = pairs ? 2 : 1;
    if (op == 'a' || op == 's') {
        OCT_TRY(top(m, n, &item));
        m->n -= n;
    } else {
        OCT_TRY(pop_mark(m, &item, &n));
    }
    OCT_TRY(top(m, 1, &to));
    if ((*to)->kind != (pairs ? OCT_PICKLE_DICT : OCT_PICKLE_LIST))
        return oct_pickle_fail(m->p, "items for what is not a %s", pairs ? "dictionary" : "list");
    if (pairs && n % 2) return oct_pickle_fail(m->p, "a key without a value");
    for (size_t i = 0; i < n; i += pairs ? 2 : 1)
        OCT_TRY(oct_pickle_add(m->p, *to, pairs ? item[i] : NULL, item[pairs ? i + 1 : i]));
    return OCT_OK;
}

static oct_status op_put(machine *m, uint8_t op)
{
    uint64_t i = m->n_memo; /* MEMOIZE: the next one */
    value **v;
    if (op != 0x94) OCT_TRY(take_number(m, op == 'q' ? 1 : 4, &i));
    OCT_TRY(top(m, 1, &v));
    if (i > m->n_memo + 1) /* picklers count up, from 0 or 1 */
        return oct_pickle_fail(m->p, "memo %" PRIu64 " after %zu", i, m->n_memo);
    while (m->n_memo <= i) {
        if (m->n_memo == m->memo_room)
            OCT_TRY(grow(m, &m->memo, &m->memo_room, MAX_MEMO, "in the memo"));
        m->memo[m->n_memo++] = NULL;
    }
    m->memo[i] = *v;
    return OCT_OK;
}

static oct_status op_get(machine *m, uint8_t op)
{
    uint64_t i;
    OCT_TRY(take_number(m, op == 'h' ? 1 : 4, &i));
    if (i >= m->n_memo || !m->memo[i])
        return oct_pickle_fail(m->p, "memo %" PRIu64 " is empty", i);
    return push(m, m->memo[i]);
}

static oct_status take_line(machine *m, char line[MAX_LINE])
{
    for (size_t i = 0; i < MAX_LINE; i++) {
        OCT_TRY(take(m, line + i, 1));
        if (line[i] == '\0') break;
        if (line[i] != '\n') continue;
        line[i] = '\0';
        return OCT_OK;
    }
    return oct_pickle_fail(m->p, "the name of a global is no text of less than %d bytes", MAX_LINE);
}

static oct_status op_global(machine *m, uint8_t op)
{
    char module[MAX_LINE], name[MAX_LINE];
    value **v, *global = NULL;
    if (op == 'c') {
        OCT_TRY(take_line(m, module));
        OCT_TRY(take_line(m, name));
        OCT_TRY(oct_pickle_global(m->p, module, name, &global));
        return push(m, global);
    }
    OCT_TRY(top(m, 2, &v));
    if (v[0]->kind != OCT_PICKLE_STR || v[1]->kind != OCT_PICKLE_STR)
        return oct_pickle_fail(m->p, "the name of a global is no text");
    OCT_TRY(oct_pickle_global(m->p, v[0]->text, v[1]->text, &global));
    m->n -= 2;
    return push(m, global);
}

static oct_status op_call(machine *m, uint8_t op)
{
    value **v, *made = NULL;
    OCT_TRY(top(m, 2, &v));
    if (v[1]->kind != OCT_PICKLE_TUPLE) return oct_pickle_fail(m->p, "arguments are no tuple");
    OCT_TRY((op == 'R' ? oct_pickle_reduce : oct_pickle_object)(m->p, v[0], v[1], &made));
    m->n -= 2;
    return push(m, made);
}

static oct_status op_build(machine *m, uint8_t op)
{
    value **v;
    (void)op;
    OCT_TRY(top(m, 2, &v));
    m->n--;
    return oct_pickle_state(m->p, v[0], v[1]);
}

static oct_status op_persistent(machine *m, uint8_t op)
{
    value **v, *made = NULL;
    (void)op;
    OCT_TRY(top(m, 1, &v));
    OCT_TRY(oct_pickle_persistent(m->p, *v, &made));
    m->stack[m->n - 1] = made;
    return OCT_OK;
}

static handler *const table[256] = {
    [0x80] = op_proto, [0x95] = op_frame, ['.'] = op_stop, ['('] = op_mark,
    [')'] = op_empty, [']'] = op_empty, ['}'] = op_empty, [0x8f] = op_empty,
    ['N'] = op_constant, [0x88] = op_constant, [0x89] = op_constant,
    ['J'] = op_int, ['K'] = op_int, ['M'] = op_int, [0x8a] = op_long, [0x8b] = op_long,
    ['G'] = op_float,
    ['X'] = op_text, [0x8c] = op_text, [0x8d] = op_text, ['T'] = op_text, ['U'] = op_text,
    ['B'] = op_text, ['C'] = op_text, [0x8e] = op_text, [0x96] = op_text,
    ['t'] = op_tuple, [0x85] = op_tuple, [0x86] = op_tuple, [0x87] = op_tuple,
    ['a'] = op_fill, ['e'] = op_fill, [0x90] = op_fill, ['s'] = op_fill, ['u'] = op_fill,
    ['q'] = op_put, ['r'] = op_put, [0x94] = op_put, ['h'] = op_get, ['j'] = op_get,
    ['c'] = op_global, [0x93] = op_global, ['R'] = op_call, [0x81] = op_call,
    ['b'] = op_build, ['Q'] = op_persistent,
};

static oct_status run(machine *m)
{
    while (!m->done) {
        uint8_t op;
        m->p->byte = m->in->at - (m->fill - m->at);
        OCT_TRY(take(m, &op, 1));
        if (!table[op]) return oct_pickle_fail(m->p, "unknown opcode 0x%02x", op);
        OCT_TRY(table[op](m, op));
    }
    return OCT_OK;
}

oct_status oct_pickle_run(oct_pickle *p, oct_pickle_input *in, oct_pickle_value **root)
{
    machine *m = calloc(1, sizeof *m);
    if (!m) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    m->p = p;
    m->in = in;
    oct_status status = grow(m, &m->stack, &m->room, MAX_STACK, "on the stack");
    if (status == OCT_OK) status = run(m);
    if (status == OCT_OK) {
        *root = m->stack[0];
        in->at -= m->fill - m->at; /* what was read ahead belongs to the next reader */
    }
    free(m->stack);
    free(m->memo);
    free(m);
    return status;
}
