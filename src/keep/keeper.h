/*
 * One VM's keeper: starts QEMU, holds what must outlive the agent, tells how QEMU ended.
 *
 *     keeper_new        all or nothing
 *         ↓
 *     keeper_run        console, keeper.sock
 *         ↓ QEMU ends   exit.json, keeper.exited
 *     keeper.release, or a SIGTERM before: end
 *
 * SIGTERM (the host shuts down) is passed on to QEMU, and the keeper ends as soon as QEMU has,
 * released or not; exit.json tells the agent. SIGINT and SIGHUP are ignored.
 *
 * For the main thread of a program with one thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "schema/keeper.h"

typedef struct Keeper Keeper;

/* Does all that the launch says. When it fails nothing is left: no process, no socket, no file. */
Keeper *keeper_new(const KeeperLaunch *launch, GError **error);

/* Closes everything and removes the sockets and launch.json. QEMU must have ended. */
void keeper_free(Keeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keeper, keeper_free)

/* KeeperStatus as it is now; a new reference. */
json_t *keeper_status(const Keeper *keeper);

/* Returns when the keeper may end. */
void keeper_run(Keeper *keeper);
