/*
 * What the readers of text files have in common: what an editor may have put before the text, and bytes
 * that no text has.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <stddef.h>
#include <string.h>

/* How many bytes the mark (U+FEFF) takes that some editors put before a text; 0 without one. */
static inline size_t text_mark_length(const char *text, size_t length)
{
    return length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* The first control character other than a tab, such as a zero byte; NULL when there is none. */
static inline const char *text_find_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return text + i;
        }
    }
    return NULL;
}
