#include "cluster/drain.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/rescue.h"

#define NAMES_SHOWN 5

/* It runs, may run, or was told to change and has not said what came of it. */
static bool is_left(const ClusterVm *vm)
{
    const VmStatus *status = vm->status;
    bool down =
        status != NULL && status_is_off(status) && status->transition != TRANSITION_STARTING;
    bool told_on = vm->spec->power == POWER_WANTED_ON && status != NULL &&
                   status->generation < vm->spec->generation;
    return !down || told_on;
}

int64_t drain_left(const ClusterHost *host)
{
    int64_t left = 0;
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        left += is_left(g_tree_node_value(n));
    }
    return left;
}

DrainState drain_state(const ClusterHost *host)
{
    return !host->spec->draining   ? DRAIN_STATE_UNSET
           : drain_left(host) == 0 ? DRAIN_STATE_DRAINED
                                   : DRAIN_STATE_DRAINING;
}

/* "2 VMs left: web-1, web-2; …" */
static char *waits_for(const ClusterHost *host)
{
    g_autoptr(GString) names = g_string_new(NULL);
    int64_t left = 0;
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (is_left(vm) && ++left <= NAMES_SHOWN) {
            g_string_append_printf(names, "%s%s", left > 1 ? ", " : "", vm->spec->name);
        }
    }
    g_autofree char *vms = berth_words_count(left, "VM");
    return g_strdup_printf("%s left: %s%s; VMs are not moved, stop or delete them", vms, names->str,
                           left > NAMES_SHOWN ? ", …" : "");
}

/* At most one is running for a host. */
static ClusterOperation *running_drain(ClusterCore *core, const ClusterHost *host)
{
    ClusterOperation *operation =
        host->drain != NULL ? g_tree_lookup(core->operations, host->drain) : NULL;
    return operation != NULL && operation->object->state == OPERATION_STATE_RUNNING ? operation
                                                                                    : NULL;
}

void drain_check(ClusterCore *core, ClusterHost *host)
{
    ClusterOperation *operation = host != NULL ? running_drain(core, host) : NULL;
    if (operation == NULL) {
        return;
    }
    if (drain_left(host) == 0) {
        Subject subject = subject_of_host(host);
        event_add(core, "host.drained", &subject, host->spec->name, operation->object,
                  "host %s is drained: no VM runs there", host->spec->name);
        operation_finish(core, operation, NULL, "drained");
        g_clear_pointer(&host->drain, g_free);
        return;
    }
    g_free(operation->object->message); /* for those who look; it is not worth a transaction */
    operation->object->message = waits_for(host);
}

void drain_end(ClusterCore *core, ClusterHost *host, const char *why)
{
    ClusterOperation *operation = running_drain(core, host);
    host->spec->draining = false;
    if (operation != NULL) {
        GError *error = NULL;
        berth_error_set(&error, BERTH_ERROR_CONFLICT, "host", host->spec->name, NULL, "%s", why);
        operation_finish(core, operation, error, why);
    }
    g_clear_pointer(&host->drain, g_free);
}

bool drain_may_start(const ClusterHost *host, GError **error)
{
    if (host == NULL || !host->spec->draining) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "power", "on",
                           "wait until it is uncordoned, or delete and create the VM",
                           "the VM's host %s is being drained", host->spec->name);
}

bool drain_host(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const DrainHostQuery *query = request->query;
    ClusterHost *host = find_host(core, request->params[0], error);
    if (host == NULL || !check_if_match(request, host->revision, error)) {
        return false;
    }
    ClusterOperation *operation = running_drain(core, host);
    if (operation == NULL) {
        host->spec->cordoned = host->spec->draining = true;
        save_host_spec(core, host);
        fleet_update_host(core, host);
        rescue_want(core);
        Subject subject = subject_of_host(host);
        g_autofree char *message = waits_for(host);
        operation = operation_start(core, "host.drain", DEFAULT_TENANT, &subject, 0, message);
        host->drain = g_strdup(operation->object->id);
        event_add(core, "host.draining", &subject, host->spec->name, operation->object,
                  "host %s is being drained: it takes no new VMs", host->spec->name);
        drain_check(core, host);
    }
    operation_reply(core, request->id, operation, query->wait);
    return true;
}
