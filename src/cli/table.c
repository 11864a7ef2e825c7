#include "cli/table.h"

#include <string.h>

#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define RESET "\033[0m"

struct Table {
    const char *const *headings;
    guint columns;
    GPtrArray *cells; /* of char *, row by row */
};

Table *table_new(const char *const *headings)
{
    Table *table = g_new0(Table, 1);
    table->headings = headings;
    table->columns = g_strv_length((char **)headings);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    return table;
}

void table_free(Table *table)
{
    if (table != NULL) {
        g_ptr_array_unref(table->cells);
        g_free(table);
    }
}

char *table_safe_text(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *safe = g_string_new(NULL);
    for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        bool blank = c == '\n' || c == '\t' || c == '\r';
        bool shown = !g_unichar_iscntrl(c) && g_unichar_type(c) != G_UNICODE_FORMAT;
        g_string_append_unichar(safe, blank ? ' ' : shown ? c : '?');
    }
    return g_string_free(safe, FALSE);
}

void table_add(Table *table, const char *text)
{
    bool empty = text == NULL || text[0] == '\0';
    g_ptr_array_add(table->cells, table_safe_text(empty ? "-" : text));
}

void table_take(Table *table, char *text)
{
    table_add(table, text);
    g_free(text);
}

void table_add_integer(Table *table, gint64 value)
{
    table_take(table, g_strdup_printf("%" G_GINT64_FORMAT, value));
}

static int width_of(const char *text)
{
    int width = 0;
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

static const char *color_of(const char *text)
{
    static const struct {
        const char *word, *color;
    } states[] = {
        {"running", GREEN},   {"up", GREEN},        {"done", GREEN},      {"ready", GREEN},
        {"starting", YELLOW}, {"stopping", YELLOW}, {"waiting", YELLOW},  {"paused", YELLOW},
        {"joined", YELLOW},   {"pending", YELLOW},  {"cordoned", YELLOW}, {"draining", YELLOW},
        {"crashed", RED},     {"failed", RED},      {"down", RED},        {"unknown", RED},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
        size_t length = strlen(states[i].word);
        if (strncmp(text, states[i].word, length) == 0 && strchr(" ,", text[length]) != NULL) {
            return states[i].color;
        }
    }
    return NULL;
}

static bool is_right(const Table *table, guint column)
{
    return table->headings[column][0] == '>';
}

static const char *heading(const Table *table, guint column)
{
    return table->headings[column] + is_right(table, column);
}

static void append_cell(GString *line, const char *text, int width, bool right, const char *color)
{
    int blanks = width - width_of(text);
    g_string_append_printf(line, "%*s%s%s%s%*s", right ? blanks : 0, "", color != NULL ? color : "",
                           text, color != NULL ? RESET : "", right ? 0 : blanks, "");
}

static void end_line(GString *text)
{
    while (text->len > 0 && text->str[text->len - 1] == ' ') {
        g_string_truncate(text, text->len - 1);
    }
    g_string_append_c(text, '\n');
}

static int *column_widths(const Table *table)
{
    int *widths = g_new0(int, table->columns);
    for (guint c = 0; c < table->columns; c++) {
        widths[c] = width_of(heading(table, c));
    }
    for (guint i = 0; i < table->cells->len; i++) {
        int *width = &widths[i % table->columns];
        *width = MAX(*width, width_of(table->cells->pdata[i]));
    }
    return widths;
}

char *table_render(const Table *table, bool color)
{
    g_autofree int *widths = column_widths(table);
    GString *text = g_string_new(NULL);
    bool headed = false;
    for (guint c = 0; c < table->columns; c++) {
        headed |= heading(table, c)[0] != '\0';
    }
    for (guint c = 0; headed && c < table->columns; c++) {
        g_string_append(text, c > 0 ? "  " : "");
        append_cell(text, heading(table, c), widths[c], is_right(table, c), color ? BOLD : NULL);
    }
    if (headed) {
        end_line(text);
    }
    for (guint i = 0; i < table->cells->len; i++) {
        guint c = i % table->columns;
        const char *cell = table->cells->pdata[i];
        g_string_append(text, c > 0 ? "  " : "");
        append_cell(text, cell, widths[c], is_right(table, c), color ? color_of(cell) : NULL);
        if (c + 1 == table->columns) {
            end_line(text);
        }
    }
    return g_string_free(text, FALSE);
}
