#ifndef OCT_PROGRAMS_SHOW_H
#define OCT_PROGRAMS_SHOW_H

/* Numbers as people read them, for text and HTML.  What is not finite is "-".  The text lives as
 * long as the expression:  printf("%s", show_bytes(n).s) */
typedef struct shown {
    char s[32];
} shown;

shown show_digits(double x, int digits);   /* significant ones: 4 -> "0.01234", "1234", "1.2e+06" */
shown show_fixed(double x, int decimals);  /* "-0.20"; no "-0.00" */
shown show_change(double x, int decimals); /* the same with a sign, "+0.20"; 0 without */
shown show_percent(double share, int decimals);
shown show_clipped(double share);          /* "0 %", "< 0.001 %", "0.012 %" */
shown show_bytes(double n);                /* "24.9 MB", of 1000 kB */
shown show_count(double n);                /* "4.09 G" */
shown show_ms(double ms);                  /* "0.0123", four digits without an exponent */
shown show_ratio(double x);                /* "3.84x" */
shown show_range(double low, double high); /* "-1.24 .. 36.8" */

/* At most `width` characters of s, what is no text escaped (cli_escape); "..." stands where some
 * were cut: in front, for names of layers, which differ at their ends, or behind.  width in 4 ..
 * SHOW_MAX. */
enum { SHOW_MAX = 60 };
typedef enum show_cut { SHOW_CUT_FRONT, SHOW_CUT_BACK } show_cut;
typedef struct shown_name {
    char s[4 * SHOW_MAX + 1];
    int width;                             /* characters, not bytes */
} shown_name;
shown_name show_name(const char *s, int width, show_cut cut);

#endif
