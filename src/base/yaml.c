#include "base/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"

#define DEFAULT_MAX_BYTES (8 << 20)
#define DEFAULT_MAX_DEPTH 32

typedef struct {
    yaml_parser_t parser;
    yaml_event_t event; /* the one that is being looked at */
    const char *text;
    size_t length;
    int max_depth;
    YamlDocument *document;
    GString *path; /* of the value that is being read */
} Reader;

void yaml_document_free(YamlDocument *document)
{
    if (document != NULL) {
        json_decref(document->root);
        g_hash_table_unref(document->marks);
        g_free(document);
    }
}

bool yaml_document_has(const YamlDocument *document, const char *path)
{
    return g_hash_table_contains(document->marks, path);
}

YamlMark yaml_document_mark(const YamlDocument *document, const char *path)
{
    g_autofree char *part = g_strdup(path != NULL ? path : "");
    while (part[0] != '\0') {
        const YamlMark *mark = g_hash_table_lookup(document->marks, part);
        if (mark != NULL) {
            return *mark;
        }
        char *dot = strrchr(part, '.'), *bracket = strrchr(part, '[');
        char *end = MAX(dot, bracket);
        *(end != NULL ? end : part) = '\0';
    }
    return document->begins;
}

static YamlMark mark_of(yaml_mark_t mark)
{
    return (YamlMark){(int)mark.line + 1, (int)mark.column + 1};
}

static bool refuse(yaml_mark_t mark, const char *value, const char *remedy, const char *what,
                   GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, value, remedy,
                           "line %zu, column %zu: %s", mark.line + 1, mark.column + 1, what);
}

/* Does the indentation of this line (from 0) hold a tab, and in which column? */
static bool has_tab_indent(const Reader *reader, size_t line, size_t *ret_column)
{
    const char *p = reader->text, *end = reader->text + reader->length;
    while (line > 0 && p != NULL && p < end) {
        p = memchr(p, '\n', (size_t)(end - p));
        p = p != NULL ? p + 1 : NULL;
        line--;
    }
    for (size_t column = 0; p != NULL && p < end && (*p == ' ' || *p == '\t'); p++, column++) {
        if (*p == '\t') {
            *ret_column = column;
            return true;
        }
    }
    return false;
}

static bool refuse_syntax(Reader *reader, GError **error)
{
    yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_READER_ERROR) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "save the text as UTF-8",
                               "line %zu, column %zu: %s", parser->mark.line + 1,
                               parser->mark.column + 1,
                               parser->problem != NULL ? parser->problem : "cannot be read");
    }
    yaml_mark_t mark = parser->problem_mark;
    if (has_tab_indent(reader, mark.line, &mark.column)) {
        return refuse(mark, NULL, "use spaces", "a tab in the indentation", error);
    }
    g_autofree char *what = g_strdup_printf(
        "%s%s%s", parser->problem != NULL ? parser->problem : "not YAML",
        parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
    return refuse(mark, NULL, "see the line for indentation, quotes and colons", what, error);
}

static bool next_event(Reader *reader, GError **error)
{
    yaml_event_delete(&reader->event);
    return yaml_parser_parse(&reader->parser, &reader->event) == 1 || refuse_syntax(reader, error);
}

static bool digits_only(const char *text, const char *allowed)
{
    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

/* [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+ */
static bool is_core_integer(const char *text, const char **ret_digits, int *ret_base)
{
    bool octal = g_str_has_prefix(text, "0o"), hex = g_str_has_prefix(text, "0x");
    *ret_base = octal ? 8 : hex ? 16 : 10;
    *ret_digits = octal || hex ? text + 2 : text;
    const char *digits = *ret_digits;
    if (*ret_base == 10 && (digits[0] == '-' || digits[0] == '+')) {
        digits++;
    }
    return digits_only(digits, octal ? "01234567" : hex ? "0123456789abcdefABCDEF" : "0123456789");
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_core_float(const char *text)
{
    const char *p = text + (text[0] == '-' || text[0] == '+');
    size_t whole = strspn(p, "0123456789"), fraction = 0;
    p += whole;
    if (*p == '.') {
        fraction = strspn(++p, "0123456789");
        p += fraction;
    }
    if (whole + fraction == 0) {
        return false;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        return digits_only(p, "0123456789");
    }
    return *p == '\0';
}

static bool is_one_of(const char *text, const char *const *words)
{
    return g_strv_contains(words, text);
}

static bool is_core_special(const char *text)
{
    static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                        "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                        ".NaN",  ".NAN",  NULL};
    return is_one_of(text, words);
}

static bool is_core_null(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return is_one_of(text, words);
}

static bool is_core_boolean(const char *text)
{
    static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    return is_one_of(text, words);
}

static json_t *plain_number(const char *text, yaml_mark_t mark, GError **error)
{
    const char *digits;
    int base;
    if (is_core_integer(text, &digits, &base)) {
        errno = 0;
        gint64 value = g_ascii_strtoll(digits, NULL, (guint)base);
        if (errno == ERANGE) {
            refuse(mark, text, "quote it if it is text", "a number beyond 64 bits", error);
            return NULL;
        }
        return json_integer(value);
    }
    double value = g_ascii_strtod(text, NULL);
    if (!isfinite(value)) {
        refuse(mark, text, "quote it if it is text", "a number beyond what JSON can carry", error);
        return NULL;
    }
    return json_real(value);
}

/* A scalar without quotes, by the core schema. */
static json_t *plain_value(const char *text, yaml_mark_t mark, GError **error)
{
    const char *digits;
    int base;
    if (is_core_null(text)) {
        return json_null();
    }
    if (is_core_boolean(text)) {
        return json_boolean(g_ascii_tolower(text[0]) == 't');
    }
    if (is_core_special(text)) {
        refuse(mark, text, "quote it if it is text", "no number that JSON can carry", error);
        return NULL;
    }
    if (is_core_integer(text, &digits, &base) || is_core_float(text)) {
        return plain_number(text, mark, error);
    }
    return json_string(text);
}

static bool check_plainness(const yaml_char_t *anchor, const yaml_char_t *tag, yaml_mark_t mark,
                            GError **error)
{
    if (anchor != NULL) {
        return refuse(mark, (const char *)anchor, "write the value out in each place",
                      "anchors are not taken", error);
    }
    if (tag != NULL) {
        return refuse(mark, (const char *)tag, "leave it out; quote what should be text",
                      "tags are not taken", error);
    }
    return true;
}

static json_t *read_value(Reader *reader, int depth, GError **error);

static json_t *read_scalar(Reader *reader, GError **error)
{
    yaml_mark_t mark = reader->event.start_mark;
    const char *text = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;
    if (memchr(text, '\0', length) != NULL) {
        refuse(mark, NULL, "leave it out", "a NUL character", error);
        return NULL;
    }
    if (reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        return plain_value(text, mark, error);
    }
    json_t *string = json_stringn(text, length);
    if (string == NULL) {
        refuse(mark, NULL, "leave it out", "a character that JSON cannot carry", error);
    }
    return string;
}

static json_t *read_sequence(Reader *reader, int depth, GError **error)
{
    json_t *array = json_array();
    size_t length = reader->path->len;
    for (size_t i = 0;; i++) {
        if (!next_event(reader, error)) {
            json_decref(array);
            return NULL;
        }
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) {
            return array;
        }
        g_string_append_printf(reader->path, "[%zu]", i);
        json_t *item = read_value(reader, depth + 1, error);
        g_string_truncate(reader->path, length);
        if (item == NULL) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, item);
    }
}

/* The key that the reader looks at; NULL with an error. */
static char *read_key(Reader *reader, const json_t *object, GError **error)
{
    yaml_mark_t mark = reader->event.start_mark;
    if (reader->event.type == YAML_ALIAS_EVENT) {
        refuse(mark, NULL, "write the key out", "aliases are not taken", error);
        return NULL;
    }
    if (reader->event.type != YAML_SCALAR_EVENT) {
        refuse(mark, NULL, "a key is one word", "a key that is no scalar", error);
        return NULL;
    }
    if (!check_plainness(reader->event.data.scalar.anchor, reader->event.data.scalar.tag, mark,
                         error)) {
        return NULL;
    }
    const char *key = (const char *)reader->event.data.scalar.value;
    if (strlen(key) != reader->event.data.scalar.length) {
        refuse(mark, NULL, "leave it out", "a NUL character", error);
        return NULL;
    }
    if (json_object_get(object, key) != NULL) {
        refuse(mark, key, "keep one of them", "this key stands here already", error);
        return NULL;
    }
    return g_strdup(key);
}

static bool read_member(Reader *reader, json_t *object, int depth, GError **error)
{
    YamlMark mark = mark_of(reader->event.start_mark);
    size_t length = reader->path->len;
    g_autofree char *key = read_key(reader, object, error);
    if (key == NULL || !next_event(reader, error)) {
        return false;
    }
    g_string_append_printf(reader->path, "%s%s", length > 0 ? "." : "", key);
    g_hash_table_insert(reader->document->marks, g_strdup(reader->path->str),
                        g_memdup2(&mark, sizeof mark));
    json_t *value = read_value(reader, depth + 1, error);
    g_string_truncate(reader->path, length);
    return value != NULL && json_object_set_new(object, key, value) == 0;
}

static json_t *read_mapping(Reader *reader, int depth, GError **error)
{
    json_t *object = json_object();
    while (next_event(reader, error)) {
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            return object;
        }
        if (!read_member(reader, object, depth, error)) {
            break;
        }
    }
    json_decref(object);
    return NULL;
}

static json_t *read_value(Reader *reader, int depth, GError **error)
{
    const yaml_event_t *event = &reader->event;
    yaml_mark_t mark = event->start_mark;
    if (depth > reader->max_depth) {
        g_autofree char *remedy = g_strdup_printf("at most %d levels", reader->max_depth);
        refuse(mark, NULL, remedy, "nested too deeply", error);
        return NULL;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return check_plainness(event->data.scalar.anchor, event->data.scalar.tag, mark, error)
                   ? read_scalar(reader, error)
                   : NULL;
    case YAML_SEQUENCE_START_EVENT:
        return check_plainness(event->data.sequence_start.anchor, event->data.sequence_start.tag,
                               mark, error)
                   ? read_sequence(reader, depth, error)
                   : NULL;
    case YAML_MAPPING_START_EVENT:
        return check_plainness(event->data.mapping_start.anchor, event->data.mapping_start.tag,
                               mark, error)
                   ? read_mapping(reader, depth, error)
                   : NULL;
    default:
        refuse(mark, NULL, "write the value out", "aliases are not taken", error);
        return NULL;
    }
}

static bool is_empty_scalar(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool read_document(Reader *reader, GPtrArray *documents, GError **error)
{
    if (!next_event(reader, error)) {
        return false;
    }
    g_autoptr(YamlDocument) document = g_new0(YamlDocument, 1);
    document->begins = mark_of(reader->event.start_mark);
    document->marks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    reader->document = document;
    bool empty = is_empty_scalar(&reader->event);
    document->root = read_value(reader, 1, error);
    if (document->root == NULL || !next_event(reader, error)) {
        return false;
    }
    if (!empty) {
        g_ptr_array_add(documents, g_steal_pointer(&document));
    }
    return true;
}

static bool read_documents(Reader *reader, GPtrArray *documents, GError **error)
{
    while (next_event(reader, error)) {
        if (reader->event.type == YAML_STREAM_END_EVENT) {
            return true;
        }
        if (reader->event.type == YAML_DOCUMENT_START_EVENT &&
            !read_document(reader, documents, error)) {
            return false;
        }
    }
    return false;
}

GPtrArray *yaml_parse(const char *text, size_t length, const CodecLimits *limits, GError **error)
{
    size_t max_bytes =
        limits != NULL && limits->max_bytes > 0 ? limits->max_bytes : (size_t)DEFAULT_MAX_BYTES;
    if (length > max_bytes) {
        g_autofree char *remedy = g_strdup_printf("at most %zu bytes", max_bytes);
        berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, NULL, remedy, "YAML of %zu bytes",
                        length);
        return NULL;
    }
    Reader reader = {.text = text, .length = length};
    reader.max_depth =
        limits != NULL && limits->max_depth > 0 ? limits->max_depth : DEFAULT_MAX_DEPTH;
    reader.path = g_string_new(NULL);
    yaml_parser_initialize(&reader.parser);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const yaml_char_t *)text, length);
    g_autoptr(GPtrArray) documents =
        g_ptr_array_new_with_free_func((GDestroyNotify)yaml_document_free);
    bool ok = read_documents(&reader, documents, error);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    g_string_free(reader.path, TRUE);
    return ok ? g_steal_pointer(&documents) : NULL;
}

/* Binary, hexadecimal and time stamps of YAML 1.1. */
static bool looks_old_number(const char *text)
{
    const char *p = text + (text[0] == '-' || text[0] == '+');
    return (p[0] == '0' && p[1] != '\0' && strchr("xXbBoO", p[1]) != NULL) ||
           (strspn(text, "0123456789") == 4 && text[4] == '-');
}

/* What a reader of YAML 1.1 or 1.2 takes for something else than text. */
static bool needs_quotes(const char *text)
{
    static const char *const old[] = {"y",   "Y",   "yes", "Yes", "YES", "n",  "N",
                                      "no",  "No",  "NO",  "on",  "On",  "ON", "off",
                                      "Off", "OFF", "<<",  "=",   NULL};
    const char *digits;
    int base;
    return is_core_null(text) || is_core_boolean(text) || is_core_special(text) ||
           is_core_integer(text, &digits, &base) || is_core_float(text) || is_one_of(text, old) ||
           digits_only(text, "0123456789_:.+-") || looks_old_number(text);
}

/* Text of several lines stands as it is where nothing in it could be read otherwise. */
static bool is_literal(const char *text)
{
    if (strchr(text, '\n') == NULL || g_ascii_isspace(text[0])) {
        return false;
    }
    for (const guchar *p = (const guchar *)text; *p != '\0'; p++) {
        if ((*p < ' ' && *p != '\n') || *p >= 0x7f || (*p == ' ' && p[1] == '\n')) {
            return false;
        }
    }
    return true;
}

static yaml_scalar_style_t style_of(const char *text)
{
    if (is_literal(text)) {
        return YAML_LITERAL_SCALAR_STYLE;
    }
    for (const guchar *p = (const guchar *)text; *p != '\0'; p++) {
        if (*p < ' ' || *p >= 0x7f) {
            return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        }
    }
    return needs_quotes(text) ? YAML_SINGLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
}

/* The emitter takes each event over. */
static void emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
    if (yaml_emitter_emit(emitter, event) != 1) {
        g_error("YAML: %s", emitter->problem != NULL ? emitter->problem : "out of memory");
    }
}

static void emit_text(yaml_emitter_t *emitter, const char *text, size_t length,
                      yaml_scalar_style_t style)
{
    yaml_event_t event;
    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)length, 1, 1,
                                 style);
    emit(emitter, &event);
}

static void emit_value(yaml_emitter_t *emitter, const json_t *json)
{
    yaml_event_t event;
    if (json_is_object(json)) {
        const char *key;
        json_t *value;
        bool empty = json_object_size(json) == 0;
        yaml_mapping_start_event_initialize(
            &event, NULL, NULL, 1, empty ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
        emit(emitter, &event);
        json_object_foreach ((json_t *)json, key, value) {
            yaml_scalar_style_t style = style_of(key);
            emit_text(emitter, key, strlen(key),
                      style == YAML_LITERAL_SCALAR_STYLE ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : style);
            emit_value(emitter, value);
        }
        yaml_mapping_end_event_initialize(&event);
        emit(emitter, &event);
    } else if (json_is_array(json)) {
        size_t index;
        json_t *item;
        bool empty = json_array_size(json) == 0;
        yaml_sequence_start_event_initialize(
            &event, NULL, NULL, 1, empty ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
        emit(emitter, &event);
        json_array_foreach (json, index, item) {
            emit_value(emitter, item);
        }
        yaml_sequence_end_event_initialize(&event);
        emit(emitter, &event);
    } else if (json_is_string(json)) {
        const char *text = json_string_value(json);
        emit_text(emitter, text, json_string_length(json), style_of(text));
    } else {
        g_autofree char *text = json_dumps(json, JSON_ENCODE_ANY);
        emit_text(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
    }
}

static int append_output(void *data, unsigned char *buffer, size_t size)
{
    g_string_append_len(data, (const char *)buffer, (gssize)size);
    return 1;
}

char *yaml_dump(const json_t *json)
{
    GString *text = g_string_new(NULL);
    yaml_emitter_t emitter;
    yaml_event_t event;
    yaml_emitter_initialize(&emitter);
    yaml_emitter_set_output(&emitter, append_output, text);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    emit(&emitter, &event);
    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
    emit(&emitter, &event);
    emit_value(&emitter, json);
    yaml_document_end_event_initialize(&event, 1);
    emit(&emitter, &event);
    yaml_stream_end_event_initialize(&event);
    emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
    if (text->len == 0 || text->str[text->len - 1] != '\n') {
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}
