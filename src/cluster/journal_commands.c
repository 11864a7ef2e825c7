#include <string.h>

#include "base/error.h"
#include "cluster/explain.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

bool check_if_match(const ClusterRequest *request, int64_t revision, GError **error)
{
    if (request->if_match < 0 || request->if_match == revision) {
        return true;
    }
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, request->if_match);
    return berth_error_set(
        error, BERTH_ERROR_PRECONDITION, "If-Match", value, "read it again and decide anew",
        "the object has changed since: it is at revision %" G_GINT64_FORMAT, revision);
}

void reply_list(ClusterCore *core, uint64_t request, GTree *tree, int64_t limit, const char *after,
                EncodeFunc encode, const void *filter)
{
    json_t *items = json_array();
    const char *last = NULL;
    bool more = false;
    GTreeNode *n = after != NULL ? g_tree_upper_bound(tree, after) : g_tree_node_first(tree);
    for (; n != NULL && !more; n = g_tree_node_next(n)) {
        json_t *item = encode(core, g_tree_node_value(n), filter);
        if (item == NULL) {
            continue;
        }
        if ((int64_t)json_array_size(items) == limit) {
            more = true;
            json_decref(item);
        } else {
            json_array_append_new(items, item);
            last = g_tree_node_key(n);
        }
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "items", items);
    if (more) {
        json_object_set_new(answer, "next", json_string(last));
    }
    reply_json(core, request, 200, answer, -1);
}

void reply_refusal(ClusterCore *core, uint64_t request, GError *refusal, Explanation *explanation)
{
    if (explanation == NULL) {
        reply_error(core, request, refusal);
        return;
    }
    g_autoptr(ErrorAnswer) answer = error_answer_new();
    answer->error = problem_from_error(refusal);
    explanation_fold(core, explanation);
    answer->error->explanation = explanation;
    reply_object(core, request, berth_error_http_status(refusal), &error_answer_type, answer, -1);
    g_error_free(refusal);
}

PlannedVm *planned_vm(const char *name, const ClusterHost *host, const char *why)
{
    PlannedVm *planned = planned_vm_new();
    planned->name = g_strdup(name);
    planned->host = g_strdup(host->spec->name);
    planned->why = g_strdup(why);
    return planned;
}

void reply_plan(ClusterCore *core, uint64_t request, const char *kind, const char *message,
                GPtrArray *plan, Explanation *explanation)
{
    g_autoptr(Operation) operation = operation_new();
    operation->id = g_strdup("");
    operation->kind = g_strdup(kind);
    operation->state = OPERATION_STATE_DONE;
    operation->dry_run = true;
    operation->message = g_strdup(message);
    explanation_fold(core, explanation);
    operation->explanation = explanation;
    if (plan != NULL) {
        g_ptr_array_unref(operation->plan);
        operation->plan = plan;
    }
    reply_object(core, request, 200, &operation_type, operation, -1);
}

static json_t *encode_operation(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterOperation *operation = object;
    return tenant_is_shown(shown, operation->object->tenant)
               ? operation_render(operation, core_asker_bound(core))
               : NULL;
}

bool list_operations(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListOperationsQuery *query = request->query;
    reply_list(core, request->id, core->operations, query->limit, query->after, encode_operation,
               tenant_shown(request));
    return true;
}

bool get_operation(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetOperationQuery *query = request->query;
    ClusterOperation *operation = find_operation(core, request->params[0], error);
    if (operation == NULL) {
        return false;
    }
    const ClusterPrincipal *who = &request->principal;
    if (who->bound && strcmp(operation->object->tenant, who->tenant) != 0) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "operation", request->params[0],
                               "see 'berth operation list'", "there is no such operation");
    }
    operation_show(core, request->id, operation, query->wait);
    return true;
}

bool cluster_event_kind_is(const char *kind, const char *asked)
{
    size_t length = asked != NULL ? strlen(asked) : 0;
    return asked == NULL ||
           (strncmp(kind, asked, length) == 0 && (kind[length] == '.' || kind[length] == '\0'));
}

static bool is_asked_for(const ClusterEventRecord *record, const ListEventsQuery *query)
{
    bool about = query->subject == NULL || g_strcmp0(record->subject_id, query->subject) == 0 ||
                 g_strcmp0(record->subject_name, query->subject) == 0;
    return about && record->revision > query->from && record->at_ms >= query->since &&
           cluster_event_kind_is(record->kind, query->kind);
}

/* Events of one revision are not parted, so that a revision is all that a client goes on from. */
bool list_events(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListEventsQuery *query = request->query;
    const char *shown = tenant_shown(request);
    json_t *items = json_array();
    int64_t revision = MAX(core->last_revision, query->from), listed = query->from;
    for (GList *l = core->events.head; l != NULL; l = l->next) {
        const ClusterEventRecord *record = l->data;
        if (!is_asked_for(record, query) || !tenant_is_shown(shown, record->tenant)) {
            continue;
        }
        if ((int64_t)json_array_size(items) >= query->limit && record->revision > listed) {
            revision = listed;
            break;
        }
        listed = record->revision;
        gsize size;
        const char *text = g_bytes_get_data(record->json, &size);
        json_array_append_new(items, json_loadb(text, size, 0, NULL));
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "items", items);
    json_object_set_new(answer, "revision", json_integer(revision));
    reply_json(core, request->id, 200, answer, -1);
    return true;
}

static bool check_events_from(const ClusterCore *core, int64_t revision, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, revision);
    if (revision < core->events_dropped) {
        return berth_error_set(
            error, BERTH_ERROR_NOT_FOUND, "from", text, "read what is now, and follow from there",
            "events before revision %" G_GINT64_FORMAT " are not kept", core->events_dropped);
    }
    return revision <= core->committed_revision ||
           berth_error_set(error, BERTH_ERROR_NOT_FOUND, "from", text,
                           "read what is now, and follow from there",
                           "the cluster is at revision %" G_GINT64_FORMAT " only",
                           core->committed_revision);
}

GPtrArray *cluster_core_events_since(const ClusterCore *core, int64_t revision, GError **error)
{
    if (!check_events_from(core, revision, error)) {
        return NULL;
    }
    GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    GList *first = NULL; /* found from the end: most ask for little */
    for (GList *l = core->events.tail;
         l != NULL && ((const ClusterEventRecord *)l->data)->revision > revision; l = l->prev) {
        first = l;
    }
    for (GList *l = first; l != NULL; l = l->next) {
        const ClusterEventRecord *record = l->data;
        if (record->revision <= core->committed_revision) {
            g_ptr_array_add(events, g_bytes_ref(record->json));
        }
    }
    return events;
}

/* Hosts are nothing that a tenant is told of. */
static void count_own_vms(ClusterCore *core, const char *tenant, ClusterState *state)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (strcmp(vm->tenant, tenant) == 0) {
            state->vms++;
            state->vms_running += vm->counted_running;
        }
    }
}

bool get_cluster(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    g_autoptr(ClusterState) state = cluster_state_new();
    state->id = g_strdup(core->meta != NULL ? core->meta->id : "");
    state->version = g_strdup(BERTH_VERSION);
    state->revision = core->last_revision;
    state->writable = core->writable;
    state->reason = g_strdup(core->unwritable_reason);
    if (request->principal.bound) {
        count_own_vms(core, request->principal.tenant, state);
        reply_object(core, request->id, 200, &cluster_state_type, state, -1);
        return true;
    }
    state->has_hosts = state->has_hosts_up = true;
    state->hosts = g_tree_nnodes(core->hosts);
    state->vms = g_tree_nnodes(core->vms);
    state->vms_running = core->vms_running;
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        state->hosts_up += ((ClusterHost *)g_tree_node_value(n))->reported;
    }
    reply_object(core, request->id, 200, &cluster_state_type, state, -1);
    return true;
}

static void add_top_vms(Top *top, const ClusterHost *host, const char *shown)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (!tenant_is_shown(shown, vm->tenant)) {
            continue;
        }
        TopVm *row = top_vm_new();
        row->id = g_strdup(vm->id);
        row->name = g_strdup(vm->spec->name);
        row->host = g_strdup(host->spec->name);
        row->power = vm->status != NULL ? vm->status->power : POWER_IS_UNKNOWN;
        row->resources = resources_copy(vm->spec->resources);
        for (guint i = 0; host->measure != NULL && i < host->measure->vms->len; i++) {
            const VmMeasure *measure = host->measure->vms->pdata[i];
            if (strcmp(measure->id, vm->id) == 0) {
                vm_measure_free(row->used);
                row->used = vm_measure_copy(measure);
            }
        }
        g_ptr_array_add(top->vms, row);
    }
}

bool get_top(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    g_autoptr(Top) top = top_new();
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        const ClusterHost *host = g_tree_node_value(n);
        add_top_vms(top, host, tenant_shown(request));
        if (request->principal.bound) {
            continue;
        }
        TopHost *row = top_host_new();
        row->name = g_strdup(host->spec->name);
        row->state = host->reported ? HOST_STATE_UP : HOST_STATE_DOWN;
        g_ptr_array_unref(row->ledger);
        row->ledger = fleet_ledger(core, host);
        g_ptr_array_add(top->hosts, row);
    }
    reply_object(core, request->id, 200, &top_type, top, -1);
    return true;
}
