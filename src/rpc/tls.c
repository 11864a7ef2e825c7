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
    gnutls_datum_t ticket_secret; /* NULL: no tickets */
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

GBytes *rpc_ticket_secret_new(void)
{
    gnutls_datum_t key = {NULL, 0};
    if (gnutls_session_ticket_key_generate(&key) < 0) {
        g_error("no random bytes for a secret");
    }
    return g_bytes_new_with_free_func(key.data, key.size, gnutls_free, key.data);
}

bool rpc_tls_give_tickets(RpcTls *tls, GBytes *secret, GError **error)
{
    g_autoptr(GBytes) sample = rpc_ticket_secret_new();
    gsize size = 0;
    const void *data = g_bytes_get_data(secret, &size);
    if (size != g_bytes_get_size(sample)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "secret", NULL, "make a new one",
                               "a secret for tickets has %zu bytes, not %zu",
                               g_bytes_get_size(sample), size);
    }
    tls->ticket_secret = (gnutls_datum_t){g_memdup2(data, size), (unsigned)size};
    return true;
}

RpcTicket *rpc_ticket_new(void)
{
    RpcTicket *ticket = g_new0(RpcTicket, 1);
    g_ref_count_init(&ticket->references);
    return ticket;
}

RpcTicket *rpc_ticket_ref(RpcTicket *ticket)
{
    g_ref_count_inc(&ticket->references);
    return ticket;
}

static void wipe(gnutls_datum_t *datum)
{
    if (datum->data != NULL) {
        gnutls_memset(datum->data, 0, datum->size);
        gnutls_free(datum->data);
        datum->data = NULL;
        datum->size = 0;
    }
}

void rpc_ticket_unref(RpcTicket *ticket)
{
    if (ticket != NULL && g_ref_count_dec(&ticket->references)) {
        wipe(&ticket->data);
        g_free(ticket);
    }
}

void rpc_ticket_keep(RpcTicket *ticket, gnutls_session_t session)
{
    gnutls_datum_t data = {NULL, 0};
    if (gnutls_session_get_data2(session, &data) >= 0) {
        wipe(&ticket->data);
        ticket->data = data;
    }
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
        if (tls->ticket_secret.data != NULL) {
            gnutls_memset(tls->ticket_secret.data, 0, tls->ticket_secret.size);
            g_free(tls->ticket_secret.data);
        }
        g_free(tls);
    }
}

gnutls_session_t rpc_tls_session(RpcTls *tls, bool server, GError **error)
{
    gnutls_session_t session = NULL;
    bool tickets = !server || tls->ticket_secret.data != NULL;
    unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                     (tickets ? 0 : GNUTLS_NO_TICKETS);
    int rc = gnutls_init(&session, flags);
    if (rc >= 0) {
        rc = gnutls_priority_set(session, tls->priority);
    }
    if (rc >= 0) {
        rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    }
    if (rc >= 0 && server && tickets) {
        gnutls_db_set_cache_expiration(session, RPC_TICKET_DAYS * 86400);
        rc = gnutls_session_ticket_enable_server(session, &tls->ticket_secret);
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
