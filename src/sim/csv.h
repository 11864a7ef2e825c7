/*
 * Tables as text: a line of column names, then a line for each row, fields between commas.
 *
 *     name,cpu_milli,memory_mib
 *     node-1,32000,262144
 *
 * Columns are found by name, so their order and further ones are of no account, nor are blanks
 * around fields, CRLF, empty lines and the mark that some editors put first (U+FEFF). There is no
 * quoting. What is wrong is told with file, line and
 * column of the line, the field, its value and what would be right.
 *
 * Threading: pure functions. A Csv owns its fields.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Csv Csv;

/* Reads the text of a file; `name` stands in errors. NULL and BERTH_ERROR_INVALID when it is no
 * table. */
Csv *csv_parse(const char *name, const char *text, size_t length, GError **error);
void csv_free(Csv *csv); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Csv, csv_free)

guint csv_n_rows(const Csv *csv);

/* The number of a column, or CSV_NONE; csv_require refuses the table without it. */
#define CSV_NONE G_MAXUINT
guint csv_column(const Csv *csv, const char *name);
bool csv_require(const Csv *csv, const char *name, guint *ret_column, GError **error);

/* Never NULL. */
const char *csv_field(const Csv *csv, guint row, guint column);

/* A whole number between `low` and `high`. */
bool csv_number(const Csv *csv, guint row, guint column, int64_t low, int64_t high,
                int64_t *ret_number, GError **error);

/* Refuses a table of names alone, where its first row should stand; always false. */
bool csv_refuse_rows(const Csv *csv, const char *remedy, const char *what, GError **error);

/* Refuses a field; always false. */
bool csv_refuse(const Csv *csv, guint row, guint column, const char *remedy, const char *what,
                GError **error);
