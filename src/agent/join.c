#include "agent/join.h"

#include <libsoup/soup.h>
#include <string.h>

#include "agent/paths.h"
#include "base/codec.h"
#include "base/error.h"
#include "rpc/ca.h"
#include "schema/objects.h"

typedef struct {
    const char *hash; /* of the CA's certificate, that the token carries */
    char *wrong;      /* the one that the manager has, if it is another */
} Trust;

static char *hash_of(GTlsCertificate *certificate)
{
    g_autoptr(GByteArray) der = NULL;
    g_object_get(certificate, "certificate", &der, NULL);
    return der != NULL ? g_compute_checksum_for_data(G_CHECKSUM_SHA256, der->data, der->len) : NULL;
}

/* The chain must end in the CA that the token names, and that CA must have signed the server. */
static gboolean on_certificate(SoupMessage *message, GTlsCertificate *certificate,
                               GTlsCertificateFlags flags, gpointer data)
{
    Trust *trust = data;
    GTlsCertificate *top = certificate;
    while (g_tls_certificate_get_issuer(top) != NULL) {
        top = g_tls_certificate_get_issuer(top);
    }
    g_autofree char *hash = hash_of(top);
    if (g_strcmp0(hash, trust->hash) != 0) {
        trust->wrong = g_steal_pointer(&hash);
        return FALSE;
    }
    GUri *uri = soup_message_get_uri(message);
    g_autoptr(GSocketConnectable) identity =
        g_network_address_new(g_uri_get_host(uri), (guint16)MAX(g_uri_get_port(uri), 0));
    return g_tls_certificate_verify(certificate, identity, top) == 0;
}

static bool split_token(const char *token, char **ret_secret, char **ret_hash, GError **error)
{
    const char *dot = strrchr(token, '.');
    if (dot == NULL || strlen(dot + 1) != 64 || memchr(token, '.', (size_t)(dot - token)) == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "token", NULL,
                               "copy the whole token that 'berth host token create' has shown",
                               "this is not a join token");
    }
    *ret_secret = g_strndup(token, (size_t)(dot - token));
    *ret_hash = g_strdup(dot + 1);
    return true;
}

static GError *error_of_answer(const char *text, gsize size, unsigned status)
{
    GError *error = NULL;
    json_t *json = codec_parse(text, size, NULL, NULL);
    g_autoptr(ErrorAnswer) answer =
        json != NULL ? error_answer_decode(json, CODEC_TOLERANT, NULL) : NULL;
    json_decref(json);
    BerthErrorCode code = BERTH_ERROR_UNAVAILABLE;
    if (answer == NULL) {
        berth_error_set(&error, code, NULL, NULL, NULL, "the manager answers %u", status);
        return error;
    }
    berth_error_code_from_name(answer->error->code, &code);
    berth_error_set(&error, code, answer->error->field, answer->error->value, answer->error->remedy,
                    "%s", answer->error->message);
    return error;
}

static JoinAnswer *ask(const char *url, const JoinRequest *request, Trust *trust, GError **error)
{
    g_autofree char *address = g_strconcat(url, "/v1/join", NULL);
    g_autoptr(SoupMessage) message = soup_message_new("POST", address);
    if (message == NULL) {
        berth_error_set(error, BERTH_ERROR_INVALID, "manager", url,
                        "write it as https://manager.example:7443", "this is no URL");
        return NULL;
    }
    json_t *json = join_request_encode(request);
    g_autofree char *text = codec_dump(json);
    json_decref(json);
    g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
    soup_message_set_request_body_from_bytes(message, "application/json", body);
    g_signal_connect(message, "accept-certificate", G_CALLBACK(on_certificate), trust);
    g_autoptr(SoupSession) session = soup_session_new_with_options("timeout", 30, NULL);
    g_autoptr(GError) failed = NULL;
    g_autoptr(GBytes) answer = soup_session_send_and_read(session, message, NULL, &failed);
    if (trust->wrong != NULL) {
        berth_error_set(error, BERTH_ERROR_FORBIDDEN, "token", NULL,
                        "take a token of this very cluster, and be sure of the manager's address",
                        "the manager at %s has another CA (%.16s…) than the token says (%.16s…)",
                        url, trust->wrong, trust->hash);
        return NULL;
    }
    if (answer == NULL) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "manager", url,
                        "see that the manager runs and that its port is open", "%s",
                        failed->message);
        return NULL;
    }
    gsize size = 0;
    const char *said = g_bytes_get_data(answer, &size);
    unsigned status = soup_message_get_status(message);
    if (status != 201) {
        g_propagate_error(error, error_of_answer(said, size, status));
        return NULL;
    }
    json_t *result = codec_parse(said, size, NULL, error);
    JoinAnswer *joined = result != NULL ? join_answer_decode(result, CODEC_TOLERANT, error) : NULL;
    json_decref(result);
    return joined;
}

static bool save(const char *state, const JoinAnswer *answer, const RpcIdentity *request,
                 const AgentConfig *config, GError **error)
{
    g_autofree char *ca = g_build_filename(state, "ca.pem", NULL);
    g_autofree char *certificate = g_build_filename(state, "host.pem", NULL);
    g_autofree char *key = g_build_filename(state, "host-key.pem", NULL);
    g_autofree char *path = g_build_filename(state, "agent.json", NULL);
    RpcIdentity identity = {.certificate = answer->certificate, .key = request->key};
    json_t *json = agent_config_encode(config);
    bool saved =
        rpc_identity_save(&identity, certificate, key, error) &&
        g_file_set_contents_full(ca, answer->ca, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, error) &&
        json_file_write(path, json, error);
    json_decref(json);
    return saved;
}

bool join_cluster(const char *state, const char *manager_url, const char *token,
                  AgentConfig *config, GError **error)
{
    g_autofree char *secret = NULL;
    g_autofree char *hash = NULL;
    g_autoptr(GUri) uri = g_uri_parse(manager_url, G_URI_FLAGS_NONE, NULL);
    if (uri == NULL || g_strcmp0(g_uri_get_scheme(uri), "https") != 0 ||
        g_uri_get_host(uri) == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "manager", manager_url,
                               "write it as https://manager.example:7443",
                               "this is not the URL of a manager");
    }
    if (!split_token(token, &secret, &hash, error) || !directory_make(state, 0700, error)) {
        return false;
    }
    g_autoptr(RpcIdentity) csr = rpc_request_new(config->name, error);
    if (csr == NULL) {
        return false;
    }
    Trust trust = {.hash = hash};
    JoinRequest request = {.token = secret, .name = config->name, .csr = csr->certificate};
    g_autoptr(JoinAnswer) answer = ask(manager_url, &request, &trust, error);
    g_free(trust.wrong);
    if (answer == NULL) {
        return false;
    }
    config->host = g_strdup(answer->host);
    config->manager = g_strdup(g_uri_get_host(uri));
    config->api_port = g_uri_get_port(uri) > 0 ? g_uri_get_port(uri) : 443;
    config->agent_port = answer->agent_port;
    return save(state, answer, csr, config, error);
}
