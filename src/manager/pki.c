#include "manager/pki.h"

#include <unistd.h>

#include "rpc/ca.h"

#define SERVER_DAYS 3650
#define HOST_DAYS 3650

struct Pki {
    RpcIdentity *identity;
    RpcCa *ca;
    char *hash;
    RpcTls *tls;
    ClientTls *https;
};

static int64_t now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static RpcIdentity *load_or_make_ca(const char *state, GError **error)
{
    g_autofree char *certificate = g_build_filename(state, "ca.pem", NULL);
    g_autofree char *key = g_build_filename(state, "ca-key.pem", NULL);
    if (access(certificate, F_OK) == 0) {
        return rpc_identity_load(certificate, key, error);
    }
    g_autoptr(RpcIdentity) made = rpc_ca_make("Berth cluster CA", now_s(), error);
    if (made == NULL || !rpc_identity_save(made, certificate, key, error)) {
        return NULL;
    }
    return g_steal_pointer(&made);
}

/* Kept, so that agents come back by their tickets after a restart. One that cannot be read, or is
 * none, costs them a full handshake. */
static bool give_tickets(RpcTls *tls, const char *state, GError **error)
{
    g_autofree char *path = g_build_filename(state, "ticket.key", NULL);
    g_autofree char *data = NULL;
    gsize size = 0;
    if (g_file_get_contents(path, &data, &size, NULL)) {
        g_autoptr(GBytes) kept = g_bytes_new(data, size);
        if (rpc_tls_give_tickets(tls, kept, NULL)) {
            return true;
        }
    }
    g_autoptr(GBytes) secret = rpc_ticket_secret_new();
    return g_file_set_contents_full(path, g_bytes_get_data(secret, NULL),
                                    (gssize)g_bytes_get_size(secret),
                                    G_FILE_SET_CONTENTS_CONSISTENT, 0600, error) &&
           rpc_tls_give_tickets(tls, secret, error);
}

static bool make_server(Pki *pki, const char *state, const char *const *names, GError **error)
{
    g_autoptr(RpcIdentity) server =
        rpc_ca_issue_server(pki->ca, names, now_s(), SERVER_DAYS, error);
    if (server == NULL) {
        return false;
    }
    const char *ca = pki->identity->certificate;
    g_autofree char *chain = g_strconcat(server->certificate, ca, NULL);
    pki->tls = rpc_tls_new(ca, server->certificate, server->key, error);
    if (pki->tls == NULL || !give_tickets(pki->tls, state, error)) {
        return false;
    }
    pki->https = client_tls_new(chain, server->key, error);
    return pki->https != NULL;
}

Pki *pki_open(const char *state, const char *const *names, GError **error)
{
    g_autoptr(Pki) pki = g_new0(Pki, 1);
    pki->identity = load_or_make_ca(state, error);
    pki->ca = pki->identity != NULL ? rpc_ca_new(pki->identity, error) : NULL;
    g_autoptr(RpcCertificateInfo) info =
        pki->ca != NULL ? rpc_certificate_read(pki->identity->certificate, error) : NULL;
    if (info == NULL || !make_server(pki, state, names, error)) {
        return NULL;
    }
    pki->hash = g_strdup(info->fingerprint);
    return g_steal_pointer(&pki);
}

void pki_free(Pki *pki)
{
    if (pki != NULL) {
        client_tls_free(pki->https);
        rpc_tls_unref(pki->tls);
        rpc_ca_free(pki->ca);
        rpc_identity_free(pki->identity);
        g_free(pki->hash);
        g_free(pki);
    }
}

const char *pki_ca_pem(const Pki *pki)
{
    return pki->identity->certificate;
}

const char *pki_ca_hash(const Pki *pki)
{
    return pki->hash;
}

RpcTls *pki_agent_tls(Pki *pki)
{
    return pki->tls;
}

ClientTls *pki_https(Pki *pki)
{
    return pki->https;
}

char *pki_sign_host(Pki *pki, const char *request_pem, const char *host, GError **error)
{
    return rpc_ca_sign_client(pki->ca, request_pem, host, now_s(), HOST_DAYS, error);
}
