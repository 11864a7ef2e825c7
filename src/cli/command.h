/*
 * The commands of `berth` as a table: what parses the command line, prints --help and makes the
 * manual page and the shell completion is all read from it.
 *
 * `berth OBJECT VERB` is a command of a group; a group without a name holds those of one word
 * (`berth top`). A verb may have two words (`berth host token create`). Options may stand anywhere
 * after the verb, `--` ends them, and the global ones may stand before the object too.
 *
 * To add a command: write its CliCommand into its group's table (one file per object) and, for a
 * new object, the group into groups.c.
 *
 * Threading: one thread (the parser is getopt_long, which keeps its place in globals).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Cli Cli;

typedef struct {
    const char *name;  /* without dashes; NULL ends a table */
    char letter;       /* of the short form; 0: none */
    const char *value; /* what follows, in capitals; in brackets if it may be left out (then only
                          --name=VALUE gives one); NULL: nothing */
    const char *help;
    const char *field; /* of the API that it sets; beside one of its own name */
} CliOption;

/* Options that several commands share. */
typedef enum {
    CLI_WAIT = 1 << 0,    /* --wait[=SECONDS], --no-wait */
    CLI_DRY_RUN = 1 << 1, /* --dry-run */
    CLI_EXPLAIN = 1 << 2, /* --explain */
} CliShared;

typedef struct {
    const char *verb;      /* NULL ends a table */
    const char *arguments; /* as the usage line shows them: "NAME…"; NULL: none */
    int min_arguments;
    int max_arguments; /* -1: no limit */
    bool verbatim;     /* what follows the first argument is taken as it stands (vm exec) */
    const char *summary;
    const char *details; /* paragraphs and examples under --help; NULL: none */
    const CliOption *options;
    unsigned shared; /* CliShared */
    bool (*run)(Cli *cli, GError **error);
} CliCommand;

typedef struct {
    const char *name;    /* NULL: its verbs stand alone */
    const char *summary; /* of the object */
    const CliCommand *commands;
} CliGroup;

/* -o, --context, --tenant, --help, --version. */
extern const CliOption cli_global_options[];

/* What a command line says: values by the option's name, and the arguments in order. */
typedef struct {
    GHashTable *options;  /* char * → GPtrArray of char *; a flag has "" */
    GPtrArray *arguments; /* of char * */
} CliArgs;

CliArgs *cli_args_new(void);
void cli_args_free(CliArgs *args); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliArgs, cli_args_free)

bool cli_args_has(const CliArgs *args, const char *name);
/* The last value, or NULL. */
const char *cli_args_get(const CliArgs *args, const char *name);
/* All values in order; NULL: none. Borrowed. */
const GPtrArray *cli_args_all(const CliArgs *args, const char *name);

/* As if the flag had been given. */
void cli_args_switch_on(CliArgs *args, const char *name);

/* The option of the command that was given and sets `field` of the API, such as `resources.cpu` or
 * `networks[1]`; NULL: none. */
const CliOption *cli_args_setting(const CliArgs *args, const CliCommand *command,
                                  const char *field);
/* The same, given or not. */
const CliOption *cli_command_setting(const CliCommand *command, const char *field);

/* Every option that a command takes, the global ones last; CliOption * of the tables. */
GPtrArray *cli_command_options(const CliCommand *command);

/* Global options in front; `ret_used` counts the words taken. */
bool cli_parse_globals(int argc, char **argv, CliArgs *args, int *ret_used, GError **error);

/* The command that the words name, and how many of them do. Errors offer the nearest. `ret_group`
 * is set even where only the verb is missing or wrong. */
bool cli_find_command(const CliGroup *const *groups, char **words, const CliGroup **ret_group,
                      const CliCommand **ret_command, int *ret_used, GError **error);

/* What follows the verb. With --help the number of arguments is not checked. */
bool cli_parse_command(const CliCommand *command, int argc, char **argv, CliArgs *args,
                       GError **error);
