#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/commands.h"
#include "cluster/drain.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/labels.h"
#include "cluster/rescue.h"
#include "cluster/tokens.h"
#include "cluster/txn.h"

static HostState host_state(const ClusterHost *host)
{
    return host->reported        ? HOST_STATE_UP
           : host->facts != NULL ? HOST_STATE_DOWN
                                 : HOST_STATE_JOINED;
}

json_t *render_host(ClusterCore *core, const ClusterHost *host)
{
    g_autoptr(Host) object = host_new();
    object->id = g_strdup(host->id);
    object->name = g_strdup(host->spec->name);
    object->revision = host->revision;
    object->created_ms = host->spec->created_ms;
    object->spec = host_spec_copy(host->spec);
    HostStatus *status = object->status = host_status_new();
    status->state = host_state(host);
    status->facts = host_facts_copy(host->facts);
    status->since_ms = host->since_ms;
    status->vms = g_tree_nnodes(host->vms);
    status->drain = drain_state(host);
    status->vms_left = host->spec->draining ? drain_left(host) : 0;
    g_ptr_array_unref(status->ledger);
    status->ledger = fleet_ledger(core, host);
    g_ptr_array_unref(status->devices);
    status->devices = devices_rows(core, host);
    for (GTreeNode *n = g_tree_node_first(host->quarantined); n != NULL; n = g_tree_node_next(n)) {
        const ReportedVm *reported = g_tree_node_value(n);
        QuarantinedVm *vm = quarantined_vm_new();
        vm->id = g_strdup(reported->id);
        vm->name = g_strdup(reported->name);
        vm->epoch = reported->status != NULL ? reported->status->epoch : 0;
        vm->power = reported->status != NULL ? reported->status->power : POWER_IS_UNKNOWN;
        g_ptr_array_add(status->quarantined, vm);
    }
    return host_encode(object);
}

static json_t *encode_host(ClusterCore *core, const void *object, const void *filter)
{
    return render_host(core, object);
}

bool list_hosts(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListHostsQuery *query = request->query;
    reply_list(core, request->id, core->hosts, query->limit, query->after, encode_host, NULL);
    return true;
}

bool get_host(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterHost *host = find_host(core, request->params[0], error);
    if (host == NULL) {
        return false;
    }
    reply_json(core, request->id, 200, render_host(core, host), host->revision);
    return true;
}

bool update_host(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const HostUpdate *body = request->body;
    ClusterHost *host = find_host(core, request->params[0], error);
    if (host == NULL || !check_if_match(request, host->revision, error)) {
        return false;
    }
    if (body->reserve != NULL && !fleet_can_reserve(core, host, body->reserve, error)) {
        return false;
    }
    if (body->has_labels && !labels_check("labels", body->labels, host->spec->labels, error)) {
        return false;
    }
    if (body->has_cordoned) {
        host->spec->cordoned = body->cordoned;
        if (!body->cordoned) {
            drain_end(core, host, "the host was uncordoned before it was drained");
        }
    }
    if (body->has_labels) {
        string_map_free(host->spec->labels);
        host->spec->labels = string_map_copy(body->labels);
    }
    if (body->reserve != NULL) {
        resources_free(host->spec->reserve);
        host->spec->reserve = resources_copy(body->reserve);
    }
    save_host_spec(core, host);
    fleet_update_host(core, host);
    rescue_want(core);
    reply_json(core, request->id, 200, render_host(core, host), host->revision);
    return true;
}

bool delete_host(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterHost *host = find_host(core, request->params[0], error);
    if (host == NULL || !check_if_match(request, host->revision, error)) {
        return false;
    }
    if (g_tree_nnodes(host->vms) > 0) {
        g_autofree char *vms = berth_words_count(g_tree_nnodes(host->vms), "VM");
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "host", host->spec->name,
                               "delete its VMs first", "the host has %s", vms);
    }
    if (!rescue_all_of(core, host, error)) {
        return false;
    }
    drain_end(core, host, "the host was removed");
    Subject subject = subject_of_host(host);
    ClusterOperation *operation =
        operation_start(core, "host.delete", DEFAULT_TENANT, &subject, 0, "");
    event_add(core, "host.removed", &subject, host->spec->name, operation->object,
              "host %s was removed from the cluster", host->spec->name);
    operation_finish(core, operation, NULL, "removed");
    operation_reply(core, request->id, operation, 0);
    if (host->session != 0) {
        ClusterAction *action = cluster_action_new(CLUSTER_ACTION_DISCONNECT);
        action->disconnect.host = g_strdup(host->id);
        action->disconnect.reason = g_strdup("this host was removed from the cluster");
        core_hold(core, action);
    }
    txn_delete(core, key_host(host->id, "spec"));
    txn_delete(core, key_host(host->id, "facts"));
    name_release(core, "host", DEFAULT_TENANT, host->spec->name);
    model_remove_host(core, host);
    return true;
}

/* The token as the API shows it: never the hash. */
static json_t *render_token(const JoinToken *token)
{
    json_t *json = join_token_encode(token);
    json_object_del(json, "hash");
    return json;
}

static json_t *encode_token(ClusterCore *core, const void *object, const void *filter)
{
    const JoinToken *token = object;
    return token->expires_ms > core->now_ms && token->uses > 0 ? render_token(token) : NULL;
}

bool list_join_tokens(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListJoinTokensQuery *query = request->query;
    reply_list(core, request->id, core->join_tokens, query->limit, query->after, encode_token,
               NULL);
    return true;
}

static void save_token(ClusterCore *core, const JoinToken *token)
{
    txn_put(core, key_join(token->id), &join_token_type, token);
}

bool create_join_token(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const JoinTokenCreate *body = request->body;
    JoinToken *token = join_token_new();
    token->id = model_new_id(core);
    token->expires_ms = core->now_ms + body->valid_seconds * 1000;
    token->uses = body->uses;
    token->description = g_strdup(body->description);
    token->hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, request->secret, -1);
    g_tree_insert(core->join_tokens, token->id, token);
    save_token(core, token);
    json_t *json = render_token(token);
    g_autofree char *whole = g_strconcat(token->id, ".", request->secret, NULL);
    json_object_set_new(json, "token", json_string(whole));
    reply_json(core, request->id, 201, json, -1);
    return true;
}

bool delete_join_token(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const JoinToken *token = g_tree_lookup(core->join_tokens, request->params[0]);
    if (token == NULL) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "token", request->params[0],
                               "see 'berth host token list'", "there is no such join token");
    }
    txn_delete(core, key_join(token->id));
    g_tree_remove(core->join_tokens, token->id);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}

/* Of "ID.SECRET", or the whole token, whose last part, the hash of the CA, is for the host to
 * check; or NULL. One answer for all that can be wrong with a secret. */
static JoinToken *usable_token(ClusterCore *core, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", 3);
    JoinToken *token = parts[0] != NULL ? g_tree_lookup(core->join_tokens, parts[0]) : NULL;
    g_autofree char *hash = g_compute_checksum_for_string(
        G_CHECKSUM_SHA256, token != NULL && parts[1] != NULL ? parts[1] : "", -1);
    if (token == NULL || !token_hash_equal(token->hash, hash)) {
        berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "token", NULL,
                        "make a new one with 'berth host token create'",
                        "this join token is unknown or revoked");
        return NULL;
    }
    if (token->expires_ms <= core->now_ms || token->uses <= 0) {
        berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "token", NULL,
                        "make a new one with 'berth host token create'", "this join token has %s",
                        token->uses <= 0 ? "been used up" : "expired");
        return NULL;
    }
    return token;
}

/* The host that comes back for a new certificate, or a new one. */
static ClusterHost *joining_host(ClusterCore *core, const JoinRequest *body, GError **error)
{
    ClusterHost *known = body->host != NULL ? g_tree_lookup(core->hosts, body->host) : NULL;
    if (known != NULL && strcmp(known->spec->name, body->name) == 0) {
        return known;
    }
    if (!name_is_free(core, "host", DEFAULT_TENANT, body->name, error)) {
        return NULL;
    }
    HostSpec *spec = host_spec_new();
    spec->name = g_strdup(body->name);
    spec->created_ms = core->now_ms;
    ClusterHost *host = model_add_host(core, model_new_id(core), spec);
    name_take(core, "host", DEFAULT_TENANT, body->name, host->id, host);
    save_host_spec(core, host);
    Subject subject = subject_of_host(host);
    event_add(core, "host.joined", &subject, host->spec->name, NULL, "host %s has joined",
              host->spec->name);
    return host;
}

bool join_host(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const JoinRequest *body = request->body;
    JoinToken *token = usable_token(core, body->token, error);
    const ClusterHost *host = token != NULL ? joining_host(core, body, error) : NULL;
    if (host == NULL) {
        return false;
    }
    token->uses--;
    save_token(core, token);
    json_t *json = json_object();
    json_object_set_new(json, "host", json_string(host->id));
    reply_json(core, request->id, 201, json, -1);
    return true;
}
