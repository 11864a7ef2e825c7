/*
 * What QEMU says on a QMP monitor, as values: greeting, answer, error or event.
 *
 * Pure, and the whole of what a hostile QEMU can reach before its words have a type; fuzzed. Wire
 * format: docs/interop/qmp-spec.txt in QEMU. Belongs to its caller.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define QMP_MAX_LINE_BYTES (4u << 20)

typedef struct QmpParser QmpParser;

typedef enum {
    QMP_MESSAGE_GREETING,
    QMP_MESSAGE_RETURN,
    QMP_MESSAGE_ERROR,
    QMP_MESSAGE_EVENT,
} QmpMessageKind;

/* Pointers point into `object`. */
typedef struct {
    QmpMessageKind kind;
    json_t *object;
    bool has_id;      /* RETURN, ERROR: an error about a line that QEMU could not read has none */
    guint64 id;       /* RETURN, ERROR */
    json_t *data;     /* RETURN: the result; EVENT: its data or NULL */
    const char *name; /* EVENT: its name; ERROR: its class */
    const char *text; /* ERROR: the description */
    gint64 at_us;     /* EVENT: QEMU's wall clock, microseconds since 1970; -1 unknown */
    bool has_oob;     /* GREETING: out-of-band execution is offered */
    int version[3];   /* GREETING: major, minor, micro */
} QmpMessage;

typedef enum {
    QMP_PARSER_MORE,
    QMP_PARSER_MESSAGE, /* *ret_message is filled; clear it with qmp_message_clear() */
    QMP_PARSER_BAD,     /* *error is set; the stream is not usable any more */
} QmpParserResult;

QmpParser *qmp_parser_new(size_t max_line_bytes);
void qmp_parser_free(QmpParser *parser);
void qmp_parser_push(QmpParser *parser, const void *data, size_t size);
QmpParserResult qmp_parser_next(QmpParser *parser, QmpMessage *ret_message, GError **error);
void qmp_message_clear(QmpMessage *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpParser, qmp_parser_free)
