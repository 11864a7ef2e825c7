#include "cli/commands.h"

const CliGroup *const cli_groups[] = {
    &app_group,   &vm_group,      &size_group,    &image_group,       &network_group,
    &host_group,  &rule_group,    &level_group,   &reservation_group, &queue_group,
    &plan_group,  &tenant_group,  &quota_group,   &token_group,       &operation_group,
    &event_group, &cluster_group, &support_group, &general_group,     NULL,
};
