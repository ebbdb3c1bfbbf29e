/* Guarded buffers, fills and comparisons of check_kernels. */
#define _GNU_SOURCE
#include "tests/check_kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/arena.h"
#include "tensor/f16.h"
#include "tests/test.h"

/* A mapping is kept and used again: [ room | guard page ], data end at the guard. */
typedef struct slot {
    unsigned char *map;
    size_t room;          /* bytes before the guard page */
    unsigned char *p;     /* what was handed out */
    size_t size;
} slot;

enum { BEFORE = 64 };

static slot slots[CHECK_MAX_BUFS];
static int used;

static void map(slot *s, size_t room)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (s->map) munmap(s->map, s->room + page);
    s->room = (room + room / 2 + page - 1) / page * page;
    s->map = mmap(NULL, s->room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->map == MAP_FAILED || mprotect(s->map + s->room, page, PROT_NONE)) {
        fprintf(stderr, "no memory for a buffer of %zu bytes\n", room);
        exit(TEST_ERROR);
    }
}

static slot *take(size_t size, size_t align)
{
    const size_t need = BEFORE + size + OCT_TAIL + align;
    if (used == CHECK_MAX_BUFS) {
        fprintf(stderr, "more than %d buffers: check_reset is missing\n", CHECK_MAX_BUFS);
        exit(TEST_ERROR);
    }
    slot *s = &slots[used++];
    if (s->room < need) map(s, need);
    s->p = s->map + (s->room - OCT_TAIL - size) / align * align; /* map is on a page */
    s->size = size;
    return s;
}

void *check_in(size_t size, size_t align)
{
    slot *s = take(size, align);
    memset(s->p - BEFORE, 0xff, (size_t)(s->map + s->room - s->p) + BEFORE);
    return s->p;
}

void *check_out(size_t size, size_t align)
{
    slot *s = take(size, align);
    memset(s->p - BEFORE, CHECK_CANARY, (size_t)(s->map + s->room - s->p) + BEFORE);
    return s->p;
}

static int all_canary(const unsigned char *p, const unsigned char *end)
{
    while (p < end)
        if (*p++ != CHECK_CANARY) return 0;
    return 1;
}

int check_intact(const void *p)
{
    for (int i = 0; i < used; i++)
        if (slots[i].p == p)
            return all_canary(slots[i].p - BEFORE, slots[i].p) &&
                   all_canary(slots[i].p + slots[i].size, slots[i].map + slots[i].room);
    return 0;
}

void check_reset(void) { used = 0; }

const char *check_fill_name(check_fill fill)
{
    static const char *const names[CHECK_FILL_COUNT] = {
        "random", "wide", "denormal", "zero", "infinite", "nan", "cancel", "huge", "same",
    };
    return names[fill];
}

check_fill check_any_fill(void)
{
    const uint32_t r = check_rand() % (2 * CHECK_FILL_COUNT);
    return r < CHECK_FILL_COUNT ? (check_fill)r : CHECK_RANDOM;
}

static float uniform(void) { return (float)(int32_t)check_rand() * 0x1p-31f; }

static float one(check_fill fill, size_t i, float before)
{
    const uint32_t r = check_rand(), sign = r & 0x80000000u;
    switch (fill) {
    case CHECK_WIDE:     return oct_f32_of_bits(sign | r % 0x7f800000u);
    case CHECK_DENORMAL: return oct_f32_of_bits(sign | (r % 4 ? r % 0x01800000u : r >> 3 & 1));
    case CHECK_ZERO:     return oct_f32_of_bits(sign);
    case CHECK_INFINITE: return r % 5 ? uniform() : oct_f32_of_bits(sign | 0x7f800000u);
    case CHECK_NAN:      return r % 7 ? uniform() : oct_f32_of_bits(sign | 0x7fc00000u | r % 99);
    case CHECK_CANCEL:   return i % 2 ? -before * (r & 1 ? 1 : 1 + FLT_EPSILON) : uniform();
    case CHECK_HUGE:     return oct_f32_of_bits(sign | (0x7f7fffffu - r % 0x00ffffffu));
    default:             return uniform();
    }
}

void check_fill_f32(float *p, size_t n, check_fill fill)
{
    for (size_t i = 0; i < n; i++) p[i] = one(fill, i, i ? p[i - 1] : 0);
    for (size_t i = 1; fill == CHECK_SAME && i < n; i++) p[i] = p[0];
}

float *check_in_f32(size_t n, check_fill fill)
{
    float *p = check_in(n * sizeof *p, sizeof *p);
    check_fill_f32(p, n, fill);
    return p;
}

size_t check_differ_f32(const float *want, const float *got, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t w = oct_bits_of_f32(want[i]), g = oct_bits_of_f32(got[i]);
        if (w != g && !(isnan(want[i]) && isnan(got[i]))) return i;
    }
    return n;
}

double check_ulps(float got, double want)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (isinf(got) || fabs(want) > FLT_MAX) { /* want may lie beyond the largest float */
        const double clipped = fabs(want) > FLT_MAX ? copysign(INFINITY, want) : want;
        return (double)got == clipped ? 0 : fabs(want) > FLT_MAX && !isinf(want) &&
               fabsf(got) == FLT_MAX ? 1 : INFINITY;
    }
    int e;
    frexp(want, &e);
    if (e < FLT_MIN_EXP) e = FLT_MIN_EXP;
    return fabs((double)got - want) / ldexp(1, e - FLT_MANT_DIG);
}

void check_requant(const oct_requant *q, int32_t acc, float scale, float fbias,
                   const void *residual, size_t at, void *c)
{
    float y = (float)acc * scale;
    if (q->kind == OCT_REQUANT_S32) ((int32_t *)c)[at] = acc;
    if (q->kind == OCT_REQUANT_U8) {
        y = ((float)acc + fbias) * scale;
        if (residual) y = oct_requant_add(y, ((const uint8_t *)residual)[at], q);
        ((uint8_t *)c)[at] = oct_requant_u8(y, q);
    }
    if (q->kind == OCT_REQUANT_F32) {
        y += fbias;
        if (residual) y += ((const float *)residual)[at];
        ((float *)c)[at] = oct_requant_act(y, q->act);
    }
}
