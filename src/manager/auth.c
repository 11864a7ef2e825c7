#include "manager/auth.h"

#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/words.h"

#define TOKEN_BYTES 24
#define TICKET_MS (10 * 60 * 1000)
#define BEARER "Bearer "
#define ADMIN "admin" /* the subject of the first start's token */

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

void auth_who_clear(AuthWho *who)
{
    g_clear_pointer(&who->subject, g_free);
    g_clear_pointer(&who->tenant, g_free);
}

/* "admin, operator" */
static char *roles_text(unsigned roles)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (int role = ROLE_ADMIN; role <= ROLE_VIEWER; role++) {
        if (roles & 1U << role) {
            g_ptr_array_add(names, (char *)role_to_string((Role)role));
        }
    }
    return berth_words_choice(names);
}

static bool check_role(const AuthWho *who, const ApiRoute *route, GError **error)
{
    unsigned needed = 1U << who->role;
    if (who->role == ROLE_VIEWER && who->tenant != NULL) {
        needed |= 1U << ROLE_TENANT;
    }
    if ((route->roles & needed) == needed) {
        return true;
    }
    g_autofree char *roles = roles_text(route->roles);
    g_autofree char *remedy = g_strdup_printf("use a token of role %s", roles);
    return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "Authorization", NULL, remedy,
                           "a token of role %s%s may not do this (%s)", role_to_string(who->role),
                           who->role == ROLE_VIEWER && who->tenant ? ", bound to a tenant," : "",
                           route->name);
}

static bool check_token(const ClusterCore *core, const char *text, const ApiRoute *route,
                        AuthWho *ret_who, GError **error)
{
    const Token *token = NULL;
    if (!cluster_core_check_token(core, text, g_get_real_time() / 1000, &token, error)) {
        return false;
    }
    AuthWho who = {g_strdup(token->id), token->role, g_strdup(token->tenant)};
    if (!check_role(&who, route, error)) {
        auth_who_clear(&who);
        return false;
    }
    *ret_who = who;
    return true;
}

bool auth_check(Auth *auth, const ClusterCore *core, const char *header, const ApiRoute *route,
                const char *blob, AuthWho *ret_who, GError **error)
{
    if (header == NULL || !g_str_has_prefix(header, BEARER)) {
        return berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "Authorization", NULL,
                               "send the header 'Authorization: Bearer TOKEN'",
                               "this takes a token");
    }
    const char *token = header + strlen(BEARER);
    if (is_admin(auth, token)) {
        *ret_who = (AuthWho){g_strdup(ADMIN), ROLE_ADMIN, NULL};
        return true;
    }
    if (g_hash_table_contains(auth->tickets, token)) {
        if (!(route->roles & API_ROLE_TICKET) || !ticket_is_good(auth, token, blob)) {
            return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "Authorization", NULL,
                                   "ask for a new ticket",
                                   "this ticket is for something else, or too old");
        }
        *ret_who = (AuthWho){g_strdup("ticket"), ROLE_UNSET, NULL};
        return true;
    }
    return check_token(core, token, route, ret_who, error);
}

bool auth_is_good(const ClusterCore *core, const char *subject)
{
    return strcmp(subject, ADMIN) == 0 ||
           cluster_core_has_token(core, subject, g_get_real_time() / 1000);
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
