#include "manager/auth.h"

#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

#define TOKEN_BYTES 24
#define TICKET_MS (10 * 60 * 1000)
#define BEARER "Bearer "
#define SCOPE_BLOB "blob"

struct Auth {
    char *admin;
    GHashTable *tickets; /* token → Ticket */
};

typedef struct {
    char *blob;
    int64_t until_ms;
} Ticket;

static void ticket_free(gpointer data)
{
    Ticket *ticket = data;
    g_free(ticket->blob);
    g_free(ticket);
}

char *auth_random_hex(size_t bytes)
{
    g_autofree unsigned char *random = g_malloc(bytes);
    while (getrandom(random, bytes, 0) != (ssize_t)bytes) {
    }
    GString *hex = g_string_new(NULL);
    for (size_t i = 0; i < bytes; i++) {
        g_string_append_printf(hex, "%02x", random[i]);
    }
    return g_string_free(hex, FALSE);
}

Auth *auth_open(const char *state, GError **error)
{
    g_autofree char *path = g_build_filename(state, "admin.token", NULL);
    g_autoptr(Auth) auth = g_new0(Auth, 1);
    auth->tickets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, ticket_free);
    if (g_file_get_contents(path, &auth->admin, NULL, NULL)) {
        g_strchomp(auth->admin);
    } else {
        auth->admin = auth_random_hex(TOKEN_BYTES);
        if (!g_file_set_contents_full(path, auth->admin, -1, G_FILE_SET_CONTENTS_DURABLE, 0600,
                                      error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&auth);
}

void auth_free(Auth *auth)
{
    if (auth != NULL) {
        g_hash_table_unref(auth->tickets);
        g_free(auth->admin);
        g_free(auth);
    }
}

const char *auth_admin_token(const Auth *auth)
{
    return auth->admin;
}

static bool ticket_is_good(Auth *auth, const char *token, const char *blob)
{
    const Ticket *ticket = g_hash_table_lookup(auth->tickets, token);
    return ticket != NULL && blob != NULL && strcmp(ticket->blob, blob) == 0 &&
           ticket->until_ms > g_get_real_time() / 1000;
}

/* In constant time, so that the time it takes says nothing of the token but its length, which all
 * may know. */
static bool is_admin(const Auth *auth, const char *token)
{
    size_t length = strlen(auth->admin);
    return strlen(token) == length && gnutls_memcmp(token, auth->admin, length) == 0;
}

bool auth_check(Auth *auth, const char *header, const char *scope, const char *blob, GError **error)
{
    if (header == NULL || !g_str_has_prefix(header, BEARER)) {
        return berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "Authorization", NULL,
                               "send the header 'Authorization: Bearer TOKEN'",
                               "this takes a token");
    }
    const char *token = header + strlen(BEARER);
    if (is_admin(auth, token)) {
        return true;
    }
    if (g_hash_table_contains(auth->tickets, token)) {
        return (strcmp(scope, SCOPE_BLOB) == 0 && ticket_is_good(auth, token, blob)) ||
               berth_error_set(error, BERTH_ERROR_FORBIDDEN, "Authorization", NULL,
                               "ask for a new ticket",
                               "this ticket is for something else, or too old");
    }
    return berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "Authorization", NULL,
                           "take the token from admin.token in the manager's state directory",
                           "this token is not known here");
}

static gboolean is_old(gpointer key, gpointer value, gpointer data)
{
    return ((const Ticket *)value)->until_ms < *(const int64_t *)data;
}

char *auth_new_ticket(Auth *auth, const char *blob, int64_t now_ms)
{
    g_hash_table_foreach_remove(auth->tickets, is_old, &now_ms);
    Ticket *ticket = g_new(Ticket, 1);
    *ticket = (Ticket){g_strdup(blob), now_ms + TICKET_MS};
    char *token = auth_random_hex(TOKEN_BYTES);
    g_hash_table_replace(auth->tickets, g_strdup(token), ticket);
    return token;
}
