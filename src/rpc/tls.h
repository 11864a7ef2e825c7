/*
 * Who we are and whom we trust: a certificate with its key, and the CA that must have signed every
 * peer's. TLS 1.3 only; both sides show a certificate, the server's for servers, the client's for
 * clients (extended key usage). The channel does the rest, without blocking.
 *
 * Who comes back need not prove itself anew: a server with a ticket secret gives its clients tickets,
 * and an RpcClient shows the last one it got. A resumed session costs about a third of a handshake;
 * its peer is the one whose certificate was shown when the ticket was given, which must still be
 * valid. Traffic keys are fresh all the same (X25519), and without the ticket's key, which GnuTLS
 * derives from the secret and the time and changes every three weeks, nobody reads a ticket.
 *
 * Threading: immutable once made, reference counted; any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct RpcTls RpcTls;

/* From PEM texts. The certificate may be followed by intermediate ones. */
RpcTls *rpc_tls_new(const char *ca_pem, const char *certificate_pem, const char *key_pem,
                    GError **error);

/* From PEM files; errors name the file. */
RpcTls *rpc_tls_new_from_files(const char *ca_path, const char *certificate_path,
                               const char *key_path, GError **error);

#define RPC_TICKET_DAYS 7 /* TLS allows no more */

/* A new one, to be kept like a private key: whoever has it can pass for any client. It must be the
 * same after a restart, or all clients make full handshakes. */
GBytes *rpc_ticket_secret_new(void);

/* Before the first session. INVALID if this is no such secret. */
bool rpc_tls_give_tickets(RpcTls *tls, GBytes *secret, GError **error);

RpcTls *rpc_tls_ref(RpcTls *tls);
void rpc_tls_unref(RpcTls *tls); /* takes NULL */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcTls, rpc_tls_unref)
