/*
 * Who may do what. For now: one admin token, in admin.token of the state directory, made at first
 * start; and tickets, each good for one blob for a short time. Tenants and roles take their place
 * here.
 *
 * Threading: the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Auth Auth;

Auth *auth_open(const char *state, GError **error);
void auth_free(Auth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Auth, auth_free)

const char *auth_admin_token(const Auth *auth);

/* Does the header (Authorization, or NULL) give this scope? UNAUTHENTICATED or FORBIDDEN. `blob` is
 * what is asked for when the scope is that of a ticket, else NULL. */
bool auth_check(Auth *auth, const char *header, const char *scope, const char *blob,
                GError **error);

/* A ticket to read one blob. */
char *auth_new_ticket(Auth *auth, const char *blob, int64_t now_ms);

/* Random, in hex: 2 × `bytes` characters. */
char *auth_random_hex(size_t bytes);
