#include "cli/names.h"

static GHashTable *load(Cli *cli, ApiOperation list)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    ApiCall call = {.operation = list};
    json_t *items = cli_connect(cli, NULL) != NULL ? api_list(cli->client, &call, NULL) : NULL;
    size_t i;
    json_t *item;
    json_array_foreach (items, i, item) {
        const char *id = json_string_value(json_object_get(item, "id"));
        const char *name = json_string_value(json_object_get(item, "name"));
        if (id != NULL && name != NULL) {
            g_hash_table_insert(names, g_strdup(id), g_strdup(name));
        }
    }
    json_decref(items);
    return names;
}

const char *name_of(Cli *cli, ApiOperation list, const char *id)
{
    if (id == NULL) {
        return NULL;
    }
    if (cli->names == NULL) {
        cli->names = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_hash_table_unref);
    }
    GHashTable *names = g_hash_table_lookup(cli->names, GINT_TO_POINTER(list));
    if (names == NULL) {
        names = load(cli, list);
        g_hash_table_insert(cli->names, GINT_TO_POINTER(list), names);
    }
    const char *name = g_hash_table_lookup(names, id);
    return name != NULL ? name : id;
}
