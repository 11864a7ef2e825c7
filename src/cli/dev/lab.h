/*
 * `berth dev`: a manager and hosts on one machine, for trying, for tests and for the demo.
 *
 *     bridge bd0 10.99.0.1 ── veth ── namespace bd-host-1: agent ── QEMUs
 *          │                └─ veth ── namespace bd-host-2: agent ── QEMUs
 *       manager
 *
 * Each host is an agent in a network namespace of its own, with its own state and run directories,
 * uid range, declared capacity and group. A lab is found again by its names alone, so whatever is
 * left of one that was killed is removed before the next begins.
 *
 *     lab.c       the whole: begin, serve, end
 *     net.c       bridge, namespaces, veth pairs
 *     process.c   programs that are started again when they end
 *     clean.c     what a lab leaves behind, removed
 *
 * Needs root. Threading: one thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define LAB_HOSTS_MAX 64
#define LAB_STATE "/var/lib/berth-dev"
#define LAB_RUN "/run/berth-dev"
#define LAB_PID_FILE LAB_RUN "/lab.pid"
#define LAB_CONTEXT "/run/berth/context.yaml"
#define LAB_CGROUP "berth-dev"
#define LAB_BRIDGE "bd0"
#define LAB_PREFIX "bd-"
#define LAB_ADDRESS "10.99.0.1"
#define LAB_NETWORK "10.99.0"
#define LAB_FIRST_HOST 10 /* 10.99.0.11 is host-1 */

typedef struct {
    int hosts;
    const char
        *capacity; /* of each host, as berth-agent join takes it; NULL: a share of this machine */
    int api_port, agent_port;
    int grace_ms;
} LabOptions;

typedef struct Lab Lab;

/* Removes what is left of a killed lab, then starts everything and waits until all hosts are up. On
 * failure nothing is left. BERTH_ERROR_CONFLICT while another lab runs, which stays as it is. */
Lab *lab_begin(const LabOptions *options, GError **error);
/* Until SIGINT or SIGTERM; starts again what ends. */
void lab_serve(Lab *lab);
/* Ends VMs, agents and manager and removes all that was made. */
void lab_end(Lab *lab);

/* Of agent or manager: the i-th host from 1, 0 for the manager. For those who kill them. */
pid_t lab_pid(const Lab *lab, int index);

/* net.c */
bool lab_net_make(int hosts, GError **error);
void lab_net_remove(void);
char *lab_namespace(int host); /* its path */
char *lab_host_address(int host);

/* clean.c: everything by the names and directories above; only processes that are a lab's. */
void lab_clean(void);
/* The process of another lab that is running; 0: none. */
pid_t lab_running(void);

/* process.c */
typedef struct LabProcess LabProcess;
/* `namespace` NULL: ours. Output goes to LAB_RUN/NAME.log, the pid to LAB_RUN/NAME.pid. */
LabProcess *lab_process_start(const char *name, const char *const *argv, const char *namespace,
                              GError **error);
/* Ends it in order (SIGTERM, then SIGKILL after 3 seconds). Takes NULL. */
void lab_process_stop(LabProcess *process);
pid_t lab_process_pid(const LabProcess *process);
/* Runs to its end; what it says on standard error is the error. */
bool lab_process_run(const char *const *argv, const char *namespace, GError **error);
