/*
 * The last lines that QEMU wrote to its standard output and error: why it ended, in its own words.
 *
 * Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define KEEP_TAIL_BYTES 4096

typedef struct {
    char bytes[KEEP_TAIL_BYTES];
    size_t length;
    bool cut; /* something older was dropped */
} KeepTail;

void keep_tail_add(KeepTail *tail, const char *bytes, size_t n);

/* The text for a person: valid UTF-8, at most KEEP_TAIL_BYTES, from the start of a line where older
 * ones were dropped, without the newline at its end. NULL when nothing was written. */
char *keep_tail_text(const KeepTail *tail);
