#ifndef OCT_TESTS_XML_H
#define OCT_TESTS_XML_H

#include <check.h>
#include <ctype.h>
#include <string.h>

/* Is a page well-formed: tags balanced, attributes quoted, & and < nowhere else, no control bytes.
 * No comments, no CDATA: the pages have none. */
typedef struct xml_count {
    int elements, attributes;
} xml_count;

enum { XML_DEPTH = 40, XML_NAME = 20 };

static const char *xml_name(const char *s, char out[XML_NAME])
{
    int n = 0;
    for (; isalnum((unsigned char)*s) || *s == '-'; s++) {
        ck_assert_int_lt(n, XML_NAME - 1);
        out[n++] = *s;
    }
    out[n] = 0;
    ck_assert_msg(n > 0, "no name at: %.40s", s);
    return s;
}

static const char *xml_entity(const char *s)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(s, known[i], strlen(known[i]))) return s + strlen(known[i]);
    ck_abort_msg("a bare &: %.40s", s);
    return s;
}

/* From behind the element's name to behind its '>'; *empty: it ended with "/>". */
static const char *xml_attributes(const char *s, xml_count *count, int *empty)
{
    char name[XML_NAME];
    while (*s == ' ') {
        s = xml_name(s + 1, name);
        ck_assert_msg(s[0] == '=' && s[1] == '"', "attribute %s: %.40s", name, s);
        for (s += 2; *s != '"';) {
            ck_assert_msg(*s && *s != '<' && *s != '>', "attribute %s: %.40s", name, s);
            s = *s == '&' ? xml_entity(s) : s + 1;
        }
        s++;
        count->attributes++;
    }
    *empty = *s == '/';
    s += *empty;
    ck_assert_msg(*s == '>', "tag does not end: %.40s", s);
    return s + 1;
}

static xml_count xml_check(const char *s)
{
    static const char doctype[] = "<!DOCTYPE html>";
    char open[XML_DEPTH][XML_NAME], name[XML_NAME];
    int depth = 0, empty;
    xml_count count = { 0, 0 };
    ck_assert(!strncmp(s, doctype, strlen(doctype)));
    for (s += strlen(doctype); *s;) {
        ck_assert_msg((unsigned char)*s >= 0x20 || *s == '\n', "control byte %d", *s);
        if (*s == '&') {
            s = xml_entity(s);
        } else if (*s != '<') {
            s++;
        } else if (s[1] == '/') {
            s = xml_name(s + 2, name);
            ck_assert_int_gt(depth, 0);
            ck_assert_str_eq(name, open[--depth]);
            ck_assert_int_eq(*s++, '>');
        } else {
            ck_assert_int_lt(depth, XML_DEPTH);
            s = xml_attributes(xml_name(s + 1, open[depth]), &count, &empty);
            depth += !empty;
            count.elements++;
        }
    }
    ck_assert_int_eq(depth, 0);
    return count;
}

#endif
