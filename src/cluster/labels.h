/*
 * Keys of labels, of hosts and of VMs: rules, levels and the command line write them as KEY=VALUE. Private to
 * src/cluster.
 */
#pragma once

#include "cluster/model.h"

bool labels_is_key(const char *text);

/* INVALID names `field` and the key. Keys that stand in `before` (NULL: none) are taken as they are. */
bool labels_check(const char *field, const StringMap *labels, const StringMap *before,
                  GError **error);

/* The same of one key. */
bool labels_check_key(const char *field, const char *key, GError **error);
