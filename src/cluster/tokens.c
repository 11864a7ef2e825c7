#include "cluster/tokens.h"

#include <string.h>

#include "base/error.h"
#include "cluster/commands.h"
#include "cluster/txn.h"

bool token_hash_equal(const char *a, const char *b)
{
    int differences = strlen(a) != strlen(b);
    for (size_t i = 0; a[i] != '\0' && b[i] != '\0'; i++) {
        differences |= a[i] ^ b[i];
    }
    return differences == 0;
}

/* As the API shows it: never the hash. */
static json_t *render_token(const Token *token)
{
    json_t *json = token_encode(token);
    json_object_del(json, "hash");
    return json;
}

static bool has_expired(const Token *token, int64_t now_ms)
{
    return token->expires_ms != 0 && token->expires_ms <= now_ms;
}

static json_t *encode_token(ClusterCore *core, const void *object, const void *filter)
{
    return render_token(object);
}

bool list_tokens(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListTokensQuery *query = request->query;
    reply_list(core, request->id, core->tokens, query->limit, query->after, encode_token, NULL);
    return true;
}

static bool check_role(ClusterCore *core, const TokenCreate *body, GError **error)
{
    if (body->role == ROLE_TENANT && body->tenant == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "tenant", NULL,
                               "name the tenant, as with --tenant",
                               "a token of role tenant belongs to one");
    }
    if ((body->role == ROLE_ADMIN || body->role == ROLE_OPERATOR) && body->tenant != NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "tenant", body->tenant,
                               "leave it out, or take role tenant or viewer",
                               "role %s is for the whole cluster", role_to_string(body->role));
    }
    return body->tenant == NULL || find_tenant(core, body->tenant, error) != NULL;
}

static char *key_token(const char *id)
{
    return g_strconcat("token/", id, NULL);
}

bool create_token(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const TokenCreate *body = request->body;
    if (!check_role(core, body, error)) {
        return false;
    }
    Token *token = token_new();
    token->id = model_new_id(core);
    token->role = body->role;
    token->tenant = g_strdup(body->tenant);
    token->created_ms = core->now_ms;
    token->expires_ms = body->has_valid_seconds ? core->now_ms + body->valid_seconds * 1000 : 0;
    token->description = g_strdup(body->description);
    token->hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, request->secret, -1);
    g_tree_insert(core->tokens, token->id, token);
    txn_put(core, key_token(token->id), &token_type, token);
    json_t *json = render_token(token);
    g_autofree char *whole = g_strconcat(token->id, ".", request->secret, NULL);
    json_object_set_new(json, "token", json_string(whole));
    reply_json(core, request->id, 201, json, -1);
    return true;
}

static void revoke_token(ClusterCore *core, const Token *token)
{
    txn_delete(core, key_token(token->id));
    g_tree_remove(core->tokens, token->id);
    core->revocations++;
}

bool delete_token(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const Token *token = g_tree_lookup(core->tokens, request->params[0]);
    if (token == NULL) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "token", request->params[0],
                               "give an id of 'berth token list'", "there is no such token");
    }
    revoke_token(core, token);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}

void tokens_remove_of(ClusterCore *core, const char *tenant)
{
    for (GTreeNode *n = g_tree_node_first(core->tokens); n != NULL;) {
        const Token *token = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (g_strcmp0(token->tenant, tenant) == 0) {
            revoke_token(core, token);
            txn_seal_if_large(core);
        }
    }
}

bool cluster_core_check_token(const ClusterCore *core, const char *text, int64_t now_ms,
                              const Token **ret_token, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", 3);
    const Token *token = parts[0] != NULL ? g_tree_lookup(core->tokens, parts[0]) : NULL;
    bool whole = token != NULL && parts[1] != NULL && parts[2] == NULL;
    g_autofree char *hash =
        g_compute_checksum_for_string(G_CHECKSUM_SHA256, whole ? parts[1] : "", -1);
    if (!whole || !token_hash_equal(token->hash, hash)) {
        return berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "Authorization", NULL,
                               "ask for one made with 'berth token create', or take that of the "
                               "file admin.token in the manager's state directory",
                               "this token is unknown or revoked");
    }
    if (has_expired(token, now_ms)) {
        return berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "Authorization", NULL,
                               "ask for a new one", "this token has expired");
    }
    *ret_token = token;
    return true;
}

bool cluster_core_has_token(const ClusterCore *core, const char *id, int64_t now_ms)
{
    const Token *token = g_tree_lookup(core->tokens, id);
    return token != NULL && !has_expired(token, now_ms);
}

uint64_t cluster_core_revocations(const ClusterCore *core)
{
    return core->revocations;
}
