/*
 * From what a request asks to what is wanted, complete: sizes, images and networks looked up,
 * defaults filled, bounds checked. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* A new spec, or NULL with an error that names the field. */
VmSpec *spec_from_create(ClusterCore *core, const char *tenant, const VmCreate *body,
                         GError **error);

/* A copy of `spec` with what a resize changes; generation and all else as it was. */
VmSpec *spec_resized(const VmSpec *spec, const VmResize *body, GError **error);

AppSpec *spec_from_create_app(ClusterCore *core, const char *tenant, const AppCreate *body,
                              GError **error);
/* The spec of one of an app's VMs; `number` counts from 1. */
VmSpec *spec_of_app_vm(ClusterCore *core, const ClusterApp *app, int64_t number, GError **error);

/* Has a mix weights, of policies that can be mixed, and no other policy any? */
bool spec_check_policy(PlacePolicy policy, const IntMap *weights, GError **error);

/* Is it enough for a VM to run, and are its accelerators named as such? INVALID names `field` and a dot. */
bool spec_check_resources(const char *field, const Resources *resources, GError **error);

/* vCPUs that a guest needs to use so much CPU. */
int64_t vcpus_for(int64_t millicores);

/* What a size says of a VM; everything else is still to be set. */
VmSpec *spec_of_size(const Size *size);
