#include "programs/show.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "programs/cli.h"
#include "tensor/text.h"

__attribute__((format(printf, 2, 3)))
static shown print(double x, const char *fmt, ...)
{
    shown out = { "-" };
    if (!isfinite(x)) return out;
    va_list args;
    va_start(args, fmt);
    vsnprintf(out.s, sizeof out.s, fmt, args);
    va_end(args);
    return out;
}

/* Digits behind the point would run out of the text. */
static int is_long(double x) { return fabs(x) >= 1e12; }

/* x, 0 where it would be printed as -0.00 */
static double no_sign(double x, int decimals)
{
    return fabs(x) < 0.5 * pow(10, -decimals) ? 0 : x;
}

shown show_digits(double x, int digits) { return print(x, "%.*g", digits, x + 0.0); } /* no -0 */

shown show_fixed(double x, int decimals)
{
    if (is_long(x)) return show_digits(x, 4);
    return print(x, "%.*f", decimals, no_sign(x, decimals));
}

shown show_change(double x, int decimals)
{
    const double y = no_sign(x, decimals);
    if (is_long(x)) return show_digits(x, 4);
    return print(x, y != 0 ? "%+.*f" : "%.*f", decimals, y);
}

shown show_percent(double share, int decimals)
{
    return print(share, "%s %%", show_fixed(100 * share, decimals).s);
}

shown show_clipped(double share)
{
    if (share == 0) return print(0, "0 %%");
    if (share > 0 && share < 1e-5) return print(0, "< 0.001 %%");
    return show_percent(share, 3);
}

/* Three digits and the largest unit that leaves one before the point. */
static shown scaled(double x, double step, const char *const *unit, int n)
{
    int i = 0;
    double y = fabs(x);
    for (; i < n - 1 && y >= 999.5; i++) y /= step;
    return print(x, "%s%.*f %s", x < 0 ? "-" : "", i == 0 || y >= 99.95 ? 0 : y >= 9.995 ? 1 : 2,
                 fmin(y, 1e12), unit[i]);
}

shown show_bytes(double n)
{
    static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
    return scaled(n, 1000, unit, 5);
}

shown show_count(double n)
{
    static const char *const unit[] = { "", "k", "M", "G", "T" };
    shown out = scaled(n, 1000, unit, 5);
    const size_t length = strlen(out.s);
    if (out.s[length - 1] == ' ') out.s[length - 1] = 0; /* no unit */
    return out;
}

shown show_ms(double ms)
{
    const double a = fabs(ms);
    return show_fixed(ms, a >= 999.95 ? 0 : a >= 99.995 ? 1 : a >= 9.9995 ? 2 : a >= 0.99995 ? 3
                          : 4);
}

shown show_ratio(double x)
{
    return print(x, "%sx", show_fixed(x, fabs(x) < 99.5 ? 2 : 0).s);
}

shown show_range(double low, double high)
{
    return print(low + high, "%s .. %s", show_digits(low, 3).s, show_digits(high, 3).s);
}

static int is_first_byte(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

static int characters(const char *s)
{
    int n = 0;
    for (; *s; s++) n += is_first_byte(*s);
    return n;
}

shown_name show_name(const char *s, int width, show_cut cut)
{
    enum { MOST = 4 * SHOW_MAX + 4 }; /* bytes: one character more than ever fits */
    shown_name out = { .width = 0 };
    oct_text t = { out.s, sizeof out.s };
    char part[MOST + 1], text[4 * MOST + 1];
    const size_t length = strlen(s);
    const char *from = cut == SHOW_CUT_FRONT && length > MOST ? s + length - MOST : s;
    while (from > s && *from && !is_first_byte(*from)) from++;
    snprintf(part, sizeof part, "%.*s", (int)MOST, from);
    cli_escape(part, text, sizeof text);

    const int n = characters(text), over = n - (width - 3);
    if (length <= MOST && n <= width) {
        oct_text_put(&t, "%s", text);
    } else if (cut == SHOW_CUT_FRONT) {
        const char *tail = text;
        for (int i = 0; i < over && *tail; i++)
            do tail++;
            while (*tail && !is_first_byte(*tail));
        const char *dot = strchr(tail, '.'); /* a whole part's name, if little is lost */
        if (dot && dot - tail < 6 && dot[1]) tail = dot + 1;
        oct_text_put(&t, "...%s", tail);
    } else {
        const char *end = text;
        for (int i = 0; i < width - 3 && *end; i++)
            do end++;
            while (*end && !is_first_byte(*end));
        oct_text_put(&t, "%.*s...", (int)(end - text), text);
    }
    out.width = characters(out.s);
    return out;
}
