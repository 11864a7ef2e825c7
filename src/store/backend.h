/*
 * What a back end gives to the common front (store.c). Private to src/store.
 *
 * A back end carries transactions out in the order of submission, in a thread of its own or not,
 * and hands each to store_finished when it is durable or has failed; the front does the rest:
 * checks, callbacks in their context, the history that watches read.
 */
#pragma once

#include "store/txn.h"

/* A transaction on its way. */
typedef struct {
    StoreTxn *txn;
    StoreCommitFunc callback;
    gpointer data;
    StoreResult result;
    GError *error;
    GPtrArray *changes; /* of StoreEntry; NULL where there are none */
    bool finished;      /* under the store's lock */
} Pending;

typedef struct {
    /* `ret_revision`: at which it is so. */
    bool (*get)(gpointer backend, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
                GError **error);
    bool (*range)(gpointer backend, const char *prefix, const char *after, unsigned limit,
                  GPtrArray *entries, int64_t *ret_revision, GError **error);
    void (*submit)(gpointer backend, Pending *pending);
    bool (*backup)(gpointer backend, const char *path, GError **error);
    /* Carries out what was submitted; nothing is submitted after it, but reads may come. */
    void (*stop)(gpointer backend);
    void (*free)(gpointer backend);
} BackendOps;

/* Zeros take the defaults of store.h. */
Store *store_new(const BackendOps *ops, int64_t revision, int64_t history_revisions,
                 int64_t history_mib);
/* The back end is ready. */
void store_set_backend(Store *store, gpointer backend);

/* Any thread: these are done, in this order (of Pending); takes the array. */
void store_finished(Store *store, GPtrArray *done);
/* Any thread: writing works (NULL, takes it) or does not. */
void store_health_changed(Store *store, GError *health);
