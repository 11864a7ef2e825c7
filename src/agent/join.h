/*
 * A host becomes one of a cluster: it makes its key, has the certificate signed by the manager, and
 * writes its configuration. The key never leaves the host.
 *
 * The token is ID.SECRET.CAHASH: the manager is trusted because its chain ends in the CA of that
 * hash, which an operator has carried over; nothing is sent before that is checked.
 *
 * Blocks; for the start of the program.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "schema/agent.h"

/* `config` says name, capacity and the like; host, manager and ports are filled in. Writes
 * agent.json, ca.pem, host.pem and host-key.pem into `state`. */
bool join_cluster(const char *state, const char *manager_url, const char *token,
                  AgentConfig *config, GError **error);
