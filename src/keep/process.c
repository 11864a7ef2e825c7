#include "keep/process.h"

#include <glib.h>
#include <string.h>

int64_t keep_process_start_ticks(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    /* The name in field 2 may hold anything, so count from its closing parenthesis: " S 1 …". */
    const char *rest = strrchr(text, ')');
    g_auto(GStrv) fields = g_strsplit(rest != NULL ? rest + 1 : "", " ", 22);
    if (g_strv_length(fields) < 21 || strchr("ZX", fields[1][0]) != NULL) {
        return 0;
    }
    return g_ascii_strtoll(fields[20], NULL, 10);
}
