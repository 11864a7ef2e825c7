/* Lines from a guest's agent, with and without a mark to wait for, in one piece and byte by byte.
 */
#include "fuzz.h"

#include "qemu/json_lines.h"

#define MAX_LINE_BYTES 256

static GString *read_in_pieces(const uint8_t *data, size_t size, size_t piece, bool marked)
{
    g_autoptr(JsonLines) lines = json_lines_new(MAX_LINE_BYTES);
    GString *seen = g_string_new(NULL);
    if (marked) {
        json_lines_skip_to_mark(lines);
    }
    for (size_t i = 0; i < size; i += piece) {
        json_lines_push(lines, data + i, MIN(piece, size - i));
        JsonLinesResult result;
        json_t *object = NULL;
        while ((result = json_lines_next(lines, &object, NULL)) != JSON_LINES_MORE) {
            if (result == JSON_LINES_OBJECT) {
                g_autofree char *text = codec_dump(object);
                g_string_append(seen, text);
                json_decref(object);
            }
            g_string_append(seen, result == JSON_LINES_BAD ? "bad\n" : "\n");
        }
        g_assert_cmpuint(json_lines_pending(lines), <=, MAX_LINE_BYTES);
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool marked = size > 0 && data[0] == 'm';
    GString *whole = read_in_pieces(data, size, MAX(size, 1), marked);
    GString *bytes = read_in_pieces(data, size, 1, marked);
    g_assert_cmpstr(whole->str, ==, bytes->str);
    g_string_free(whole, TRUE);
    g_string_free(bytes, TRUE);
    return 0;
}
