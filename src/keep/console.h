/*
 * The VM's serial console: what the guest says goes to the ring and to who listens, what they write
 * goes to the guest.
 *
 * The guest is read whatever the listeners do, up to the rate of pace.h. A listener has no queue:
 * it has a cursor in the ring, and one that lags by more than the ring loses its own oldest output.
 * Towards the guest there is one buffer for all; while it is full no listener is read, so a guest
 * that does not take its input holds up the writers and nothing else. Memory is bounded by the ring
 * and KEEP_CONSOLE_CLIENTS_MAX sockets.
 *
 * When the guest's end is closed, listeners get the rest and then the end of the stream; who
 * connects later gets the ring's content and the end.
 *
 * Runs in the main loop's thread. Owns the descriptors and the ring that it is given.
 */
#pragma once

#include <stdint.h>

#include "keep/ring.h"

/* More listeners than these are turned away. */
#define KEEP_CONSOLE_CLIENTS_MAX 16

typedef struct KeepConsole KeepConsole;

/* `guest` is the keeper's end of the socket pair, `listener` listens; both are made non-blocking.
 */
KeepConsole *keep_console_new(int guest, int listener, KeepRing *ring);
void keep_console_free(KeepConsole *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeepConsole, keep_console_free)

/* QEMU has ended: takes what it left behind and closes the guest's end. */
void keep_console_finish(KeepConsole *console);

/* Bytes that the console has produced since the start. */
uint64_t keep_console_bytes(const KeepConsole *console);
