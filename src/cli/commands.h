/*
 * The groups of commands, one file each, and the list of them all (groups.c).
 */
#pragma once

#include "cli/command.h"

extern const CliGroup app_group;
extern const CliGroup cluster_group;
extern const CliGroup event_group;
extern const CliGroup host_group;
extern const CliGroup image_group;
extern const CliGroup network_group;
extern const CliGroup operation_group;
extern const CliGroup plan_group;
extern const CliGroup queue_group;
extern const CliGroup quota_group;
extern const CliGroup reservation_group;
extern const CliGroup rule_group;
extern const CliGroup level_group;
extern const CliGroup size_group;
extern const CliGroup support_group;
extern const CliGroup tenant_group;
extern const CliGroup token_group;
extern const CliGroup vm_group;
extern const CliGroup general_group; /* apply, top, version: without an object */

/* In the order of the help; NULL ends. */
extern const CliGroup *const cli_groups[];
