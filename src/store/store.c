#include "store/store.h"

#include "base/error.h"
#include "store/backend.h"

#define DEFAULT_HISTORY_REVISIONS 10000
#define DEFAULT_HISTORY_MIB 16

/* What one revision changed. */
typedef struct {
    int64_t revision;
    size_t bytes;
    GPtrArray *changes;
} Step;

struct Store {
    const BackendOps *ops;
    gpointer backend;
    GMainContext *context;
    int64_t told; /* the revision that callbacks have reached */
    int64_t history_revisions;
    size_t history_max_bytes;
    size_t history_bytes;
    GQueue history; /* of Step, oldest first */
    int64_t oldest; /* revision from which a watch can start */
    GPtrArray *watches;
    unsigned telling; /* callbacks of watches are running: none is freed meanwhile */
    bool closing;
    StoreHealthFunc health_func;
    gpointer health_data;
    GError *health; /* as told */

    GMutex lock;
    GCond finished;
    int64_t durable;    /* revision */
    GQueue done;        /* of GPtrArray of Pending, to be told */
    GError *new_health; /* to be told */
    bool health_is_new;
    GSource *source; /* scheduled to tell */
};

struct StoreWatch {
    Store *store;
    char *prefix;
    int64_t next; /* revision */
    StoreWatchFunc callback;
    gpointer data;
    bool cancelled;
    GQueue past;          /* of Step: told before anything newer */
    GSource *past_source; /* NULL: nothing is due */
};

static void step_free(gpointer data)
{
    Step *step = data;
    g_ptr_array_unref(step->changes);
    g_free(step);
}

static void pending_free(Pending *pending)
{
    store_txn_free(pending->txn);
    g_clear_error(&pending->error);
    g_clear_pointer(&pending->changes, g_ptr_array_unref);
    g_free(pending);
}

static void watch_free(gpointer data)
{
    StoreWatch *watch = data;
    if (watch->past_source != NULL) {
        g_source_destroy(watch->past_source);
        g_source_unref(watch->past_source);
    }
    g_queue_clear_full(&watch->past, step_free);
    g_free(watch->prefix);
    g_free(watch);
}

Store *store_new(const BackendOps *ops, int64_t revision, int64_t history_revisions,
                 int64_t history_mib)
{
    Store *store = g_new0(Store, 1);
    store->ops = ops;
    store->context = g_main_context_ref_thread_default();
    store->told = revision;
    store->durable = revision;
    store->oldest = revision + 1;
    store->history_revisions =
        history_revisions > 0 ? history_revisions : DEFAULT_HISTORY_REVISIONS;
    store->history_max_bytes =
        (size_t)(history_mib > 0 ? history_mib : DEFAULT_HISTORY_MIB) * 1024 * 1024;
    store->watches = g_ptr_array_new_with_free_func(watch_free);
    g_mutex_init(&store->lock);
    g_cond_init(&store->finished);
    return store;
}

void store_set_backend(Store *store, gpointer backend)
{
    store->backend = backend;
}

static GPtrArray *changes_under(const GPtrArray *changes, const char *prefix)
{
    GPtrArray *mine = g_ptr_array_new();
    for (guint i = 0; i < changes->len; i++) {
        StoreEntry *entry = changes->pdata[i];
        if (g_str_has_prefix(entry->key, prefix)) {
            g_ptr_array_add(mine, entry);
        }
    }
    return mine;
}

static void watch_tell(StoreWatch *watch, const Step *step)
{
    if (watch->cancelled || step->revision < watch->next) {
        return;
    }
    watch->next = step->revision + 1;
    g_autoptr(GPtrArray) mine = changes_under(step->changes, watch->prefix);
    if (mine->len > 0) {
        watch->callback(step->revision, mine, NULL, watch->data);
    }
}

static void put_off(StoreWatch *watch, const Step *step)
{
    Step *copy = g_new(Step, 1);
    *copy = (Step){step->revision, step->bytes, g_ptr_array_ref(step->changes)};
    g_queue_push_tail(&watch->past, copy);
}

/* By index, since a callback may add watches; those that it cancels are dropped afterwards. */
static void tell_watches(Store *store, const Step *step)
{
    for (guint i = 0; i < store->watches->len; i++) {
        StoreWatch *watch = store->watches->pdata[i];
        if (watch->past_source != NULL) {
            put_off(watch, step);
        } else {
            watch_tell(watch, step);
        }
    }
}

static void drop_cancelled(Store *store)
{
    for (guint i = store->watches->len; store->telling == 0 && i > 0; i--) {
        if (((StoreWatch *)store->watches->pdata[i - 1])->cancelled) {
            g_ptr_array_remove_index(store->watches, i - 1);
        }
    }
}

static size_t bytes_of(const GPtrArray *changes)
{
    size_t bytes = 0;
    for (guint i = 0; i < changes->len; i++) {
        bytes += store_entry_bytes(changes->pdata[i]);
    }
    return bytes;
}

static Step *remember(Store *store, int64_t revision, GPtrArray *changes)
{
    Step *step = g_new(Step, 1);
    *step = (Step){revision, bytes_of(changes), changes};
    g_queue_push_tail(&store->history, step);
    store->history_bytes += step->bytes;
    while (store->history.length > 1 &&
           ((int64_t)store->history.length > store->history_revisions ||
            store->history_bytes > store->history_max_bytes)) {
        Step *oldest = g_queue_pop_head(&store->history);
        store->history_bytes -= oldest->bytes;
        step_free(oldest);
    }
    store->oldest = ((Step *)g_queue_peek_head(&store->history))->revision;
    return step;
}

static void tell_one(Store *store, Pending *pending)
{
    bool changed = pending->error == NULL && pending->result.revision > store->told;
    if (changed) {
        store->told = pending->result.revision;
    }
    if (pending->callback != NULL) {
        pending->callback(pending->error == NULL ? &pending->result : NULL, pending->error,
                          pending->data);
    }
    if (changed) {
        tell_watches(store,
                     remember(store, pending->result.revision, g_steal_pointer(&pending->changes)));
    }
}

static void tell_health(Store *store, GError *health)
{
    g_clear_error(&store->health);
    store->health = health;
    if (store->health_func != NULL) {
        store->health_func(health, store->health_data);
    }
}

static void tell_batch(Store *store, GPtrArray *batch)
{
    store->telling++;
    for (guint i = 0; i < batch->len; i++) {
        tell_one(store, batch->pdata[i]);
        pending_free(batch->pdata[i]);
    }
    g_ptr_array_unref(batch);
    store->telling--;
    drop_cancelled(store);
}

/* What is due now; what comes of it waits for the next turn, so that other sources have theirs.
 * False if there was nothing. */
static bool tell_due(Store *store)
{
    g_mutex_lock(&store->lock);
    GQueue due = store->done;
    g_queue_init(&store->done);
    bool health_is_new = store->health_is_new;
    GError *health = g_steal_pointer(&store->new_health);
    store->health_is_new = false;
    g_mutex_unlock(&store->lock);
    bool any = health_is_new || due.length > 0;
    GPtrArray *batch;
    while ((batch = g_queue_pop_head(&due)) != NULL) {
        tell_batch(store, batch);
    }
    if (health_is_new) {
        tell_health(store, health);
    }
    return any;
}

static gboolean on_source(gpointer data)
{
    Store *store = data;
    g_mutex_lock(&store->lock);
    g_clear_pointer(&store->source, g_source_unref);
    g_mutex_unlock(&store->lock);
    tell_due(store);
    return G_SOURCE_REMOVE;
}

/* With the lock held. */
static void schedule(Store *store)
{
    if (store->source == NULL && !store->closing) {
        store->source = g_idle_source_new();
        g_source_set_priority(store->source, G_PRIORITY_DEFAULT);
        g_source_set_callback(store->source, on_source, store, NULL);
        g_source_attach(store->source, store->context);
    }
}

void store_finished(Store *store, GPtrArray *done)
{
    g_mutex_lock(&store->lock);
    for (guint i = 0; i < done->len; i++) {
        Pending *pending = done->pdata[i];
        pending->finished = true;
        if (pending->error == NULL) {
            store->durable = MAX(store->durable, pending->result.revision);
        }
    }
    g_queue_push_tail(&store->done, done);
    g_cond_broadcast(&store->finished);
    schedule(store);
    g_mutex_unlock(&store->lock);
}

void store_health_changed(Store *store, GError *health)
{
    g_mutex_lock(&store->lock);
    g_clear_error(&store->new_health);
    store->new_health = health;
    store->health_is_new = true;
    schedule(store);
    g_mutex_unlock(&store->lock);
}

static void stop(Store *store)
{
    g_mutex_lock(&store->lock);
    store->closing = true;
    if (store->source != NULL) {
        g_source_destroy(store->source);
        g_clear_pointer(&store->source, g_source_unref);
    }
    g_mutex_unlock(&store->lock);
    store->ops->stop(store->backend);
}

static void tell_past(StoreWatch *watch)
{
    Step *step;
    while (!watch->cancelled && (step = g_queue_pop_head(&watch->past)) != NULL) {
        watch_tell(watch, step);
        step_free(step);
    }
    g_source_destroy(watch->past_source);
    g_clear_pointer(&watch->past_source, g_source_unref);
}

static bool tell_pasts(Store *store)
{
    bool any = false;
    store->telling++;
    for (guint i = 0; i < store->watches->len; i++) {
        StoreWatch *watch = store->watches->pdata[i];
        if (watch->past_source != NULL) {
            any = true;
            tell_past(watch);
        }
    }
    store->telling--;
    drop_cancelled(store);
    return any;
}

void store_free(Store *store)
{
    if (store == NULL) {
        return;
    }
    stop(store);
    while (tell_due(store) || tell_pasts(store)) {
    }
    store->ops->free(store->backend);
    g_queue_clear_full(&store->history, step_free);
    g_ptr_array_unref(store->watches);
    g_clear_error(&store->health);
    g_main_context_unref(store->context);
    g_mutex_clear(&store->lock);
    g_cond_clear(&store->finished);
    g_free(store);
}

int64_t store_revision(Store *store)
{
    g_mutex_lock(&store->lock);
    int64_t durable = store->durable;
    g_mutex_unlock(&store->lock);
    return durable;
}

bool store_get(Store *store, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
               GError **error)
{
    int64_t revision = 0;
    if (!txn_check_key(key, "key", error) ||
        !store->ops->get(store->backend, key, ret_entry, &revision, error)) {
        return false;
    }
    if (ret_revision != NULL) {
        *ret_revision = revision;
    }
    return true;
}

static void entry_free(gpointer entry)
{
    store_entry_free(entry);
}

bool store_range(Store *store, const char *prefix, const char *after, unsigned limit,
                 GPtrArray **ret_entries, int64_t *ret_revision, GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    int64_t revision = 0;
    if (!txn_check_prefix(prefix, "prefix", error) ||
        !store->ops->range(store->backend, prefix, after, limit, entries, &revision, error)) {
        return false;
    }
    *ret_entries = g_steal_pointer(&entries);
    if (ret_revision != NULL) {
        *ret_revision = revision;
    }
    return true;
}

static Pending *submit(Store *store, StoreTxn *txn, StoreCommitFunc callback, gpointer data)
{
    Pending *pending = g_new0(Pending, 1);
    *pending = (Pending){.txn = txn, .callback = callback, .data = data};
    if (!store->closing) {
        txn_check(txn, &pending->error);
        store->ops->submit(store->backend, pending);
        return pending;
    }
    GPtrArray *refused = g_ptr_array_new();
    berth_error_set(&pending->error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                    "try again when it is open", "the store is being closed");
    g_ptr_array_add(refused, pending);
    store_finished(store, refused);
    return pending;
}

void store_commit(Store *store, StoreTxn *txn, StoreCommitFunc callback, gpointer user_data)
{
    submit(store, txn, callback, user_data);
}

/* It lives until it is told, which is this thread's work too. */
bool store_commit_sync(Store *store, StoreTxn *txn, StoreResult *ret_result, GError **error)
{
    Pending *pending = submit(store, txn, NULL, NULL);
    g_mutex_lock(&store->lock);
    while (!pending->finished) {
        g_cond_wait(&store->finished, &store->lock);
    }
    g_mutex_unlock(&store->lock);
    if (pending->error != NULL) {
        g_propagate_error(error, g_error_copy(pending->error));
        return false;
    }
    if (ret_result != NULL) {
        *ret_result = pending->result;
    }
    return true;
}

static bool watch_start(StoreWatch *watch, int64_t from, GError **error)
{
    Store *store = watch->store;
    if (from == 0) {
        watch->next = store_revision(store) + 1;
        return true;
    }
    if (from < store->oldest) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, from);
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "from_revision", text,
                               "read everything anew and watch from that revision",
                               "changes before revision %" G_GINT64_FORMAT " are not kept",
                               store->oldest);
    }
    watch->next = from;
    return true;
}

static gboolean on_past(gpointer data)
{
    StoreWatch *watch = data;
    Store *store = watch->store;
    store->telling++;
    tell_past(watch);
    store->telling--;
    drop_cancelled(store);
    return G_SOURCE_REMOVE;
}

/* What is kept already is told in a later turn. */
static void schedule_past(StoreWatch *watch)
{
    for (GList *at = watch->store->history.head; at != NULL; at = at->next) {
        const Step *step = at->data;
        if (step->revision >= watch->next) {
            put_off(watch, step);
        }
    }
    watch->past_source = g_idle_source_new();
    g_source_set_priority(watch->past_source, G_PRIORITY_DEFAULT);
    g_source_set_callback(watch->past_source, on_past, watch, NULL);
    g_source_attach(watch->past_source, watch->store->context);
}

StoreWatch *store_watch(Store *store, const char *prefix, int64_t from_revision,
                        StoreWatchFunc callback, gpointer user_data, GError **error)
{
    if (!txn_check_prefix(prefix, "prefix", error)) {
        return NULL;
    }
    StoreWatch *watch = g_new0(StoreWatch, 1);
    *watch = (StoreWatch){
        .store = store, .prefix = g_strdup(prefix), .callback = callback, .data = user_data};
    if (!watch_start(watch, from_revision, error)) {
        watch_free(watch);
        return NULL;
    }
    g_ptr_array_add(store->watches, watch);
    if (watch->next <= store->told) {
        schedule_past(watch);
    }
    return watch;
}

void store_watch_cancel(StoreWatch *watch)
{
    watch->cancelled = true;
    drop_cancelled(watch->store);
}

int64_t store_oldest_revision(Store *store)
{
    return store->oldest;
}

GError *store_health(Store *store)
{
    g_mutex_lock(&store->lock);
    const GError *now = store->health_is_new ? store->new_health : store->health;
    GError *copy = now != NULL ? g_error_copy(now) : NULL;
    g_mutex_unlock(&store->lock);
    return copy;
}

void store_set_health_callback(Store *store, StoreHealthFunc callback, gpointer user_data)
{
    store->health_func = callback;
    store->health_data = user_data;
}

bool store_backup(Store *store, const char *path, GError **error)
{
    return store->ops->backup(store->backend, path, error);
}
