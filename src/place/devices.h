/*
 * libberth-place: devices that are given out one by one, such as accelerators.
 *
 * A dimension of a vector is a sum: two half-free devices look like a whole one. Here each device of
 * a host is counted by itself. A device has a model (a small number of the caller's) and a capacity in
 * slices: 1 for a device that is only given out whole, 7 for one that can be cut into seven, 1000
 * for one that is shared by thousandths. A request asks for n devices of some models and the same
 * number of slices of each: n different devices, none of which is straddled; or for n whole devices,
 * which must be untouched. Who needs several kinds at once makes several demands, each of models of
 * its own.
 *
 *     berth_place_set_devices(place, host, (BerthPlaceDevice[]){{A100, 7, 7}, {A100, 7, 7}}, 2);
 *     request.devices = &(BerthPlaceDevices){.n = 1, .slices = 3, .models = UINT64_C(1) << A100};
 *     … berth_place_find: decision.devices tells which of the host's devices, bit by bit …
 *     berth_place_take(place, decision.host, request.vector);
 *     berth_place_take_devices(place, decision.host, 3, decision.devices);
 *
 * Vectors and devices are booked apart from each other. A caller that wants the policies of vectors
 * to see devices keeps their sum as a dimension too.
 *
 * Which devices of the chosen host: those with the fewest free slices that do, of equal ones the
 * first. The policy BERTH_PLACE_FRAGMENTATION chooses host and device together, so that what typical
 * requests could not use grows the least (docs/placement.md); it has to be told what is typical.
 *
 * Errors and threads as place.h has them.
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PLACE_MAX_DEVICES 64                 /* of one host */
#define BERTH_PLACE_MAX_MODEL 64                   /* model numbers are smaller */
#define BERTH_PLACE_MAX_SLICES UINT32_C(1000000)   /* of one device */
#define BERTH_PLACE_MAX_TYPICAL 1024               /* typical requests */
#define BERTH_PLACE_MAX_WEIGHT UINT32_C(100000000) /* of all of them together */

#define BERTH_PLACE_WHOLE UINT32_MAX     /* all slices of a device that has none taken */
#define BERTH_PLACE_ANY_MODEL UINT64_MAX /* as a set of models */

typedef struct {
    uint32_t model;
    uint32_t capacity; /* slices, 1 to BERTH_PLACE_MAX_SLICES */
    uint32_t free;     /* slices, 0 to the capacity */
} BerthPlaceDevice;

/* What a request asks for. */
typedef struct BerthPlaceDevices {
    uint32_t n;      /* devices, 1 to BERTH_PLACE_MAX_DEVICES, all different */
    uint32_t slices; /* of each, 1 to BERTH_PLACE_MAX_SLICES, or BERTH_PLACE_WHOLE */
    uint64_t models; /* bit by bit those that will do; not 0 */
} BerthPlaceDevices;

/* The same number of slices of some of a host's devices, bit by bit. */
typedef struct {
    uint32_t slices; /* BERTH_PLACE_WHOLE: all */
    uint64_t devices;
} BerthPlaceHolding;

/* Sets the devices of a host anew; 0 of them: none. ERROR_ARGUMENT: too many, or a model that is no
 * number of a model. ERROR_AMOUNT: a capacity of 0 or too large, or more free than that. */
BERTH_PLACE_API BerthPlaceResult berth_place_set_devices(BerthPlace *place, uint32_t host,
                                                         const BerthPlaceDevice *devices,
                                                         uint32_t n);

/* `ret_devices` has room for BERTH_PLACE_MAX_DEVICES; each output may be NULL. */
BERTH_PLACE_API BerthPlaceResult berth_place_get_devices(const BerthPlace *place, uint32_t host,
                                                         BerthPlaceDevice *ret_devices,
                                                         uint32_t *ret_n);

/* Which devices a request would get on a host, bit by bit: what a decision for that host names.
 * NO_HOST when its devices do not do; the rest of the request is not looked at. */
BERTH_PLACE_API BerthPlaceResult berth_place_choose_devices(const BerthPlace *place,
                                                            const BerthPlaceRequest *request,
                                                            uint32_t host, uint64_t *ret_chosen);

/* Takes so many slices of each chosen device, or gives them back: of all or of none. ERROR_ARGUMENT
 * when none is chosen, or one that the host does not have. With BERTH_PLACE_WHOLE each must have
 * nothing taken before, or everything. */
BERTH_PLACE_API BerthPlaceResult berth_place_take_devices(BerthPlace *place, uint32_t host,
                                                          uint32_t slices, uint64_t chosen);
BERTH_PLACE_API BerthPlaceResult berth_place_give_devices(BerthPlace *place, uint32_t host,
                                                          uint32_t slices, uint64_t chosen);

/* A request of the kind that is expected, and how often in comparison with the others. */
typedef struct {
    const int64_t
        *vector; /* as a request's, but it may be all 0; a dimension of 0 is not looked at */
    BerthPlaceDevices devices; /* n = 0: none */
    uint32_t weight;           /* at least 1 */
} BerthPlaceTypical;

/* What BERTH_PLACE_FRAGMENTATION expects; copied. None at all takes it back, and then a request with
 * that policy is refused (ERROR_ARGUMENT). Order and equal entries make no difference. */
BERTH_PLACE_API BerthPlaceResult berth_place_set_workload(BerthPlace *place,
                                                          const BerthPlaceTypical *typical,
                                                          uint32_t n);

/* The expected fragments on a host: free parts of its devices that a typical request cannot use, in
 * devices. ERROR_ARGUMENT without a workload. */
BERTH_PLACE_API BerthPlaceResult berth_place_fragments(const BerthPlace *place, uint32_t host,
                                                       double *ret_fragments);

#ifdef __cplusplus
}
#endif
