#include "qemu/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

typedef struct {
    int fd;
    char *purpose;
} UsedFd;

struct CommandLine {
    GPtrArray *argv;
    GPtrArray *env;
    GArray *fds; /* of UsedFd */
    bool has_option;
    GError *error; /* the first thing that went wrong */
};

static void used_fd_clear(gpointer data)
{
    g_free(((UsedFd *)data)->purpose);
}

CommandLine *command_line_new(const char *program)
{
    CommandLine *line = g_new0(CommandLine, 1);
    line->argv = g_ptr_array_new_with_free_func(g_free);
    line->env = g_ptr_array_new_with_free_func(g_free);
    line->fds = g_array_new(FALSE, FALSE, sizeof(UsedFd));
    g_array_set_clear_func(line->fds, used_fd_clear);
    if (program == NULL || *program == '\0') {
        command_line_refuse(line, "program", program, "name the program to run", "no program");
    } else {
        g_ptr_array_add(line->argv, g_strdup(program));
    }
    return line;
}

void command_line_free(CommandLine *line)
{
    if (line == NULL) {
        return;
    }
    g_ptr_array_unref(line->argv);
    g_ptr_array_unref(line->env);
    g_array_unref(line->fds);
    g_clear_error(&line->error);
    g_free(line);
}

void command_line_refuse(CommandLine *line, const char *field, const char *value,
                         const char *remedy, const char *format, ...)
{
    if (line->error != NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    berth_error_set(&line->error, BERTH_ERROR_INVALID, field, value, remedy, "%s", message);
}

static void add(CommandLine *line, char *arg)
{
    line->has_option = false;
    g_ptr_array_add(line->argv, arg);
}

void command_line_args(CommandLine *line, const char *arg, ...)
{
    va_list args;
    va_start(args, arg);
    for (; arg != NULL; arg = va_arg(args, const char *)) {
        add(line, g_strdup(arg));
    }
    va_end(args);
}

void command_line_arg_format(CommandLine *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(line, g_strdup_vprintf(format, args));
    va_end(args);
}

char *command_line_escape(const char *value)
{
    GString *escaped = g_string_sized_new(strlen(value) + 8);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == ',') {
            g_string_append_c(escaped, ',');
        }
        g_string_append_c(escaped, *c);
    }
    return g_string_free(escaped, FALSE);
}

static void append_pair(CommandLine *line, GString *text, const char *key, const char *value)
{
    if (value == NULL) {
        command_line_refuse(line, key, NULL, "give it a value", "an option of %s has no value",
                            (const char *)g_ptr_array_index(line->argv, 0));
        return;
    }
    if (*key == '\0' || strpbrk(key, ",=") != NULL) {
        command_line_refuse(line, "key", key, "use the name of one option", "not a name of QEMU's");
        return;
    }
    g_autofree char *escaped = command_line_escape(value);
    g_string_append_printf(text, "%s%s=%s", text->len > 0 ? "," : "", key, escaped);
}

void command_line_option(CommandLine *line, const char *option, const char *head, ...)
{
    if (line->error != NULL) {
        return;
    }
    g_autofree char *escaped = head != NULL ? command_line_escape(head) : NULL;
    GString *text = g_string_new(escaped);
    va_list args;
    va_start(args, head);
    const char *key;
    while (line->error == NULL && (key = va_arg(args, const char *)) != NULL) {
        append_pair(line, text, key, va_arg(args, const char *));
    }
    va_end(args);
    add(line, g_strdup(option));
    add(line, g_string_free(text, FALSE));
    line->has_option = true;
}

void command_line_suboption(CommandLine *line, const char *key, const char *format, ...)
{
    if (line->error != NULL) {
        return;
    }
    if (!line->has_option) {
        command_line_refuse(line, key, NULL, "write the option first", "a suboption of nothing");
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    char **last = (char **)&g_ptr_array_index(line->argv, line->argv->len - 1);
    GString *text = g_string_new(*last);
    append_pair(line, text, key, value);
    g_free(*last);
    *last = g_string_free(text, FALSE);
}

void command_line_json(CommandLine *line, const char *option, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL) {
        command_line_refuse(line, option, NULL, "values must be UTF-8 text, numbers or booleans",
                            "cannot be written as JSON");
        return;
    }
    add(line, g_strdup(option));
    add(line, g_strdup(text));
    free(text);
}

void command_line_use_fd(CommandLine *line, int fd, const char *purpose)
{
    g_autofree char *number = g_strdup_printf("%d", fd);
    if (fd <= STDERR_FILENO) {
        command_line_refuse(line, purpose, number, "use a descriptor above 2",
                            "the descriptor is taken by standard input, output or error");
        return;
    }
    for (guint i = 0; i < line->fds->len; i++) {
        const UsedFd *used = &g_array_index(line->fds, UsedFd, i);
        if (used->fd == fd) {
            command_line_refuse(line, purpose, number, "give each its own number",
                                "the descriptor is taken by %s", used->purpose);
            return;
        }
    }
    UsedFd used = {.fd = fd, .purpose = g_strdup(purpose)};
    g_array_append_val(line->fds, used);
}

void command_line_set_env(CommandLine *line, const char *name, const char *value)
{
    if (name == NULL || *name == '\0' || strchr(name, '=') != NULL || value == NULL) {
        command_line_refuse(line, "environment", name, "give NAME and a value", "not a variable");
        return;
    }
    g_ptr_array_add(line->env, g_strdup_printf("%s=%s", name, value));
}

Command *command_line_take(CommandLine *line, GError **error)
{
    g_autoptr(CommandLine) owned = line;
    if (owned->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&owned->error));
        return NULL;
    }
    Command *command = g_new0(Command, 1);
    g_ptr_array_add(owned->argv, NULL);
    g_ptr_array_add(owned->env, NULL);
    command->argv = (char **)g_ptr_array_steal(owned->argv, NULL);
    command->env = (char **)g_ptr_array_steal(owned->env, NULL);
    command->n_fds = owned->fds->len;
    command->fds = g_new0(int, command->n_fds + 1);
    for (size_t i = 0; i < command->n_fds; i++) {
        command->fds[i] = g_array_index(owned->fds, UsedFd, i).fd;
    }
    return command;
}

void command_free(Command *command)
{
    if (command == NULL) {
        return;
    }
    g_strfreev(command->argv);
    g_strfreev(command->env);
    g_free(command->fds);
    g_free(command);
}

static void append_quoted(GString *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    if (text->len > 0) {
        g_string_append_c(text, ' ');
    }
    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        g_string_append(text, word);
        return;
    }
    g_autofree char *quoted = g_shell_quote(word);
    g_string_append(text, quoted);
}

char *command_line_to_string(const Command *command)
{
    GString *text = g_string_new(NULL);
    for (char **word = command->env; *word != NULL; word++) {
        append_quoted(text, *word);
    }
    for (char **word = command->argv; *word != NULL; word++) {
        append_quoted(text, *word);
    }
    return g_string_free(text, FALSE);
}
