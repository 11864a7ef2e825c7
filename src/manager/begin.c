/*
 * The core from the store: at start, and anew when a transaction was not carried out.
 *
 * A core whose transaction has failed is ahead of the store and of no more use. When the store says
 * that it cannot write (a full disk), we begin anew in place: who waits for an answer gets the
 * reason, agents are let go, and the new core answers reads until writing works again. Hosts keep
 * their VMs meanwhile and come back then.
 */
#include <sys/random.h>

#include "base/error.h"
#include "manager/manager.h"

static ClusterCore *new_core(const Manager *manager)
{
    ClusterConfig config = manager->config;
    while (getrandom(&config.seed, sizeof config.seed, 0) != sizeof config.seed) {
    }
    return cluster_core_new(&config);
}

bool manager_load(Manager *manager, GError **error)
{
    g_autoptr(GPtrArray) entries = NULL;
    int64_t revision = 0;
    if (!store_range(manager->store, "", NULL, 0, &entries, &revision, error)) {
        return false;
    }
    g_autoptr(ClusterCore) core = new_core(manager);
    for (guint i = 0; i < entries->len; i++) {
        const StoreEntry *entry = entries->pdata[i];
        if (!cluster_core_load(core, entry->key, entry->value, entry->mod_revision, error)) {
            return false;
        }
    }
    cluster_core_loaded(core, revision);
    g_clear_pointer(&manager->core, cluster_core_free);
    manager->core = g_steal_pointer(&core);
    manager->generation++;
    return true;
}

static void tell_health(Manager *manager, const GError *health)
{
    ClusterEvent event = {.kind = CLUSTER_EVENT_STORE_HEALTH};
    event.health.writable = health == NULL;
    event.health.reason = health != NULL ? health->message : NULL;
    manager_step(manager, &event);
}

static void on_health(const GError *health, gpointer data)
{
    Manager *manager = data;
    if (health != NULL) {
        g_warning("%s", health->message);
    } else {
        g_message("the store takes changes again");
    }
    manager->writable = health == NULL;
    tell_health(manager, health);
}

void manager_begin(Manager *manager)
{
    g_autoptr(GError) health = store_health(manager->store);
    if (health != NULL && manager->writable) {
        g_warning("%s", health->message);
    }
    manager->writable = health == NULL;
    store_set_health_callback(manager->store, on_health, manager);
    if (health != NULL) {
        tell_health(manager, health);
    }
    ClusterEvent start = {.kind = CLUSTER_EVENT_START};
    manager_step(manager, &start);
}

static gboolean begin_anew(gpointer data)
{
    Manager *manager = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) health = store_health(manager->store);
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                    "put the cause right; reads still work",
                    "the manager begins anew from its store, and what was asked is not done: %s",
                    health != NULL ? health->message : "a transaction was not carried out");
    agents_let_go(manager->agents, reason);
    if (!manager_load(manager, &error)) {
        g_critical("%s", error->message);
        manager->exit_status = 1;
        g_main_loop_quit(manager->main);
        return G_SOURCE_REMOVE;
    }
    http_abandon(manager->http, reason);
    manager_begin(manager);
    return G_SOURCE_REMOVE;
}

void manager_begin_anew(Manager *manager)
{
    g_idle_add(begin_anew, manager);
}
