/* What QEMU says on its monitor, in one piece and byte by byte. */
#include "fuzz.h"

#include "qemu/qmp_parser.h"

#define MAX_LINE_BYTES 512

/* Everything that comes out, up to the first error. */
static void drain(QmpParser *parser, GString *seen, bool *bad)
{
    QmpParserResult result = QMP_PARSER_MORE;
    QmpMessage message;
    while (!*bad && (result = qmp_parser_next(parser, &message, NULL)) == QMP_PARSER_MESSAGE) {
        g_string_append_printf(seen, "%d %d %" G_GUINT64_FORMAT " %s %s %" G_GINT64_FORMAT " %d\n",
                               message.kind, message.has_id, message.id, message.name, message.text,
                               message.at_us, message.version[0]);
        qmp_message_clear(&message);
    }
    *bad = *bad || result == QMP_PARSER_BAD;
}

static GString *read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    g_autoptr(QmpParser) parser = qmp_parser_new(MAX_LINE_BYTES);
    GString *seen = g_string_new(NULL);
    bool bad = false;
    for (size_t i = 0; i < size && !bad; i += piece) {
        qmp_parser_push(parser, data + i, MIN(piece, size - i));
        drain(parser, seen, &bad);
    }
    g_string_append(seen, bad ? "bad" : "");
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GString *whole = read_in_pieces(data, size, MAX(size, 1));
    GString *bytes = read_in_pieces(data, size, 1);
    g_assert_cmpstr(whole->str, ==, bytes->str);
    g_string_free(whole, TRUE);
    g_string_free(bytes, TRUE);
    return 0;
}
