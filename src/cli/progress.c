#include "cli/progress.h"

#include "cli/table.h"

#define QUIET_US G_USEC_PER_SEC
#define TERMINAL_STEP_US (G_USEC_PER_SEC / 10)
#define LINE_STEP_US (10 * G_USEC_PER_SEC)

struct Progress {
    FILE *out;
    bool terminal;
    gint64 begin_us, shown_us; /* shown_us 0: nothing yet */
    char *shown;
};

Progress *progress_new(FILE *out, bool terminal, gint64 now_us)
{
    Progress *progress = g_new0(Progress, 1);
    progress->out = out;
    progress->terminal = terminal;
    progress->begin_us = now_us;
    return progress;
}

void progress_update(Progress *progress, gint64 now_us, const char *text)
{
    gint64 step = progress->terminal ? TERMINAL_STEP_US : LINE_STEP_US;
    bool first = progress->shown_us == 0;
    if (now_us - progress->begin_us < QUIET_US || (!first && now_us - progress->shown_us < step)) {
        return;
    }
    g_autofree char *safe = table_safe_text(text);
    if (progress->terminal) {
        fprintf(progress->out, "\r\033[K%s (%" G_GINT64_FORMAT " s)", safe,
                (now_us - progress->begin_us) / G_USEC_PER_SEC);
    } else if (g_strcmp0(safe, progress->shown) != 0) {
        fprintf(progress->out, "%s\n", safe);
    }
    fflush(progress->out);
    progress->shown_us = now_us;
    g_free(progress->shown);
    progress->shown = g_steal_pointer(&safe);
}

void progress_free(Progress *progress)
{
    if (progress != NULL) {
        if (progress->terminal && progress->shown_us != 0) {
            fputs("\r\033[K", progress->out);
            fflush(progress->out);
        }
        g_free(progress->shown);
        g_free(progress);
    }
}
