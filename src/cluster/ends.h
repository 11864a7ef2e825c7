/*
 * VMs that end by themselves. Private to src/cluster.
 *
 *     created ──────────────── ends-ms ────────────── + grace
 *                              event vm.ending        at-end: stop: powered off, keeps its disk (parked)
 *                                                             delete: removed, its app with it
 *                                                             warn: nothing
 *
 * A parked VM that is started again ends no more, if there is room for it.
 */
#pragma once

#include "cluster/model.h"

/* The span of a VM that ends. False: none, or one that nothing puts an end to. */
bool ends_by_itself(const ClusterCore *core, const VmSpec *spec);
/* When its room is given back. */
int64_t ends_release_ms(const VmSpec *spec);
/* Dimensions that outlast it, by bit. */
uint32_t ends_lasting(AtEnd at_end);

/* Queues what is next due of it, or takes it out of the queue. */
void ends_queue(ClusterCore *core, ClusterVm *vm);
void ends_unqueue(ClusterVm *vm);

/* Warns and ends what is due. */
void ends_tick(ClusterCore *core);
int64_t ends_next_deadline(const ClusterCore *core);

/* Gives a parked VM its room again. NO_CAPACITY. */
bool ends_unpark(ClusterCore *core, ClusterVm *vm, GError **error);

/* What a request says of the end: `reservation` may be NULL. Outputs go into a spec. */
typedef struct {
    const char *reservation;
    bool has_duration, has_grace;
    int64_t duration_s, grace_s;
    AtEnd at_end;
} EndAsked;

typedef struct {
    char *reservation; /* id; the caller's */
    int64_t ends_ms, grace_s;
    AtEnd at_end;
} EndOfSpec;

bool ends_resolve(ClusterCore *core, const char *tenant, const EndAsked *asked, EndOfSpec *ret_end,
                  GError **error);

/* RFC 3339, or "+2h" from now; INVALID when it is past. */
bool ends_read_time(const ClusterCore *core, const char *field, const char *text, int64_t *ret_ms,
                    GError **error);
/* INVALID when a deadline, written as `text`, lies before `least`. */
bool ends_check_deadline(const char *text, int64_t deadline, int64_t least, GError **error);
/* The deadline of what would end at `ends_ms` if it began now; 0 when `text` is NULL. */
bool ends_read_deadline(const ClusterCore *core, const char *text, int64_t ends_ms,
                        const char *reservation, int64_t *ret_ms, GError **error);
/* NO_CAPACITY: it cannot be met; `earliest` is the earliest start there is. */
void ends_refuse_deadline(const char *text, int64_t earliest, int64_t duration, GError **error);
