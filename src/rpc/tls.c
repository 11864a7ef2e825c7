#include "rpc/tls_private.h"

#include "base/error.h"

/* AES-128 first: with the processor's help it is the cheapest. */
#define PRIORITY                                                                                   \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"      \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"

struct RpcTls {
    gatomicrefcount references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned)strlen(text)};
}

static bool load(RpcTls *tls, const char *ca_pem, const char *certificate_pem, const char *key_pem,
                 GError **error)
{
    gnutls_datum_t ca = datum(ca_pem), certificate = datum(certificate_pem), key = datum(key_pem);
    int n = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (n <= 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "ca", NULL,
                               "give the CA's certificate in PEM", "no CA certificate: %s",
                               n < 0 ? gnutls_strerror(n) : "the text holds none");
    }
    int rc = gnutls_certificate_set_x509_key_mem2(tls->credentials, &certificate, &key,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "certificate", NULL,
                               "give a certificate and the private key that it was issued for, "
                               "both in PEM",
                               "cannot use the certificate with its key: %s", gnutls_strerror(rc));
    }
    return true;
}

RpcTls *rpc_tls_new(const char *ca_pem, const char *certificate_pem, const char *key_pem,
                    GError **error)
{
    g_autoptr(RpcTls) tls = g_new0(RpcTls, 1);
    g_atomic_ref_count_init(&tls->references);
    int rc = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (rc >= 0) {
        rc = gnutls_priority_init(&tls->priority, PRIORITY, NULL);
    }
    if (rc < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "cannot set up TLS: %s",
                        gnutls_strerror(rc));
        return NULL;
    }
    return load(tls, ca_pem, certificate_pem, key_pem, error) ? g_steal_pointer(&tls) : NULL;
}

RpcTls *rpc_tls_new_from_files(const char *ca_path, const char *certificate_path,
                               const char *key_path, GError **error)
{
    g_autofree char *ca = NULL, *certificate = NULL, *key = NULL;
    if (!g_file_get_contents(ca_path, &ca, NULL, error) ||
        !g_file_get_contents(certificate_path, &certificate, NULL, error) ||
        !g_file_get_contents(key_path, &key, NULL, error)) {
        return NULL;
    }
    RpcTls *tls = rpc_tls_new(ca, certificate, key, error);
    gnutls_memset(key, 0, strlen(key));
    if (tls == NULL) {
        g_prefix_error(error, "%s, %s, %s: ", ca_path, certificate_path, key_path);
    }
    return tls;
}

RpcTls *rpc_tls_ref(RpcTls *tls)
{
    g_atomic_ref_count_inc(&tls->references);
    return tls;
}

void rpc_tls_unref(RpcTls *tls)
{
    if (tls != NULL && g_atomic_ref_count_dec(&tls->references)) {
        if (tls->credentials != NULL) {
            gnutls_certificate_free_credentials(tls->credentials);
        }
        if (tls->priority != NULL) {
            gnutls_priority_deinit(tls->priority);
        }
        g_free(tls);
    }
}

gnutls_session_t rpc_tls_session(RpcTls *tls, bool server, GError **error)
{
    gnutls_session_t session = NULL;
    unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                     GNUTLS_NO_TICKETS;
    int rc = gnutls_init(&session, flags);
    if (rc >= 0) {
        rc = gnutls_priority_set(session, tls->priority);
    }
    if (rc >= 0) {
        rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    }
    if (rc < 0) {
        g_clear_pointer(&session, gnutls_deinit);
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "cannot set up a TLS session: %s", gnutls_strerror(rc));
        return NULL;
    }
    if (server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        /* Name no CA: a client of another one would then show nothing, and we could not say whose
         * certificate is wrong. */
        gnutls_certificate_send_x509_rdn_sequence(session, 1);
    }
    gnutls_handshake_set_timeout(session, 0); /* the channel has its own deadline */
    return session;
}
