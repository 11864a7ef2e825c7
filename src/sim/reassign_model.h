/*
 * The text formats of the Google/ROADEF challenge 2012: a model of machines, services and processes,
 * and an assignment. Both are whole numbers between white space; the order is the challenge's:
 *
 *     resources   n, then each: transient (0 or 1), weight
 *     machines    n, then each: neighbourhood, location, capacities, safety capacities,
 *                 the cost of a move to each machine
 *     services    n, then each: spread minimum, n, then the services it needs
 *     processes   n, then each: service, requirements, cost of a move
 *     balances    n, then each: resource, other resource, target, weight
 *     weights     of moves of processes, of services, between machines
 *
 * What does not add up is refused with file, line, column, number in the file and field; no count makes the
 * parser allocate more than a small multiple of the text.
 *
 * Ownership: what is returned is the caller's. Thread safety: pure functions, any thread.
 */
#pragma once

#include <glib.h>

#include "place/reassign.h"

typedef struct {
    BerthReassignModel model; /* its arrays are `owned` */
    GPtrArray *owned;
} ReassignModel;

/* `name` is how errors call the text. */
ReassignModel *reassign_model_parse(const char *name, const char *text, size_t size,
                                    GError **error);
void reassign_model_free(ReassignModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReassignModel, reassign_model_free)

/* A machine for each process of `model`; g_free. */
uint32_t *reassign_assignment_parse(const ReassignModel *model, const char *name, const char *text,
                                    size_t size, GError **error);

/* The text of an assignment of n processes; g_free. */
char *reassign_assignment_dump(const uint32_t *assignment, uint32_t n);
