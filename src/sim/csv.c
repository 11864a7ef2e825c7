#include "sim/csv.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

struct Csv {
    char *name;
    GPtrArray *columns; /* of char * */
    unsigned names_line;
    GArray *fields; /* of Field, row by row */
};

typedef struct {
    char *text;
    unsigned line;
    unsigned at; /* column of the line, from 1 */
} Field;

static void field_clear(gpointer field)
{
    g_free(((Field *)field)->text);
}

void csv_free(Csv *csv)
{
    if (csv != NULL) {
        g_free(csv->name);
        g_ptr_array_unref(csv->columns);
        g_array_unref(csv->fields);
        g_free(csv);
    }
}

static bool refuse_at(const Csv *csv, unsigned line, unsigned at, const char *field,
                      const char *value, const char *remedy, const char *what, GError **error)
{
    g_autofree char *clean = value != NULL ? g_utf8_make_valid(value, -1) : NULL;

    return berth_error_set(error, BERTH_ERROR_INVALID, field, clean, remedy,
                           "%s: line %u, column %u: %s", csv->name, line, at, what);
}

bool csv_refuse(const Csv *csv, guint row, guint column, const char *remedy, const char *what,
                GError **error)
{
    const Field *field = &g_array_index(csv->fields, Field, row * csv->columns->len + column);

    return refuse_at(csv, field->line, field->at, g_ptr_array_index(csv->columns, column),
                     field->text, remedy, what, error);
}

/* The fields of one line. */
static GArray *split(const char *line, size_t length, unsigned number)
{
    GArray *fields = g_array_new(FALSE, FALSE, sizeof(Field));
    size_t begin = 0;

    g_array_set_clear_func(fields, field_clear);
    for (size_t i = 0; i <= length; i++) {
        if (i < length && line[i] != ',') {
            continue;
        }
        size_t first = begin;
        while (first < i && g_ascii_isspace(line[first])) {
            first++;
        }
        Field field = {g_strstrip(g_strndup(line + begin, i - begin)), number,
                       (unsigned)(first + 1)};
        g_array_append_val(fields, field);
        begin = i + 1;
    }
    return fields;
}

static bool take_names(Csv *csv, const GArray *fields, GError **error)
{
    for (guint i = 0; i < fields->len; i++) {
        const Field *field = &g_array_index(fields, Field, i);
        if (field->text[0] == '\0') {
            return refuse_at(csv, field->line, field->at, NULL, NULL,
                             "name each column on the first line", "a column has no name", error);
        }
        if (csv_column(csv, field->text) != CSV_NONE) {
            return refuse_at(csv, field->line, field->at, field->text, NULL,
                             "name each column once", "two columns have the same name", error);
        }
        g_ptr_array_add(csv->columns, g_strdup(field->text));
        csv->names_line = field->line;
    }
    return true;
}

static bool take_row(Csv *csv, GArray *fields, GError **error)
{
    const Field *last = &g_array_index(fields, Field, fields->len - 1);

    if (fields->len != csv->columns->len) {
        g_autofree char *remedy = g_strdup_printf(
            "write %u fields between commas, as the first line has names", csv->columns->len);
        g_autofree char *has = berth_words_count(fields->len, "field");
        g_autofree char *what = g_strconcat("the line has ", has, NULL);
        return refuse_at(csv, last->line, last->at, NULL, last->text, remedy, what, error);
    }
    for (guint i = 0; i < fields->len; i++) {
        Field *field = &g_array_index(fields, Field, i);
        Field taken = *field;
        field->text = NULL;
        g_array_append_val(csv->fields, taken);
    }
    return true;
}

static bool take_line(Csv *csv, const char *line, size_t length, unsigned number, GError **error)
{
    length -= length > 0 && line[length - 1] == '\r';
    const char *quote = memchr(line, '"', length), *control = text_find_control(line, length);

    if (control != NULL && (quote == NULL || control < quote)) {
        return refuse_at(csv, number, (unsigned)(control - line) + 1, NULL, NULL,
                         "save the file as plain text with commas between fields",
                         "this is not text", error);
    }
    if (quote != NULL) {
        return refuse_at(csv, number, (unsigned)(quote - line) + 1, NULL, NULL,
                         "write plain text with commas between fields", "fields are not quoted",
                         error);
    }
    g_autoptr(GArray) fields = split(line, length, number);
    if (fields->len == 1 && g_array_index(fields, Field, 0).text[0] == '\0') {
        return true;
    }
    return csv->columns->len == 0 ? take_names(csv, fields, error) : take_row(csv, fields, error);
}

Csv *csv_parse(const char *name, const char *text, size_t length, GError **error)
{
    g_autoptr(Csv) csv = g_new0(Csv, 1);
    const char *at = text, *end = text + length;

    csv->name = g_strdup(name);
    csv->columns = g_ptr_array_new_with_free_func(g_free);
    csv->fields = g_array_new(FALSE, FALSE, sizeof(Field));
    g_array_set_clear_func(csv->fields, field_clear);
    at += text_mark_length(text, length);
    for (unsigned number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        if (!take_line(csv, at, (size_t)(stop - at), number, error)) {
            return NULL;
        }
        at = stop + 1;
    }
    if (csv->columns->len == 0) {
        refuse_at(csv, 1, 1, NULL, NULL, "name the columns on the first line", "the file is empty",
                  error);
        return NULL;
    }
    return g_steal_pointer(&csv);
}

guint csv_n_rows(const Csv *csv)
{
    return csv->fields->len / csv->columns->len;
}

guint csv_column(const Csv *csv, const char *name)
{
    for (guint i = 0; i < csv->columns->len; i++) {
        if (strcmp(g_ptr_array_index(csv->columns, i), name) == 0) {
            return i;
        }
    }
    return CSV_NONE;
}

bool csv_require(const Csv *csv, const char *name, guint *ret_column, GError **error)
{
    guint column = csv_column(csv, name);

    if (column == CSV_NONE) {
        g_autoptr(GString) names = g_string_new(NULL);
        for (guint i = 0; i < csv->columns->len; i++) {
            g_string_append_printf(names, "%s%s", i > 0 ? "," : "",
                                   (char *)g_ptr_array_index(csv->columns, i));
        }
        return refuse_at(csv, csv->names_line, 1, name, names->str,
                         "name the column on the first line, with commas between names",
                         "a column is missing", error);
    }
    *ret_column = column;
    return true;
}

bool csv_refuse_rows(const Csv *csv, const char *remedy, const char *what, GError **error)
{
    return refuse_at(csv, csv->names_line + 1, 1, NULL, NULL, remedy, what, error);
}

const char *csv_field(const Csv *csv, guint row, guint column)
{
    return g_array_index(csv->fields, Field, row * csv->columns->len + column).text;
}

bool csv_number(const Csv *csv, guint row, guint column, int64_t low, int64_t high,
                int64_t *ret_number, GError **error)
{
    const char *text = csv_field(csv, row, column);
    const char *digits = text[0] == '-' ? text + 1 : text;
    gint64 number;
    g_autofree char *remedy = g_strdup_printf(
        "write a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, low, high);

    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return csv_refuse(csv, row, column, remedy,
                          text[0] == '\0' ? "a number is missing" : "this is not a whole number",
                          error);
    }
    if (!g_ascii_string_to_signed(text, 10, low, high, &number, NULL)) {
        return csv_refuse(csv, row, column, remedy, "the number is out of its range", error);
    }
    *ret_number = number;
    return true;
}
