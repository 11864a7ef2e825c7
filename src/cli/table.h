/*
 * Aligned columns for a terminal.
 *
 * Widths count characters as a terminal shows them (wide ones twice, combining ones not at all).
 * What comes from elsewhere is printed safely: control characters become `?`, line feeds spaces, so
 * that no name or message can move the cursor. With colour, the headings are bold and words of
 * state (running, failed, …) have one; nothing else differs, so that a pipe sees the same table.
 *
 * Threading: none of its own.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Table Table;

/* One heading a column, NULL ends; one that begins with `>` is aligned to the right. An all-empty
 * row of headings is not printed. `headings` must outlive the table. */
Table *table_new(const char *const *headings);
void table_free(Table *table); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* The next cell, row by row; NULL and "" show as `-`. */
void table_add(Table *table, const char *text);
/* The same; frees `text`. */
void table_take(Table *table, char *text);
void table_add_integer(Table *table, gint64 value);

/* Lines that end with a line feed and have no blanks at their ends. g_free it. */
char *table_render(const Table *table, bool color);

/* `text` without what could move the cursor; g_free it. */
char *table_safe_text(const char *text);
