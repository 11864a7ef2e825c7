/*
 * Small maps from strings to strings or to integers, as JSON objects carry them: labels,
 * accelerators.
 *
 * Entries are kept in the order of their keys, so that two equal maps print alike. Made for tens of
 * entries; lookups are by binary search, insertions move what follows. Keys and values are copied
 * in.
 *
 * Threading: none of its own. NULL counts as an empty map wherever a map is only read.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct IntMap IntMap;
typedef struct StringMap StringMap;

IntMap *int_map_new(void);
IntMap *int_map_copy(const IntMap *map);
/* Puts a copy in the place of what is there. */
void int_map_assign(IntMap **to, const IntMap *from);
void int_map_free(IntMap *map);
size_t int_map_size(const IntMap *map);
/* The index-th entry in the order of keys; index < size. */
const char *int_map_key(const IntMap *map, size_t index);
int64_t int_map_value(const IntMap *map, size_t index);
bool int_map_get(const IntMap *map, const char *key, int64_t *ret_value);
void int_map_set(IntMap *map, const char *key, int64_t value);
bool int_map_remove(IntMap *map, const char *key);
bool int_map_equal(const IntMap *a, const IntMap *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IntMap, int_map_free)

StringMap *string_map_new(void);
StringMap *string_map_copy(const StringMap *map);
void string_map_assign(StringMap **to, const StringMap *from);
void string_map_free(StringMap *map);
size_t string_map_size(const StringMap *map);
const char *string_map_key(const StringMap *map, size_t index);
const char *string_map_value(const StringMap *map, size_t index);
/* NULL: no such key. */
const char *string_map_get(const StringMap *map, const char *key);
void string_map_set(StringMap *map, const char *key, const char *value);
bool string_map_remove(StringMap *map, const char *key);
bool string_map_equal(const StringMap *a, const StringMap *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StringMap, string_map_free)
