/*
 * What Berth asks of QEMU, with types.
 *
 * Each function returns the id of its call, which qmp_cancel() takes, and answers through its
 * callback exactly once under the rules of qmp.h, by QMP_DEFAULT_TIMEOUT_MS at the latest. An
 * answer of another shape than QEMU's schema is BERTH_ERROR_INVALID. Results are borrowed for the
 * call. Ids of devices are the hardware record's (commandline.h).
 */
#pragma once

#include "qemu/qmp.h"

typedef void (*QmpDoneFunc)(const GError *error, gpointer user_data);

/* query-status, as far as Berth acts on it; the rest is QMP_STATUS_OTHER with its `name`. */
typedef enum {
    QMP_STATUS_RUNNING,
    QMP_STATUS_PAUSED,         /* by `stop`, also by -S */
    QMP_STATUS_PRELAUNCH,      /* -S, and never continued */
    QMP_STATUS_SHUTDOWN,       /* the guest has powered off; -action shutdown=pause holds QEMU */
    QMP_STATUS_GUEST_PANICKED, /* -action panic=pause holds it */
    QMP_STATUS_IO_ERROR,       /* a disk failed; werror=stop */
    QMP_STATUS_WATCHDOG,
    QMP_STATUS_INTERNAL_ERROR, /* KVM gave up */
    QMP_STATUS_INMIGRATE,
    QMP_STATUS_POSTMIGRATE,
    QMP_STATUS_OTHER,
} QmpStatus;

typedef void (*QmpStatusFunc)(QmpStatus status, const char *name, const GError *error,
                              gpointer user_data);
guint64 qmp_query_status(Qmp *qmp, QmpStatusFunc func, gpointer user_data);

typedef void (*QmpTextFunc)(const char *text, const GError *error, gpointer user_data);
guint64 qmp_query_uuid(Qmp *qmp, QmpTextFunc func, gpointer user_data);

typedef struct {
    gint64 index;
    gint64 thread_id; /* of the host, for its cgroup */
} QmpVcpu;

/* Every plugged vCPU. Does not disturb the guest. */
typedef void (*QmpVcpusFunc)(const QmpVcpu *vcpus, size_t n, const GError *error,
                             gpointer user_data);
guint64 qmp_query_vcpus(Qmp *qmp, QmpVcpusFunc func, gpointer user_data);

guint64 qmp_cont(Qmp *qmp, QmpDoneFunc done, gpointer user_data);
guint64 qmp_stop(Qmp *qmp, QmpDoneFunc done, gpointer user_data);
guint64 qmp_system_powerdown(Qmp *qmp, QmpDoneFunc done,
                             gpointer user_data); /* presses the button */
guint64 qmp_system_reset(Qmp *qmp, QmpDoneFunc done, gpointer user_data);
guint64 qmp_quit(Qmp *qmp, QmpDoneFunc done, gpointer user_data); /* done before QEMU is gone */

/* Asks the guest to keep `bytes` of its RAM. Done when QEMU has taken it; the guest moves by and
 * by. */
guint64 qmp_balloon(Qmp *qmp, guint64 bytes, QmpDoneFunc done, gpointer user_data);

/* RAM less the balloon, bytes. BERTH_ERROR_CONFLICT while the guest has no driver. */
typedef void (*QmpBytesFunc)(guint64 bytes, const GError *error, gpointer user_data);
guint64 qmp_query_balloon(Qmp *qmp, QmpBytesFunc func, gpointer user_data);

/* How often QEMU asks the guest for its statistics; 0: never. */
guint64 qmp_set_guest_stats_interval(Qmp *qmp, gint64 seconds, QmpDoneFunc done,
                                     gpointer user_data);

/* What the guest says of its memory; bytes, or counts since its boot; -1: not said. */
typedef struct {
    gint64 updated_s; /* seconds since 1970; 0: the guest has not said anything yet */
    gint64 total, free, available, disk_caches;
    gint64 swap_in, swap_out, major_faults, minor_faults;
} QmpGuestStats;

typedef void (*QmpGuestStatsFunc)(const QmpGuestStats *stats, const GError *error,
                                  gpointer user_data);
guint64 qmp_guest_stats(Qmp *qmp, QmpGuestStatsFunc func, gpointer user_data);

/* Per second, 0: no limit. A total excludes the two beside it. */
typedef struct {
    gint64 bytes_total, bytes_read, bytes_write;
    gint64 iops_total, iops_read, iops_write;
} QmpLimits;

/* Sets all limits of a disk; what is 0 is lifted. */
guint64 qmp_set_limits(Qmp *qmp, const char *disk, const QmpLimits *limits, QmpDoneFunc done,
                       gpointer user_data);

/* Since QEMU's start. */
typedef struct {
    const char *disk;
    gint64 read_bytes, write_bytes;
    gint64 read_operations, write_operations, flush_operations;
    gint64 read_ns, write_ns, flush_ns; /* sums over operations */
} QmpDiskStats;

typedef void (*QmpDiskStatsFunc)(const QmpDiskStats *stats, size_t n, const GError *error,
                                 gpointer user_data);
guint64 qmp_query_disk_stats(Qmp *qmp, QmpDiskStatsFunc func, gpointer user_data);

/* Writes the state of all devices without RAM to `path`, which QEMU opens (/dev/fdset/N works). The
 * guest must be stopped, and stays so. The format is QEMU's migration stream: see docs of
 * src/memory. */
guint64 qmp_save_device_state(Qmp *qmp, const char *path, QmpDoneFunc done, gpointer user_data);
