#include "input/json_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

oct_status oct_scan_fail(const oct_scan *s, const char *fmt, ...)
{
    char reason[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return oct_fail(OCT_ERR_FORMAT, "%s: %s (byte %zu)", s->what, reason,
                    (size_t)(s->at - s->begin));
}

static void blanks(oct_scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at) s->at++;
}

/* The next byte that is no blank; 0 at the end. */
static char look(oct_scan *s)
{
    blanks(s);
    return s->at < s->end ? *s->at : 0;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

char oct_scan_peek(oct_scan *s)
{
    const char c = look(s);
    if (c == '-' || is_digit(c)) return '0';
    return c && strchr("{[\"tfn", c) ? c : 0;
}

static oct_status expect(oct_scan *s, char c)
{
    if (look(s) != c) return oct_scan_fail(s, "no '%c' where one is due", c);
    s->at++;
    return OCT_OK;
}

oct_status oct_scan_colon(oct_scan *s) { return expect(s, ':'); }

oct_status oct_scan_next(oct_scan *s, char open, bool *first, bool *more)
{
    const char close = open == '{' ? '}' : ']';
    const bool begins = *first;
    *first = false;
    if (begins) OCT_TRY(expect(s, open));
    *more = look(s) != close;
    if (!*more) s->at++;
    else if (!begins) OCT_TRY(expect(s, ','));
    return OCT_OK;
}

oct_status oct_scan_members(oct_scan *s, oct_scan_visit *visit, void *arg)
{
    bool first = true, more;
    for (;;) {
        char key[64];
        OCT_TRY(oct_scan_next(s, '{', &first, &more));
        if (!more) return OCT_OK;
        OCT_TRY(oct_scan_text(s, key, sizeof key));
        OCT_TRY(oct_scan_colon(s));
        OCT_TRY(visit(arg, s, key));
    }
}

oct_status oct_scan_items(oct_scan *s, oct_scan_visit *visit, void *arg)
{
    bool first = true, more;
    for (;;) {
        OCT_TRY(oct_scan_next(s, '[', &first, &more));
        if (!more) return OCT_OK;
        OCT_TRY(visit(arg, s, NULL));
    }
}

/* Four hexadecimal digits at s->at. */
static oct_status hex4(oct_scan *s, int32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        const char c = s->at < s->end ? *s->at : 0;
        const int digit = is_digit(c)            ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return oct_scan_fail(s, "not four hexadecimal digits after \\u");
        *out = *out * 16 + digit;
    }
    return OCT_OK;
}

/* What follows \u, a pair of surrogates together. */
static oct_status unicode_escape(oct_scan *s, int32_t *out)
{
    OCT_TRY(hex4(s, out));
    if (*out < 0xd800 || *out > 0xdfff) return OCT_OK;
    int32_t low = 0;
    if (*out < 0xdc00 && s->end - s->at >= 2 && !memcmp(s->at, "\\u", 2)) {
        s->at += 2;
        OCT_TRY(hex4(s, &low));
    }
    if (low < 0xdc00 || low > 0xdfff) return oct_scan_fail(s, "half a surrogate pair");
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    return OCT_OK;
}

static oct_status escape(oct_scan *s, int32_t *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char c = s->at < s->end ? *s->at : 0;
    const char *name = c ? strchr(names, c) : NULL;
    if (!name && c != 'u') return oct_scan_fail(s, "unknown escape in a string");
    s->at++;
    if (!name) return unicode_escape(s, out);
    *out = values[name - names];
    return OCT_OK;
}

oct_status oct_scan_string(oct_scan *s, char *to, size_t room, size_t *n)
{
    *n = 0;
    OCT_TRY(expect(s, '"'));
    while (s->at < s->end && *s->at != '"') {
        int32_t c;
        if (*s->at == '\\') {
            s->at++;
            OCT_TRY(escape(s, &c));
        } else {
            const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s->at;
            const utf8proc_ssize_t size = utf8proc_iterate(p, s->end - s->at, &c);
            if (size < 1) return oct_scan_fail(s, "not UTF-8");
            if (c < ' ') return oct_scan_fail(s, "a control character in a string");
            s->at += size;
        }
        utf8proc_uint8_t bytes[4];
        const utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);
        for (utf8proc_ssize_t i = 0; i < size; i++, ++*n)
            if (*n < room) to[*n] = (char)bytes[i];
    }
    return expect(s, '"');
}

oct_status oct_scan_text(oct_scan *s, char *to, size_t size)
{
    size_t n;
    OCT_TRY(oct_scan_string(s, to, size - 1, &n));
    to[n < size ? n : size - 1] = 0;
    return OCT_OK;
}

static oct_status word(oct_scan *s, const char *text)
{
    const size_t n = strlen(text);
    blanks(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
        return oct_scan_fail(s, "not a value");
    s->at += n;
    return OCT_OK;
}

oct_status oct_scan_bool(oct_scan *s, int *out)
{
    const char c = oct_scan_peek(s);
    if (c != 't' && c != 'f') return oct_scan_fail(s, "neither true nor false");
    *out = c == 't';
    return word(s, *out ? "true" : "false");
}

static oct_status digits(oct_scan *s)
{
    if (s->at == s->end || !is_digit(*s->at)) return oct_scan_fail(s, "no digit where one is due");
    while (s->at < s->end && is_digit(*s->at)) s->at++;
    return OCT_OK;
}

/* Walks over a number; *whole: it has neither fraction nor exponent. */
static oct_status number(oct_scan *s, bool *whole)
{
    if (look(s) == '-') s->at++;
    const bool zero = s->at < s->end && *s->at == '0';
    if (zero) s->at++;
    else OCT_TRY(digits(s));
    *whole = true;
    if (s->at < s->end && *s->at == '.') {
        *whole = false;
        s->at++;
        OCT_TRY(digits(s));
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        *whole = false;
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        OCT_TRY(digits(s));
    }
    return OCT_OK;
}

oct_status oct_scan_int(oct_scan *s, int64_t low, int64_t high, int64_t *out)
{
    bool whole;
    blanks(s);
    const char *p = s->at;
    OCT_TRY(number(s, &whole));
    const bool minus = *p == '-';
    int64_t v = 0;
    bool fits = whole;
    for (p += minus; fits && p < s->at; p++) {
        fits = v <= (INT64_MAX - 9) / 10;
        if (fits) v = 10 * v + (*p - '0');
    }
    if (minus) v = -v;
    if (!fits || v < low || v > high)
        return oct_scan_fail(s, "not a whole number from %lld to %lld", (long long)low,
                             (long long)high);
    *out = v;
    return OCT_OK;
}

static oct_status scalar(oct_scan *s)
{
    size_t n;
    bool whole;
    switch (oct_scan_peek(s)) {
    case '"': return oct_scan_string(s, NULL, 0, &n);
    case '0': return number(s, &whole);
    case 't': return word(s, "true");
    case 'f': return word(s, "false");
    default:  return word(s, "null");
    }
}

oct_status oct_scan_skip(oct_scan *s)
{
    char open[OCT_SCAN_DEPTH];      /* the brackets that are open */
    bool first = false;
    int depth = 0;
    do {
        bool more = true;
        if (depth) OCT_TRY(oct_scan_next(s, open[depth - 1], &first, &more));
        if (!more) {
            depth--;
            first = false;
            continue;
        }
        if (depth && open[depth - 1] == '{') {
            size_t n;
            OCT_TRY(oct_scan_string(s, NULL, 0, &n));
            OCT_TRY(oct_scan_colon(s));
        }
        const char c = oct_scan_peek(s);
        if (c != '{' && c != '[') {
            OCT_TRY(scalar(s));
            continue;
        }
        if (depth == OCT_SCAN_DEPTH) return oct_scan_fail(s, "nested too deeply");
        open[depth++] = c;
        first = true;
    } while (depth);
    return OCT_OK;
}

oct_status oct_scan_end(oct_scan *s)
{
    return look(s) || s->at < s->end ? oct_scan_fail(s, "more after the end") : OCT_OK;
}
