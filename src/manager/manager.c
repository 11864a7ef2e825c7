#include "manager/manager.h"

#include "base/error.h"

#define STREAMS_INTERVAL_S 15

int64_t manager_now_ms(void)
{
    return g_get_real_time() / 1000;
}

static void begin_anew_if_quiet(Manager *manager)
{
    if (manager->anew && manager->in_flight == 0) {
        manager->anew = false;
        manager_begin_anew(manager);
    }
}

static void on_committed(const StoreResult *result, const GError *error, gpointer data)
{
    Manager *manager = data;
    if (manager->stopping) {
        return;
    }
    manager->in_flight--;
    g_autoptr(GError) refused = NULL;
    ClusterEvent event = {.kind = CLUSTER_EVENT_COMMITTED};
    if (result == NULL || !result->succeeded) {
        event.kind = CLUSTER_EVENT_COMMIT_FAILED;
        if (error == NULL) {
            berth_error_set(
                &refused, BERTH_ERROR_CONFLICT, NULL, NULL, NULL,
                "the store holds something else than the model (compare %d of a transaction)",
                result->failed_compare);
        }
        event.commit.error = error != NULL ? error : refused;
        /* The store's health is told after the transactions that it cost. */
        manager->writable &= !g_error_matches(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    } else {
        event.commit.revision = result->revision;
        manager->commits++;
    }
    manager_step(manager, &event);
    begin_anew_if_quiet(manager);
}

/* Each transaction rests on the one before: it names the revision that it must find. */
static void commit(Manager *manager, const ClusterAction *action)
{
    StoreTxn *txn = store_txn_new();
    store_txn_compare_revision(txn, action->commit.revision - 1);
    for (guint i = 0; i < action->commit.absent->len; i++) {
        store_txn_compare_absent(txn, action->commit.absent->pdata[i]);
    }
    for (guint i = 0; i < action->commit.puts->len; i++) {
        const ClusterPut *put = action->commit.puts->pdata[i];
        if (put->value != NULL) {
            store_txn_put(txn, put->key, put->value);
        } else {
            store_txn_delete(txn, put->key);
        }
    }
    manager->in_flight++;
    store_commit(manager->store, txn, on_committed, manager);
}

/* A store that cannot write is lived with; one that holds something else than we think is not. */
static void abort_run(Manager *manager, const char *reason)
{
    if (!manager->writable) {
        manager->anew = true;
        return;
    }
    g_critical("starts again from the store: %s", reason);
    manager->exit_status = 1;
    g_main_loop_quit(manager->main);
}

static void carry_out(Manager *manager, const ClusterAction *action)
{
    switch (action->kind) {
    case CLUSTER_ACTION_COMMIT:
        commit(manager, action);
        break;
    case CLUSTER_ACTION_REPLY:
        http_reply(manager->http, action);
        break;
    case CLUSTER_ACTION_ANSWER:
        agents_answer(manager->agents, action);
        break;
    case CLUSTER_ACTION_CALL:
        agents_send(manager->agents, action);
        break;
    case CLUSTER_ACTION_PUBLISH:
        events_publish(manager->events, action->publish.event);
        break;
    case CLUSTER_ACTION_DISCONNECT:
        agents_disconnect(manager->agents, action->disconnect.host, action->disconnect.reason);
        break;
    case CLUSTER_ACTION_ABORT:
        abort_run(manager, action->abort_reason);
        break;
    }
}

static gboolean on_tick(gpointer data)
{
    Manager *manager = data;
    manager->tick = 0;
    manager->tick_ms = INT64_MAX;
    ClusterEvent event = {.kind = CLUSTER_EVENT_TICK};
    manager_step(manager, &event);
    return G_SOURCE_REMOVE;
}

static void set_tick(Manager *manager)
{
    int64_t at = cluster_next_deadline(manager->core);
    if (at == manager->tick_ms) {
        return;
    }
    g_clear_handle_id(&manager->tick, g_source_remove);
    manager->tick_ms = at;
    if (at != INT64_MAX) {
        manager->tick =
            g_timeout_add((guint)CLAMP(at - manager_now_ms(), 1, 3600000), on_tick, manager);
    }
}

static void look_over_streams(Manager *manager)
{
    manager->revocations = cluster_core_revocations(manager->core);
    events_look_over(manager->events);
    consoles_look_over(manager->consoles);
}

static gboolean on_streams_due(gpointer data)
{
    look_over_streams(data);
    return G_SOURCE_CONTINUE;
}

void manager_watch_streams(Manager *manager)
{
    manager->streams = g_timeout_add_seconds(STREAMS_INTERVAL_S, on_streams_due, manager);
}

void manager_step(Manager *manager, const ClusterEvent *event)
{
    g_autoptr(GPtrArray) actions = cluster_step(manager->core, event, manager_now_ms());
    for (guint i = 0; i < actions->len; i++) {
        carry_out(manager, actions->pdata[i]);
    }
    events_flush(manager->events);
    if (manager->events != NULL &&
        cluster_core_revocations(manager->core) != manager->revocations) {
        look_over_streams(manager);
    }
    set_tick(manager);
}
