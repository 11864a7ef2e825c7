#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/commands.h"
#include "cluster/keys.h"
#include "cluster/networks.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

json_t *render_network(const ClusterNetwork *network)
{
    json_t *json = network_encode(network->object);
    json_object_set_new(json, "vms", json_integer(g_tree_nnodes(network->ports)));
    return json;
}

static json_t *encode_network(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterNetwork *network = object;
    return tenant_is_shown(shown, network->object->tenant) ? render_network(network) : NULL;
}

bool list_networks(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListNetworksQuery *query = request->query;
    reply_list(core, request->id, core->networks, query->limit, query->after, encode_network,
               tenant_shown(request));
    return true;
}

bool get_network(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterNetwork *network =
        find_network(core, request->principal.tenant, request->params[0], error);
    if (network == NULL) {
        return false;
    }
    reply_json(core, request->id, 200, render_network(network), network->object->revision);
    return true;
}

bool create_network(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const NetworkCreate *body = request->body;
    const CreateNetworkQuery *query = request->query;
    const char *tenant = tenant_for_new(core, request, body->tenant, error);
    if (tenant == NULL || !name_is_free(core, "network", tenant, body->name, error)) {
        return false;
    }
    if (request->principal.bound && body->kind == NETWORK_KIND_BRIDGE) {
        return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "kind", "bridge",
                               "take an overlay, or ask an operator for the network",
                               "a bridge is of the hosts' own network");
    }
    g_autoptr(Network) object = network_new();
    g_free(object->tenant);
    object->tenant = g_strdup(tenant);
    object->name = g_strdup(body->name);
    object->kind = body->kind != NETWORK_KIND_UNSET ? body->kind : NETWORK_KIND_OVERLAY;
    object->subnet = g_strdup(body->subnet);
    object->bridge = g_strdup(body->bridge);
    object->has_vlan = body->has_vlan;
    object->vlan = body->vlan;
    object->description = g_strdup(body->description);
    object->created_ms = core->now_ms;
    if (!network_complete(core, object, error)) {
        return false;
    }
    object->id = model_new_id(core);
    network_choose_subnet6(object);
    if (query->dry_run) {
        reply_object(core, request->id, 200, &network_type, object, -1);
        return true;
    }
    ClusterNetwork *network = model_add_network(core, g_steal_pointer(&object));
    name_take(core, "network", tenant, body->name, network->id, network);
    save_network(core, network);
    reply_json(core, request->id, 201, render_network(network), network->object->revision);
    return true;
}

bool delete_network(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterNetwork *network =
        find_network(core, request->principal.tenant, request->params[0], error);
    if (network == NULL || !check_if_match(request, network->object->revision, error)) {
        return false;
    }
    if (g_tree_nnodes(network->ports) > 0) {
        g_autofree char *cards = berth_words_count(g_tree_nnodes(network->ports), "card");
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "network", network->object->name,
                               "remove the VMs first", "VMs have %s in it", cards);
    }
    txn_delete(core, key_of("network", network->object->tenant, network->id));
    name_release(core, "network", network->object->tenant, network->object->name);
    g_tree_remove(core->networks, network->id);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}
