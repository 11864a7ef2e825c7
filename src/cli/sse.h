/*
 * Server-sent events out of a stream of bytes (WHATWG HTML, "Server-sent events", 9.2.6).
 *
 * Bytes go in as they come, in any pieces; whole events come out. Comments are skipped (they keep a
 * quiet connection alive), `retry` is ignored. An event of more than `max_bytes` is an error.
 *
 * Threading: none of its own. Pure: no I/O.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct SseParser SseParser;

typedef struct {
    char *id;   /* of the last event that had one; NULL: none yet */
    char *name; /* NULL: "message" */
    char *data; /* lines joined by line feeds */
} SseEvent;

SseParser *sse_parser_new(size_t max_bytes);
void sse_parser_free(SseParser *parser); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SseParser, sse_parser_free)

/* False with BERTH_ERROR_TOO_LARGE. */
bool sse_parser_push(SseParser *parser, const char *bytes, size_t length, GError **error);

/* The next whole event, or NULL. */
SseEvent *sse_parser_next(SseParser *parser);

void sse_event_free(SseEvent *event); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SseEvent, sse_event_free)
