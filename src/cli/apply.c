#include <string.h>

#include "base/error.h"
#include "cli/change.h"
#include "cli/difference.h"
#include "cli/general.h"
#include "cli/image.h"
#include "cli/reservation.h"

/* What is to be done about an item. */
typedef enum { KEEP, CREATE, UPLOAD, CHANGE } Deed;

typedef struct {
    const ManifestItem *item;
    Deed deed;
    int64_t revision;       /* of the object that is there */
    GPtrArray *differences; /* of CHANGE */
    json_t *change;         /* its request's body */
} Step;

static const struct {
    ApiOperation get, create, update; /* update: none for those that do not change */
    const char *changeable[4];        /* fields that an update takes */
} operations[] = {
    [MANIFEST_TENANT] = {API_OP_GET_TENANT, API_OP_CREATE_TENANT, API_OP_UPDATE_TENANT, {NULL}},
    [MANIFEST_SIZE] = {API_OP_GET_SIZE, API_OP_CREATE_SIZE, API_N_OPERATIONS, {NULL}},
    [MANIFEST_NETWORK] = {API_OP_GET_NETWORK, API_OP_CREATE_NETWORK, API_N_OPERATIONS, {NULL}},
    [MANIFEST_IMAGE] = {API_OP_GET_IMAGE, API_OP_CREATE_IMAGE, API_N_OPERATIONS, {NULL}},
    [MANIFEST_RULE] = {API_OP_GET_RULE, API_OP_CREATE_RULE, API_N_OPERATIONS, {NULL}},
    [MANIFEST_RESERVATION] = {API_OP_GET_RESERVATION,
                              API_OP_CREATE_RESERVATION,
                              API_N_OPERATIONS,
                              {NULL}},
    [MANIFEST_APP] = {API_OP_GET_APP, API_OP_CREATE_APP, API_OP_UPDATE_APP, {"count"}},
    [MANIFEST_VM] = {API_OP_GET_VM,
                     API_OP_CREATE_VM,
                     API_OP_UPDATE_VM,
                     {"power", "restart", "description"}},
};

static void step_free(Step *step)
{
    if (step != NULL) {
        g_clear_pointer(&step->differences, g_ptr_array_unref);
        json_decref(step->change);
        g_free(step);
    }
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Step, step_free)

/* What is asked from now on is asked for the item's tenant, or the one of --tenant. */
static bool speak_for(Cli *cli, const ManifestItem *item, GError **error)
{
    const char *all = cli_args_get(cli->args, "tenant");
    if (cli_connect(cli, error) == NULL) {
        return false;
    }
    api_client_set_tenant(cli->client, item->tenant != NULL ? item->tenant : all);
    g_clear_pointer(&cli->names, g_hash_table_unref); /* of another tenant, perhaps */
    return true;
}

/* The object, or NULL; without an error when there is none of this name. */
static json_t *find_object(Cli *cli, const ManifestItem *item, GError **error)
{
    ApiCall call = {.operation = operations[item->kind].get, .params = {item->name}};
    GError *problem = NULL;
    json_t *object = cli_call(cli, &call, &problem);
    if (object == NULL && g_error_matches(problem, BERTH_ERROR, BERTH_ERROR_NOT_FOUND)) {
        g_error_free(problem);
    } else if (object == NULL) {
        g_propagate_error(error, problem);
    }
    return object;
}

static bool add_files(Cli *cli, ManifestItem *item, GError **error)
{
    if (item->kind != MANIFEST_IMAGE) {
        return true;
    }
    json_auto_t *body = image_body(cli, item->name, item->files, item->n_files, error);
    if (body == NULL) {
        berth_error_prefix_field(error, "spec");
        g_prefix_error(error, "%s: ", item->where);
        return false;
    }
    json_object_update(body, item->body);
    json_decref(item->body);
    item->body = json_incref(body);
    return true;
}

static bool can_change(ManifestKind kind, const char *field)
{
    const char *const *changeable = operations[kind].changeable;
    for (size_t i = 0; i < G_N_ELEMENTS(operations[kind].changeable); i++) {
        if (changeable[i] != NULL && strcmp(changeable[i], field) == 0) {
            return true;
        }
    }
    return false;
}

static bool refuse_change(const ManifestItem *item, const Difference *difference, GError **error)
{
    const char *kind = manifest_kind_name(item->kind);
    berth_error_set(
        error, BERTH_ERROR_CONFLICT, difference->field, difference->after,
        item->kind >= MANIFEST_RESERVATION ? "delete it first, or give the new one another name"
                                           : "give the new one another name",
        "%s %s is there with %s, which does not change", kind, item->name, difference->before);
    manifest_locate(item, error);
    return false;
}

/* A quota is changed as a whole; limits that are not named stay. */
static json_t *merged_quota(const json_t *before, const json_t *wanted)
{
    json_t *quota = before != NULL ? json_deep_copy(before) : json_object();
    json_t *slices = json_object_get(quota, "accelerators");
    const char *name;
    json_t *limit;
    json_object_foreach ((json_t *)wanted, name, limit) {
        if (slices != NULL && strcmp(name, "accelerators") == 0) {
            json_object_update(slices, limit);
        } else {
            json_object_set(quota, name, limit);
        }
    }
    return quota;
}

static void plan_tenant(Step *step, const json_t *object)
{
    const json_t *before = json_object_get(json_object_get(object, "spec"), "quota");
    const json_t *wanted = json_object_get(step->item->body, "quota");
    step->change = json_copy(step->item->body);
    json_object_del(step->change, "name");
    if (wanted != NULL) {
        json_object_set_new(step->change, "quota", merged_quota(before, wanted));
    }
    step->deed = step->differences->len > 0 ? CHANGE : KEEP;
}

static bool plan_change(Step *step, GError **error)
{
    step->change = json_object();
    for (guint i = 0; i < step->differences->len; i++) {
        const Difference *difference = step->differences->pdata[i];
        if (!can_change(step->item->kind, difference->field)) {
            return refuse_change(step->item, difference, error);
        }
        json_object_set(step->change, difference->field, difference->wanted);
    }
    step->deed = step->differences->len > 0 ? CHANGE : KEEP;
    return true;
}

static Step *plan_item(Cli *cli, ManifestItem *item, GError **error)
{
    g_autoptr(Step) step = g_new0(Step, 1);
    step->item = item;
    step->deed = CREATE;
    GError *problem = NULL;
    if (!speak_for(cli, item, error) || !add_files(cli, item, error)) {
        return NULL;
    }
    json_auto_t *object = find_object(cli, item, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    if (object == NULL) {
        return g_steal_pointer(&step);
    }
    step->revision = json_integer_value(json_object_get(object, "revision"));
    step->differences = difference_find(cli, item, object, error);
    if (step->differences == NULL) {
        return NULL;
    }
    if (item->kind == MANIFEST_TENANT) {
        plan_tenant(step, object);
    } else if (!plan_change(step, error)) {
        return NULL;
    }
    const char *state = json_string_value(json_object_get(object, "state"));
    if (item->kind == MANIFEST_IMAGE && g_strcmp0(state, "waiting") == 0) {
        step->deed = UPLOAD;
    }
    return g_steal_pointer(&step);
}

/* Every step, before the first is taken. */
static GPtrArray *plan_all(Cli *cli, const GPtrArray *items, GError **error)
{
    g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func((GDestroyNotify)step_free);
    for (guint i = 0; i < items->len; i++) {
        Step *step = plan_item(cli, items->pdata[i], error);
        if (step == NULL) {
            return NULL;
        }
        g_ptr_array_add(steps, step);
    }
    return g_steal_pointer(&steps);
}

static void show_step(const Cli *cli, const Step *step)
{
    static const char marks[] = {[KEEP] = '=', [CREATE] = '+', [UPLOAD] = '+', [CHANGE] = '~'};
    GString *text = g_string_new(NULL);
    for (guint i = 0; step->deed == CHANGE && i < step->differences->len; i++) {
        const Difference *d = step->differences->pdata[i];
        g_string_append_printf(text, "%s %s: %s → %s", i > 0 ? "," : "", d->field, d->before,
                               d->after);
    }
    cli_say(cli, "%c %s %s%s%s", marks[step->deed], manifest_kind_name(step->item->kind),
            step->item->name, text->str, step->deed == UPLOAD ? " (its files are missing)" : "");
    g_string_free(text, TRUE);
}

static const char *deed_name(Deed deed)
{
    static const char *const names[] = {
        [KEEP] = "none", [CREATE] = "create", [UPLOAD] = "upload", [CHANGE] = "update"};
    return names[deed];
}

static json_t *step_json(const Step *step)
{
    json_t *differences = json_array();
    for (guint i = 0; step->deed == CHANGE && i < step->differences->len; i++) {
        const Difference *d = step->differences->pdata[i];
        json_array_append_new(differences, json_pack("{s:s, s:s, s:s}", "field", d->field, "before",
                                                     d->before, "after", d->after));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "kind", manifest_kind_name(step->item->kind), "name",
                     step->item->name, "change", deed_name(step->deed), "differences", differences);
}

static void show_plan(const Cli *cli, const GPtrArray *steps)
{
    json_auto_t *all = json_array();
    for (guint i = 0; i < steps->len; i++) {
        const ManifestItem *item = ((const Step *)steps->pdata[i])->item;
        if (item->note != NULL) {
            cli_note(cli, "berth: %s: %s", item->where, item->note);
        }
        show_step(cli, steps->pdata[i]);
        json_array_append_new(all, step_json(steps->pdata[i]));
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, all);
    }
}

/* A result on its way: with -o json and yaml the plan is all that is printed. */
static bool say_operation(Cli *cli, const ApiCall *call, GError **error)
{
    json_auto_t *operation = change_run(cli, call, error);
    return operation != NULL && (cli->format != CLI_TABLE || change_print(cli, operation, error));
}

static bool take_plain(Cli *cli, const Step *step, const ApiCall *call, GError **error)
{
    json_auto_t *answer = cli_call(cli, call, error);
    if (answer != NULL) {
        cli_say(cli, "%s %s: %s", manifest_kind_name(step->item->kind), step->item->name,
                step->deed == CHANGE ? "changed" : "created");
    }
    return answer != NULL;
}

static bool create_image(Cli *cli, const Step *step, GError **error)
{
    json_auto_t *image = image_put(cli, step->item->body, step->item->files, false, error);
    const char *state = json_string_value(json_object_get(image, "state"));
    if (image != NULL) {
        cli_say(cli, "image %s: %s", step->item->name, state != NULL ? state : "sent");
    }
    return image != NULL;
}

static bool take_step(Cli *cli, const Step *step, GError **error)
{
    const ManifestItem *item = step->item;
    bool async = item->kind == MANIFEST_APP || item->kind == MANIFEST_VM;
    if (step->deed == KEEP) {
        return true;
    }
    if (item->kind == MANIFEST_IMAGE) {
        return create_image(cli, step, error);
    }
    if (!speak_for(cli, item, error)) {
        return false;
    }
    if (item->kind == MANIFEST_RESERVATION) {
        json_auto_t *reservation = reservation_make(cli, item->body, error);
        return reservation != NULL;
    }
    ApiCall call = {.operation = operations[item->kind].create, .body = item->body};
    if (step->deed == CHANGE) {
        call = (ApiCall){.operation = operations[item->kind].update,
                         .params = {item->name},
                         .body = step->change,
                         .if_match = step->revision};
    }
    return async ? say_operation(cli, &call, error) : take_plain(cli, step, &call, error);
}

/* In a dry run the manager is asked whether reservations, apps and VMs would find room, as far as what
 * they are made of is there. */
static bool try_steps(Cli *cli, const GPtrArray *steps, GError **error)
{
    bool complete = true;
    for (guint i = 0; i < steps->len; i++) {
        const Step *step = steps->pdata[i];
        ManifestKind kind = step->item->kind;
        if (complete && kind >= MANIFEST_RESERVATION && !take_step(cli, step, error)) {
            manifest_locate(step->item, error);
            return false;
        }
        if (!complete && kind >= MANIFEST_RESERVATION && step->deed != KEEP) {
            cli_say(cli, "%s %s: not tried, as not all is there yet that it may need",
                    manifest_kind_name(kind), step->item->name);
        }
        if (kind <= MANIFEST_RESERVATION) {
            complete = complete && step->deed == KEEP;
        }
    }
    return true;
}

static bool take_steps(Cli *cli, const GPtrArray *steps, GError **error)
{
    for (guint i = 0; i < steps->len; i++) {
        const Step *step = steps->pdata[i];
        if (!take_step(cli, step, error)) {
            manifest_locate(step->item, error);
            return false;
        }
    }
    return true;
}

/* -f FILE, and files that follow without it. */
static char **paths_of(const Cli *cli)
{
    g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
    const GPtrArray *given = cli_args_all(cli->args, "file");
    for (guint i = 0; given != NULL && i < given->len; i++) {
        g_strv_builder_add(paths, given->pdata[i]);
    }
    for (guint i = 0; cli_argument(cli, i) != NULL; i++) {
        g_strv_builder_add(paths, cli_argument(cli, i));
    }
    return g_strv_builder_end(paths);
}

bool general_apply(Cli *cli, GError **error)
{
    g_auto(GStrv) paths = paths_of(cli);
    if (paths[0] == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "give -f FILE, or -f - for standard input", "no manifest was given");
    }
    g_autoptr(GPtrArray) items = manifest_read((const char *const *)paths, error);
    g_autoptr(GPtrArray) steps = items != NULL ? plan_all(cli, items, error) : NULL;
    if (steps == NULL) {
        return false;
    }
    show_plan(cli, steps);
    return cli_args_has(cli->args, "dry-run") ? try_steps(cli, steps, error)
                                              : take_steps(cli, steps, error);
}
