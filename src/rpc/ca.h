/*
 * The cluster's own certificate authority: ECDSA on P-256, X.509, PEM.
 *
 * A CA is made once and signs certificates of two kinds, which the extended key usage keeps apart:
 * a server's, for the names and addresses that clients dial, and a client's, whose common name is
 * the id of the host that shows it. Every certificate is valid from one hour back, so that a clock
 * that is a little behind does not refuse it.
 *
 * A host that joins makes its key itself, sends a signing request (rpc_request_new) and gets the
 * certificate back (rpc_ca_sign_client): its key never travels.
 *
 * `now` is the wall clock in seconds since 1970. Keys are wiped when a struct is freed.
 *
 * Threading: any thread; an RpcCa is immutable.
 */
#pragma once

#include <glib.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>

#define RPC_CA_DAYS 3650

/* A certificate and its key, as PEM. */
typedef struct {
    char *certificate;
    char *key;
} RpcIdentity;

void rpc_identity_free(RpcIdentity *identity); /* takes NULL */

/* Writes both, each whole or not at all; the key for its owner only (0600), the certificate 0644.
 */
bool rpc_identity_save(const RpcIdentity *identity, const char *certificate_path,
                       const char *key_path, GError **error);
RpcIdentity *rpc_identity_load(const char *certificate_path, const char *key_path, GError **error);

typedef struct RpcCa RpcCa;

/* A new CA, self-signed for RPC_CA_DAYS, with `name` as its common name. */
RpcIdentity *rpc_ca_make(const char *name, int64_t now, GError **error);

/* To sign with; BERTH_ERROR_INVALID if the identity is not a CA's. */
RpcCa *rpc_ca_new(const RpcIdentity *identity, GError **error);
void rpc_ca_free(RpcCa *ca); /* takes NULL */

/* New key and certificate. `names` of a server: DNS names and textual IP addresses, at least one;
 * the first becomes the common name too. `id`: 1 to 64 bytes. */
RpcIdentity *rpc_ca_issue_server(RpcCa *ca, const char *const *names, int64_t now, int days,
                                 GError **error);
RpcIdentity *rpc_ca_issue_client(RpcCa *ca, const char *id, int64_t now, int days, GError **error);

/* A key with a request to sign it, in `certificate` a PEM "CERTIFICATE REQUEST". */
RpcIdentity *rpc_request_new(const char *id, GError **error);

/* The client's certificate (PEM) for a request. The name is `id`, whatever the request says; its
 * signature must be good. */
char *rpc_ca_sign_client(RpcCa *ca, const char *request_pem, const char *id, int64_t now, int days,
                         GError **error);

/* What a certificate says. */
typedef struct {
    char *name;        /* subject CN; NULL: none */
    char *fingerprint; /* SHA-256 of the DER form, 64 hex digits */
    int64_t valid_from, valid_until;
} RpcCertificateInfo;

RpcCertificateInfo *rpc_certificate_read(const char *pem, GError **error);
void rpc_certificate_info_free(RpcCertificateInfo *info); /* takes NULL */

/* The same of a certificate in DER form, as TLS carries it; NULL if it is none or has no name. */
char *rpc_certificate_name(const gnutls_datum_t *der);
char *rpc_certificate_fingerprint(const gnutls_datum_t *der);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcIdentity, rpc_identity_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcCa, rpc_ca_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcCertificateInfo, rpc_certificate_info_free)
