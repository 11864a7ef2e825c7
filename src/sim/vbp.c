#include "sim/vbp.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

typedef struct {
    const char *name;
    const char *at, *end; /* what is left of the text */
    const char *line_start;
    unsigned line;
    unsigned count_line; /* says how many items there are */
} Reader;

static bool refuse(const Reader *reader, const char *where, size_t length, const char *remedy,
                   GError **error, const char *what)
{
    g_autofree char *field = g_strdup_printf("%s:%u:%zu", reader->name, reader->line,
                                             (size_t)(where - reader->line_start) + 1);
    g_autofree char *raw = g_strndup(where, length);
    g_autofree char *value = g_utf8_make_valid(raw, -1);

    return berth_error_set(error, BERTH_ERROR_INVALID, field, length > 0 ? value : NULL, remedy,
                           "%s: line %u, column %zu: %s", reader->name, reader->line,
                           (size_t)(where - reader->line_start) + 1, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(Reader *reader)
{
    while (reader->at < reader->end && is_blank(*reader->at)) {
        reader->at++;
    }
}

static bool at_line_end(const Reader *reader)
{
    return reader->at == reader->end || *reader->at == '\n';
}

/* Passes line ends until something else comes; false at the end of the text. */
static bool next_line(Reader *reader)
{
    skip_blanks(reader);
    while (reader->at < reader->end && *reader->at == '\n') {
        reader->line_start = ++reader->at;
        reader->line++;
        skip_blanks(reader);
    }
    return reader->at < reader->end;
}

static size_t word_length(const Reader *reader)
{
    const char *at = reader->at;

    while (at < reader->end && *at != '\n' && !is_blank(*at)) {
        at++;
    }
    return (size_t)(at - reader->at);
}

/* The next number of the line, between `low` and `high`. */
static bool read_number(Reader *reader, int64_t low, int64_t high, const char *what,
                        int64_t *ret_number, GError **error)
{
    g_autofree char *remedy = g_strdup_printf(
        "write %s: a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, what, low, high);

    skip_blanks(reader);
    if (at_line_end(reader)) {
        return refuse(reader, reader->at, 0, remedy, error, "the line ends too early");
    }
    size_t length = word_length(reader);
    g_autofree char *word = g_strndup(reader->at, length);
    const char *control = text_find_control(reader->at, length);
    const char *digits = word[0] == '-' ? word + 1 : word;
    gint64 number;

    if (control != NULL) {
        return refuse(reader, control, 0, "save the file as plain text", error, "this is not text");
    }
    if (digits[0] == '\0' || strspn(digits, "0123456789") != length - (size_t)(digits - word)) {
        return refuse(reader, reader->at, length, remedy, error, "this is not a whole number");
    }
    if (!g_ascii_string_to_signed(word, 10, low, high, &number, NULL)) {
        return refuse(reader, reader->at, length, remedy, error, "the number is out of its range");
    }
    reader->at += length;
    *ret_number = number;
    return true;
}

static bool end_line(Reader *reader, const char *remedy, GError **error)
{
    skip_blanks(reader);
    return at_line_end(reader) ||
           refuse(reader, reader->at, word_length(reader), remedy, error, "the line has too much");
}

/* Begins the next line, which must be there. */
static bool begin_line(Reader *reader, const char *what, GError **error)
{
    g_autofree char *remedy = g_strdup_printf("write a line with %s", what);

    return next_line(reader) ||
           refuse(reader, reader->at, 0, remedy, error, "the file is too short");
}

static bool read_head(Reader *reader, Vbp *vbp, GError **error)
{
    int64_t number;

    if (!begin_line(reader, "the number of dimensions", error) ||
        !read_number(reader, 1, BERTH_PLACE_MAX_DIMS, "the number of dimensions", &number, error) ||
        !end_line(reader, "the first line has the number of dimensions only", error) ||
        !begin_line(reader, "the capacities", error)) {
        return false;
    }
    vbp->problem.n_dims = (uint32_t)number;
    vbp->capacity = g_new0(int64_t, vbp->problem.n_dims);
    for (uint32_t k = 0; k < vbp->problem.n_dims; k++) {
        if (!read_number(reader, 0, BERTH_PLACE_MAX_AMOUNT, "a capacity for each dimension",
                         &vbp->capacity[k], error)) {
            return false;
        }
    }
    if (!end_line(reader, "write one capacity for each dimension", error) ||
        !begin_line(reader, "the number of items", error) ||
        !read_number(reader, 0, BERTH_PACK_MAX_ITEMS, "the number of items", &number, error) ||
        !end_line(reader, "the third line has the number of items only", error)) {
        return false;
    }
    vbp->problem.n_kinds = (uint32_t)number;
    reader->count_line = reader->line;
    return true;
}

/* Where the sizes stand, so that a later look at them can say so. */
typedef struct {
    unsigned line;
    uint32_t column;
} Place;

/* The file has not as many items as it says; it is the count or the items that are wrong. */
static bool refuse_count(const Reader *reader, const Vbp *vbp, uint32_t found, size_t length,
                         const char *what, GError **error)
{
    g_autofree char *remedy = g_strdup_printf(
        "line %u says that there are %u kinds of items, and %u are read: correct the count, or %s",
        reader->count_line, vbp->problem.n_kinds, found,
        found < vbp->problem.n_kinds ? "add the others" : "end the file here");

    return refuse(reader, reader->at, length, remedy, error, what);
}

static bool read_items(Reader *reader, Vbp *vbp, GArray *places, GError **error)
{
    uint32_t d = vbp->problem.n_dims;
    g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) demands = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (uint32_t i = 0; i < vbp->problem.n_kinds; i++) {
        int64_t number;

        if (!next_line(reader)) {
            return refuse_count(reader, vbp, i, 0, "the file ends before its last item", error);
        }
        for (uint32_t k = 0; k < d; k++) {
            skip_blanks(reader);
            Place place = {reader->line, (uint32_t)(reader->at - reader->line_start)};
            if (!read_number(reader, -BERTH_PLACE_MAX_AMOUNT, BERTH_PLACE_MAX_AMOUNT,
                             "a size for each dimension, then the demand", &number, error)) {
                return false;
            }
            g_array_append_val(sizes, number);
            g_array_append_val(places, place);
        }
        if (!read_number(reader, 0, BERTH_PACK_MAX_ITEMS - vbp->n_items,
                         "how many of the item are wanted, 1048576 of all items at most", &number,
                         error) ||
            !end_line(reader, "write a size for each dimension and a demand", error)) {
            return false;
        }
        uint32_t demand = (uint32_t)number;
        g_array_append_val(demands, demand);
        vbp->n_items += demand;
    }
    vbp->sizes = (int64_t *)(void *)g_array_free(g_steal_pointer(&sizes), FALSE);
    vbp->demands = (uint32_t *)(void *)g_array_free(g_steal_pointer(&demands), FALSE);
    return true;
}

/* An item over the capacity needs one of negative size beside it. */
static bool check_sizes(Reader *reader, const Vbp *vbp, const char *text, const GArray *places,
                        GError **error)
{
    uint32_t d = vbp->problem.n_dims, n = vbp->problem.n_kinds;

    for (uint32_t k = 0; k < d; k++) {
        bool has_negative = false;

        for (uint32_t i = 0; i < n && !has_negative; i++) {
            has_negative = vbp->sizes[(size_t)i * d + k] < 0;
        }
        for (uint32_t i = 0; i < n && !has_negative; i++) {
            if (vbp->demands[i] > 0 && vbp->sizes[(size_t)i * d + k] > vbp->capacity[k]) {
                Place place = g_array_index(places, Place, (size_t)i * d + k);

                reader->at = reader->line_start = text;
                reader->line = 1;
                while (reader->line < place.line) {
                    reader->line_start = memchr(reader->line_start, '\n',
                                                (size_t)(reader->end - reader->line_start));
                    reader->line_start++;
                    reader->line++;
                }
                reader->at = reader->line_start + place.column;
                return refuse(reader, reader->at, word_length(reader),
                              "make the item smaller or the bins larger", error,
                              "the item is larger than a bin");
            }
        }
    }
    return true;
}

static bool parse(Reader *reader, Vbp *vbp, GError **error)
{
    const char *text = reader->at;
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));

    if (!read_head(reader, vbp, error) || !read_items(reader, vbp, places, error)) {
        return false;
    }
    if (next_line(reader)) {
        return refuse_count(reader, vbp, vbp->problem.n_kinds, word_length(reader),
                            "the file goes on after its last item", error);
    }
    return check_sizes(reader, vbp, text, places, error);
}

Vbp *vbp_parse(const char *name, const char *text, size_t length, GError **error)
{
    g_autoptr(Vbp) vbp = g_new0(Vbp, 1);
    const char *begin = text + text_mark_length(text, length);
    Reader reader = {
        .name = name, .at = begin, .end = text + length, .line_start = begin, .line = 1};

    vbp->problem.struct_size = sizeof vbp->problem;
    if (!parse(&reader, vbp, error)) {
        return NULL;
    }
    vbp->problem.capacity = vbp->capacity;
    vbp->problem.sizes = vbp->sizes;
    vbp->problem.demands = vbp->demands;
    return g_steal_pointer(&vbp);
}

void vbp_free(Vbp *vbp)
{
    if (vbp != NULL) {
        g_free(vbp->capacity);
        g_free(vbp->sizes);
        g_free(vbp->demands);
        g_free(vbp);
    }
}

char *vbp_format(const Vbp *vbp)
{
    uint32_t d = vbp->problem.n_dims;
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%u\n", d);
    for (uint32_t k = 0; k < d; k++) {
        g_string_append_printf(text, "%" G_GINT64_FORMAT "%c", vbp->capacity[k],
                               k + 1 < d ? ' ' : '\n');
    }
    g_string_append_printf(text, "%u\n", vbp->problem.n_kinds);
    for (uint32_t i = 0; i < vbp->problem.n_kinds; i++) {
        for (uint32_t k = 0; k < d; k++) {
            g_string_append_printf(text, "%" G_GINT64_FORMAT " ", vbp->sizes[(size_t)i * d + k]);
        }
        g_string_append_printf(text, "%u\n", vbp->demands[i]);
    }
    return g_string_free(text, FALSE);
}
