#include "base/error.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "schema/objects.h"

static char *expiry_text(const Token *token)
{
    return token->expires_ms != 0 ? berth_time_ago_format(token->expires_ms, cli_now_ms())
                                  : g_strdup("never");
}

static bool token_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Token) token = token_decode(json, CODEC_TOLERANT, error);
    if (token == NULL) {
        return false;
    }
    table_add(table, token->id);
    table_add(table, role_to_string(token->role));
    table_add(table, token->tenant);
    table_take(table, expiry_text(token));
    table_take(table, cli_age(token->created_ms));
    table_add(table, token->description);
    return true;
}

/* The token alone on standard output, so that a script can take it. */
static bool token_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Token) token = token_decode(json, CODEC_TOLERANT, error);
    if (token == NULL) {
        return false;
    }
    g_autofree char *expires = expiry_text(token);
    cli_say(cli, "%s", token->token != NULL ? token->token : token->id);
    cli_note(cli, "role %s%s%s, expires: %s; it is shown this once", role_to_string(token->role),
             token->tenant != NULL ? " of tenant " : "", token->tenant != NULL ? token->tenant : "",
             expires);
    return true;
}

static const char *const headings[] = {"ID",   "ROLE",        "TENANT", "EXPIRES",
                                       ">AGE", "DESCRIPTION", NULL};
static const CliView view = {headings, token_row, token_details};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_TOKENS}, &view, error);
}

static bool create(Cli *cli, GError **error)
{
    json_auto_t *body = json_object();
    if (!cli_set_seconds(cli, body, "valid-seconds", "expires", error)) {
        return false;
    }
    cli_set_text(cli, body, "role", "role");
    cli_set_text(cli, body, "tenant", "tenant");
    cli_set_text(cli, body, "description", "description");
    return cli_show(cli, &(ApiCall){.operation = API_OP_CREATE_TOKEN, .body = body}, &view, error);
}

static bool revoke_each(Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_TOKEN, "token", error);
}

static const CliOption create_options[] = {
    {"role", 0, "ROLE", "admin, operator, tenant or viewer"},
    {"expires", 0, "DURATION", "from now: 12h, 30d; never unless told otherwise", "valid-seconds"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the tokens, without their secrets", .run = list},
    {.verb = "create",
     .arguments = "--role ROLE",
     .summary = "Makes a token and prints it, this once",
     .options = create_options,
     .run = create,
     .details = "An admin may do everything; an operator everything but tenants, credits and "
                "tokens; tenant is for\none tenant and what is its own; a viewer reads, all or one "
                "tenant's. Put the token into a context\nfile (berth-context(5)) in place of the "
                "one there.\n\n"
                "Example: berth token create --role tenant --tenant blue --expires 30d"},
    {.verb = "revoke",
     .arguments = "ID…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Makes tokens good for nothing, at once",
     .run = revoke_each},
    {NULL},
};

const CliGroup token_group = {"token", "Tokens: who may ask for what", commands};
