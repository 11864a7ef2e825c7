#include "cli/manual.h"

#include <string.h>

#include "cli/help.h"

/* As troff takes it: no dash becomes a hyphen, no line a request. */
static void append_text(GString *page, const char *text)
{
    if (*text == '.' || *text == '\'') {
        g_string_append(page, "\\&");
    }
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            g_string_append(page, "\\e");
        } else if (*text == '-') {
            g_string_append(page, "\\-");
        } else {
            g_string_append_c(page, *text);
        }
    }
}

static void append_line(GString *page, const char *text)
{
    append_text(page, text);
    g_string_append_c(page, '\n');
}

static void append_tag(GString *page, const char *tag)
{
    g_string_append(page, ".TP\n\\fB");
    append_text(page, tag);
    g_string_append(page, "\\fR\n");
}

/* Paragraphs are filled; lines that are indented stand as they are. */
static void append_details(GString *page, const char *details)
{
    g_auto(GStrv) lines = g_strsplit(details, "\n", -1);
    bool verbatim = false;
    g_string_append(page, ".sp\n");
    for (char **line = lines; *line != NULL; line++) {
        bool indented = **line == ' ';
        if (**line != '\0' && indented != verbatim) {
            g_string_append(page, indented ? ".nf\n" : ".fi\n");
            verbatim = indented;
        }
        if (**line == '\0') {
            g_string_append(page, ".sp\n");
        } else {
            append_line(page, *line);
        }
    }
    g_string_append(page, verbatim ? ".fi\n" : "");
}

static void append_option(GString *page, const CliOption *option)
{
    GString *tag = g_string_new(NULL);
    if (option->letter != 0) {
        g_string_append_printf(tag, "-%c, ", option->letter);
    }
    g_string_append_printf(tag, "--%s", option->name);
    if (option->value != NULL) {
        bool optional = option->value[0] == '[';
        g_string_append_printf(tag, "%s%s", optional ? "[=" : " ", option->value + optional);
    }
    append_tag(page, tag->str);
    append_line(page, option->help);
    g_string_free(tag, TRUE);
}

static void append_command(GString *page, const CliGroup *group, const CliCommand *command)
{
    g_autofree char *usage = help_usage(group, command);
    append_tag(page, usage);
    append_text(page, command->summary);
    g_string_append(page, ".\n");
    if (command->details != NULL) {
        append_details(page, command->details);
    }
    g_autoptr(GPtrArray) options = cli_command_options(command);
    g_string_append(page, ".RS\n");
    for (guint i = 0; i < options->len && options->pdata[i] != cli_global_options; i++) {
        append_option(page, options->pdata[i]);
    }
    g_string_append(page, ".RE\n");
}

static void append_commands(GString *page, const CliGroup *const *groups)
{
    g_string_append(page, ".SH COMMANDS\n");
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        g_string_append(page, ".SS ");
        append_line(page, (*g)->summary);
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            append_command(page, *g, c);
        }
    }
}

char *manual_page(const CliGroup *const *groups)
{
    GString *page = g_string_new(".\\\" Made of the command table of berth when it was built.\n"
                                 ".TH BERTH 1 \"\" \"Berth " BERTH_VERSION "\" \"Berth\"\n"
                                 ".SH NAME\n"
                                 "berth \\- virtual machines on a cluster of hosts\n"
                                 ".SH SYNOPSIS\n"
                                 ".B berth\n"
                                 ".RI [ \"global option\" \"...] [\" object \"] \" verb\n"
                                 ".RI [ option \"...] [\" argument ...]\n"
                                 ".SH DESCRIPTION\n"
                                 ".B berth\n"
                                 "asks a manager, see\n"
                                 ".BR berth\\-manager (8),\n"
                                 "for what its command line says. Options may stand anywhere after "
                                 "the verb, global ones before it too; \\-\\- ends them.\n"
                                 ".SH \"GLOBAL OPTIONS\"\n");
    for (const CliOption *o = cli_global_options; o->name != NULL; o++) {
        append_option(page, o);
    }
    append_commands(page, groups);
    g_string_append(page, ".SH \"EXIT STATUS\"\n");
    for (const CliExitCode *e = cli_exit_codes; e->meaning != NULL; e++) {
        g_autofree char *code = g_strdup_printf("%d", e->code);
        append_tag(page, code);
        append_line(page, e->meaning);
    }
    g_string_append(page, ".SH ENVIRONMENT\n");
    append_tag(page, "BERTH_CONTEXT");
    append_line(page, "file that says where the manager is; see berth-context(5)");
    append_tag(page, "NO_COLOR");
    append_line(page, "if set, no colours");
    g_string_append(page, ".SH \"SEE ALSO\"\n"
                          ".BR berth\\-context (5),\n"
                          ".BR berth\\-manager (8),\n"
                          ".BR berth\\-agent (8),\n"
                          ".BR berth\\-keep (8),\n"
                          ".BR berth\\-sim (1)\n");
    return g_string_free(page, FALSE);
}

/* In the script's tables a space ends a key: bash takes no empty one. */
static void append_options(GString *script, const char *words, const CliCommand *command)
{
    g_string_append_printf(script, "        ['%s ']='", words);
    g_autoptr(GPtrArray) options = cli_command_options(command);
    for (guint i = 0; i < options->len; i++) {
        const CliOption *o = options->pdata[i];
        g_string_append_printf(script, "%s--%s", i > 0 ? " " : "", o->name);
    }
    g_string_append(script, "'\n");
}

static char *words_of(const CliGroup *group, const CliCommand *command)
{
    return group->name != NULL ? g_strjoin(" ", group->name, command->verb, NULL)
                               : g_strdup(command->verb);
}

/* What may follow: words → the next words. A verb may have two. */
static void append_word(GHashTable *next, GPtrArray *order, const char *before, const char *word)
{
    GPtrArray *words = g_hash_table_lookup(next, before);
    if (words == NULL) {
        words = g_ptr_array_new_with_free_func(g_free);
        char *key = g_strdup(before);
        g_hash_table_insert(next, key, words);
        g_ptr_array_add(order, key);
    }
    if (!g_ptr_array_find_with_equal_func(words, word, g_str_equal, NULL)) {
        g_ptr_array_add(words, g_strdup(word));
    }
}

static void append_next(GString *script, const CliGroup *const *groups)
{
    g_autoptr(GHashTable) next =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GPtrArray) order = g_ptr_array_new();
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            g_autofree char *whole = words_of(*g, c);
            g_auto(GStrv) words = g_strsplit(whole, " ", -1);
            g_autofree char *before = g_strdup("");
            for (char **word = words; *word != NULL; word++) {
                append_word(next, order, before, *word);
                char *longer = g_strjoin(*before != '\0' ? " " : "", before, *word, NULL);
                g_free(before);
                before = longer;
            }
        }
    }
    for (guint i = 0; i < order->len; i++) {
        GPtrArray *words = g_hash_table_lookup(next, order->pdata[i]);
        g_string_append_printf(script, "        ['%s ']='", (const char *)order->pdata[i]);
        for (guint j = 0; j < words->len; j++) {
            g_string_append_printf(script, "%s%s", j > 0 ? " " : "", (const char *)words->pdata[j]);
        }
        g_string_append(script, "'\n");
    }
}

static void append_spelling(GHashTable *seen, GString *pattern, const CliOption *option)
{
    if (g_hash_table_add(seen, g_strdup(option->name))) {
        g_string_append_printf(pattern, "%s--%s", pattern->len > 0 ? "|" : "", option->name);
        if (option->letter != 0) {
            g_string_append_printf(pattern, "|-%c", option->letter);
        }
    }
}

/* Options that take the next word, and those whose word is a file, as patterns of `case`. */
static void append_valued(const CliGroup *const *groups, GString *valued, GString *files)
{
    g_autoptr(GHashTable) any = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) file = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            g_autoptr(GPtrArray) options = cli_command_options(c);
            for (guint i = 0; i < options->len; i++) {
                const CliOption *o = options->pdata[i];
                if (o->value != NULL && o->value[0] != '[') {
                    append_spelling(any, valued, o);
                }
                if (o->value != NULL && strcmp(o->value, "FILE") == 0) {
                    append_spelling(file, files, o);
                }
            }
        }
    }
}

/* Takes the patterns of options with a value, with a file, with a value. */
static const char completion_body[] =
    "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local i found='' words=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        %s) ((i++)) || true ;;\n"
    "        -*) ;;\n"
    "        *) words+=(\"${COMP_WORDS[i]}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    COMPREPLY=()\n"
    "    case $before in\n"
    "    --output|-o) mapfile -t COMPREPLY < <(compgen -W 'table json yaml' -- \"$current\")\n"
    "        return ;;\n"
    "    %s) mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "        return ;;\n"
    "    %s) return ;;\n"
    "    esac\n"
    "    if [[ $current != -* ]]; then\n"
    "        found=${next[${words[*]} ]-}\n"
    "    else\n"
    "        for ((i = 3; i >= 0 && ${#found} == 0; i--)); do\n"
    "            found=${options[${words[*]:0:i} ]-}\n"
    "        done\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$found\" -- \"$current\")\n"
    "}\n"
    "complete -F _berth berth\n";

char *manual_completion(const CliGroup *const *groups)
{
    GString *script = g_string_new("# Completion for bash, made of the command table of berth.\n"
                                   "_berth() {\n"
                                   "    local -A next=(\n");
    append_next(script, groups);
    g_string_append(script, "    )\n    local -A options=(\n");
    append_options(script, "", NULL);
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            g_autofree char *words = words_of(*g, c);
            append_options(script, words, c);
        }
    }
    g_string_append(script, "    )\n");
    g_autoptr(GString) valued = g_string_new(NULL);
    g_autoptr(GString) files = g_string_new(NULL);
    append_valued(groups, valued, files);
    g_string_append_printf(script, completion_body, valued->str, files->str, valued->str);
    return g_string_free(script, FALSE);
}
