#include "sim/disk.h"

#include <string.h>

#include "base/error.h"
#include "base/order.h"

#define MAX_OPS 128
#define MAX_BYTES (1024 * 1024)

typedef struct {
    GBytes *bytes;
    int64_t revision;
} Value;

typedef struct {
    int64_t revision;
    GPtrArray *puts;
    GPtrArray *absent;
    bool fails;
} Txn;

typedef struct {
    SimDiskFollower func;
    void *owner;
} Follower;

struct SimDisk {
    SimWorld *world;
    SimDurable durable;
    void *owner;
    GTree *keys; /* key → Value */
    int64_t revision;
    GQueue in_flight; /* of Txn */
    uint64_t mount;   /* rises with each crash: what was under way before is no more */
    int64_t typical_ms;
    int64_t busy_until_ms;
    bool fail_next;
    GArray *followers; /* of Follower */
};

static void value_free(void *data)
{
    Value *value = data;
    g_bytes_unref(value->bytes);
    g_free(value);
}

static void txn_free(void *data)
{
    Txn *txn = data;
    g_ptr_array_unref(txn->puts);
    g_ptr_array_unref(txn->absent);
    g_free(txn);
}

SimDisk *sim_disk_new(SimWorld *world, SimDurable durable, void *owner)
{
    SimDisk *disk = g_new0(SimDisk, 1);
    disk->world = world;
    disk->durable = durable;
    disk->owner = owner;
    disk->keys = g_tree_new_full(berth_order_keys, NULL, g_free, value_free);
    disk->typical_ms = SIM_DISK_USUAL_MS;
    disk->followers = g_array_new(FALSE, FALSE, sizeof(Follower));
    g_queue_init(&disk->in_flight);
    return disk;
}

void sim_disk_free(SimDisk *disk)
{
    if (disk != NULL) {
        g_tree_unref(disk->keys);
        g_array_unref(disk->followers);
        g_queue_clear_full(&disk->in_flight, txn_free);
        g_free(disk);
    }
}

static void put(SimDisk *disk, const char *key, GBytes *bytes)
{
    if (bytes == NULL) {
        g_tree_remove(disk->keys, key);
        return;
    }
    Value *value = g_new(Value, 1);
    *value = (Value){g_bytes_ref(bytes), disk->revision};
    g_tree_replace(disk->keys, g_strdup(key), value);
}

void sim_disk_put(SimDisk *disk, const char *key, GBytes *value)
{
    put(disk, key, value);
}

static void land(SimDisk *disk, const Txn *txn)
{
    for (guint i = 0; i < txn->absent->len; i++) {
        const char *key = txn->absent->pdata[i];
        if (g_tree_lookup(disk->keys, key) != NULL) {
            sim_broken(disk->world, "transaction %" G_GINT64_FORMAT " wants key %s absent; it is",
                       txn->revision, key);
        }
    }
    disk->revision = txn->revision;
    for (guint i = 0; i < txn->puts->len; i++) {
        const ClusterPut *one = txn->puts->pdata[i];
        put(disk, one->key, one->value);
    }
    for (guint i = 0; i < disk->followers->len; i++) {
        const Follower *follower = &g_array_index(disk->followers, Follower, i);
        follower->func(follower->owner, txn->puts);
    }
}

void sim_disk_follow(SimDisk *disk, SimDiskFollower func, void *owner)
{
    Follower follower = {func, owner};
    g_array_append_val(disk->followers, follower);
}

void sim_disk_unfollow(SimDisk *disk, const void *owner)
{
    for (guint i = 0; i < disk->followers->len; i++) {
        if (g_array_index(disk->followers, Follower, i).owner == owner) {
            g_array_remove_index(disk->followers, i);
            return;
        }
    }
}

static void check_limits(SimDisk *disk, const Txn *txn)
{
    gsize bytes = 0;
    for (guint i = 0; i < txn->puts->len; i++) {
        const ClusterPut *one = txn->puts->pdata[i];
        bytes += strlen(one->key) + (one->value != NULL ? g_bytes_get_size(one->value) : 0);
    }
    if (txn->puts->len + txn->absent->len > MAX_OPS || bytes > MAX_BYTES) {
        sim_broken(disk->world, "transaction %" G_GINT64_FORMAT " is larger than a store takes",
                   txn->revision);
    }
    const Txn *last = g_queue_peek_tail(&disk->in_flight);
    int64_t before = last != NULL ? last->revision : disk->revision;
    if (txn->revision != before + 1) {
        sim_broken(disk->world,
                   "transaction %" G_GINT64_FORMAT " follows %" G_GINT64_FORMAT
                   ": revisions rise by one",
                   txn->revision, before);
    }
}

static void on_durable(void *owner, void *data)
{
    SimDisk *disk = owner;
    if (*(uint64_t *)data != disk->mount) {
        return;
    }
    Txn *txn = g_queue_pop_head(&disk->in_flight);
    g_autoptr(GError) error = NULL;
    if (txn->fails) {
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "make room on the disk",
                        "the manager's disk is full");
        disk->mount++;
        g_queue_clear_full(&disk->in_flight, txn_free);
    } else {
        land(disk, txn);
    }
    int64_t revision = txn->revision;
    txn_free(txn);
    disk->durable(disk->owner, revision, error);
}

void sim_disk_commit(SimDisk *disk, const ClusterAction *action)
{
    Txn *txn = g_new0(Txn, 1);
    txn->revision = action->commit.revision;
    txn->puts = g_ptr_array_ref(action->commit.puts);
    txn->absent = g_ptr_array_ref(action->commit.absent);
    txn->fails = disk->fail_next;
    disk->fail_next = false;
    check_limits(disk, txn);
    g_queue_push_tail(&disk->in_flight, txn);
    int64_t now = disk->world->now_ms;
    int64_t done = now + sim_delay(disk->world, disk->typical_ms);
    disk->busy_until_ms = MAX(disk->busy_until_ms, done);
    sim_after(disk->world, disk->busy_until_ms - now, on_durable, disk,
              g_memdup2(&disk->mount, sizeof disk->mount), g_free);
}

void sim_disk_crash(SimDisk *disk)
{
    int64_t landed = sim_between(disk->world, 0, disk->in_flight.length);
    for (int64_t i = 0; i < landed; i++) {
        Txn *txn = g_queue_pop_head(&disk->in_flight);
        if (!txn->fails) {
            land(disk, txn);
            txn_free(txn);
        } else {
            txn_free(txn);
            break;
        }
    }
    g_queue_clear_full(&disk->in_flight, txn_free);
    disk->mount++;
    disk->busy_until_ms = 0;
    disk->fail_next = false;
}

void sim_disk_set_typical(SimDisk *disk, int64_t typical_ms)
{
    disk->typical_ms = typical_ms;
}

void sim_disk_fail_next(SimDisk *disk)
{
    disk->fail_next = true;
}

int64_t sim_disk_revision(const SimDisk *disk)
{
    return disk->revision;
}

GBytes *sim_disk_get(const SimDisk *disk, const char *key)
{
    const Value *value = g_tree_lookup(disk->keys, key);
    return value != NULL ? value->bytes : NULL;
}

void *sim_disk_read(const CodecType *type, GBytes *value)
{
    gsize size = 0;
    const char *text = value != NULL ? g_bytes_get_data(value, &size) : NULL;
    return text != NULL ? codec_decode_text(type, text, size, NULL, CODEC_TOLERANT, NULL) : NULL;
}

bool sim_disk_load(const SimDisk *disk, ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(disk->keys); n != NULL; n = g_tree_node_next(n)) {
        const Value *value = g_tree_node_value(n);
        if (!cluster_core_load(core, g_tree_node_key(n), value->bytes, value->revision, error)) {
            return false;
        }
    }
    cluster_core_loaded(core, disk->revision);
    return true;
}

void sim_disk_each(const SimDisk *disk, const char *prefix,
                   void (*func)(const char *key, GBytes *value, void *data), void *data)
{
    GTreeNode *n = g_tree_lower_bound(disk->keys, prefix);
    for (; n != NULL && g_str_has_prefix(g_tree_node_key(n), prefix); n = g_tree_node_next(n)) {
        func(g_tree_node_key(n), ((Value *)g_tree_node_value(n))->bytes, data);
    }
}
