/*
 * What the values of a scenario file are made of.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* A list of texts; one text, or a list of at least one. */
bool shape_is_texts(const json_t *value);
bool shape_is_text_or_texts(const json_t *value);
/* The `i`th of one text, or of a list of texts; NULL: there are no more. */
const char *shape_text(const json_t *texts, size_t i);

/* A mapping of at least one member, of such values. */
bool shape_maps_to(const json_t *value, bool (*fits)(const json_t *value));

/* Can this path be read with GET? */
bool shape_is_path(const char *path);
/* A mapping of such paths. */
bool shape_maps_paths(const json_t *value);
