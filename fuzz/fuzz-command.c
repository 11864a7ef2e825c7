/* Values in QEMU's options: read as QEMU reads them, they are what they were. */
#include "fuzz.h"

#include "qemu/command.h"

/* As get_opt_value() in QEMU's util/qemu-option.c: up to a comma that stands alone. */
static char *read_value(const char *text, const char **ret_end)
{
    GString *value = g_string_new(NULL);
    while (*text != '\0' && (*text != ',' || text[1] == ',')) {
        text += *text == ',';
        g_string_append_c(value, *text++);
    }
    *ret_end = text;
    return g_string_free(value, FALSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *value = g_strndup((const char *)data, size);
    CommandLine *line = command_line_new("/usr/bin/qemu-system-x86_64");
    command_line_option(line, "-device", "driver", "id", value, "last", "on", NULL);
    command_line_args(line, value, NULL);
    g_autoptr(Command) command = command_line_take(line, NULL);
    if (command == NULL) {
        return 0;
    }
    const char *start = command->argv[2] + strlen("driver,id=");
    const char *end;
    g_autofree char *read = read_value(start, &end);
    g_assert_cmpstr(read, ==, value);
    g_assert_cmpstr(end, ==, ",last=on");

    g_autofree char *pasted = command_line_to_string(command);
    g_auto(GStrv) argv = NULL;
    g_assert_true(g_shell_parse_argv(pasted, NULL, &argv, NULL));
    g_assert_cmpstr(argv[3], ==, value);
    return 0;
}
