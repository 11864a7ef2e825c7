#include "cli/sse.h"

#include <string.h>

#include "base/error.h"

struct SseParser {
    size_t max_bytes;
    GString *line;
    bool after_cr; /* a line feed that follows belongs to the line before */
    char *id, *name;
    GString *data;
    bool has_data;
    GQueue ready; /* of SseEvent * */
};

SseParser *sse_parser_new(size_t max_bytes)
{
    SseParser *parser = g_new0(SseParser, 1);
    parser->max_bytes = max_bytes;
    parser->line = g_string_new(NULL);
    parser->data = g_string_new(NULL);
    g_queue_init(&parser->ready);
    return parser;
}

void sse_event_free(SseEvent *event)
{
    if (event != NULL) {
        g_free(event->id);
        g_free(event->name);
        g_free(event->data);
        g_free(event);
    }
}

void sse_parser_free(SseParser *parser)
{
    if (parser != NULL) {
        g_string_free(parser->line, TRUE);
        g_string_free(parser->data, TRUE);
        g_free(parser->id);
        g_free(parser->name);
        g_queue_clear_full(&parser->ready, (GDestroyNotify)sse_event_free);
        g_free(parser);
    }
}

static void dispatch(SseParser *parser)
{
    if (parser->has_data) {
        SseEvent *event = g_new0(SseEvent, 1);
        event->id = g_strdup(parser->id);
        event->name = g_steal_pointer(&parser->name);
        event->data = g_strdup(parser->data->str);
        g_queue_push_tail(&parser->ready, event);
    }
    g_clear_pointer(&parser->name, g_free);
    g_string_truncate(parser->data, 0);
    parser->has_data = false;
}

static void take_line(SseParser *parser)
{
    char *line = parser->line->str;
    if (line[0] == '\0') {
        dispatch(parser);
        return;
    }
    size_t length = strcspn(line, ":");
    const char *value = line + length + (line[length] == ':');
    value += value[0] == ' ';
    line[length] = '\0';
    if (strcmp(line, "data") == 0) {
        g_string_append_printf(parser->data, "%s%s", parser->has_data ? "\n" : "", value);
        parser->has_data = true;
    } else if (strcmp(line, "id") == 0) {
        g_free(parser->id);
        parser->id = g_strdup(value);
    } else if (strcmp(line, "event") == 0) {
        g_free(parser->name);
        parser->name = g_strdup(value);
    }
}

bool sse_parser_push(SseParser *parser, const char *bytes, size_t length, GError **error)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        bool second = c == '\n' && parser->after_cr;
        parser->after_cr = c == '\r';
        if (second || c == '\0') {
            continue;
        }
        if (c == '\n' || c == '\r') {
            take_line(parser);
            g_string_truncate(parser->line, 0);
        } else {
            g_string_append_c(parser->line, c);
        }
        if (parser->line->len + parser->data->len > parser->max_bytes) {
            return berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, NULL, NULL,
                                   "an event of more than %zu bytes", parser->max_bytes);
        }
    }
    return true;
}

SseEvent *sse_parser_next(SseParser *parser)
{
    return g_queue_pop_head(&parser->ready);
}
