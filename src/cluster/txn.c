#include "cluster/txn.h"

#include <string.h>

#include "base/codec.h"

/* What the store takes in one transaction (src/store/store.h has the same bounds). */
#define TXN_MAX_OPS 128
#define TXN_SEAL_OPS 64
#define TXN_SEAL_BYTES (512 * 1024)

typedef struct {
    int64_t barrier;
    ClusterAction *action;
} Held;

static void cluster_put_free(void *data)
{
    ClusterPut *put = data;
    g_free(put->key);
    g_clear_pointer(&put->value, g_bytes_unref);
    g_free(put);
}

static void cluster_action_free(void *data)
{
    ClusterAction *action = data;
    switch (action->kind) {
    case CLUSTER_ACTION_COMMIT:
        g_clear_pointer(&action->commit.puts, g_ptr_array_unref);
        g_clear_pointer(&action->commit.absent, g_ptr_array_unref);
        break;
    case CLUSTER_ACTION_REPLY:
        g_clear_pointer(&action->reply.body, g_bytes_unref);
        g_clear_error(&action->reply.error);
        break;
    case CLUSTER_ACTION_ANSWER:
        g_clear_error(&action->answer.error);
        break;
    case CLUSTER_ACTION_CALL:
        g_free(action->call.host);
        json_decref(action->call.params);
        break;
    case CLUSTER_ACTION_PUBLISH:
        g_clear_pointer(&action->publish.event, g_bytes_unref);
        break;
    case CLUSTER_ACTION_DISCONNECT:
        g_free(action->disconnect.host);
        g_free(action->disconnect.reason);
        break;
    case CLUSTER_ACTION_ABORT:
        g_free(action->abort_reason);
        break;
    }
    g_free(action);
}

ClusterAction *cluster_action_new(ClusterActionKind kind)
{
    ClusterAction *action = g_new0(ClusterAction, 1);
    action->kind = kind;
    return action;
}

ClusterActions *cluster_actions_new(void)
{
    return g_ptr_array_new_with_free_func(cluster_action_free);
}

static void open_reset(ClusterCore *core)
{
    core->open_puts = g_ptr_array_new_with_free_func(cluster_put_free);
    core->open_absent = g_ptr_array_new_with_free_func(g_free);
    core->open_bytes = 0;
}

void txn_init(ClusterCore *core)
{
    open_reset(core);
    g_queue_init(&core->in_flight);
    g_queue_init(&core->held);
}

void txn_clear(ClusterCore *core)
{
    g_ptr_array_unref(core->open_puts);
    g_ptr_array_unref(core->open_absent);
    g_queue_clear_full(&core->in_flight, g_free);
    Held *held;
    while ((held = g_queue_pop_head(&core->held)) != NULL) {
        cluster_action_free(held->action);
        g_free(held);
    }
}

int64_t txn_revision(const ClusterCore *core)
{
    return core->last_revision + 1;
}

static void open_add(ClusterCore *core, char *key, GBytes *value)
{
    ClusterPut *put = g_new0(ClusterPut, 1);
    put->key = key;
    put->value = value;
    g_ptr_array_add(core->open_puts, put);
    core->open_bytes += strlen(key) + (value != NULL ? g_bytes_get_size(value) : 0);
}

/* A key that the open transaction writes already is written once, with the last value: a
 * transaction is one step in time. */
static bool open_replace(ClusterCore *core, const char *key, GBytes *value)
{
    for (guint i = core->open_puts->len; i > 0; i--) {
        ClusterPut *put = core->open_puts->pdata[i - 1];
        if (strcmp(put->key, key) == 0) {
            g_clear_pointer(&put->value, g_bytes_unref);
            put->value = value;
            return true;
        }
    }
    return false;
}

GBytes *json_take_bytes(json_t *value)
{
    char *text = codec_dump(value);
    json_decref(value);
    return g_bytes_new_take(text, strlen(text));
}

void txn_put_bytes(ClusterCore *core, char *key, GBytes *value)
{
    if (open_replace(core, key, value)) {
        g_free(key);
    } else {
        open_add(core, key, value);
    }
}

void txn_put(ClusterCore *core, char *key, const CodecType *type, const void *object)
{
    txn_put_bytes(core, key, codec_encode_text(type, object));
}

void txn_put_json(ClusterCore *core, char *key, json_t *value)
{
    txn_put_bytes(core, key, json_take_bytes(value));
}

void txn_delete(ClusterCore *core, char *key)
{
    if (open_replace(core, key, NULL)) {
        g_free(key);
    } else {
        open_add(core, key, NULL);
    }
}

/* Does the open transaction delete this key? Then it is there before, by our own will. */
static bool open_deletes(const ClusterCore *core, const char *key)
{
    for (guint i = core->open_puts->len; i > 0; i--) {
        const ClusterPut *put = core->open_puts->pdata[i - 1];
        if (strcmp(put->key, key) == 0) {
            return put->value == NULL;
        }
    }
    return false;
}

void txn_absent(ClusterCore *core, const char *key)
{
    if (open_deletes(core, key)) {
        return;
    }
    g_ptr_array_add(core->open_absent, g_strdup(key));
}

static void txn_seal(ClusterCore *core)
{
    if (core->open_puts->len == 0) {
        return;
    }
    g_assert(core->open_puts->len + core->open_absent->len <= TXN_MAX_OPS);
    ClusterAction *commit = cluster_action_new(CLUSTER_ACTION_COMMIT);
    commit->commit.revision = ++core->last_revision;
    commit->commit.puts = core->open_puts;
    commit->commit.absent = core->open_absent;
    open_reset(core);
    int64_t *revision = g_new(int64_t, 1);
    *revision = core->last_revision;
    g_queue_push_tail(&core->in_flight, revision);
    g_ptr_array_add(core->actions, commit);
}

void txn_seal_if_large(ClusterCore *core)
{
    if (core->open_puts->len + core->open_absent->len >= TXN_SEAL_OPS ||
        core->open_bytes >= TXN_SEAL_BYTES) {
        txn_seal(core);
    }
}

void core_hold(ClusterCore *core, ClusterAction *action)
{
    Held *held = g_new(Held, 1);
    held->barrier = INT64_MAX;
    held->action = action;
    g_queue_push_tail(&core->held, held);
}

void core_emit(ClusterCore *core, ClusterAction *action)
{
    g_ptr_array_add(core->actions, action);
}

static void release_held(ClusterCore *core)
{
    Held *held;
    while ((held = g_queue_peek_head(&core->held)) != NULL &&
           held->barrier <= core->committed_revision) {
        g_queue_pop_head(&core->held);
        core_emit(core, held->action);
        g_free(held);
    }
}

void txn_finish_step(ClusterCore *core)
{
    txn_seal(core);
    for (GList *l = core->held.tail; l != NULL && ((Held *)l->data)->barrier == INT64_MAX;
         l = l->prev) {
        ((Held *)l->data)->barrier = core->last_revision;
    }
    release_held(core);
}

void txn_committed(ClusterCore *core, int64_t revision)
{
    g_autofree int64_t *expected = g_queue_pop_head(&core->in_flight);
    if (expected == NULL || *expected != revision) {
        core->aborted = true;
        ClusterAction *action = cluster_action_new(CLUSTER_ACTION_ABORT);
        action->abort_reason =
            g_strdup_printf("the store is at revision %" G_GINT64_FORMAT " where %" G_GINT64_FORMAT
                            " was expected; someone else writes to it",
                            revision, expected != NULL ? *expected : (int64_t)-1);
        core_emit(core, action);
        return;
    }
    core->committed_revision = revision;
    release_held(core);
}

void reply_bytes(ClusterCore *core, uint64_t request, int status, GBytes *body, int64_t revision)
{
    ClusterAction *action = cluster_action_new(CLUSTER_ACTION_REPLY);
    action->reply.request = request;
    action->reply.status = status;
    action->reply.body = body;
    action->reply.revision = revision;
    core_hold(core, action);
}

void reply_object(ClusterCore *core, uint64_t request, int status, const CodecType *type,
                  const void *object, int64_t revision)
{
    reply_bytes(core, request, status, codec_encode_text(type, object), revision);
}

void reply_json(ClusterCore *core, uint64_t request, int status, json_t *body, int64_t revision)
{
    reply_bytes(core, request, status, json_take_bytes(body), revision);
}

void reply_error(ClusterCore *core, uint64_t request, GError *error)
{
    ClusterAction *action = cluster_action_new(CLUSTER_ACTION_REPLY);
    action->reply.request = request;
    action->reply.error = error;
    action->reply.revision = -1;
    core_hold(core, action);
}
