/*
 * A client of one QMP monitor.
 *
 *     connected ─ greeting ─→ negotiating ─ capabilities accepted ─→ ready ─→ closed
 *
 * Calls may be made in any state; those that come before `ready` wait for it. Each call is answered
 * exactly once through its function: with QEMU's result, with QEMU's error, with
 * BERTH_ERROR_TIMEOUT, with BERTH_ERROR_UNAVAILABLE when the connection ends, or with
 * G_IO_ERROR_CANCELLED. An answer that comes after its call has timed out is dropped: ids are never
 * used twice.
 *
 * Out of band: a monitor offers it or not (qmp_has_oob()). QEMU stops reading a monitor that has
 * eight commands waiting, and then an out-of-band command would be stuck behind them; so at most
 * QMP_MAX_IN_FLIGHT ordinary commands are at QEMU at a time and the rest wait here.
 *
 * A monitor serves one client at a time: a second one is connected but never greeted, and its
 * handshake times out.
 *
 * Garbage, a line over QMP_MAX_LINE_BYTES and brackets nested too deep end the connection, since
 * nothing after them can be trusted; the error says what came.
 *
 * Threads: the one of the GMainContext that was the thread's default at qmp_new(). Functions of the
 * caller run from that context, never from inside qmp_call(); they may call anything here,
 * qmp_free() included.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define QMP_MAX_IN_FLIGHT 7
#define QMP_DEFAULT_TIMEOUT_MS 10000
#define QMP_NO_TIMEOUT G_MAXUINT

typedef struct Qmp Qmp;

/* `result` is QEMU's "return", borrowed, NULL on error. */
typedef void (*QmpReplyFunc)(json_t *result, const GError *error, gpointer user_data);

/* Each may be NULL. */
typedef struct {
    void (*ready)(Qmp *qmp, gpointer user_data);
    /* `data` is borrowed and NULL where the event has none; `at_us` is QEMU's wall clock, -1
     * unknown. */
    void (*event)(Qmp *qmp, const char *name, json_t *data, gint64 at_us, gpointer user_data);
    /* Once, after every pending call has been answered with the same error. Not after qmp_free().
     */
    void (*closed)(Qmp *qmp, const GError *why, gpointer user_data);
    gpointer user_data;
} QmpHandlers;

/* Takes `fd`, a connected stream socket. `handshake_timeout_ms` bounds the time to `ready`; 0 means
 * QMP_DEFAULT_TIMEOUT_MS. */
Qmp *qmp_new(int fd, const QmpHandlers *handlers, guint handshake_timeout_ms);

/* The same on a unix socket; fails at once with BERTH_ERROR_UNAVAILABLE when nobody listens. */
Qmp *qmp_connect(const char *path, const QmpHandlers *handlers, guint handshake_timeout_ms,
                 GError **error);

/* Answers every pending call with BERTH_ERROR_UNAVAILABLE, then closes. NULL is allowed. */
void qmp_free(Qmp *qmp);

/* Asks for `command`. Takes `args`, an object or NULL. `timeout_ms`: 0 means
 * QMP_DEFAULT_TIMEOUT_MS. `reply` may be NULL. Returns the call's id, never 0. */
guint64 qmp_call(Qmp *qmp, const char *command, json_t *args, guint timeout_ms, QmpReplyFunc reply,
                 gpointer user_data);

/* The same out of band, past commands that QEMU is busy with. Answered with BERTH_ERROR_CONFLICT
 * where the monitor does not offer it. */
guint64 qmp_call_oob(Qmp *qmp, const char *command, json_t *args, guint timeout_ms,
                     QmpReplyFunc reply, gpointer user_data);

/* Answers call `id` with G_IO_ERROR_CANCELLED before it returns; false when it has been answered.
 * QEMU may carry the command out all the same. */
bool qmp_cancel(Qmp *qmp, guint64 id);

bool qmp_is_ready(const Qmp *qmp);
bool qmp_has_oob(const Qmp *qmp);

/* From the greeting; zeros before it. */
void qmp_version(const Qmp *qmp, int *ret_major, int *ret_minor, int *ret_micro);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)
