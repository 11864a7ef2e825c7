#include "cluster/apps.h"

#include <string.h>

#include "base/error.h"
#include "cluster/explain.h"
#include "cluster/commands.h"
#include "cluster/ends.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/preempt.h"
#include "cluster/promises.h"
#include "cluster/queue.h"
#include "cluster/reservations.h"
#include "cluster/spec.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/vms.h"

json_t *render_app(const ClusterApp *app)
{
    g_autoptr(App) object = app_new();
    object->id = g_strdup(app->id);
    object->name = g_strdup(app->spec->name);
    object->tenant = g_strdup(app->tenant);
    object->revision = app->revision;
    object->spec = app_spec_copy(app->spec);
    object->status = app_status_new();
    object->status->vms = g_tree_nnodes(app->vms);
    object->status->running = app->running;
    return app_encode(object);
}

static json_t *encode_app(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterApp *app = object;
    return tenant_is_shown(shown, app->tenant) ? render_app(app) : NULL;
}

bool list_apps(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListAppsQuery *query = request->query;
    reply_list(core, request->id, core->apps, query->limit, query->after, encode_app,
               tenant_shown(request));
    return true;
}

bool get_app(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterApp *app = find_app(core, request->principal.tenant, request->params[0], error);
    if (app == NULL) {
        return false;
    }
    reply_json(core, request->id, 200, render_app(app), app->revision);
    return true;
}

static bool has_vm(const ClusterCore *core, const ClusterApp *app, const char *name)
{
    const ClusterVm *vm = name_owner(core, "vm", app->tenant, name);
    return vm != NULL && vm->app == app;
}

int64_t app_missing(const ClusterApp *app)
{
    return MAX(0, app->spec->count - g_tree_nnodes(app->vms));
}

/* A look ahead: where the VMs that an app lacks would go. */
typedef struct {
    GPtrArray *plan;          /* of PlannedVm */
    GPtrArray *steps;         /* of PreemptStep, where others have to make room; or NULL */
    Explanation *explanation; /* each host's verdict about the first that is made, or refused */
} Outlook;

static void outlook_clear(Outlook *outlook)
{
    g_clear_pointer(&outlook->plan, g_ptr_array_unref);
    g_clear_pointer(&outlook->steps, g_ptr_array_unref);
    g_clear_pointer(&outlook->explanation, explanation_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outlook, outlook_clear)

/* Names of the VMs that are to be made, all of them free. */
static GPtrArray *names_to_make(ClusterCore *core, const ClusterApp *app, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (int64_t i = 1; i <= app->spec->count; i++) {
        g_autofree char *name = g_strdup_printf("%s-%" G_GINT64_FORMAT, app->spec->name, i);
        if (has_vm(core, app, name)) {
            continue;
        }
        if (!name_is_free(core, "vm", app->tenant, name, error)) {
            return NULL;
        }
        g_ptr_array_add(names, g_steal_pointer(&name));
    }
    return g_steal_pointer(&names);
}

/* Verdicts about one VM become those about all that are planned. */
static void mark_chosen(Explanation *explanation, const GPtrArray *plan)
{
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < plan->len; i++) {
        char *host = ((const PlannedVm *)plan->pdata[i])->host;
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, host));
        g_hash_table_replace(counts, host, GUINT_TO_POINTER(count + 1));
    }
    for (guint i = 0; i < explanation->hosts->len; i++) {
        HostVerdict *verdict = explanation->hosts->pdata[i];
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, verdict->host));
        verdict->chosen = count > 0;
        if (count > 0) {
            g_free(verdict->verdict);
            verdict->verdict = g_strdup_printf("chosen for %u of %u VMs", count, plan->len);
        }
    }
}

/* Whose places they take, if there is no room for all as it is. */
static bool look_for_victims(ClusterCore *core, const ClusterApp *app, const VmSpec *one,
                             const GPtrArray *names, int64_t count, Outlook *outlook)
{
    outlook->steps = preempt_plan(core, app->tenant, one, NULL, count);
    for (guint i = 0; outlook->steps != NULL && i < outlook->steps->len; i++) {
        const PreemptStep *step = outlook->steps->pdata[i];
        g_autofree char *why = preempt_text(step, preempt_viewer(core, app->tenant));
        g_ptr_array_add(outlook->plan, planned_vm(names->pdata[i], step->host, why));
    }
    if (outlook->steps != NULL && outlook->steps->len > 0) {
        explanation_add_preemption(core, app->tenant, one, NULL, outlook->steps,
                                   outlook->explanation);
        explanation_fold(core, outlook->explanation);
    }
    return outlook->steps != NULL;
}

/* What is looked ahead for. */
typedef struct {
    const ClusterApp *app;
    const VmSpec *one;
    const GPtrArray *names;
    bool explain;
} Wanted;

/* Can `count` be made as it is? */
static bool look_for(ClusterCore *core, const Wanted *wanted, int64_t count, Outlook *outlook,
                     GError **error)
{
    const char *tenant = wanted->app->tenant;
    if (count > 0 && !reservations_admit(core, tenant, wanted->one, count, error)) {
        return false;
    }
    g_clear_pointer(&outlook->explanation, explanation_free);
    g_autoptr(GPtrArray) hosts = fleet_try(core, tenant, wanted->one, NULL, count,
                                           wanted->explain ? &outlook->explanation : NULL, error);
    if (hosts == NULL) {
        return false;
    }
    for (guint i = 0; i < hosts->len; i++) {
        g_ptr_array_add(outlook->plan, planned_vm(wanted->names->pdata[i], hosts->pdata[i], NULL));
    }
    if (wanted->explain) {
        outlook->explanation = fleet_explain(core, tenant, wanted->one, NULL, NULL);
        mark_chosen(outlook->explanation, outlook->plan);
        explanation_fold(core, outlook->explanation);
    }
    return true;
}

/* How many of `all` that are to be made must be: fewer than all where a part is enough. */
static int64_t least_to_make(const ClusterApp *app, int64_t all)
{
    int64_t enough = MIN(app->spec->partial, app->spec->count);
    return enough > 0 ? CLAMP(enough - g_tree_nnodes(app->vms), 0, all) : all;
}

/* Can all that the app lacks be made, or as many as are enough, or, if not, in the place of others?
 * Changes nothing. With `explain` the outlook has verdicts, of a refusal too. */
static bool look_ahead(ClusterCore *core, const ClusterApp *app, bool explain, Outlook *outlook,
                       GError **error)
{
    g_autoptr(VmSpec) one = spec_of_app_vm(core, app, 1, error);
    g_autoptr(GPtrArray) names = one != NULL ? names_to_make(core, app, error) : NULL;
    if (names == NULL) {
        return false;
    }
    Wanted wanted = {app, one, names, explain};
    int64_t all = MIN(names->len, app_missing(app)), least = least_to_make(app, all);
    outlook->plan = g_ptr_array_new_with_free_func((GDestroyNotify)planned_vm_free);
    g_autoptr(GError) refusal = NULL;
    if (look_for(core, &wanted, all, outlook, &refusal)) {
        return true;
    }
    if (least < all) {
        g_clear_error(&refusal);
        if (look_for(core, &wanted, least, outlook, &refusal)) {
            return true;
        }
    }
    if (reservations_admit(core, app->tenant, one, least, NULL) &&
        look_for_victims(core, app, one, names, least, outlook)) {
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&refusal));
    return false;
}

/* `steps` as in Outlook. */
static ClusterVm *make_vm(ClusterCore *core, const ClusterApp *app, const GPtrArray *steps,
                          VmSpec *spec, guint number, GError **error)
{
    return steps != NULL && number < steps->len
               ? preempt_place(core, app->tenant, NULL, spec, steps->pdata[number], error)
               : vm_place(core, app->tenant, NULL, spec, NULL, error);
}

/* Makes the VMs that the app should have and has not; stops at the first that finds no place. */
static bool fill(ClusterCore *core, ClusterApp *app, const GPtrArray *steps, GError **error)
{
    guint made = 0;
    for (int64_t i = 1; i <= app->spec->count; i++) {
        g_autofree char *name = g_strdup_printf("%s-%" G_GINT64_FORMAT, app->spec->name, i);
        if (has_vm(core, app, name)) {
            continue;
        }
        g_autoptr(VmSpec) spec = spec_of_app_vm(core, app, i, error);
        ClusterVm *vm = spec != NULL ? make_vm(core, app, steps, spec, made++, error) : NULL;
        if (vm == NULL) {
            return false;
        }
        g_steal_pointer(&spec);
        Subject subject = subject_of_vm(vm);
        event_add(core, "vm.placed", &subject, vm->host->spec->name, NULL, "VM %s goes to %s (%s)",
                  vm->spec->name, vm->host->spec->name, vm->placement->why);
        txn_seal_if_large(core);
    }
    return true;
}

static void finish_operations(ClusterCore *core, ClusterApp *app, const char *message)
{
    while (app->operations->len > 0) {
        operation_finish(core, app->operations->pdata[0], NULL, message);
    }
}

/* All of its VMs, or as many as are enough while the others find no place. */
static bool has_enough(const ClusterApp *app)
{
    int64_t vms = g_tree_nnodes(app->vms);
    return vms == app->spec->count || (app->is_short && app->spec->partial > 0 &&
                                       vms >= MIN(app->spec->partial, app->spec->count));
}

void app_vm_changed(ClusterCore *core, ClusterApp *app)
{
    if (app->spec->removing && g_tree_nnodes(app->vms) == 0) {
        Subject subject = subject_of_app(app);
        event_add(core, "app.removed", &subject, NULL, NULL, "app %s is gone", app->spec->name);
        finish_operations(core, app, "removed");
        txn_delete(core, key_part("app", app->tenant, app->id, "spec"));
        name_release(core, "app", app->tenant, app->spec->name);
        promise_forget(core, app->id);
        model_remove_app(core, app);
    } else if (!app->spec->removing && has_enough(app) && app->settled == g_tree_nnodes(app->vms)) {
        g_autofree char *message = g_strdup_printf(
            "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " VMs run", app->running, app->spec->count);
        finish_operations(core, app, message);
    }
}

static void set_short(ClusterCore *core, ClusterApp *app, bool is_short)
{
    core->apps_short += is_short - app->is_short;
    if (!is_short) {
        promise_forget(core, app->id);
    }
    app->is_short = is_short;
}

static void resume(ClusterCore *core, ClusterApp *app, const GPtrArray *steps)
{
    g_autoptr(GError) error = NULL;
    bool was_short = app->is_short;
    set_short(core, app, !app->spec->removing && !fill(core, app, steps, &error));
    if (app->is_short) {
        Subject subject = subject_of_app(app);
        if (!was_short) {
            core->room_made = true; /* they may be given a start */
            event_add(core, "app.short", &subject, NULL, NULL,
                      "app %s lacks %" G_GINT64_FORMAT " of its VMs: %s", app->spec->name,
                      app_missing(app), error->message);
        }
        while (!has_enough(app) && app->operations->len > 0) {
            operation_finish(core, app->operations->pdata[0], g_error_copy(error), "not all fit");
        }
    }
}

/* Whose places it takes for those that it cannot do without; NULL: nobody's. */
static GPtrArray *steps_for_enough(ClusterCore *core, const ClusterApp *app)
{
    int64_t least = least_to_make(app, app_missing(app));
    g_autoptr(VmSpec) one = least > 0 ? spec_of_app_vm(core, app, 1, NULL) : NULL;
    return one != NULL && reservations_admit(core, app->tenant, one, least, NULL)
               ? preempt_plan(core, app->tenant, one, NULL, least)
               : NULL;
}

void app_resume(ClusterCore *core, ClusterApp *app)
{
    resume(core, app, NULL);
    g_autoptr(GPtrArray) steps = app->is_short ? steps_for_enough(core, app) : NULL;
    if (steps != NULL) {
        resume(core, app, steps);
    }
}

void app_vm_removed(ClusterCore *core, ClusterApp *app)
{
    if (app_missing(app) > 0) {
        app_resume(core, app);
    }
    app_vm_changed(core, app);
}

static ClusterOperation *start_app_operation(ClusterCore *core, ClusterApp *app, const char *kind)
{
    Subject subject = subject_of_app(app);
    ClusterOperation *operation =
        operation_start(core, kind, app->tenant, &subject, 0, "waits for the hosts");
    operation_wait_app(operation, app);
    return operation;
}

/* Says no, with the verdicts that were asked for. */
static void refuse_outlook(ClusterCore *core, const ClusterRequest *request, Outlook *outlook,
                           GError *refusal)
{
    reply_refusal(core, request->id, refusal, g_steal_pointer(&outlook->explanation));
}

static void reply_outlook(ClusterCore *core, const ClusterRequest *request, const char *kind,
                          Outlook *outlook)
{
    reply_plan(core, request->id, kind, "all VMs have a place; nothing was done",
               g_steal_pointer(&outlook->plan), g_steal_pointer(&outlook->explanation));
}

/* What was asked for with explain stays with the operation. */
static void keep_outlook(ClusterOperation *operation, Outlook *outlook)
{
    if (outlook->explanation != NULL) {
        operation->object->explanation = g_steal_pointer(&outlook->explanation);
        g_ptr_array_unref(operation->object->plan);
        operation->object->plan = g_steal_pointer(&outlook->plan);
    }
}

/* As it was looked ahead. */
static void make_vms(ClusterCore *core, ClusterApp *app, const Outlook *outlook)
{
    resume(core, app, outlook->steps);
    app_vm_changed(core, app);
}

/* It is in the store, and its VMs are made. */
static void make(ClusterCore *core, ClusterApp *app, const Outlook *outlook)
{
    name_take(core, "app", app->tenant, app->spec->name, app->id, app);
    save_app(core, app);
    make_vms(core, app, outlook);
}

bool app_place(ClusterCore *core, const char *tenant, const char *id, const AppSpec *spec,
               ClusterOperation *operation, GError **error)
{
    ClusterApp *app = model_add_app(core, g_strdup(id), tenant, app_spec_copy(spec));
    g_auto(Outlook) outlook = {0};
    if (!look_ahead(core, app, false, &outlook, error)) {
        model_remove_app(core, app);
        return false;
    }
    if (operation != NULL) {
        operation_tell(core, operation, "waits for the hosts");
        operation_wait_app(operation, app);
    }
    make(core, app, &outlook);
    return true;
}

bool create_app(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const CreateAppQuery *query = request->query;
    const AppCreate *body = request->body;
    const char *tenant = tenant_for_new(core, request, body->tenant, error);
    g_autoptr(AppSpec) spec =
        tenant != NULL ? spec_from_create_app(core, tenant, body, error) : NULL;
    QueueOffer offer = {.asked = body->queue || body->has_queue_seconds,
                        .seconds = body->queue_seconds,
                        .dry_run = query->dry_run,
                        .wait = query->wait};
    if (spec == NULL || !name_is_free(core, "app", tenant, spec->name, error) ||
        !ends_read_deadline(core, body->deadline, spec->ends_ms, spec->reservation,
                            &offer.deadline_ms, error) ||
        !queue_may_ask(core, request, tenant, spec->priority, spec->preemptible, error)) {
        return false;
    }
    ClusterApp *app = model_add_app(core, model_new_id(core), tenant, g_steal_pointer(&spec));
    g_auto(Outlook) outlook = {0};
    GError *refusal = NULL;
    promises_yield(core, app->spec->priority);
    if (!queue_lets_pass(core, tenant, app->spec->priority, &refusal) ||
        !look_ahead(core, app, query->explain, &outlook, &refusal)) {
        offer.app = app_spec_copy(app->spec);
        offer.verdicts = g_steal_pointer(&outlook.explanation);
        model_remove_app(core, app);
        queue_or_refuse(core, request, tenant, &offer, refusal);
        return true;
    }
    if (query->dry_run) {
        reply_outlook(core, request, "app.create", &outlook);
        model_remove_app(core, app);
        return true;
    }
    ClusterOperation *operation = start_app_operation(core, app, "app.create");
    keep_outlook(operation, &outlook);
    operation_reply(core, request->id, operation, query->wait);
    make(core, app, &outlook);
    return true;
}

static void remove_vms_above(ClusterCore *core, ClusterApp *app, int64_t count)
{
    for (GTreeNode *n = g_tree_node_first(app->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        const char *number = strrchr(vm->spec->name, '-');
        if (number == NULL || g_ascii_strtoll(number + 1, NULL, 10) > count) {
            vm_begin_removal(core, vm);
            txn_seal_if_large(core);
        }
    }
}

bool update_app(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const UpdateAppQuery *query = request->query;
    const AppUpdate *body = request->body;
    ClusterApp *app = find_app(core, request->principal.tenant, request->params[0], error);
    if (app == NULL || !check_if_match(request, app->revision, error)) {
        return false;
    }
    if (app->spec->removing) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "app", app->spec->name, NULL,
                               "the app is being deleted");
    }
    int64_t before = app->spec->count;
    app->spec->count = body->count;
    g_auto(Outlook) outlook = {0};
    GError *refusal = NULL;
    bool fits = look_ahead(core, app, query->explain, &outlook, &refusal);
    if (!fits || query->dry_run) {
        app->spec->count = before;
    }
    if (!fits) {
        refuse_outlook(core, request, &outlook, refusal);
    } else if (query->dry_run) {
        reply_outlook(core, request, "app.update", &outlook);
    } else {
        save_app(core, app);
        ClusterOperation *operation = start_app_operation(core, app, "app.update");
        keep_outlook(operation, &outlook);
        operation_reply(core, request->id, operation, query->wait);
        remove_vms_above(core, app, body->count);
        make_vms(core, app, &outlook);
    }
    return true;
}

void app_begin_removal(ClusterCore *core, ClusterApp *app)
{
    app->spec->removing = true;
    save_app(core, app);
    remove_vms_above(core, app, 0);
    app_vm_changed(core, app);
}

bool delete_app(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const DeleteAppQuery *query = request->query;
    ClusterApp *app = find_app(core, request->principal.tenant, request->params[0], error);
    if (app == NULL || !check_if_match(request, app->revision, error)) {
        return false;
    }
    operation_reply(core, request->id, start_app_operation(core, app, "app.delete"), query->wait);
    app_begin_removal(core, app);
    return true;
}
