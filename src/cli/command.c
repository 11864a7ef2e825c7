#include "cli/command.h"

#include <getopt.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"

#define FIRST_LONG 256

const CliOption cli_global_options[] = {
    {"output", 'o', "FORMAT", "table (the default), json or yaml"},
    {"context", 0, "FILE", "where the manager is (BERTH_CONTEXT)"},
    {"tenant", 0, "NAME", "whose VMs, apps, networks and so on; for those who may see them"},
    {"help", 'h', NULL, "this help"},
    {"version", 0, NULL, "the version of this program"},
    {NULL},
};

static const CliOption wait_options[] = {
    {"wait", 0, "[SECONDS]", "wait for the end, at most so long; 300 unless told otherwise"},
    {"no-wait", 0, NULL, "answer as soon as it is under way"},
    {NULL},
};

static const CliOption dry_run_options[] = {
    {"dry-run", 0, NULL, "say what would be done, and do nothing"},
    {NULL},
};

static const CliOption explain_options[] = {
    {"explain", 0, NULL, "say why this host, and why not each other"},
    {NULL},
};

CliArgs *cli_args_new(void)
{
    CliArgs *args = g_new0(CliArgs, 1);
    args->options =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    args->arguments = g_ptr_array_new_with_free_func(g_free);
    return args;
}

void cli_args_free(CliArgs *args)
{
    if (args != NULL) {
        g_hash_table_unref(args->options);
        g_ptr_array_unref(args->arguments);
        g_free(args);
    }
}

bool cli_args_has(const CliArgs *args, const char *name)
{
    return g_hash_table_contains(args->options, name);
}

const GPtrArray *cli_args_all(const CliArgs *args, const char *name)
{
    return g_hash_table_lookup(args->options, name);
}

const char *cli_args_get(const CliArgs *args, const char *name)
{
    const GPtrArray *values = cli_args_all(args, name);
    return values != NULL ? values->pdata[values->len - 1] : NULL;
}

static void args_add(CliArgs *args, const char *name, const char *value)
{
    GPtrArray *values = g_hash_table_lookup(args->options, name);
    if (values == NULL) {
        values = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(args->options, g_strdup(name), values);
    }
    g_ptr_array_add(values, g_strdup(value != NULL ? value : ""));
}

void cli_args_switch_on(CliArgs *args, const char *name)
{
    args_add(args, name, NULL);
}

static void add_options(GPtrArray *all, const CliOption *options)
{
    for (const CliOption *o = options; o != NULL && o->name != NULL; o++) {
        g_ptr_array_add(all, (gpointer)o);
    }
}

GPtrArray *cli_command_options(const CliCommand *command)
{
    GPtrArray *all = g_ptr_array_new();
    if (command != NULL) {
        add_options(all, command->options);
        add_options(all, command->shared & CLI_WAIT ? wait_options : NULL);
        add_options(all, command->shared & CLI_DRY_RUN ? dry_run_options : NULL);
        add_options(all, command->shared & CLI_EXPLAIN ? explain_options : NULL);
    }
    add_options(all, cli_global_options);
    return all;
}

/* An accelerator is a member of its own name, such as gpu/a100. */
static bool sets(const CliOption *option, const char *member)
{
    return strcmp(option->name, member) == 0 || g_strcmp0(option->field, member) == 0 ||
           (strcmp(option->name, "accelerator") == 0 && strchr(member, '/') != NULL);
}

/* `args` NULL: whether it was given or not. */
static const CliOption *find_setting(const CliArgs *args, const CliCommand *command,
                                     const char *field)
{
    g_autoptr(GPtrArray) options = cli_command_options(command);
    g_auto(GStrv) members = g_strsplit_set(field, ".[", -1);
    for (guint m = 0; members[m] != NULL; m++) {
        for (guint i = 0; i < options->len; i++) {
            const CliOption *option = options->pdata[i];
            if (sets(option, members[m]) && (args == NULL || cli_args_has(args, option->name))) {
                return option;
            }
        }
    }
    return NULL;
}

const CliOption *cli_args_setting(const CliArgs *args, const CliCommand *command, const char *field)
{
    return find_setting(args, command, field);
}

const CliOption *cli_command_setting(const CliCommand *command, const char *field)
{
    return find_setting(NULL, command, field);
}

/* What getopt_long wants to know, made of the table. */
typedef struct {
    GString *letters;
    GArray *longs; /* of struct option */
} Getopt;

static void getopt_clear(Getopt *getopt)
{
    g_string_free(getopt->letters, TRUE);
    g_array_unref(getopt->longs);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Getopt, getopt_clear)

static Getopt getopt_of(const GPtrArray *options, bool stop_at_argument)
{
    Getopt getopt = {.letters = g_string_new(stop_at_argument ? "+:" : ":"),
                     .longs = g_array_new(TRUE, FALSE, sizeof(struct option))};
    for (guint i = 0; i < options->len; i++) {
        const CliOption *o = options->pdata[i];
        int has_arg = o->value == NULL     ? no_argument
                      : o->value[0] == '[' ? optional_argument
                                           : required_argument;
        struct option entry = {o->name, has_arg, NULL, FIRST_LONG + (int)i};
        g_array_append_val(getopt.longs, entry);
        if (o->letter != 0) {
            g_string_append_printf(getopt.letters, "%c%s", o->letter,
                                   has_arg == required_argument ? ":" : "");
        }
    }
    return getopt;
}

static const CliOption *option_of(const GPtrArray *options, int code)
{
    for (guint i = 0; i < options->len; i++) {
        const CliOption *o = options->pdata[i];
        if (code == FIRST_LONG + (int)i || (code != 0 && code == o->letter)) {
            return o;
        }
    }
    return NULL;
}

static bool refuse_unknown(const GPtrArray *options, const char *word, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < options->len; i++) {
        g_ptr_array_add(names, (gpointer)((const CliOption *)options->pdata[i])->name);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *name = g_strndup(word, strcspn(word, "="));
    const char *bare = name + strspn(name, "-");
    const char *near = berth_nearest_name(bare, (const char *const *)names->pdata);
    bool number = g_ascii_isdigit(bare[0]);
    g_autofree char *remedy = number         ? g_strdup("write -- before a negative number")
                              : near != NULL ? g_strdup_printf("did you mean --%s?", near)
                                             : g_strdup("--help lists what it takes");
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, remedy,
                           "there is no option '%s'", name);
}

/* What getopt_long did not like. */
static bool refuse_option(const GPtrArray *options, int code, int letter, const char *word,
                          GError **error)
{
    const CliOption *option = option_of(options, letter);
    if (option == NULL) {
        char text[] = {'-', (char)letter, '\0'};
        bool is_long = word != NULL && g_str_has_prefix(word, "--");
        return refuse_unknown(options, is_long || letter == 0 ? word : text, error);
    }
    if (code == ':') {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, option->help,
                               "--%s needs a %s", option->name, option->value);
    }
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "leave the value out",
                           "--%s takes no value", option->name);
}

static bool parse(const GPtrArray *options, bool stop_at_argument, int argc, char **argv,
                  CliArgs *args, int *ret_next, GError **error)
{
    g_auto(Getopt) getopt = getopt_of(options, stop_at_argument);
    const struct option *longs = (const struct option *)(void *)getopt.longs->data;
    optind = 0;
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, getopt.letters->str, longs, NULL)) != -1) {
        if (code == '?' || code == ':') {
            return refuse_option(options, code, optopt, argv[optind - 1], error);
        }
        args_add(args, option_of(options, code)->name, optarg);
    }
    *ret_next = optind;
    return true;
}

bool cli_parse_globals(int argc, char **argv, CliArgs *args, int *ret_used, GError **error)
{
    g_autoptr(GPtrArray) options = cli_command_options(NULL);
    return parse(options, true, argc, argv, args, ret_used, error);
}

/* How many of `words` the verb is made of; 0: it is another. */
static int verb_matches(const char *verb, char **words)
{
    g_auto(GStrv) parts = g_strsplit(verb, " ", -1);
    int count = 0;
    for (; parts[count] != NULL; count++) {
        if (words[count] == NULL || strcmp(parts[count], words[count]) != 0) {
            return 0;
        }
    }
    return count;
}

static const CliCommand *find_verb(const CliGroup *group, char **words, int *ret_used)
{
    for (const CliCommand *c = group->commands; c->verb != NULL; c++) {
        int used = verb_matches(c->verb, words);
        if (used > 0) {
            *ret_used = used;
            return c;
        }
    }
    return NULL;
}

/* "token list", "token create" begin with "token": says what may follow. */
static char *verbs_of(const CliGroup *group, const char *first)
{
    GString *text = g_string_new(NULL);
    for (const CliCommand *c = group->commands; c->verb != NULL; c++) {
        size_t length = first != NULL ? strlen(first) : 0;
        if (length == 0 || (strncmp(c->verb, first, length) == 0 && c->verb[length] == ' ')) {
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "",
                                   c->verb + length + (length > 0));
        }
    }
    return g_string_free(text, FALSE);
}

static bool refuse_verb(const CliGroup *group, char **words, GError **error)
{
    if (words[0] == NULL) {
        g_autofree char *verbs = verbs_of(group, NULL);
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, verbs,
                               "'berth %s' needs a verb", group->name);
    }
    g_autofree char *seconds = verbs_of(group, words[0]);
    if (seconds[0] != '\0') {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, seconds,
                               "'berth %s %s' %s%s%s", group->name, words[0],
                               words[1] != NULL ? "has no verb '" : "needs one more word",
                               words[1] != NULL ? words[1] : "", words[1] != NULL ? "'" : "");
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const CliCommand *c = group->commands; c->verb != NULL; c++) {
        g_ptr_array_add(names, (gpointer)c->verb);
    }
    g_ptr_array_add(names, NULL);
    const char *near = berth_nearest_name(words[0], (const char *const *)names->pdata);
    g_autofree char *remedy =
        near != NULL ? g_strdup_printf("did you mean 'berth %s %s'?", group->name, near)
                     : verbs_of(group, NULL);
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, remedy,
                           "'berth %s' has no verb '%s'", group->name, words[0]);
}

static bool refuse_object(const CliGroup *const *groups, const char *word, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        if ((*g)->name != NULL) {
            g_ptr_array_add(names, (gpointer)(*g)->name);
            continue;
        }
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            g_ptr_array_add(names, (gpointer)c->verb);
        }
    }
    g_ptr_array_add(names, NULL);
    const char *near = berth_nearest_name(word, (const char *const *)names->pdata);
    g_autofree char *remedy = near != NULL ? g_strdup_printf("did you mean 'berth %s'?", near)
                                           : g_strdup("'berth --help' lists the commands");
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, remedy,
                           "there is no command '%s'", word);
}

bool cli_find_command(const CliGroup *const *groups, char **words, const CliGroup **ret_group,
                      const CliCommand **ret_command, int *ret_used, GError **error)
{
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        bool alone = (*g)->name == NULL;
        if (!alone && strcmp((*g)->name, words[0]) != 0) {
            continue;
        }
        const CliCommand *command = find_verb(*g, words + (alone ? 0 : 1), ret_used);
        if (command == NULL && alone) {
            continue;
        }
        *ret_group = *g;
        if (command == NULL) {
            return refuse_verb(*g, words + 1, error);
        }
        *ret_command = command;
        *ret_used += alone ? 0 : 1;
        return true;
    }
    return refuse_object(groups, words[0], error);
}

static const CliOption *option_named(const GPtrArray *options, const char *name)
{
    for (guint i = 0; i < options->len; i++) {
        const CliOption *option = options->pdata[i];
        if (strcmp(option->name, name) == 0) {
            return option;
        }
    }
    return NULL;
}

/* Options that stand in the usage line without brackets have to be given. */
static bool check_required(const CliCommand *command, const GPtrArray *options, const CliArgs *args,
                           GError **error)
{
    g_auto(GStrv) words = g_strsplit(command->arguments != NULL ? command->arguments : "", " ", -1);
    for (char **word = words; *word != NULL; word++) {
        const CliOption *option =
            g_str_has_prefix(*word, "--") ? option_named(options, *word + 2) : NULL;
        if (option != NULL && !cli_args_has(args, option->name)) {
            return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, option->help,
                                   "give --%s %s", option->name, option->value);
        }
    }
    return true;
}

/* "--wait 30" leaves 30 over, as what may be left out has to be joined: the option so written, or
 * NULL. */
static const CliOption *torn_option(const GPtrArray *options, int argc, char **argv,
                                    const char *value)
{
    for (int i = 1; i + 1 < argc; i++) {
        const CliOption *option =
            g_str_has_prefix(argv[i], "--") ? option_named(options, argv[i] + 2) : NULL;
        if (option != NULL && option->value != NULL && option->value[0] == '[' &&
            strcmp(argv[i + 1], value) == 0) {
            return option;
        }
    }
    return NULL;
}

/* `words` is the command line as it was given, before getopt_long puts options first. */
static bool check_arguments(const CliCommand *command, const GPtrArray *options, char **words,
                            const CliArgs *args, GError **error)
{
    int count = (int)args->arguments->len;
    for (int i = 0; i < count && !command->verbatim; i++) {
        const char *argument = args->arguments->pdata[i];
        if (argument[0] == '\0') {
            return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, command->arguments,
                                   "an argument is empty");
        }
    }
    if (count < command->min_arguments) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, NULL, "give %s",
                               command->arguments);
    }
    bool extra_words = command->max_arguments >= 0 && count > command->max_arguments;
    for (int i = 0; extra_words && i < count; i++) {
        const char *extra = args->arguments->pdata[i];
        const CliOption *torn = torn_option(options, (int)g_strv_length(words), words, extra);
        if (torn != NULL) {
            g_autofree char *remedy = g_strdup_printf("write --%s=%s", torn->name, extra);
            return berth_error_set(error, BERTH_ERROR_INVALID, NULL, extra, remedy,
                                   "what --%s is to be stands apart from it", torn->name);
        }
    }
    if (extra_words) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL,
                               args->arguments->pdata[command->max_arguments], NULL,
                               command->arguments != NULL ? "one argument too many for %s"
                                                          : "%sthis command takes no arguments",
                               command->arguments != NULL ? command->arguments : "");
    }
    return check_required(command, options, args, error);
}

bool cli_parse_command(const CliCommand *command, int argc, char **argv, CliArgs *args,
                       GError **error)
{
    g_autoptr(GPtrArray) options = cli_command_options(command);
    g_autoptr(GStrvBuilder) given = g_strv_builder_new();
    for (int i = 0; i < argc; i++) {
        g_strv_builder_add(given, argv[i]);
    }
    g_auto(GStrv) words = g_strv_builder_end(given);
    int next;
    if (!parse(options, command->verbatim, argc, argv, args, &next, error)) {
        return false;
    }
    for (int i = next; i < argc; i++) {
        bool separator = command->verbatim && i == next + 1 && strcmp(argv[i], "--") == 0;
        if (!separator) {
            g_ptr_array_add(args->arguments, g_strdup(argv[i]));
        }
    }
    return cli_args_has(args, "help") || check_arguments(command, options, words, args, error);
}
