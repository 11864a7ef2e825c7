/* Server-sent events as the command line reads them, in one piece and byte by byte. */
#include "fuzz.h"

#include "cli/sse.h"

#define MAX_EVENT_BYTES 256

static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, GString *seen)
{
    g_autoptr(SseParser) parser = sse_parser_new(MAX_EVENT_BYTES);
    for (size_t i = 0; i < size; i += piece) {
        bool taken = sse_parser_push(parser, (const char *)data + i, MIN(piece, size - i), NULL);
        SseEvent *event;
        while ((event = sse_parser_next(parser)) != NULL) {
            g_string_append_printf(seen, "%s|%s|%s\n", event->id, event->name, event->data);
            sse_event_free(event);
        }
        if (!taken) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GString) whole = g_string_new(NULL);
    g_autoptr(GString) bytes = g_string_new(NULL);
    read_in_pieces(data, size, size + 1, whole);
    read_in_pieces(data, size, 1, bytes);
    g_assert_cmpstr(whole->str, ==, bytes->str);
    return 0;
}
