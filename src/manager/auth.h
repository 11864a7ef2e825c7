/*
 * Who may do what: the token of the first start, in admin.token of the state directory, which is
 * admin's; tokens that the core keeps, with a role and perhaps a tenant; and tickets, each good for
 * one blob for a short time.
 *
 * Which roles an operation takes stands in the schema (x-berth-roles) and so in the route table. A
 * viewer who is bound to a tenant may ask for what both viewers and tenants may. What a role may
 * see of the objects is the core's matter.
 *
 * A token is looked at when a request's headers are here. What streams (events, a console) ends at once
 * when its token is revoked, and within a quarter of a minute when it has expired.
 *
 * Threading: the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "cluster/cluster.h"

typedef struct Auth Auth;

Auth *auth_open(const char *state, GError **error);
void auth_free(Auth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Auth, auth_free)

const char *auth_admin_token(const Auth *auth);

typedef struct {
    char *subject; /* id of the token; "admin", "ticket" */
    Role role;     /* UNSET: a ticket */
    char *tenant;  /* that the token is bound to; NULL: none */
} AuthWho;

void auth_who_clear(AuthWho *who);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AuthWho, auth_who_clear)

/* Who sends this header (Authorization, or NULL), and may it ask for the route? UNAUTHENTICATED or
 * FORBIDDEN. `blob` is what is asked for when a ticket will do, else NULL. */
bool auth_check(Auth *auth, const ClusterCore *core, const char *header, const ApiRoute *route,
                const char *blob, AuthWho *ret_who, GError **error);

/* May what streams to this subject go on? */
bool auth_is_good(const ClusterCore *core, const char *subject);

/* A ticket to read one blob. */
char *auth_new_ticket(Auth *auth, const char *blob, int64_t now_ms);

/* Random, in hex: 2 × `bytes` characters. */
char *auth_random_hex(size_t bytes);
