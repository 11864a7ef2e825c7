/*
 * What a request forbids, host by host: everything except capacity and score. An index finds hosts
 * where a request fits, best first, and asks the filter about each that it would choose; the scan
 * asks it about every host.
 *
 * Soft rules make a ladder of penalties. The search is for the best host of the lowest step that has
 * one: `filter->penalty` is the step, filter_admits refuses what stands above it and notes the lowest
 * penalty that it refused, and filter_next climbs.
 */
#pragma once

#include "place/relations.h"

/* One rule as it concerns one request. */
typedef struct {
    enum {
        NEEDS,         /* a member of `group` in the domain */
        SHUNS,         /* no member of `group`, nor of `other` where there is one */
        ALONE,         /* nobody but members of `group` */
        LEAVES_ALONE,  /* no member of `group`, which wants to be alone; soft */
        RESPECTS_HARD, /* no group that a hard rule ALONE speaks of, except the request's own */
        EVENS_OUT,     /* at most `limit` members of `group` before this one */
        NEARS,         /* a penalty for each level of distance to `group` */
        OUTNUMBERS,    /* no more members of `other` than of `group` */
    } kind;
    bool is_by_area; /* the filter's areas tell it of every host that has one */
    uint32_t rule;   /* its number; of RESPECTS_HARD: NONE */
    uint32_t level;
    uint32_t weight; /* 0: hard */
    uint32_t limit;
    const Group *group, *other;
} Condition;

#define FILTER_KNOWN 256

typedef struct {
    const BerthPlace *place;
    const BerthPlaceRequest
        *request; /* the caller's, or `grown` where that was of an older library */
    BerthPlaceRequest grown;
    uint64_t penalty; /* hosts above it are refused */
    uint64_t above;   /* the lowest penalty refused so far; UINT64_MAX: none */
    bool is_pending;  /* the conditions are not made yet */
    bool is_overfull; /* more rules concern the request than may: every host is refused */
    uint64_t
        shut_areas;  /* areas that a hard rule is known to refuse, once the conditions are made */
    uint32_t n_shut; /* hosts refused because of their whole domain, */
    uint32_t shut_level; /* and the level of the last such domain */
    /* Of the first domains of that level, which are known to be refused or not, and which are. */
    uint64_t known[FILTER_KNOWN / 64], shut[FILTER_KNOWN / 64];
    bool names_hosts; /* the request forbids hosts by themselves, their labels or devices */
    bool has_soft;    /* one of the conditions is soft */
    uint32_t n_conditions;
    Condition conditions[BERTH_PLACE_MAX_RULES + BERTH_PLACE_MAX_LEVELS];
} Filter;

/* Sets up a filter on the stack; it refers to the fleet and the request. False when more rules
 * concern the request than may. */
bool filter_begin(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request);

/* The same in two steps. What rules say of the request lies scattered in memory: the first step has it
 * brought, and an index looks for its first candidate in the meantime. The second one is due when a
 * host is asked about, which filter_admits does by itself, and before anything else is asked. */
void filter_begin_early(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request);
bool filter_settle(Filter *filter);

/* Before: what tells where that is. In between: what the second step will read. */
void filter_fetch_groups(const BerthPlace *place, const BerthPlaceRequest *request);
void filter_fetch(const Filter *filter);

/* The areas in use that hard rules may leave to the request, and that of hosts without one. */
static inline uint64_t filter_open_areas(const Filter *filter)
{
    return (filter->place->relations->areas | area_bit(AREA_NONE)) & ~filter->shut_areas;
}

/* What is known of a host that will be asked about. The tags of a group with few members are on their way
 * already. */
static inline void filter_fetch_host(const Filter *filter, uint32_t host)
{
    const Relations *relations = filter->place->relations;

    if (relations != NULL) {
        __builtin_prefetch(relations_row(relations, host));
        for (uint32_t i = 0; i < filter->request->n_groups; i++) {
            const Group *group = relations_group(relations, filter->request->groups[i]);
            if (group->hosts.n_buckets > 0) {
                group_fetch(group, 0, host);
            }
        }
    }
}

/* What berth_place_enter will change, for the host that is chosen. */
void filter_fetch_entry(const Filter *filter, uint32_t host);

/* How many more devices a host would need for the request. */
uint32_t filter_missing_devices(const Filter *filter, uint32_t host);

/* Whether the filter can refuse anything, so that it has to be asked. */
bool filter_is_open(const Filter *filter);

bool filter_is_allowed(const Filter *filter, uint32_t host);
bool filter_is_banned(const Filter *filter, uint32_t host);

/* The first label that the host lacks, or NONE. */
uint32_t filter_missing_label(const Filter *filter, uint32_t host);

bool filter_is_broken(const Filter *filter, const Condition *condition, uint32_t host);

/* The weights of the soft rules that a host breaks. */
uint64_t filter_penalty(const Filter *filter, uint32_t host);

/* Whether a hard rule refuses every host of a domain, at the level of the domain refused last; once one
 * was. */
bool filter_shuts(Filter *filter, uint32_t domain);

/* Whether a host stands in such a domain: the quick end for most where a few domains are left. */
static inline bool filter_shuts_host(Filter *filter, uint32_t host)
{
    return filter->n_shut > 0 && filter_shuts(filter, relations_domain(filter->place->relations,
                                                                       filter->shut_level, host));
}

/* Whether the request may go to a host as far as the filter goes, at the present step. `areas`: it is known to
 * stand in one of these (or has none, if they have that bit); where none of them is shut, its own, which is
 * a line of memory, need not be looked up. */
bool filter_admits_in(Filter *filter, uint32_t host, uint64_t areas);

static inline bool filter_admits(Filter *filter, uint32_t host)
{
    return filter_admits_in(filter, host, UINT64_MAX);
}

/* Climbs to the next step that can have a host; false when there is none. */
bool filter_next(Filter *filter);

/* When only a few hosts can stand on the present step, calls back for each of them (some may be
 * refused all the same) and answers true. False: it could be any host. */
bool filter_each_candidate(Filter *filter, void (*callback)(uint32_t host, void *user_data),
                           void *user_data);

/* The rule behind a broken condition. */
uint32_t filter_rule(const Filter *filter, const Condition *condition, uint32_t host);
