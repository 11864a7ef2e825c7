/*
 * The manager's store as the simulator has it: transactions become durable in order, each after a
 * while, and a crash of the manager loses those that were not.
 *
 * A crash may come between a transaction's being durable and the manager's hearing of it; so of
 * those in flight a random number, in order, is durable after it all the same.
 *
 * Commits are held against what the store promises its users: revisions rise by one, at most 128
 * operations and 1 MiB a transaction, and keys that must be absent are.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "base/codec.h"
#include "cluster/cluster.h"
#include "sim/world.h"

typedef struct SimDisk SimDisk;

/* A transaction is durable, or, with `error`, has failed (and everything after it). */
typedef void (*SimDurable)(void *owner, int64_t revision, const GError *error);

SimDisk *sim_disk_new(SimWorld *world, SimDurable durable, void *owner);
void sim_disk_free(SimDisk *disk);

/* Takes over a COMMIT action's content. */
void sim_disk_commit(SimDisk *disk, const ClusterAction *action);
/* The manager has ended. */
void sim_disk_crash(SimDisk *disk);

/* How long one transaction takes, typically; SIM_DISK_USUAL_MS unless set. */
#define SIM_DISK_USUAL_MS 4
void sim_disk_set_typical(SimDisk *disk, int64_t typical_ms);
/* The next transaction fails. */
void sim_disk_fail_next(SimDisk *disk);

/* Called after each transaction that has become durable, with what it put: ClusterPut. */
typedef void (*SimDiskFollower)(void *owner, const GPtrArray *puts);
void sim_disk_follow(SimDisk *disk, SimDiskFollower func, void *owner);
void sim_disk_unfollow(SimDisk *disk, const void *owner);

/* Of the durable content. */
int64_t sim_disk_revision(const SimDisk *disk);
GBytes *sim_disk_get(const SimDisk *disk, const char *key); /* borrowed; NULL: no such key */
/* A value as the object that it is; NULL: no value, or none of the type. */
void *sim_disk_read(const CodecType *type, GBytes *value);
/* Every key into a new core. */
bool sim_disk_load(const SimDisk *disk, ClusterCore *core, GError **error);
/* Puts one key past all transactions: for tests that set up a state, or take from it what an old
 * backup would lack. NULL deletes. */
void sim_disk_put(SimDisk *disk, const char *key, GBytes *value);
/* Calls for each key that begins with `prefix`, in order. */
void sim_disk_each(const SimDisk *disk, const char *prefix,
                   void (*func)(const char *key, GBytes *value, void *data), void *data);
