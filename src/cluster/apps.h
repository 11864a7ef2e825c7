/*
 * Apps: VMs that are asked for and placed together. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Something of one of its VMs has changed: ends operations, and the app itself when it is being
 * removed and its last VM is gone (then `app` is freed). */
void app_vm_changed(ClusterCore *core, ClusterApp *app);

/* One of its VMs is gone. What the app should have and has not is made anew: a VM that somebody
 * deleted by itself, or one whose name was still taken when the app was asked to grow. */
void app_vm_removed(ClusterCore *core, ClusterApp *app);

/* Begins the removal of the app and of its VMs; it may be gone at once. */
void app_begin_removal(ClusterCore *core, ClusterApp *app);

/* VMs that the app should have and has not are made, as after a crash that left them unmade, or when
 * there is room again; those without which it has not enough also in the place of lower priorities. */
void app_resume(ClusterCore *core, ClusterApp *app);

/* How many VMs it lacks. */
int64_t app_missing(const ClusterApp *app);

/* Makes the app and all of its VMs, or nothing. `operation` (may be NULL) waits for it; `spec` is
 * copied. */
bool app_place(ClusterCore *core, const char *tenant, const char *id, const AppSpec *spec,
               ClusterOperation *operation, GError **error);
