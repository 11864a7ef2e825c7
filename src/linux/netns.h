/*
 * Entering a network namespace for the time of one function. Internal to src/linux; the named
 * namespaces themselves are in net.h.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef bool (*NetNamespaceFunc)(gpointer data, GError **error);

/* Calls `func` in the namespace `fd`, in a thread that lives for this call alone, so that the
 * caller's own namespace never changes; -1: just calls it. */
bool net_namespace_run(int fd, NetNamespaceFunc func, gpointer data, GError **error);
