/*
 * System tests of berth-keep: a directory of one VM, a launch that tests change, and what they
 * ask a peer (peer.h) for.
 *
 * Needs root. All waiting ends after LAB_PATIENCE_MS with a message. What was started is ended by
 * lab_free, and nothing else.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "peer.h"
#include "schema/keeper.h"

#define LAB_PATIENCE_MS 30000

typedef struct {
    char *directory;      /* run-dir */
    json_t *launch;       /* KeeperLaunch; changed at will before lab_start */
    GArray *processes;    /* of what was started: pid and start time */
    bool sigchld_ignored; /* by who starts berth-keep */
    int extra_fd;         /* given to berth-keep as one that it has no use for; 0: none */
} Lab;

/* First in main. Adds tests that are skipped, saying why, without root. */
void lab_init(int *argc, char ***argv);
void lab_add(const char *path, void (*test)(Lab *lab));

/* A user that no other process has. */
uid_t lab_uid(void);
/* How many processes it has, zombies not counted. */
unsigned lab_processes(void);

/* launch[key] = value; takes `value`. */
void lab_set(Lab *lab, const char *key, json_t *value);
/* argv = /bin/bash -c script */
void lab_script(Lab *lab, const char *script);

/* Runs berth-keep until it has closed its streams and ended: what it answers, or the error that it
 * gives. */
KeeperStatus *lab_try(Lab *lab, GError **error);
KeeperStatus *lab_start(Lab *lab); /* must succeed */

char *lab_path(const Lab *lab, const char *name);
bool lab_has(const Lab *lab, const char *name);
unsigned lab_files(const Lab *lab); /* how many there are in run-dir */
/* KeeperStatus in a file of run-dir. */
KeeperStatus *lab_read_status(const Lab *lab, const char *name);

/* Waits until it holds. */
void lab_wait(bool (*condition)(gconstpointer data), gconstpointer data, const char *what);
void lab_wait_ended(const KeeperStatus *status, bool keeper);
void lab_wait_file(const Lab *lab, const char *name);

/* A connected, blocking socket. */
int lab_connect(const Lab *lab, const char *name);
/* Reads until `wanted` has come. */
void lab_expect(int fd, const char *wanted);

/* A peer that has greeted, and what it calls most; each must succeed. */
Peer *lab_peer(const Lab *lab);
KeeperStatus *lab_peer_status(Peer *peer);
KeeperStatus *lab_peer_exited(Peer *peer); /* waits for keeper.exited */
void lab_peer_kill(Peer *peer, int number);
/* The error that the call ends with. */
GError *lab_peer_refused(Peer *peer, const char *method, json_t *params);
