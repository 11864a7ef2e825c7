/*
 * What the store's tests share: a directory of their own, short ways to write and read, and turning
 * the main context until something is so.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "store/store.h"

/* A store of some back end in an empty directory, which fixture_close removes. */
typedef struct {
    char *directory;
    Store *store;
} Fixture;

typedef struct {
    const char *name; /* "memory" */
    Store *(*open)(const char *directory, int64_t history_revisions);
} Backend;

char *fixture_directory_new(void);
void fixture_directory_remove(const char *directory);

void fixture_open(Fixture *fixture, const Backend *backend, int64_t history_revisions);
void fixture_close(Fixture *fixture);

GBytes *text_bytes(const char *text);
/* A transaction that puts one key. */
StoreTxn *txn_put(const char *key, const char *value);
/* Its result must be success; answers the revision. */
int64_t must_commit(Store *store, StoreTxn *txn);
/* The commit must end in an error of `code`. */
void must_fail(Store *store, StoreTxn *txn, int code);
/* The value of a key as text, or NULL. */
char *value_of(Store *store, const char *key);
/* "key=value key=value …" of all keys with the prefix. */
char *picture(Store *store, const char *prefix);

/* Turns the default context until `*flag` is at least `count`; fails the test after 60 s. */
void turn_until(const int *flag, int count);
/* Turns it until nothing is due. */
void turn(void);
