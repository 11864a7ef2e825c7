/*
 * A command in the making: arguments, environment and the descriptors that it inherits.
 *
 * A builder never fails half way. What a caller got wrong (a NULL value, a descriptor used twice)
 * is kept, and the first such error comes out of command_line_take(), so that a function which
 * writes a hundred arguments has one place to look at:
 *
 *     CommandLine *line = command_line_new("/usr/bin/qemu-system-x86_64");
 *     command_line_args(line, "-nodefaults", "-no-user-config", NULL);
 *     command_line_option(line, "-device", "virtio-net-pci", "id", "net0", "mac", mac, NULL);
 *     command_line_suboption(line, "netdev", "%s-host", "net0");
 *     g_autoptr(Command) command = command_line_take(line, error);
 *
 * Nothing here quotes for a shell or runs one: arguments go to execve as they are. Where QEMU gives
 * a comma a meaning, inside the value of `-device a,b=c`, command_line_option() doubles it.
 *
 * Thread safety: none is shared; a builder belongs to its caller. No I/O.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct CommandLine CommandLine;

/* What was built. `argv` and `env` end with NULL; `env` holds NAME=VALUE and is the whole
 * environment. `fds` are the numbers that argv speaks of and that the program must find open. */
typedef struct {
    char **argv;
    char **env;
    int *fds;
    size_t n_fds;
} Command;

CommandLine *command_line_new(const char *program);
void command_line_free(CommandLine *line);

void command_line_args(CommandLine *line, const char *arg, ...) G_GNUC_NULL_TERMINATED;
void command_line_arg_format(CommandLine *line, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Two arguments: `option` and `head,key=value,key=value…`. `head`, which may be NULL, is the value
 * without a key (the driver of -device). Keys and values come in pairs, closed by a NULL key. */
void command_line_option(CommandLine *line, const char *option, const char *head,
                         ...) G_GNUC_NULL_TERMINATED;

/* Adds `,key=value` to the option that was written last. The formatted value is escaped as a whole.
 */
void command_line_suboption(CommandLine *line, const char *key, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Two arguments: `option` and `value` in JSON, which takes what dotted keys cannot say. Takes
 * `value`. */
void command_line_json(CommandLine *line, const char *option, json_t *value);

/* The program is to inherit descriptor `fd`; `purpose` is for the error that a second use makes. */
void command_line_use_fd(CommandLine *line, int fd, const char *purpose);

void command_line_set_env(CommandLine *line, const char *name, const char *value);

/* Keeps an error of the caller's own, printf-like, unless one is kept already. */
void command_line_refuse(CommandLine *line, const char *field, const char *value,
                         const char *remedy, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Frees the builder and gives what it built, or the first error that it kept (BERTH_ERROR_INVALID).
 */
Command *command_line_take(CommandLine *line, GError **error);

void command_free(Command *command);

/* One line for logs that can be pasted into a shell; environment first. */
char *command_line_to_string(const Command *command);

/* `value` as it stands behind `key=` in an option of QEMU: each comma doubled. */
char *command_line_escape(const char *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandLine, command_line_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Command, command_free)
