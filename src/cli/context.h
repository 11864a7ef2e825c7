/*
 * Where the manager is and what opens it: a YAML file with `url`, `token` and `ca` (PEM).
 *
 * The file is, in this order: the one given with --context, that of BERTH_CONTEXT, else the first
 * that exists of $XDG_CONFIG_HOME/berth/context.yaml and /run/berth/context.yaml (which `berth dev`
 * and a manager on this machine write). Whoever has the file has the token, so it belongs to mode
 * 0600.
 *
 * Threading: any thread; a Context is constant once loaded.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char *path;  /* where it was read */
    char *url;   /* https://HOST:PORT, or http:// on this machine's loopback; no slash at the end */
    char *token; /* NULL: none */
    char *ca;    /* PEM; NULL only with http:// */
} Context;

/* `given` is the value of --context, or NULL. Errors: NOT_FOUND says how to get one; INVALID names
 * the field. */
Context *context_load(const char *given, GError **error);

/* The same from a text; `path` is what errors call it. */
Context *context_parse(const char *path, const char *text, size_t length, GError **error);

void context_free(Context *context); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Context, context_free)
