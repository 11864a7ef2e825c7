/* What the channel's streams take from an RpcTls. */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <string.h>

#include "rpc/tls.h"

/* A session that shows our certificate and, as a server, demands one. Whom to accept is set by the
 * caller. Must not outlive `tls`. */
gnutls_session_t rpc_tls_session(RpcTls *tls, bool server, GError **error);
