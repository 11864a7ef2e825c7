#include "qemu/json_lines.h"

#include <string.h>

#include "base/error.h"

#define MARK 0xFF

struct JsonLines {
    GByteArray *bytes;
    size_t start;   /* where the line at hand begins in `bytes` */
    size_t scanned; /* no line feed before this offset */
    size_t max_line_bytes;
    bool skip_to_mark;
    bool skip_to_line_feed;
};

JsonLines *json_lines_new(size_t max_line_bytes)
{
    JsonLines *lines = g_new0(JsonLines, 1);
    lines->bytes = g_byte_array_new();
    lines->max_line_bytes = max_line_bytes;
    return lines;
}

void json_lines_free(JsonLines *lines)
{
    if (lines != NULL) {
        g_byte_array_unref(lines->bytes);
        g_free(lines);
    }
}

void json_lines_push(JsonLines *lines, const void *data, size_t size)
{
    if (lines->start > 0) {
        g_byte_array_remove_range(lines->bytes, 0, (guint)lines->start);
        lines->scanned -= lines->start;
        lines->start = 0;
    }
    g_byte_array_append(lines->bytes, data, (guint)size);
}

void json_lines_skip_to_mark(JsonLines *lines)
{
    lines->skip_to_mark = true;
    lines->skip_to_line_feed = false;
}

size_t json_lines_pending(const JsonLines *lines)
{
    return lines->bytes->len - lines->start;
}

static void drop_to(JsonLines *lines, size_t offset)
{
    lines->start = offset;
    lines->scanned = offset;
}

/* Throws away what a skip asks for; false while its end has not come. */
static bool skip(JsonLines *lines, bool *flag, int end)
{
    if (!*flag) {
        return true;
    }
    const guint8 *from = lines->bytes->data + lines->start;
    const guint8 *found =
        json_lines_pending(lines) > 0 ? memchr(from, end, json_lines_pending(lines)) : NULL;
    if (found == NULL) {
        drop_to(lines, lines->bytes->len);
        return false;
    }
    drop_to(lines, (size_t)(found - lines->bytes->data) + 1);
    *flag = false;
    return true;
}

static bool refuse_oversized(JsonLines *lines, GError **error)
{
    g_autofree char *limit = g_strdup_printf("%zu", lines->max_line_bytes);
    return berth_error_set(error, BERTH_ERROR_TOO_LARGE, "line", NULL, NULL,
                           "a line is longer than %s bytes", limit);
}

/* A number that only an unsigned 64-bit integer can hold, written anew as its two's complement. */
static void append_number(GString *text, const char *digits, size_t len)
{
    g_autofree char *number = g_strndup(digits, len);
    guint64 value;
    bool plain = strspn(number, "0123456789") == len;
    if (plain && len >= 19 &&
        g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &value, NULL) &&
        value > G_MAXINT64) {
        g_string_append_printf(text, "%" G_GINT64_FORMAT, (gint64)value);
        return;
    }
    g_string_append_len(text, digits, (gssize)len);
}

static size_t string_end(const char *text, size_t len, size_t open)
{
    size_t i = open + 1;
    while (i < len && text[i] != '"') {
        i += text[i] == '\\' ? 2 : 1;
    }
    return MIN(i + 1, len);
}

/* Copies a line for jansson with its large numbers made signed. NULL when it nests too deep. */
static GString *prepare(const char *text, size_t len)
{
    g_autoptr(GString) copy = g_string_sized_new(len + 16);
    unsigned depth = 0;
    size_t i = 0;
    while (i < len) {
        size_t from = i;
        if (text[i] == '"') {
            i = string_end(text, len, i);
            g_string_append_len(copy, text + from, (gssize)(i - from));
        } else if (g_ascii_isdigit(text[i])) {
            while (i < len && (g_ascii_isalnum(text[i]) || strchr(".+-", text[i]) != NULL)) {
                i++;
            }
            append_number(copy, text + from, i - from);
        } else {
            depth += text[i] == '{' || text[i] == '[';
            depth -= depth > 0 && (text[i] == '}' || text[i] == ']');
            if (depth > JSON_LINES_MAX_DEPTH) {
                return NULL;
            }
            g_string_append_c(copy, text[i++]);
        }
    }
    return g_steal_pointer(&copy);
}

static json_t *parse(const char *text, size_t len, GError **error)
{
    g_autoptr(GString) copy = prepare(text, len);
    if (copy == NULL) {
        berth_error_set(error, BERTH_ERROR_TOO_LARGE, "line", NULL, NULL,
                        "brackets nest deeper than %d", JSON_LINES_MAX_DEPTH);
        return NULL;
    }
    json_error_t why;
    json_t *value = json_loadb(copy->str, copy->len, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(value)) {
        return value;
    }
    g_autofree char *shown = g_strndup(text, len);
    berth_error_set(error, BERTH_ERROR_INVALID, "line", shown, NULL, "not a JSON object: %s",
                    value == NULL ? why.text : "another kind of value");
    json_decref(value);
    return NULL;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!g_ascii_isspace(text[i])) {
            return false;
        }
    }
    return true;
}

/* The next line, blank ones included; NULL when none is whole. */
static const char *next_line(JsonLines *lines, size_t *ret_len)
{
    size_t unscanned = lines->bytes->len - lines->scanned;
    const guint8 *end =
        unscanned > 0 ? memchr(lines->bytes->data + lines->scanned, '\n', unscanned) : NULL;
    if (end == NULL) {
        lines->scanned = lines->bytes->len;
        return NULL;
    }
    const guint8 *line = lines->bytes->data + lines->start;
    *ret_len = (size_t)(end - line);
    drop_to(lines, (size_t)(end - lines->bytes->data) + 1);
    return (const char *)line;
}

JsonLinesResult json_lines_next(JsonLines *lines, json_t **ret_object, GError **error)
{
    if (!skip(lines, &lines->skip_to_mark, MARK) || !skip(lines, &lines->skip_to_line_feed, '\n')) {
        return JSON_LINES_MORE;
    }
    const char *line;
    size_t len;
    while ((line = next_line(lines, &len)) != NULL) {
        if (len > lines->max_line_bytes) {
            refuse_oversized(lines, error);
            return JSON_LINES_BAD;
        }
        if (!is_blank(line, len)) {
            json_t *object = parse(line, len, error);
            if (object == NULL) {
                return JSON_LINES_BAD;
            }
            *ret_object = object;
            return JSON_LINES_OBJECT;
        }
    }
    if (json_lines_pending(lines) > lines->max_line_bytes) {
        drop_to(lines, lines->bytes->len);
        lines->skip_to_line_feed = true;
        refuse_oversized(lines, error);
        return JSON_LINES_BAD;
    }
    return JSON_LINES_MORE;
}
