/* What the channel's streams take from an RpcTls. */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <string.h>

#include "rpc/tls.h"

/* The last ticket that a server gave us, for the next connection to it. */
typedef struct {
    grefcount references;
    gnutls_datum_t data; /* NULL: none yet */
} RpcTicket;

RpcTicket *rpc_ticket_new(void);
RpcTicket *rpc_ticket_ref(RpcTicket *ticket);
void rpc_ticket_unref(RpcTicket *ticket); /* takes NULL */
void rpc_ticket_keep(RpcTicket *ticket, gnutls_session_t session);

/* A session that shows our certificate and, as a server, demands one. Whom to accept is set by the
 * caller. Must not outlive `tls`. */
gnutls_session_t rpc_tls_session(RpcTls *tls, bool server, GError **error);
