/*
 * Tokens for the API: a role, and a tenant where the role has one. Private to src/cluster; the edge
 * asks with cluster_core_check_token.
 *
 * A token is "ID.SECRET". Only the secret's SHA-256 is kept; it has 256 random bits, so nothing
 * slower is needed.
 */
#pragma once

#include "cluster/model.h"

/* Those that are bound to a tenant that goes. */
void tokens_remove_of(ClusterCore *core, const char *tenant);

/* In time that does not tell how much of it was right. */
bool token_hash_equal(const char *a, const char *b);
