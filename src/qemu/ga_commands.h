/*
 * What Berth asks of the agent in a guest, with types: vCPUs, programs, small files, addresses.
 *
 * Each function answers through its callback exactly once, by `timeout_ms` at the latest, under the
 * rules of ga.h. What the guest says is checked before it gets a type: an answer of another shape
 * than the agent's schema (qga/qapi-schema.json in QEMU) is BERTH_ERROR_INVALID. Results are
 * borrowed for the call.
 */
#pragma once

#include "qemu/ga.h"

#define GA_MAX_EXEC_OUTPUT_BYTES (1u << 20)

typedef void (*GaDoneFunc)(const GError *error, gpointer user_data);
void ga_ping(Ga *ga, guint timeout_ms, GaDoneFunc done, gpointer user_data);

typedef struct {
    gint64 id;
    bool online;
    bool can_offline;
} GaVcpu;

typedef void (*GaVcpusFunc)(const GaVcpu *vcpus, size_t n, const GError *error, gpointer user_data);
void ga_get_vcpus(Ga *ga, guint timeout_ms, GaVcpusFunc func, gpointer user_data);

/* Sets `online` of the given ones. Answers with how many the guest did, counted from the first. */
typedef void (*GaCountFunc)(gint64 count, const GError *error, gpointer user_data);
void ga_set_vcpus(Ga *ga, const GaVcpu *vcpus, size_t n, guint timeout_ms, GaCountFunc func,
                  gpointer user_data);

/* Brings the number of vCPUs on line to `wanted`: the lowest ids go on line, the highest that can
 * go off line. Answers with the number on line as the guest then reports it; an error only when it
 * is not known. */
void ga_set_online(Ga *ga, gint64 wanted, guint timeout_ms, GaCountFunc func, gpointer user_data);

typedef struct {
    const char *const *argv; /* a path in the guest and its arguments, NULL at the end */
    const char *const *env;  /* NAME=VALUE or NULL */
    const void *input;
    size_t input_size;
    size_t max_output_bytes; /* of each stream; 0: GA_MAX_EXEC_OUTPUT_BYTES, which is the most */
} GaExec;

typedef struct {
    int exit_code; /* -1: ended by a signal */
    int signal;    /* 0: ended by itself */
    GBytes *out;
    GBytes *err;
    bool truncated; /* output was cut, by the agent or here */
} GaExecResult;

/* Runs a program in the guest to its end and gathers its output. At the deadline the call is
 * answered; the program goes on in the guest, which has no command to end it. */
typedef void (*GaExecFunc)(const GaExecResult *result, const GError *error, gpointer user_data);
void ga_exec(Ga *ga, const GaExec *exec, guint timeout_ms, GaExecFunc func, gpointer user_data);

/* Reads a file of the guest, such as /proc/pressure/memory; BERTH_ERROR_TOO_LARGE beyond
 * `max_bytes`. */
typedef void (*GaBytesFunc)(GBytes *bytes, const GError *error, gpointer user_data);
void ga_read_file(Ga *ga, const char *path, size_t max_bytes, guint timeout_ms, GaBytesFunc func,
                  gpointer user_data);

typedef struct {
    const char *name;
    const char *mac;              /* NULL: has none */
    const char *const *addresses; /* "10.0.0.5/24", "fe80::1/64"; NULL at the end */
} GaInterface;

typedef void (*GaInterfacesFunc)(const GaInterface *interfaces, size_t n, const GError *error,
                                 gpointer user_data);
void ga_get_interfaces(Ga *ga, guint timeout_ms, GaInterfacesFunc func, gpointer user_data);
