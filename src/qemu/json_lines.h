/*
 * Lines of JSON out of a stream of bytes: what QMP and the guest's agent have in common.
 *
 * Bytes go in as they come, in any pieces; whole objects come out. What comes out is bounded: a
 * line has at most `max_line_bytes`, brackets nest at most JSON_LINES_MAX_DEPTH deep, and a key
 * that stands twice in one object is refused. Pull style, so that a caller who is torn down while
 * he handles one object simply does not ask for the next.
 *
 * QEMU prints 64-bit unsigned numbers, jansson has signed ones: what is above INT64_MAX arrives as
 * its two's complement. Read such a field with `(guint64)json_integer_value(v)`.
 *
 * Two framings. QMP: an oversized or malformed line is an error, and the stream is not usable any
 * more. Guest agent: json_lines_skip_to_mark() throws everything away up to and including the next
 * 0xFF byte, which the agent sends before its answer to guest-sync-delimited; that repairs the
 * stream.
 *
 * Pure: no I/O. A parser belongs to its caller. Fuzzed through json_lines_push() and
 * json_lines_next().
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define JSON_LINES_MAX_DEPTH 64

typedef struct JsonLines JsonLines;

typedef enum {
    JSON_LINES_MORE,   /* no whole line yet */
    JSON_LINES_OBJECT, /* *ret_object is the caller's */
    JSON_LINES_BAD,    /* *error says why: BERTH_ERROR_TOO_LARGE or BERTH_ERROR_INVALID */
} JsonLinesResult;

JsonLines *json_lines_new(size_t max_line_bytes);
void json_lines_free(JsonLines *lines);

void json_lines_push(JsonLines *lines, const void *data, size_t size);

/* The next object. Lines of white space are skipped. After JSON_LINES_BAD the line is gone, and so
 * is everything that was pushed behind an oversized one up to the next line feed. */
JsonLinesResult json_lines_next(JsonLines *lines, json_t **ret_object, GError **error);

void json_lines_skip_to_mark(JsonLines *lines);

/* Bytes held at present; never more than max_line_bytes plus what was pushed since the last
 * JSON_LINES_MORE. */
size_t json_lines_pending(const JsonLines *lines);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonLines, json_lines_free)
