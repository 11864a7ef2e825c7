/*
 * One run of `berth`: what the user asked for, where the answer goes, and what commands share.
 *
 * A command's `run` speaks to the manager with cli_call, prints with cli_print… and returns true,
 * or false with an error, which main shows and turns into the exit status. Results go to standard
 * output, everything else to standard error.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/client.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

typedef enum { CLI_TABLE, CLI_JSON, CLI_YAML } CliFormat;

/* Exit statuses; cli_exit_codes (help.h) has them in words. */
enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_ERROR = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_NOT_FOUND = 3,
    CLI_EXIT_CONFLICT = 4,
    CLI_EXIT_NO_CAPACITY = 5,
    CLI_EXIT_UNAVAILABLE = 6,
    CLI_EXIT_TIMEOUT = 7,
    CLI_EXIT_NOT_ALLOWED = 8,
};

struct Cli {
    const CliGroup *const *groups;
    const CliGroup *group;
    const CliCommand *command;
    CliArgs *args;
    bool parsed; /* the command line is one; what goes wrong from now on is about values */
    CliFormat format;
    bool color;        /* standard output is a terminal and NO_COLOR is not set */
    bool terminal;     /* standard error is a terminal */
    ApiClient *client; /* NULL until cli_connect */
    GHashTable *names; /* what names.h has asked for */
    int exit_code;     /* of a command that succeeds and still has something to say (exec) */
};

int cli_exit_code(const GError *error);

/* The i-th argument; NULL: not given. */
const char *cli_argument(const Cli *cli, guint i);

/* The client, connected to nothing yet; NULL with an error when there is no usable context. */
ApiClient *cli_connect(Cli *cli, GError **error);
json_t *cli_call(Cli *cli, const ApiCall *call, GError **error);

/* As -o says, for json and yaml; a table command calls it when cli->format is not CLI_TABLE. */
void cli_print_json(const Cli *cli, const json_t *json);
void cli_print_table(const Cli *cli, const Table *table);
/* A line for a person; nothing with -o json or yaml. */
void cli_say(const Cli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A line on standard error. */
void cli_note(const Cli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);

Progress *cli_progress(const Cli *cli);

/* How objects of a kind look as text. */
typedef struct {
    const char *const *headings;
    bool (*row)(Cli *cli, Table *table, const json_t *object, GError **error);
    bool (*show)(Cli *cli, const json_t *object, GError **error);
    bool by_name; /* a list is in the order of names, web-2 before web-10; else as it was made */
    bool tenants; /* a list has a column TENANT when not all are the default one's */
} CliView;

/* The commands `list` and `show` of most objects. */
bool cli_list(Cli *cli, const ApiCall *call, const CliView *view, GError **error);
bool cli_show(Cli *cli, const ApiCall *call, const CliView *view, GError **error);

/* Deletes each argument, `what` being the object's name in a sentence; for operations that answer
 * with nothing. */
bool cli_delete_each(Cli *cli, ApiOperation operation, const char *what, GError **error);
/* Creates from `body` (taken over), for operations that answer with the object. */
bool cli_create(Cli *cli, ApiOperation operation, const char *what, json_t *body, GError **error);

/* "Name  web-1" lines: two columns without headings. */
Table *cli_details_new(void);
/* Nothing is added for NULL and "". */
void cli_detail(Table *details, const char *label, const char *value);
void cli_detail_take(Table *details, const char *label, char *value);
void cli_detail_age(Table *details, const char *label, int64_t time_ms);

/* NULL for the tenant that is there from the start, who is not worth a line. */
const char *cli_other_tenant(const char *tenant);

/* Wall clock, ms since 1970. */
int64_t cli_now_ms(void);
/* "3m", as tables show ages; "" for 0. g_free it. */
char *cli_age(int64_t time_ms);

/* Sets `key` to the option's value as text, if it was given. */
void cli_set_text(const Cli *cli, json_t *body, const char *key, const char *option);
/* A whole number; errors name the option. */
bool cli_set_integer(const Cli *cli, json_t *body, const char *key, const char *option,
                     GError **error);
/* A duration as whole seconds, rounded up; errors name the option. */
bool cli_set_seconds(const Cli *cli, json_t *body, const char *key, const char *option,
                     GError **error);
/* The KEY=VALUE pairs of a repeated option, as an object. */
bool cli_set_map(const Cli *cli, json_t *body, const char *key, const char *option, GError **error);
/* All values of a repeated option, each split at commas. */
void cli_set_texts(const Cli *cli, json_t *body, const char *key, const char *option);
/* --since: so long ago, or a time; 0 if it was not given. */
#define SINCE_OPTION                                                                               \
    {                                                                                              \
        "since", 0, "TIME", "so long ago (7d, 12h), or a time such as 2026-11-25T00:00:00Z"        \
    }
bool cli_since(const Cli *cli, int64_t *ret_since_ms, GError **error);
