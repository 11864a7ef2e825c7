/*
 * Who we are and whom we trust: a certificate with its key, and the CA that must have signed every
 * peer's. TLS 1.3 only; both sides show a certificate, the server's for servers, the client's for
 * clients (extended key usage). The channel does the rest, without blocking.
 *
 * Threading: immutable once made, reference counted; any thread.
 */
#pragma once

#include <glib.h>

typedef struct RpcTls RpcTls;

/* From PEM texts. The certificate may be followed by intermediate ones. */
RpcTls *rpc_tls_new(const char *ca_pem, const char *certificate_pem, const char *key_pem,
                    GError **error);

/* From PEM files; errors name the file. */
RpcTls *rpc_tls_new_from_files(const char *ca_path, const char *certificate_path,
                               const char *key_path, GError **error);

RpcTls *rpc_tls_ref(RpcTls *tls);
void rpc_tls_unref(RpcTls *tls); /* takes NULL */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcTls, rpc_tls_unref)
