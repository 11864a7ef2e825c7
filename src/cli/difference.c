#include "cli/difference.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "cli/ledger.h"
#include "cli/names.h"
#include "schema/objects.h"

void difference_free(Difference *difference)
{
    if (difference != NULL) {
        g_free(difference->field);
        g_free(difference->before);
        g_free(difference->after);
        json_decref(difference->wanted);
        g_free(difference);
    }
}

/* Zero, empty and absent say the same: the API leaves defaults out. */
static bool is_nothing(const json_t *value)
{
    return value == NULL || json_is_null(value) || json_is_false(value) ||
           (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static char *text_of(const char *field, const json_t *value)
{
    if (is_nothing(value)) {
        return g_strdup("nothing");
    }
    if (json_is_integer(value)) {
        const char *dot = strrchr(field, '.');
        return ledger_amount(dot != NULL ? dot + 1 : field, json_integer_value(value));
    }
    return json_is_string(value) ? g_strdup(json_string_value(value))
                                 : json_dumps(value, JSON_ENCODE_ANY);
}

static void compare(const char *field, const json_t *before, const json_t *after, GPtrArray *found)
{
    if (json_is_object(after) && (before == NULL || json_is_object(before))) {
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)after, name, value) {
            g_autofree char *path =
                field[0] != '\0' ? g_strconcat(field, ".", name, NULL) : g_strdup(name);
            compare(path, json_object_get(before, name), value, found);
        }
    } else if (!json_equal(before, after) && !(is_nothing(before) && is_nothing(after))) {
        Difference *difference = g_new0(Difference, 1);
        difference->field = g_strdup(field);
        difference->before = text_of(field, before);
        difference->after = text_of(field, after);
        difference->wanted = json_incref((json_t *)after);
        g_ptr_array_add(found, difference);
    }
}

static void name_member(Cli *cli, json_t *object, const char *key, ApiOperation list)
{
    const char *id = json_string_value(json_object_get(object, key));
    if (id != NULL) {
        json_object_set_new(object, key, json_string(name_of(cli, list, id)));
    }
}

/* A copy in which image, networks, host and reservation are named. */
static json_t *with_names(Cli *cli, const json_t *spec)
{
    json_t *named = json_copy((json_t *)spec);
    name_member(cli, named, "image", API_OP_LIST_IMAGES);
    name_member(cli, named, "host", API_OP_LIST_HOSTS);
    name_member(cli, named, "reservation", API_OP_LIST_RESERVATIONS);
    const json_t *ids = json_object_get(spec, "networks");
    if (ids != NULL) {
        json_t *names = json_array();
        size_t i;
        json_t *id;
        json_array_foreach ((json_t *)ids, i, id) {
            const char *text = json_string_value(id);
            json_array_append_new(
                names, json_string(name_of(cli, API_OP_LIST_NETWORKS, text != NULL ? text : "")));
        }
        json_object_set_new(named, "networks", names);
    }
    return named;
}

/* As many of `each` as hold `total`, as the manager splits it. */
static int64_t count_of_total(const Resources *total, const Resources *each)
{
    const int64_t rows[][2] = {
        {total->cpu, each->cpu},         {total->memory, each->memory}, {total->disk, each->disk},
        {total->disk_bw, each->disk_bw}, {total->net_bw, each->net_bw},
    };
    int64_t count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i][1] > 0) {
            count = MAX(count, (rows[i][0] + rows[i][1] - 1) / rows[i][1]);
        }
    }
    for (size_t i = 0; i < int_map_size(total->accelerators); i++) {
        int64_t one = 0, wanted = int_map_value(total->accelerators, i);
        if (int_map_get(each->accelerators, int_map_key(total->accelerators, i), &one) && one > 0) {
            count = MAX(count, (wanted + one - 1) / one);
        }
    }
    return count;
}

/* Puts `count` in the place of `total`, which an app does not keep. */
static bool resolve_total(Cli *cli, json_t *body, GError **error)
{
    const json_t *total = json_object_get(body, "total");
    if (total == NULL) {
        return true;
    }
    ApiCall call = {.operation = API_OP_GET_SIZE,
                    .params = {json_string_value(json_object_get(body, "size"))}};
    json_auto_t *answer = cli_call(cli, &call, error);
    g_autoptr(Size) size = answer != NULL ? size_decode(answer, CODEC_TOLERANT, error) : NULL;
    g_autoptr(Resources) wanted =
        size != NULL ? resources_decode(total, CODEC_TOLERANT, error) : NULL;
    if (wanted == NULL) {
        return false;
    }
    json_object_set_new(body, "count", json_integer(count_of_total(wanted, size->resources)));
    json_object_del(body, "total");
    return true;
}

/* A point in time of a reservation's manifest beside the one that was decided, both written alike. What
 * counts from the time of asking (+2h) was meant when it was made, and differs from nothing. */
static bool settle_time(json_t *old, json_t *new, const char *field, const json_t *decided,
                        bool at_least, GError **error)
{
    const char *text = json_string_value(json_object_get(new, field));
    int64_t wanted_ms, decided_ms = json_integer_value(decided);
    if (text == NULL) {
        return true;
    }
    if (text[0] == '+') {
        json_object_del(new, field);
        return true;
    }
    if (!berth_time_parse(field, text, &wanted_ms, error)) {
        return false;
    }
    bool met = at_least && decided_ms >= wanted_ms;
    g_autofree char *is = berth_time_format(met ? wanted_ms : decided_ms);
    g_autofree char *wanted = berth_time_format(wanted_ms);
    json_object_set_new(new, field, json_string(wanted));
    if (decided != NULL) {
        json_object_set_new(old, field, json_string(is));
    }
    return true;
}

/* A reservation keeps what was decided; a manifest says what is asked for: a start (with a deadline the
 * earliest), a length, the deadline of the end. */
static bool settle_reservation(json_t *old, json_t *new, GError **error)
{
    const json_t *start = json_object_get(old, "start-ms"), *end = json_object_get(old, "end-ms");
    bool earliest = json_object_get(new, "deadline") != NULL;
    json_object_set_new(old, "duration-seconds",
                        json_integer((json_integer_value(end) - json_integer_value(start)) / 1000));
    return settle_time(old, new, "start", start, earliest, error) &&
           settle_time(old, new, "deadline", json_object_get(old, "deadline-ms"), false, error);
}

/* Which content stands in which place; what the cluster knows besides does not matter. */
static json_t *files_of(const json_t *files)
{
    json_t *contents = json_object();
    size_t i;
    json_t *file;
    json_array_foreach ((json_t *)files, i, file) {
        const char *role = json_string_value(json_object_get(file, "role"));
        if (role != NULL) {
            json_object_set(contents, role, json_object_get(file, "sha256"));
        }
    }
    return contents;
}

static void compare_files(const json_t *before, const json_t *after, GPtrArray *found)
{
    json_auto_t *old = files_of(json_object_get(before, "files"));
    json_auto_t *new = files_of(json_object_get(after, "files"));
    compare("", old, new, found);
}

GPtrArray *difference_find(Cli *cli, const ManifestItem *item, const json_t *object, GError **error)
{
    bool has_spec =
        item->kind == MANIFEST_APP || item->kind == MANIFEST_VM || item->kind == MANIFEST_TENANT;
    const json_t *before = has_spec ? json_object_get(object, "spec") : object;
    if (!json_is_object(before)) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "the manager shows %s without a spec", item->name);
        return NULL;
    }
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)difference_free);
    json_auto_t *old = with_names(cli, before);
    json_auto_t *new = has_spec ? with_names(cli, item->body) : json_copy(item->body);
    if (item->kind == MANIFEST_APP && !resolve_total(cli, new, error)) {
        return NULL;
    }
    json_object_del(new, "name");
    json_object_del(new, "queue"); /* of the asking, not of what is there */
    json_object_del(new, "queue-seconds");
    if (item->kind == MANIFEST_APP || item->kind == MANIFEST_VM) {
        json_object_del(new, "duration-seconds"); /* counts from when it was placed */
        json_object_del(new, "deadline");
    }
    if (item->kind == MANIFEST_RESERVATION && !settle_reservation(old, new, error)) {
        return NULL;
    }
    if (item->kind == MANIFEST_IMAGE) {
        compare_files(old, new, found);
        json_object_del(new, "files");
    }
    compare("", old, new, found);
    return g_steal_pointer(&found);
}
