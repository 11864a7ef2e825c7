#include "qemu/qmp_parser.h"

#include <string.h>

#include "base/error.h"

static QmpParserResult parse(const char *line, QmpMessage *message, GError **error)
{
    g_autoptr(QmpParser) parser = qmp_parser_new(1000);
    qmp_parser_push(parser, line, strlen(line));
    qmp_parser_push(parser, "\r\n", 2);
    return qmp_parser_next(parser, message, error);
}

static void assert_message(const char *line, QmpMessage *message)
{
    g_autoptr(GError) error = NULL;
    memset(message, 0, sizeof *message);
    g_assert_cmpint(parse(line, message, &error), ==, QMP_PARSER_MESSAGE);
    g_assert_no_error(error);
}

static void test_greeting(void)
{
    QmpMessage m;
    assert_message(
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
        "\"package\": \"Debian\"}, \"capabilities\": [\"x\", \"oob\"]}}",
        &m);
    g_assert_cmpint(m.kind, ==, QMP_MESSAGE_GREETING);
    g_assert_true(m.has_oob);
    g_assert_cmpint(m.version[0], ==, 7);
    g_assert_cmpint(m.version[1], ==, 2);
    g_assert_cmpint(m.version[2], ==, 22);
    qmp_message_clear(&m);
}

static void test_answers(void)
{
    QmpMessage m;
    assert_message("{\"return\":[1],\"id\":42}", &m);
    g_assert_cmpint(m.kind, ==, QMP_MESSAGE_RETURN);
    g_assert_cmpuint(m.id, ==, 42);
    g_assert_cmpuint(json_array_size(m.data), ==, 1);
    qmp_message_clear(&m);

    assert_message("{\"id\":7,\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}", &m);
    g_assert_cmpint(m.kind, ==, QMP_MESSAGE_ERROR);
    g_assert_cmpuint(m.id, ==, 7);
    g_assert_cmpstr(m.name, ==, "GenericError");
    g_assert_cmpstr(m.text, ==, "no");
    qmp_message_clear(&m);

    assert_message("{\"error\":{\"class\":\"GenericError\",\"desc\":\"JSON parse error\"}}", &m);
    g_assert_false(m.has_id);
    qmp_message_clear(&m);
}

static void test_events(void)
{
    QmpMessage m;
    assert_message("{\"timestamp\":{\"seconds\":1700000000,\"microseconds\":5},"
                   "\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true}}",
                   &m);
    g_assert_cmpint(m.kind, ==, QMP_MESSAGE_EVENT);
    g_assert_cmpstr(m.name, ==, "SHUTDOWN");
    g_assert_true(json_is_true(json_object_get(m.data, "guest")));
    g_assert_cmpint(m.at_us, ==, 1700000000000005);
    qmp_message_clear(&m);

    assert_message("{\"event\":\"STOP\",\"timestamp\":{\"seconds\":-1,\"microseconds\":-1}}", &m);
    g_assert_cmpint(m.at_us, ==, -1);
    g_assert_null(m.data);
    qmp_message_clear(&m);
}

static void test_what_is_none_of_them_is_refused(void)
{
    static const char *const lines[] = {
        "{}",
        "{\"return\":{}}",
        "{\"return\":{},\"id\":\"text\"}",
        "{\"error\":\"text\",\"id\":1}",
        "{\"error\":{\"class\":\"GenericError\"},\"id\":1}",
        "{\"event\":1}",
        "{\"event\":\"STOP\",\"data\":[]}",
        "{\"QMP\":{}}",
        "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":\"2\",\"minor\":2,\"major\":7}}}}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        QmpMessage message;
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(parse(lines[i], &message, &error), ==, QMP_PARSER_BAD);
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_nonnull(berth_error_value(error));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/qmp-parser/greeting", test_greeting);
    g_test_add_func("/qemu/qmp-parser/answers", test_answers);
    g_test_add_func("/qemu/qmp-parser/events", test_events);
    g_test_add_func("/qemu/qmp-parser/refuses-the-rest", test_what_is_none_of_them_is_refused);
    return g_test_run();
}
