#include "cli/policy.h"

#include <string.h>

#include "schema/types.h"

char *policy_make_plain(json_t *body)
{
    const char *given = json_string_value(json_object_get(body, "policy"));
    PlacePolicy policy;
    if (given == NULL || !place_policy_from_string(given, &policy)) {
        return NULL;
    }
    const char *plain = place_policy_to_string(policy);
    if (strcmp(given, plain) == 0) {
        return NULL;
    }
    char *note = g_strdup_printf("%s is taken for %s (docs/placement.md)", given, plain);
    json_object_set_new(body, "policy", json_string(plain));
    return note;
}

void policy_from_args(const Cli *cli, json_t *body)
{
    cli_set_text(cli, body, "policy", "policy");
    g_autofree char *note = policy_make_plain(body);
    if (note != NULL) {
        cli_note(cli, "berth: %s", note);
    }
}
