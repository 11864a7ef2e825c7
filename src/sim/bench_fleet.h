/*
 * Fleets to measure placements with, and the life of their VMs: what comes, where it is placed, what
 * goes. Ten shapes of hosts in racks of 40, five dimensions, about ten VMs a host.
 *
 * Threading: one thread. Ownership: bench_fleet_clear frees what bench_fleet_init has made.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "place/devices.h"
#include "place/rules.h"

#define BENCH_DIMS 5
#define BENCH_SIZES 20
#define BENCH_RACK 40
#define BENCH_RACKS_A_ZONE 400
#define BENCH_GROUPS 5000

typedef struct {
    uint32_t host;
    uint32_t group; /* BERTH_PLACE_NONE: in none */
    int32_t vector[BENCH_DIMS];
} BenchVm;

/* What a VM has of a host's devices. */
typedef struct {
    uint64_t chosen; /* bit by bit; 0: none */
    uint32_t slices;
} BenchTaken;

typedef struct {
    BerthPlacePolicy policy;
    bool is_continuous; /* every request has amounts of its own; otherwise twenty sizes */
    bool has_groups;    /* each VM that comes is of a group that rules speak of */
    bool has_devices;   /* a device for 16 cores, and most VMs want some or part of one */
    uint32_t n_hosts;
    GRand *random;
    BerthPlace *place;
    int64_t sizes[BENCH_SIZES][BENCH_DIMS];
    double shares[BENCH_SIZES]; /* cumulative */
    BenchVm *vms;
    BenchTaken *taken; /* beside them; NULL without devices */
    size_t n_vms, most_vms, vms_room;
    double cpu, cpu_taken;
    uint64_t refused;
} BenchFleet;

/* Of a host by its number: millicores, MiB, GiB, MB/s, Mbit/s. */
void bench_host_capacity(uint32_t host, int64_t *ret_capacity);

/* Hosts, 70 % of whose CPU is then taken: by the policy, or at random when requests are
 * continuous. */
void bench_fleet_init(BenchFleet *fleet, BerthPlacePolicy policy, bool is_continuous,
                      uint32_t n_hosts);
void bench_fleet_fill(BenchFleet *fleet);
void bench_fleet_clear(BenchFleet *fleet);

/* The same hosts and VMs in a tree of racks and zones, with rules: BENCH_GROUPS groups, each VM of one on a
 * host of its own, and each group spread over the zones. VMs that are there are in none. */
void bench_fleet_add_rules(BenchFleet *fleet);

/* Has the index ready for the policy. */
void bench_fleet_prepare(BenchFleet *fleet);

uint64_t bench_now_ns(void);

/* What comes next. */
void bench_fleet_request(BenchFleet *fleet, int64_t *ret_vector);

/* The host for it; BERTH_PLACE_NONE. `ret_chosen`: its devices; may be NULL. */
uint32_t bench_fleet_find(BenchFleet *fleet, const int64_t *vector, uint32_t group,
                          uint64_t *ret_chosen);

/* The same by looking at all hosts, and how long that took. */
uint32_t bench_fleet_scan(BenchFleet *fleet, const int64_t *vector, uint64_t *ret_ns);

/* A VM goes and another comes: how long that took. */
void bench_fleet_pair(BenchFleet *fleet, uint64_t *ret_placing_ns, uint64_t *ret_leaving_ns);
