/*
 * Where VMs are, as the manager's store has it.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct {
    char *vm;         /* its id */
    char *name;       /* its own */
    const char *host; /* the name of the host where it is placed; NULL: nowhere */
} Whereabouts;

/* Of the VM of this name, or of every VM of the app of this name, in the order of their ids: of
 * Whereabouts. A name is that of an object of any tenant, or TENANT/NAME. Empty: there is none. */
GPtrArray *whereabouts_of(const Sim *sim, const char *name);

/* The id of the object (kind "vm" or "app") of this name; g_free it. NULL: there is none. */
char *whereabouts_id(const Sim *sim, const char *kind, const char *name);
