#include "cluster/levels.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/labels.h"
#include "cluster/txn.h"

static const char *const usual[] = {"rack", "zone"};

static void set_names(ClusterCore *core, const char *const *names, guint n)
{
    g_ptr_array_set_size(core->levels, 0);
    g_ptr_array_add(core->levels, g_strdup("host"));
    for (guint i = 0; i < n; i++) {
        g_ptr_array_add(core->levels, g_strdup(names[i]));
    }
}

void levels_init(ClusterCore *core)
{
    core->levels = g_ptr_array_new_with_free_func(g_free);
    set_names(core, usual, G_N_ELEMENTS(usual));
    BerthPlaceResult result = berth_place_set_levels(core->place, core->levels->len);
    g_assert(result == BERTH_PLACE_OK);
}

void levels_clear(ClusterCore *core)
{
    g_ptr_array_unref(core->levels);
}

guint levels_count(const ClusterCore *core)
{
    return core->levels->len;
}

const char *levels_name(const ClusterCore *core, guint level)
{
    return core->levels->pdata[level];
}

int levels_find(const ClusterCore *core, const char *name)
{
    for (guint i = 0; i < core->levels->len; i++) {
        if (name == NULL || strcmp(name, core->levels->pdata[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

char *levels_text(const ClusterCore *core)
{
    g_autofree char *names = berth_words_join(core->levels);
    return g_strconcat("one of ", names, NULL);
}

static bool change(ClusterCore *core, const GPtrArray *names, GError **error)
{
    g_autoptr(GPtrArray) before = core->levels;
    core->levels = g_ptr_array_new_with_free_func(g_free);
    set_names(core, (const char *const *)names->pdata, names->len);
    if (!fleet_rebuild(core, error)) {
        g_ptr_array_unref(core->levels);
        core->levels = g_steal_pointer(&before);
        return false;
    }
    return true;
}

void levels_load(ClusterCore *core, const Levels *levels)
{
    change(core, levels->names, NULL);
}

json_t *levels_names(const ClusterCore *core)
{
    json_t *names = json_array();
    for (guint i = 1; i < core->levels->len; i++) {
        json_array_append_new(names, json_string(levels_name(core, i)));
    }
    return names;
}

static json_t *encode(const ClusterCore *core)
{
    return json_pack("{s:o}", "names", levels_names(core));
}

bool get_levels(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    reply_json(core, request->id, 200, encode(core), -1);
    return true;
}

static bool has(const GPtrArray *names, guint n, const char *name)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(names->pdata[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_names(const GPtrArray *names, GError **error)
{
    for (guint i = 0; i < names->len; i++) {
        if (strcmp(names->pdata[i], "host") == 0) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "names", "host", "leave it out",
                                   "the host itself is always the narrowest level");
        }
        if (!labels_check_key("names", names->pdata[i], error)) {
            return false;
        }
        if (has(names, i, names->pdata[i])) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "names", names->pdata[i],
                                   "name each level once", "a level is named twice");
        }
    }
    return true;
}

/* No rule may lose its level. */
static bool check_rules(ClusterCore *core, const GPtrArray *names, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->rules); n != NULL; n = g_tree_node_next(n)) {
        const Rule *rule = ((const ClusterRule *)g_tree_node_value(n))->object;
        if (rule->level != NULL && strcmp(rule->level, "host") != 0 &&
            !has(names, names->len, rule->level)) {
            return berth_error_set(error, BERTH_ERROR_CONFLICT, "names", rule->level,
                                   "keep the level, or delete the rule first",
                                   "rule '%s' speaks of the level %s", rule->name, rule->level);
        }
    }
    return true;
}

bool set_levels(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const Levels *wanted = request->body;
    if (!check_names(wanted->names, error) || !check_rules(core, wanted->names, error) ||
        !change(core, wanted->names, error)) {
        return false;
    }
    core->room_made = true; /* rules may now allow what they did not */
    txn_put_json(core, g_strdup("meta/levels"), encode(core));
    reply_json(core, request->id, 200, encode(core), -1);
    return true;
}
