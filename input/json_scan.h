#ifndef OCT_INPUT_JSON_SCAN_H
#define OCT_INPUT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/status.h"

/* A JSON text read once, from front to back, without building anything: a vocabulary of 30,000
 * members would cost a tree of many times its size, and a hostile one of 100 MB far more.  Private
 * to input/.
 *
 *     static oct_status member(void *arg, oct_scan *s, const char *key)
 *     {
 *         if (!strcmp(key, "size")) return oct_scan_int(s, 0, 100, arg);
 *         return oct_scan_skip(s);
 *     }
 *     oct_scan s = { .what = "a.json", .at = text, .end = text + size, .begin = text };
 *     OCT_TRY(oct_scan_members(&s, member, &size));
 *     OCT_TRY(oct_scan_end(&s));
 *
 * Strict RFC 8259 in UTF-8, no lone surrogates; nesting up to OCT_SCAN_DEPTH.  Every error is
 * ERR_FORMAT, "a.json: REASON (byte N)".  Nothing allocates, nothing recurses deeper than its
 * caller's own functions. */
typedef struct oct_scan {
    const char *what;          /* for messages: a file's name */
    const char *at, *end, *begin;
} oct_scan;

enum { OCT_SCAN_DEPTH = 64 };

/* '{' '[' '"' '0' (a number) 't' 'f' 'n' of the next value, whether or not the rest of it is
 * right; 0: something else. */
char oct_scan_peek(oct_scan *s);

/* Calls visit for each member of the object that comes next; visit consumes the member's value.
 * Keys are cut to 63 bytes: no known one is as long. */
typedef oct_status oct_scan_visit(void *arg, oct_scan *s, const char *key);
OCT_MUST_CHECK oct_status oct_scan_members(oct_scan *s, oct_scan_visit *visit, void *arg);

/* The same for an array: visit's key is NULL. */
OCT_MUST_CHECK oct_status oct_scan_items(oct_scan *s, oct_scan_visit *visit, void *arg);

/* An object whose keys are data: before each member false if there is none left.  *first is true
 * before the first call; the key is then read with oct_scan_string, then oct_scan_colon. */
OCT_MUST_CHECK oct_status oct_scan_next(oct_scan *s, char open, bool *first, bool *more);
OCT_MUST_CHECK oct_status oct_scan_colon(oct_scan *s);

/* A string, escapes decoded, in UTF-8, not terminated: *n bytes, of which at most `room` are
 * stored.  It is never longer than it is in the text. */
OCT_MUST_CHECK oct_status oct_scan_string(oct_scan *s, char *to, size_t room, size_t *n);
/* The same, terminated, cut to size - 1 bytes: names that are compared with known ones. */
OCT_MUST_CHECK oct_status oct_scan_text(oct_scan *s, char *to, size_t size);
OCT_MUST_CHECK oct_status oct_scan_bool(oct_scan *s, int *out);
OCT_MUST_CHECK oct_status oct_scan_int(oct_scan *s, int64_t low, int64_t high, int64_t *out);
OCT_MUST_CHECK oct_status oct_scan_skip(oct_scan *s);  /* any value */
OCT_MUST_CHECK oct_status oct_scan_end(oct_scan *s);   /* nothing but blanks is left */

/* "WHAT: REASON (byte N)" at the present place. */
oct_status oct_scan_fail(const oct_scan *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
