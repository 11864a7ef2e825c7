#include "cli/sse.h"

#include <string.h>

#include "base/error.h"

/* "id|name|data" of each event, one a line. */
static char *parse(const char *text, size_t piece)
{
    g_autoptr(SseParser) parser = sse_parser_new(1000);
    GString *all = g_string_new(NULL);
    for (size_t i = 0; i < strlen(text); i += piece) {
        g_assert_true(sse_parser_push(parser, text + i, MIN(piece, strlen(text + i)), NULL));
        for (SseEvent *e = sse_parser_next(parser); e != NULL; e = sse_parser_next(parser)) {
            g_string_append_printf(all, "%s|%s|%s\n", e->id != NULL ? e->id : "",
                                   e->name != NULL ? e->name : "", e->data);
            sse_event_free(e);
        }
    }
    return g_string_free(all, FALSE);
}

static void test_events(void)
{
    static const struct {
        const char *text, *events;
    } cases[] = {
        {"data: a\n\n", "||a\n"},
        {"data:a\n\n", "||a\n"},
        {"data:  a\n\n", "|| a\n"},
        {": ping\n\nid: 7\nevent: x\ndata: a\ndata: b\n\ndata: c\n\n", "7|x|a\nb\n7||c\n"},
        {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "||a\n||b\n||c\n"},
        {"data\n\n", "||\n"},
        {"id: 1\n\ndata: x\n\n", "1||x\n"},
        {"retry: 5\nnothing: x\ndata: a:b\n\n", "||a:b\n"},
        {"data: not ended\n", ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (size_t piece = 1; piece < 20; piece++) {
            g_autofree char *events = parse(cases[i].text, piece);
            g_assert_cmpstr(events, ==, cases[i].events);
        }
    }
}

static void test_bounded(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SseParser) parser = sse_parser_new(1000);
    g_autofree char *long_line = g_strnfill(2000, 'x');
    g_assert_false(sse_parser_push(parser, long_line, 2000, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    g_clear_error(&error);
    g_autoptr(SseParser) many = sse_parser_new(1000);
    bool ok = true;
    for (int i = 0; ok && i < 2000; i++) {
        ok = sse_parser_push(many, "data: x\n", 8, &error);
    }
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/sse/events", test_events);
    g_test_add_func("/cli/sse/bounded", test_bounded);
    return g_test_run();
}
