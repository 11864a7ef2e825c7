#include "cli/policy.h"

#include <string.h>

#include "base/error.h"

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

void policy_name_from_args(const Cli *cli, json_t *body)
{
    cli_set_text(cli, body, "policy", "policy");
    g_autofree char *note = policy_make_plain(body);
    if (note != NULL) {
        cli_note(cli, "berth: %s", note);
    }
}

static bool refuse_weight(const char *given, const char *problem, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, "--policy", given,
                           "write a mix as most-free=2,cosine=1", "%s", problem);
}

/* Adds one POLICY=WEIGHT of a mix; whether it can be mixed is the manager's to say. */
static bool add_weight(json_t *weights, const char *given, GError **error)
{
    g_auto(GStrv) sides = g_strsplit(given, "=", 2);
    guint64 weight = 0;
    PlacePolicy policy;
    if (g_strv_length(sides) != 2 ||
        !g_ascii_string_to_unsigned(sides[1], 10, 1, 1000000, &weight, NULL)) {
        return refuse_weight(given, "not a policy and its weight, from 1 to 1000000", error);
    }
    const char *name =
        place_policy_from_string(sides[0], &policy) ? place_policy_to_string(policy) : sides[0];
    if (json_object_get(weights, name) != NULL) {
        return refuse_weight(given, "a policy that is weighed already", error);
    }
    json_object_set_new(weights, name, json_integer((json_int_t)weight));
    return true;
}

bool policy_from_args(const Cli *cli, json_t *body, GError **error)
{
    const char *given = cli_args_get(cli->args, "policy");
    if (given == NULL || strchr(given, '=') == NULL) {
        policy_name_from_args(cli, body);
        return true;
    }
    g_auto(GStrv) parts = g_strsplit(given, ",", -1);
    json_auto_t *weights = json_object();
    for (guint i = 0; parts[i] != NULL; i++) {
        if (!add_weight(weights, parts[i], error)) {
            return false;
        }
    }
    json_object_set_new(body, "policy", json_string("mix"));
    json_object_set(body, "policy-weights", weights);
    return true;
}

char *policy_text(PlacePolicy policy, const IntMap *weights)
{
    if (policy != PLACE_POLICY_MIX) {
        return g_strdup(place_policy_to_string(policy));
    }
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < int_map_size(weights); i++) {
        g_string_append_printf(text, "%s%s=%" G_GINT64_FORMAT, i > 0 ? "," : "",
                               int_map_key(weights, i), int_map_value(weights, i));
    }
    return g_string_free(text, FALSE);
}
