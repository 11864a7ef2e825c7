#include "keep/tail.h"

#include <glib.h>
#include <string.h>

void keep_tail_add(KeepTail *tail, const char *bytes, size_t n)
{
    size_t taken = MIN(n, KEEP_TAIL_BYTES);
    size_t kept = MIN(tail->length, KEEP_TAIL_BYTES - taken);
    tail->cut |= kept < tail->length || taken < n;
    memmove(tail->bytes, tail->bytes + tail->length - kept, kept);
    memcpy(tail->bytes + kept, bytes + n - taken, taken);
    tail->length = kept + taken;
}

/* From `text` on, what fits: whole lines if there is more than one. */
static const char *whole_lines(const char *text)
{
    const char *newline = strchr(text, '\n');
    return newline != NULL && newline[1] != '\0' ? newline + 1 : text;
}

char *keep_tail_text(const KeepTail *tail)
{
    if (tail->length == 0) {
        return NULL;
    }
    g_autofree char *valid = g_utf8_make_valid(tail->bytes, (gssize)tail->length);
    const char *start = tail->cut ? whole_lines(valid) : valid;
    /* A byte that is no UTF-8 takes three in its replacement. */
    size_t length = strlen(start);
    if (length > KEEP_TAIL_BYTES) {
        start = g_utf8_find_next_char(start + length - KEEP_TAIL_BYTES - 1, NULL);
        start = whole_lines(start);
    }
    return g_strchomp(g_strdup(start));
}
