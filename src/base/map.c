#include "base/map.h"

#include <string.h>

typedef struct {
    char *key;
    char *text;
    int64_t integer;
} Entry;

/* Both maps are the same array; the two types only keep their values apart. */
struct IntMap {
    GArray *entries;
};

struct StringMap {
    GArray *entries;
};

static void entry_clear(void *data)
{
    Entry *entry = data;
    g_free(entry->key);
    g_free(entry->text);
}

static GArray *entries_new(void)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_array_set_clear_func(entries, entry_clear);
    return entries;
}

static const Entry *entry_at(const GArray *entries, size_t index)
{
    return &g_array_index(entries, Entry, index);
}

/* Where `key` is, or where it belongs. */
static bool entries_find(const GArray *entries, const char *key, guint *ret_index)
{
    guint low = 0, high = entries->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        int order = strcmp(entry_at(entries, middle)->key, key);
        if (order == 0) {
            *ret_index = middle;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_index = low;
    return false;
}

static void entries_set(GArray *entries, const char *key, const char *text, int64_t integer)
{
    Entry entry = {g_strdup(key), g_strdup(text), integer};
    guint index;
    if (entries_find(entries, key, &index)) {
        Entry *old = &g_array_index(entries, Entry, index);
        entry_clear(old);
        *old = entry;
    } else {
        g_array_insert_val(entries, index, entry);
    }
}

static bool entries_remove(GArray *entries, const char *key)
{
    guint index;
    if (!entries_find(entries, key, &index)) {
        return false;
    }
    g_array_remove_index(entries, index);
    return true;
}

static GArray *entries_copy(const GArray *entries)
{
    GArray *copy = entries_new();
    for (guint i = 0; i < entries->len; i++) {
        const Entry *e = entry_at(entries, i);
        Entry duplicate = {g_strdup(e->key), g_strdup(e->text), e->integer};
        g_array_append_val(copy, duplicate);
    }
    return copy;
}

static bool entries_equal(const GArray *a, const GArray *b)
{
    guint size_a = a != NULL ? a->len : 0, size_b = b != NULL ? b->len : 0;
    if (size_a != size_b) {
        return false;
    }
    for (guint i = 0; i < size_a; i++) {
        const Entry *x = entry_at(a, i), *y = entry_at(b, i);
        if (strcmp(x->key, y->key) != 0 || g_strcmp0(x->text, y->text) != 0 ||
            x->integer != y->integer) {
            return false;
        }
    }
    return true;
}

IntMap *int_map_new(void)
{
    IntMap *map = g_new(IntMap, 1);
    map->entries = entries_new();
    return map;
}

IntMap *int_map_copy(const IntMap *map)
{
    IntMap *copy = g_new(IntMap, 1);
    copy->entries = map != NULL ? entries_copy(map->entries) : entries_new();
    return copy;
}

void int_map_assign(IntMap **to, const IntMap *from)
{
    IntMap *copy = int_map_copy(from);
    int_map_free(*to);
    *to = copy;
}

void int_map_free(IntMap *map)
{
    if (map != NULL) {
        g_array_unref(map->entries);
        g_free(map);
    }
}

size_t int_map_size(const IntMap *map)
{
    return map != NULL ? map->entries->len : 0;
}

const char *int_map_key(const IntMap *map, size_t index)
{
    return entry_at(map->entries, index)->key;
}

int64_t int_map_value(const IntMap *map, size_t index)
{
    return entry_at(map->entries, index)->integer;
}

bool int_map_get(const IntMap *map, const char *key, int64_t *ret_value)
{
    guint index;
    if (map == NULL || !entries_find(map->entries, key, &index)) {
        return false;
    }
    *ret_value = entry_at(map->entries, index)->integer;
    return true;
}

void int_map_set(IntMap *map, const char *key, int64_t value)
{
    entries_set(map->entries, key, NULL, value);
}

bool int_map_remove(IntMap *map, const char *key)
{
    return entries_remove(map->entries, key);
}

bool int_map_equal(const IntMap *a, const IntMap *b)
{
    return entries_equal(a != NULL ? a->entries : NULL, b != NULL ? b->entries : NULL);
}

StringMap *string_map_new(void)
{
    StringMap *map = g_new(StringMap, 1);
    map->entries = entries_new();
    return map;
}

StringMap *string_map_copy(const StringMap *map)
{
    StringMap *copy = g_new(StringMap, 1);
    copy->entries = map != NULL ? entries_copy(map->entries) : entries_new();
    return copy;
}

void string_map_assign(StringMap **to, const StringMap *from)
{
    StringMap *copy = string_map_copy(from);
    string_map_free(*to);
    *to = copy;
}

void string_map_free(StringMap *map)
{
    if (map != NULL) {
        g_array_unref(map->entries);
        g_free(map);
    }
}

size_t string_map_size(const StringMap *map)
{
    return map != NULL ? map->entries->len : 0;
}

const char *string_map_key(const StringMap *map, size_t index)
{
    return entry_at(map->entries, index)->key;
}

const char *string_map_value(const StringMap *map, size_t index)
{
    return entry_at(map->entries, index)->text;
}

const char *string_map_get(const StringMap *map, const char *key)
{
    guint index;
    return map != NULL && entries_find(map->entries, key, &index)
               ? entry_at(map->entries, index)->text
               : NULL;
}

void string_map_set(StringMap *map, const char *key, const char *value)
{
    entries_set(map->entries, key, value, 0);
}

bool string_map_remove(StringMap *map, const char *key)
{
    return entries_remove(map->entries, key);
}

bool string_map_equal(const StringMap *a, const StringMap *b)
{
    return entries_equal(a != NULL ? a->entries : NULL, b != NULL ? b->entries : NULL);
}
