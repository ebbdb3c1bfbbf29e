#include "programs/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "programs/cli.h"

double report_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void report_lap(void *laps, const oct_plan *plan, int step, int n)
{
    report_laps *l = laps;
    (void)plan, (void)n;
    const double now = report_now_ms();
    l->ms[step] += now - l->last;
    l->last = report_now_ms();
}

int report_is_terminal(FILE *stream) { return isatty(fileno(stream)); }

void report_progress_start(report_progress *p, int quiet, const char *unit, double total)
{
    *p = (report_progress){ !quiet && total > 1 && isatty(STDERR_FILENO), unit, total,
                            report_now_ms(), 0 };
}

void report_progress_step(report_progress *p, double done)
{
    enum { WIDTH = 30 };
    const double now = report_now_ms();
    if (!p->shown || now - p->drawn_ms < 100) return; /* ten times a second is enough */
    p->drawn_ms = now;
    const double seconds = (now - p->started_ms) / 1e3, rate = done / (seconds > 0 ? seconds : 1);
    const double left = rate > 0 ? (p->total - done) / rate : 0;
    const int filled = (int)(WIDTH * done / p->total);
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3.0f %%  %.0f of %.0f %s, %.1f/s, %d:%02d left \033[K", bar,
            100 * done / p->total, done, p->total, p->unit, rate, (int)left / 60, (int)left % 60);
    fflush(stderr);
}

void report_progress_end(report_progress *p)
{
    if (p->shown && p->drawn_ms > 0) fprintf(stderr, "\r\033[K");
    p->drawn_ms = 0;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int report_wider(int width, const char *name)
{
    char shown[200];
    const int size = (int)cli_escape(name, shown, sizeof shown);
    return size > width ? size : width;
}

void report_sort(double *v, int n)
{
    if (n > 1) qsort(v, (size_t)n, sizeof *v, rising);
}

double report_percentile(const double *sorted, int n, double p)
{
    if (n < 1) return 0;
    const int rank = (int)ceil(p * n - 1e-9); /* 0.99 * 100 is a little above 99 */
    return sorted[rank < 1 ? 0 : rank > n ? n - 1 : rank - 1];
}

json_t *report_bytes(const char *s, size_t size)
{
    json_t *j = json_stringn(s, size); /* NULL if s is not UTF-8 */
    if (j) return j;
    char *safe = malloc(4 * size + 5), *to = safe; /* every byte as \xNN, one more 0 */
    if (!safe) return json_null();
    for (const char *end = s + size; s < end;) to += cli_escape_one(&s, to);
    j = json_stringn(safe, (size_t)(to - safe));
    free(safe);
    return j;
}

json_t *report_string(const char *s) { return s ? report_bytes(s, strlen(s)) : json_null(); }

/* Beyond 1e308 the digits that are printed may round up to what no reader can hold. */
json_t *report_number(double x) { return fabs(x) <= 1e308 ? json_real(x) : json_null(); }

json_t *report_count(double x)
{
    return fabs(x) <= 0x1p53 ? json_integer((json_int_t)x) : json_null();
}

json_t *report_shape(const oct_tensor *t)
{
    json_t *list = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(list, json_integer(t->dim[i]));
    return list;
}

json_t *report_json_text(const char *text)
{
    json_t *j = text ? json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL) : NULL;
    return j ? j : report_string(text);
}

int report_json(FILE *to, json_t *object)
{
    /* 15 digits: what people write (0.1307) comes back as they wrote it */
    const int failed = json_dumpf(object, to, JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
    putc('\n', to);
    json_decref(object);
    return !failed && !ferror(to);
}

void report_json_line(json_t *object) { report_json(stdout, object); }

oct_status report_json_file(FILE *to, json_t *object)
{
    if (object && (report_json(to, object) || ferror(to))) return OCT_OK;
    return oct_fail(OCT_ERR_MEMORY, "out of memory");
}

int report_ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), k = strlen(end);
    return n > k && !strcmp(name + n - k, end);
}

int report_push(double **list, int n, double value)
{
    if ((n & (n - 1)) == 0 && (n == 0 || n >= 16)) { /* room for 16, then for powers of two */
        double *bigger = realloc(*list, (n ? 2 * (size_t)n : 16) * sizeof *bigger);
        if (!bigger) return 0;
        *list = bigger;
    }
    (*list)[n] = value;
    return 1;
}
