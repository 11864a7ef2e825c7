#include "qemu/qmp_parser.h"

#include <string.h>

#include "base/error.h"
#include "qemu/json_lines.h"

struct QmpParser {
    JsonLines *lines;
};

QmpParser *qmp_parser_new(size_t max_line_bytes)
{
    QmpParser *parser = g_new0(QmpParser, 1);
    parser->lines = json_lines_new(max_line_bytes);
    return parser;
}

void qmp_parser_free(QmpParser *parser)
{
    if (parser != NULL) {
        json_lines_free(parser->lines);
        g_free(parser);
    }
}

void qmp_parser_push(QmpParser *parser, const void *data, size_t size)
{
    json_lines_push(parser->lines, data, size);
}

void qmp_message_clear(QmpMessage *message)
{
    json_decref(message->object);
    memset(message, 0, sizeof *message);
}

static bool read_greeting(json_t *greeting, QmpMessage *message)
{
    message->kind = QMP_MESSAGE_GREETING;
    json_t *capability;
    size_t i;
    json_array_foreach (json_object_get(greeting, "capabilities"), i, capability) {
        message->has_oob |= g_strcmp0(json_string_value(capability), "oob") == 0;
    }
    return json_unpack(greeting, "{s:{s:{s:i,s:i,s:i}}}", "version", "qemu", "major",
                       &message->version[0], "minor", &message->version[1], "micro",
                       &message->version[2]) == 0;
}

static bool read_event(json_t *object, QmpMessage *message)
{
    message->kind = QMP_MESSAGE_EVENT;
    message->name = json_string_value(json_object_get(object, "event"));
    message->data = json_object_get(object, "data");
    json_int_t seconds;
    json_int_t microseconds;
    bool known = json_unpack(object, "{s:{s:I,s:I}}", "timestamp", "seconds", &seconds,
                             "microseconds", &microseconds) == 0;
    bool sane = known && seconds >= 0 && seconds < G_MAXINT64 / (2 * G_USEC_PER_SEC) &&
                microseconds >= 0 && microseconds < G_USEC_PER_SEC;
    message->at_us = sane ? seconds * G_USEC_PER_SEC + microseconds : -1;
    return message->name != NULL && (message->data == NULL || json_is_object(message->data));
}

static bool read_id(json_t *object, QmpMessage *message)
{
    json_t *id = json_object_get(object, "id");
    message->has_id = id != NULL;
    message->id = (guint64)json_integer_value(id);
    return id == NULL || json_is_integer(id);
}

static bool classify(json_t *object, QmpMessage *message)
{
    message->object = object;
    json_t *part;
    if ((part = json_object_get(object, "return")) != NULL) {
        message->kind = QMP_MESSAGE_RETURN;
        message->data = part;
        return read_id(object, message) && message->has_id;
    }
    if ((part = json_object_get(object, "error")) != NULL) {
        message->kind = QMP_MESSAGE_ERROR;
        message->name = json_string_value(json_object_get(part, "class"));
        message->text = json_string_value(json_object_get(part, "desc"));
        return read_id(object, message) && message->name != NULL && message->text != NULL;
    }
    if (json_object_get(object, "event") != NULL) {
        return read_event(object, message);
    }
    part = json_object_get(object, "QMP");
    return json_is_object(part) && read_greeting(part, message);
}

QmpParserResult qmp_parser_next(QmpParser *parser, QmpMessage *ret_message, GError **error)
{
    json_t *object = NULL;
    switch (json_lines_next(parser->lines, &object, error)) {
    case JSON_LINES_MORE:
        return QMP_PARSER_MORE;
    case JSON_LINES_BAD:
        return QMP_PARSER_BAD;
    case JSON_LINES_OBJECT:
        break;
    }
    QmpMessage message = {0};
    if (classify(object, &message)) {
        *ret_message = message;
        return QMP_PARSER_MESSAGE;
    }
    char *shown = json_dumps(object, JSON_COMPACT);
    berth_error_set(error, BERTH_ERROR_INVALID, "line", shown, NULL,
                    "neither a greeting nor an answer, an error or an event");
    free(shown);
    qmp_message_clear(&message);
    return QMP_PARSER_BAD;
}
