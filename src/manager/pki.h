/*
 * The manager's own certificate authority, in its state directory: ca.pem and ca-key.pem, made at
 * first start. The server's certificate is made anew at each start, for the names it is reached by.
 * ticket.key is what the agents' TLS tickets are made with.
 *
 * Threading: the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "manager/client_stream.h"
#include "rpc/tls.h"

typedef struct Pki Pki;

/* `names`: DNS names and addresses, NULL at the end. */
Pki *pki_open(const char *state, const char *const *names, GError **error);
void pki_free(Pki *pki);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pki, pki_free)

const char *pki_ca_pem(const Pki *pki);
const char *pki_ca_hash(const Pki *pki); /* SHA-256 of the CA's certificate, hex */
RpcTls *pki_agent_tls(Pki *pki);         /* borrowed */
ClientTls *pki_https(Pki *pki);          /* borrowed; the chain ends in the CA */

/* A host's certificate for its request, PEM. INVALID for a request that is none. */
char *pki_sign_host(Pki *pki, const char *request_pem, const char *host, GError **error);
