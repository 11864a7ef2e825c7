#include "cli/ends.h"

#include "base/timefmt.h"

bool ends_from_args(const Cli *cli, json_t *body, GError **error)
{
    cli_set_text(cli, body, "at-end", "at-end");
    cli_set_text(cli, body, "reservation", "reservation");
    return cli_set_seconds(cli, body, "duration-seconds", "for", error) &&
           cli_set_seconds(cli, body, "grace-seconds", "grace", error);
}

char *ends_time_text(int64_t time_ms)
{
    g_autofree char *time = berth_time_format(time_ms);
    g_autofree char *away = berth_time_ago_format(time_ms, cli_now_ms());
    return g_strdup_printf("%s (%s)", time, away);
}

char *ends_policy_text(AtEnd at_end, int64_t grace_seconds)
{
    g_autofree char *grace = berth_age_format(grace_seconds * 1000);
    return at_end == AT_END_WARN
               ? g_strdup("warn: what runs goes on")
               : g_strdup_printf("%s, %s after it was told", at_end_to_string(at_end), grace);
}

void ends_details(Table *details, int64_t ends_ms, AtEnd at_end, int64_t grace_seconds)
{
    if (ends_ms != 0) {
        cli_detail_take(details, "Ends", ends_time_text(ends_ms));
        cli_detail_take(details, "At end", ends_policy_text(at_end, grace_seconds));
    }
}
