/*
 * Apps: VMs that are asked for and placed together. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Something of one of its VMs has changed: ends operations, and the app itself when it is being
 * removed and its last VM is gone (then `app` is freed). */
void app_vm_changed(ClusterCore *core, ClusterApp *app);

/* After a start from the store: VMs that the app should have and that a crash left unmade are made.
 */
void app_resume(ClusterCore *core, ClusterApp *app);
