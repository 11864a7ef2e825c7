/*
 * libberth-place: which host a resource vector goes to.
 *
 * A fleet of up to 2^20 hosts in up to 16 dimensions. Each host has a capacity and an availability:
 * what its ledger says can still be promised. The engine knows no ratios and no meaning of a
 * dimension; amounts are whole numbers in the caller's units, so feasibility is exact and nothing
 * is ever overdrawn by rounding. A request is a vector, a policy and a filter; the answer is one
 * host, the same one on every machine: scores are IEEE doubles computed in the order that
 * docs/placement.md fixes, and equal scores go to the host that comes first in the caller's order.
 *
 *     BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
 *     BerthPlace *place;
 *     berth_place_new(&options, &place);
 *     berth_place_add(place, 0, 1, (int64_t[]){4000, 8192}, NULL);
 *     berth_place_add(place, 1, 2, (int64_t[]){8000, 4096}, NULL);
 *
 *     BerthPlaceRequest request = {.struct_size = sizeof request, .policy = BERTH_PLACE_MOST_FREE,
 *                                  .vector = (int64_t[]){1000, 2048}};
 *     BerthPlaceDecision decision = {.struct_size = sizeof decision};
 *     if (berth_place_find(place, &request, &decision) == BERTH_PLACE_OK) {
 *         berth_place_take(place, decision.host, request.vector);
 *     }
 *     berth_place_free(place);
 *
 * A host is named by a small number that the caller chooses and may use again after a removal (a
 * slot of its own table). Its place in the order of hosts is a separate number, because slots come
 * back and host ids do not.
 *
 * Errors: every function that can fail returns a BerthPlaceResult and then has changed nothing, its
 * outputs included. Vectors are `n_dims` long and only read during the call. Pointers must not be
 * NULL except where it is said.
 *
 * Compatibility: callers set `struct_size` of each struct to its sizeof and zero the rest. A
 * library that is newer than its caller takes what the caller's struct has no place for as 0. One
 * that is older than its caller refuses what it does not know (a non-zero byte behind its
 * own struct) instead of ignoring a constraint. Enumerators keep their numbers.
 *
 * Threads: no globals, no locks. Functions that take a `const BerthPlace *` may run at the same
 * time in several threads while none changes the fleet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BERTH_PLACE_API __attribute__((visibility("default")))
#else
#define BERTH_PLACE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PLACE_MAX_DIMS 16
#define BERTH_PLACE_MAX_HOSTS (UINT32_C(1) << 20)

/* The largest amount: 2^20 hosts of it add up within an int64, and each is exact as a double. */
#define BERTH_PLACE_MAX_AMOUNT ((INT64_C(1) << 43) - 1)

#define BERTH_PLACE_NONE UINT32_MAX /* no host */

typedef enum {
    BERTH_PLACE_OK = 0,
    BERTH_PLACE_NO_HOST = 1,         /* a sound request that no host can take now */
    BERTH_PLACE_LATE = 2,            /* possible, but not by the deadline (place/calendar.h) */
    BERTH_PLACE_ERROR_ARGUMENT = -1, /* a size, number, policy or filter out of its range */
    BERTH_PLACE_ERROR_AMOUNT = -2,   /* negative, over the maximum, above capacity, or all zero */
    BERTH_PLACE_ERROR_UNKNOWN_HOST = -3, /* no host of this number */
    BERTH_PLACE_ERROR_EXISTS = -4,       /* the number is taken */
    BERTH_PLACE_ERROR_OVERDRAW = -5,     /* less is available than would be taken */
    BERTH_PLACE_ERROR_OVERFILL = -6,     /* more would be available than the capacity */
    BERTH_PLACE_ERROR_NO_MEMORY = -7,
    BERTH_PLACE_ERROR_UNSUPPORTED = -8, /* made for a newer library than this one */
    BERTH_PLACE_ERROR_BUSY = -9,  /* VMs or hosts would have to go first, or changes are tried */
    BERTH_PLACE_ERROR_TREE = -10, /* a domain would lie in two domains of the next level */
    BERTH_PLACE_ERROR_UNDERFLOW = -11,     /* more would leave a host than entered it */
    BERTH_PLACE_ERROR_CONTRADICTION = -12, /* two hard rules that cannot both hold */
    BERTH_PLACE_ERROR_CYCLE = -13,         /* rules that lead back to where they began */
    BERTH_PLACE_ERROR_FILE = -14,          /* bytes that are no fleet (place/file.h) */
    BERTH_PLACE_ERROR_WRITE = -15,         /* the caller could not write */
    BERTH_PLACE_ERROR_TIME =
        -20, /* a span that is empty, in the past or beyond what can be counted */
    BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT = -21, /* no commitment of this number */
} BerthPlaceResult;

/* One line for a person, without a full stop; never NULL. */
BERTH_PLACE_API const char *berth_place_strerror(BerthPlaceResult result);

/* How to choose among the hosts where a request fits. docs/placement.md has each score; numbers 100
 * and up are for orders of batches. */
typedef enum {
    BERTH_PLACE_MOST_FREE = 0,  /* the largest share left free */
    BERTH_PLACE_LEAST_FREE = 1, /* the smallest share left free */
    BERTH_PLACE_FIRST_FIT = 2,  /* the first in the order of hosts */
    BERTH_PLACE_COSINE = 3,     /* availability of the shape most like the request's */
    BERTH_PLACE_DOT_PRODUCT = 4,
    BERTH_PLACE_L2_DIFF = 5,         /* availability nearest to the request */
    BERTH_PLACE_L2_RATIO = 6,        /* the largest shares of what is available: packs tight */
    BERTH_PLACE_L2_RATIO_SPREAD = 7, /* the smallest: spreads */
    BERTH_PLACE_MIX = 8,             /* a weighted sum of the scores of those above */
    BERTH_PLACE_FRAGMENTATION = 9,   /* the fewest devices become useless (place/devices.h) */
} BerthPlacePolicy;

#define BERTH_PLACE_N_POLICIES 10
#define BERTH_PLACE_N_MIXED 8 /* policies that a mix can weigh */

/* "most-free", "l2-ratio-spread", …; NULL for a number that is no policy. */
BERTH_PLACE_API const char *berth_place_policy_name(BerthPlacePolicy policy);

/* The policy of a name; false when there is none. `best-fit` and `worst-fit` are taken for
 * most-free and least-free (docs/placement.md says why; the literature of bin packing has them the
 * other way round), so a caller that gets a policy of another name than it gave should say so. */
BERTH_PLACE_API bool berth_place_policy_from_name(const char *name, BerthPlacePolicy *ret_policy);

/* Whether the higher of two scores is the better one. */
BERTH_PLACE_API bool berth_place_policy_prefers_high(BerthPlacePolicy policy);

typedef struct BerthPlace BerthPlace;

typedef struct {
    uint32_t struct_size;
    uint32_t n_dims;         /* 1 to 16 */
    uint32_t expected_hosts; /* a hint for the first allocation; 0: none */
} BerthPlaceOptions;

/* An empty fleet, owned by the caller until berth_place_free (which takes NULL). */
BERTH_PLACE_API BerthPlaceResult berth_place_new(const BerthPlaceOptions *options,
                                                 BerthPlace **ret_place);
BERTH_PLACE_API void berth_place_free(BerthPlace *place);

/* The same fleet once more, for a question of what would be that outlives changes of this one or goes
 * beyond berth_place_begin. It starts without an index: see berth_place_prepare. */
BERTH_PLACE_API BerthPlaceResult berth_place_copy(const BerthPlace *place, BerthPlace **ret_copy);

BERTH_PLACE_API uint32_t berth_place_n_dims(const BerthPlace *place);
BERTH_PLACE_API uint32_t berth_place_n_hosts(const BerthPlace *place); /* disabled ones included */

/* Adds a host, enabled. `order` is its rank among equals and for first-fit, smallest first; of
 * equal ranks the smaller host number comes first. A capacity of 0 says that the host lacks the
 * dimension. `available` may be NULL: all of the capacity. Each 0 <= capacity <=
 * BERTH_PLACE_MAX_AMOUNT and -BERTH_PLACE_MAX_AMOUNT <= available <= capacity: a host that lost a
 * memory module can owe more than it has, and what is given back must be counted from there. */
BERTH_PLACE_API BerthPlaceResult berth_place_add(BerthPlace *place, uint32_t host, uint64_t order,
                                                 const int64_t *capacity, const int64_t *available);
BERTH_PLACE_API BerthPlaceResult berth_place_remove(BerthPlace *place, uint32_t host);

/* Sets capacity and availability anew, in the ranges above; `capacity` NULL keeps it. */
BERTH_PLACE_API BerthPlaceResult berth_place_set(BerthPlace *place, uint32_t host,
                                                 const int64_t *capacity, const int64_t *available);

/* A disabled host (drained, down) is no candidate; its availability is kept and can change. */
BERTH_PLACE_API BerthPlaceResult berth_place_set_enabled(BerthPlace *place, uint32_t host,
                                                         bool enabled);

/* Books a vector on a host, enabled or not, or gives it back: all dimensions or none. A dimension
 * of which nothing is taken is not looked at, so that one in debt does not refuse what needs none.
 */
BERTH_PLACE_API BerthPlaceResult berth_place_take(BerthPlace *place, uint32_t host,
                                                  const int64_t *vector);
BERTH_PLACE_API BerthPlaceResult berth_place_give(BerthPlace *place, uint32_t host,
                                                  const int64_t *vector);

/* Changes that can be undone, for a question of what would be: what is taken, given, enabled, disabled,
 * entered and left after `begin`, devices included, is undone by `rollback`, each change at the cost
 * of one, or stays with `commit`. Questions in between see the changes, and neither call can fail but
 * for being out of turn: `begin` a second time is ERROR_BUSY, the others without it ERROR_ARGUMENT.
 * In between, hosts are not added, removed or set, and domains, labels, rules, what devices there are
 * and the workload stay as they are (ERROR_BUSY); a copy is a fleet of its own, with the changes so
 * far. */
BERTH_PLACE_API BerthPlaceResult berth_place_begin(BerthPlace *place);
BERTH_PLACE_API BerthPlaceResult berth_place_rollback(BerthPlace *place);
BERTH_PLACE_API BerthPlaceResult berth_place_commit(BerthPlace *place);

/* Makes ready now what is otherwise made ready by and by, with each change after the first question of
 * a policy: the index of that policy over all hosts, and in it the answer for one vector, unless
 * that is NULL. Until then questions look at every host, with the same answers. For a fleet that
 * was just loaded, filled or copied (neither files nor copies have an index) and will be asked
 * more often than changed. Takes up to seconds for a million hosts; without memory it does as much
 * as it can. */
BERTH_PLACE_API BerthPlaceResult berth_place_prepare(BerthPlace *place, BerthPlacePolicy policy,
                                                     const int64_t *vector);

/* What a host has; each output may be NULL. */
BERTH_PLACE_API BerthPlaceResult berth_place_get(const BerthPlace *place, uint32_t host,
                                                 int64_t *ret_capacity, int64_t *ret_available,
                                                 bool *ret_enabled);

typedef struct {
    uint32_t struct_size;
    BerthPlacePolicy policy;
    const int64_t *vector; /* 0 to BERTH_PLACE_MAX_AMOUNT, not all 0 */

    /* Only these hosts: bit (host % 64) of word host / 64; hosts behind the words are not allowed.
     * NULL: all hosts. */
    const uint64_t *allowed;
    uint32_t allowed_words;

    /* None of these: host numbers in strictly rising order; they need not exist. */
    uint32_t banned_count;
    const uint32_t *banned;

    /* The groups that the VM will enter with, each once: their rules hold for it. Labels that its host
     * must have. (place/rules.h) */
    uint32_t n_groups, n_labels;
    const uint32_t *groups, *labels;

    /* For BERTH_PLACE_MIX: a weight for each of the BERTH_PLACE_N_MIXED policies by number, finite,
     * not negative, not all 0. Otherwise NULL. */
    const double *mix;

    /* Devices that the VM needs besides; NULL: none. `n_devices` such demands, 0 counting as one, of
     * which no two may name the same model. (place/devices.h) */
    const struct BerthPlaceDevices *devices;
    uint32_t n_devices;
} BerthPlaceRequest;

typedef struct {
    uint32_t struct_size;
    uint32_t host;
    double score;
    uint64_t penalty; /* the weights of the soft rules that the host breaks */
    uint64_t devices; /* which of the host's devices the request gets, bit by bit */
} BerthPlaceDecision;

/* The host for a request; changes nothing. BERTH_PLACE_NO_HOST leaves the decision untouched, as an
 * error does. */
BERTH_PLACE_API BerthPlaceResult berth_place_find(const BerthPlace *place,
                                                  const BerthPlaceRequest *request,
                                                  BerthPlaceDecision *decision);

/* What speaks for or against a host. The reasons are looked for in this order: disabled, not
 * allowed, banned, label, lacks, short, device,
 * rule. */
typedef enum {
    BERTH_PLACE_CHOSEN = 0,
    BERTH_PLACE_CANDIDATE = 1,   /* fits, but another is better */
    BERTH_PLACE_DISABLED = 2,    /* drained or down */
    BERTH_PLACE_NOT_ALLOWED = 3, /* not among the allowed hosts */
    BERTH_PLACE_BANNED = 4,
    BERTH_PLACE_LACKS = 5,  /* has no capacity at all in a dimension that is asked for */
    BERTH_PLACE_SHORT = 6,  /* not enough available */
    BERTH_PLACE_LABEL = 7,  /* without a label that is asked for */
    BERTH_PLACE_RULE = 8,   /* a hard rule would be broken */
    BERTH_PLACE_DEVICE = 9, /* too few devices of the models that do have so many slices free */
} BerthPlaceReason;

typedef struct {
    uint32_t host;
    BerthPlaceReason reason;
    double score;    /* of CHOSEN and CANDIDATE */
    uint32_t dim;    /* of LACKS and SHORT: the first such dimension */
    int64_t missing; /* of LACKS and SHORT: how much more it would take there; of DEVICE: devices */
    uint32_t label;  /* of LABEL */
    uint32_t rule;   /* of RULE: the first such rule, by the order of the request's groups */
    uint64_t penalty; /* of CHOSEN and CANDIDATE, as in the decision */
} BerthPlaceVerdict;

/* The verdict on one host, which is never CHOSEN here: that takes the others. */
BERTH_PLACE_API BerthPlaceResult berth_place_examine(const BerthPlace *place,
                                                     const BerthPlaceRequest *request,
                                                     uint32_t host, BerthPlaceVerdict *ret_verdict);

/* Calls back for every host, by rising host number, until the callback answers false. Returns what
 * berth_place_find would. The callback must not change the fleet. */
typedef bool (*BerthPlaceExplainFunc)(const BerthPlaceVerdict *verdict, void *user_data);
BERTH_PLACE_API BerthPlaceResult berth_place_explain(const BerthPlace *place,
                                                     const BerthPlaceRequest *request,
                                                     BerthPlaceExplainFunc callback,
                                                     void *user_data);

/* Why there is no host: a smallest set of causes that contradict each other. Each host fails by at
 * least one of them, and no smaller set does that: without any one of them, some host would pass the
 * others of the set. (Where more than BERTH_PLACE_MAX_CAUSES would be needed, that many are told.)
 * BERTH_PLACE_OK with no cause when there is a host, or none in the whole fleet. `ret_causes` has
 * room for BERTH_PLACE_MAX_CAUSES. */
typedef struct {
    BerthPlaceReason reason;
    uint32_t dim;   /* of LACKS and SHORT */
    uint32_t label; /* of LABEL */
    uint32_t rule;  /* of RULE */
    uint32_t hosts; /* that this cause alone stands against, among those told */
} BerthPlaceCause;

#define BERTH_PLACE_MAX_CAUSES 8

BERTH_PLACE_API BerthPlaceResult berth_place_conflict(const BerthPlace *place,
                                                      const BerthPlaceRequest *request,
                                                      BerthPlaceCause *ret_causes,
                                                      uint32_t *ret_n_causes);

/* NULL, or the first invariant that does not hold. For tests: it looks at everything. */
BERTH_PLACE_API const char *berth_place_check(const BerthPlace *place);

#ifdef __cplusplus
}
#endif
