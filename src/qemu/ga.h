/*
 * A client of the agent inside the guest (qemu-ga), through the character device `agent`.
 *
 * The guest is not trusted and may not be there: an image without the agent, a guest that boots or
 * hangs. Every call has a deadline and is answered exactly once, at the latest then, with
 * BERTH_ERROR_TIMEOUT and a remedy. The protocol has no ids, so that one command is under way at a
 * time; and before the first one, and after each that was given up, the two sides are synchronised
 * (guest-sync-delimited, a 0xFF byte and a number that is never used twice), so that a late answer
 * is never taken for another one.
 *
 *     unsynchronised ─ sync answered ─→ idle ⇄ busy
 *           ↑──────── timeout, cancellation, nonsense from the guest ────────┘
 *
 * A command that was given up may still be carried out in the guest. What comes from the guest is
 * bounded: GA_MAX_LINE_BYTES a line, nesting as in json_lines.h; what exceeds it fails the call,
 * not the connection.
 *
 * Threads: as in qmp.h. Functions of the caller run from the main loop, never from inside a call;
 * they may call anything here but, when ga_free() runs them, new calls. Results are borrowed for
 * the call.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define GA_MAX_LINE_BYTES (4u << 20)

typedef struct Ga Ga;

typedef void (*GaReplyFunc)(json_t *result, const GError *error, gpointer user_data);
typedef void (*GaClosedFunc)(Ga *ga, const GError *why, gpointer user_data);

/* Takes `fd`, connected to QEMU's socket for the port. `closed`, which may be NULL, is told once
 * when QEMU closes it, after all pending calls were answered; not after ga_free(). */
Ga *ga_new(int fd, GaClosedFunc closed, gpointer user_data);
Ga *ga_connect(const char *path, GaClosedFunc closed, gpointer user_data, GError **error);

/* Answers all pending calls with BERTH_ERROR_UNAVAILABLE, then closes. NULL is allowed. */
void ga_free(Ga *ga);

/* Takes `args`, an object or NULL. Calls wait for their turn; the time that they wait counts.
 * `timeout_ms` is at least 1. Errors of the agent: BERTH_ERROR_NOT_FOUND for a command that it
 * doesn't have or allow, else BERTH_ERROR_INTERNAL. */
guint64 ga_call(Ga *ga, const char *command, json_t *args, guint timeout_ms, GaReplyFunc reply,
                gpointer user_data);

/* A pause between calls that ends with the connection: answered with neither result nor error after
 * `ms`, or like a pending call when the connection ends. It holds up no other call and cannot be
 * cancelled. */
void ga_wait(Ga *ga, guint ms, GaReplyFunc reply, gpointer user_data);

/* Answers call `id` with G_IO_ERROR_CANCELLED before it returns; false when it has been answered.
 */
bool ga_cancel(Ga *ga, guint64 id);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ga, ga_free)
